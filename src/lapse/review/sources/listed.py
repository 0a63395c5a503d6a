"""A YAML file that people write to list something for a review. Called for conflicts of duties and for sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.names import shown


def read_yaml_list(file: Path, what: str, *, most_bytes: int, hint: str) -> list[Any]:
    """The list that `file` has under `what`, whatever is in it.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it has more than `most_bytes`, is no YAML, or has no such list; `hint` says how it is written.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        if file.stat().st_size > most_bytes:
            raise InvalidInput(f"`{shown(file.name)}` is larger than a list of {what} is")
        data: Any = YAML(typ="safe", pure=True).load(file.read_text("utf-8"))
    except FileNotFoundError:
        raise NotFound(f"there is no file `{shown(str(file), 200)}`") from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        why = shown(" ".join(str(error).split()), 200)
        raise InvalidInput(f"`{shown(file.name)}` cannot be read as YAML: {why}") from None
    listed = data.get(what) if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise InvalidInput(f"`{shown(file.name)}` has no list `{what}`", hint=hint)
    return listed
