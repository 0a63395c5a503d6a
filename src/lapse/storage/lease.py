"""File locks that the kernel gives back when their holder dies. Used for the sequencer and for the instance."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lapse.domain.errors import Unavailable


def try_lock(path: Path) -> int | None:
    """Lock the file exclusively, creating it if need be; its descriptor, or None if somebody else has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(f"the lock file `{path}` cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


@asynccontextmanager
async def file_lease(path: Path) -> AsyncIterator[bool]:
    """Hold the lock on `path`; yields False if somebody else holds it, in this process or another."""
    descriptor = try_lock(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)
