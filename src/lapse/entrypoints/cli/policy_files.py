"""The policy files that a command names: YAML files or folders of them, without the tests that lie beside."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from lapse.domain.errors import InvalidInput

PolicyFiles = Annotated[list[Path], typer.Argument(metavar="FILE…", help="YAML files, or folders of them.")]

_CASES = (".test.yaml", ".test.yml")


def is_cases(path: Path) -> bool:
    """Whether a file has test cases, by its name: `*.test.yaml`."""
    return path.name.endswith(_CASES)


def read_policy(paths: Iterable[Path]) -> dict[str, str]:
    """Text by name of the policy files among `paths`: files named `*.test.yaml` are tests of a policy, not part of it.

    Raises:
        InvalidInput: there are none, or one cannot be read.
    """
    from lapse.entrypoints.cli.files import read_files

    named = list(paths)
    files = {name: text for name, text in read_files(named).items() if not is_cases(Path(name))}
    if not files:
        raise InvalidInput("these are test cases, not policy files", hint="name the policy files, or their folder")
    return files
