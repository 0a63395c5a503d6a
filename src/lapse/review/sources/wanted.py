"""Which sources a review is to read: from `KIND=PATH,option=value`, or from a YAML file that lists them.

Called by whoever starts the collection. A path is taken as it is, or, in a file, from the file's own folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.sources.listed import read_yaml_list
from lapse.review.sources.registry import source_of

_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSource:
    """One source to be read: its kind, the file or folder, its options."""

    kind: str
    path: Path
    options: Mapping[str, str] = field(default_factory=dict)


def parse_wanted(text: str) -> WantedSource:
    """Read `cloudtrail=logs/AWSLogs,complete=yes`.

    Raises:
        InvalidInput: it is not written like that.
        NotFound: there is no such kind of source.
    """
    kind, equals, rest = text.partition("=")
    path, *options = rest.split(",")
    pairs = {name.strip(): value.strip() for name, _, value in (one.partition("=") for one in options)}
    if not equals or not path.strip() or not all(one.partition("=")[0].strip() and "=" in one for one in options):
        raise InvalidInput(f"`{shown(text, 200)}` names no source", hint="write KIND=PATH, then `,option=value`")
    source_of(kind.strip())
    return WantedSource(kind=kind.strip(), path=Path(path.strip()), options=pairs)


def spelled(wanted: WantedSource) -> str:
    """A source as `parse_wanted` reads it, with its path made absolute."""
    options = "".join(f",{name}={value}" for name, value in wanted.options.items())
    return f"{wanted.kind}={wanted.path.absolute()}{options}"


def read_wanted(file: Path) -> list[WantedSource]:
    """The sources that a YAML file lists: `sources:` with `kind`, `path` and `options` each.

    Raises:
        NotFound: there is no such file, or no such kind of source.
        InvalidInput: it is not such a file; the message says where.
    """
    listed = read_yaml_list(file, "sources", most_bytes=_MOST_BYTES, hint="see docs/sources.md")
    return [_wanted(file, number, entry) for number, entry in enumerate(listed, start=1)]


def _wanted(file: Path, number: int, entry: object) -> WantedSource:
    where = f"source {number} of `{shown(file.name)}`"
    if not isinstance(entry, dict) or not {"kind", "path"} <= entry.keys() <= {"kind", "path", "options"}:
        raise InvalidInput(f"{where} is not `kind`, `path` and `options`", hint="see docs/sources.md")
    kind, path, options = entry["kind"], entry["path"], entry.get("options") or {}
    if not (isinstance(kind, str) and isinstance(path, str) and isinstance(options, dict)):
        raise InvalidInput(f"{where}: kind and path are texts, options are names with values")
    source_of(kind)
    return WantedSource(kind=kind, path=file.parent / path, options={str(k): _text(v) for k, v in options.items()})


def _text(value: object) -> str:
    """YAML's yes and no are options like any other."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
