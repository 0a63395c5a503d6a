"""`lapse policy fmt`: files in one layout, whole or not at all. Needs no home and no server."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import unified_diff
from pathlib import Path
from typing import Annotated

import typer

from lapse.domain.errors import Unavailable
from lapse.entrypoints.cli.output import note, plural, print_json, safe, say
from lapse.entrypoints.cli.policy_files import PolicyFiles, read_policy
from lapse.entrypoints.cli.session import Session


def fmt(
    session: Session,
    files: PolicyFiles,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit code 1 if a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Change nothing; show what would change.")] = False,
) -> None:
    """Put files into one layout.

    Comments and meaning stay. A file with mistakes is left alone, and so are all others then.
    """
    from lapse.policy.formatting import format_policy

    before = read_policy(files)
    after = format_policy(before)
    changed = [name for name in before if _differs(name, before[name], after[name])]
    if not (check or diff):
        for name in changed:
            _replace(Path(name), after[name])
    if session.json:
        print_json({"files": len(before), "changed": changed})
    else:
        _tell(before, after, changed, dry=check or diff, diff=diff)
    if check and changed:
        raise typer.Exit(1)


def _differs(name: str, before: str, after: str) -> bool:
    """Also where only the line ends differ, which reading has made the same."""
    return before != after or b"\r" in Path(name).read_bytes()


def _tell(before: Mapping[str, str], after: Mapping[str, str], changed: list[str], *, dry: bool, diff: bool) -> None:
    for name in changed:
        if diff:
            for line in _difference(name, before[name], after[name]):
                say(safe(line, longest=500))
        else:
            say(f"{'would change' if dry else 'formatted'}: {safe(name)}")
    unchanged = len(before) - len(changed)
    if unchanged:
        (note if diff else say)(f"{plural(unchanged, 'file')} formatted already")


def _difference(name: str, before: str, after: str) -> Iterator[str]:
    return unified_diff(before.splitlines(), after.splitlines(), name, f"{name} (formatted)", lineterm="")


def _replace(path: Path, text: str) -> None:
    """Write beside the file, then put it in its place: nobody ever reads half of it. Mode and links stay."""
    real = path.resolve()
    beside = ""
    try:
        mode = real.stat().st_mode
        handle, beside = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            os.fchmod(file.fileno(), mode & 0o7777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(real)
    except OSError as error:
        if beside:
            with suppress(OSError):
                Path(beside).unlink()
        reason = (error.strerror or str(error)).lower()
        raise Unavailable(f"`{path}` cannot be written: {reason}", hint="it is as it was") from None
