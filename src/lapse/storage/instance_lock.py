"""One server per home: the second one is refused, and told who the first is. Used by `lapse serve`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lapse.domain.errors import Refused
from lapse.storage.lease import try_lock

_LONGEST_PID = 20


class Taken(Refused):
    """Somebody else works on this home; when they are done it is free."""


@contextmanager
def acquire(path: Path) -> Iterator[None]:
    """Hold the lock file `path` until the block ends, or the process does in whatever way.

    Raises:
        Taken: another server holds it; the message names its process id.
        Unavailable: the file cannot be opened.
    """
    descriptor = try_lock(path)
    if descriptor is None:
        raise Taken(
            f"another server already runs on `{path.parent}`{_holder(path)}",
            hint="stop it first, or use another home; several servers need PostgreSQL",
        )
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        yield
    finally:
        os.close(descriptor)


def _holder(path: Path) -> str:
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_PID).strip().decode("ascii", "replace")
    except OSError:
        return ""
    return f" (process {text})" if text.isdigit() else ""
