"""Key files: made once and whole, for their owner alone, and refused when others may read them.

A key file that others may read is refused, not repaired: the key must be taken as known. Used by the keyring and the
authority.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lapse.domain.errors import Refused, Unavailable

_LARGEST_FILE = 4_096


@contextmanager
def key_folder(folder: Path) -> Iterator[None]:
    """Work on the keys in `folder`, which is made if it is not there; `Unavailable` if that cannot be done."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise Unavailable(f"the keys in `{folder}` cannot be used: {error.strerror}") from None


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of a key file; if there is none, one is made whole and only then gets its name."""
    try:
        return read_key(path)
    except FileNotFoundError:
        pass
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write(fresh, make())
        _name_once(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    return read_key(path)


def _name_once(fresh: Path, path: Path) -> None:
    """Give the file its name unless another process was faster; then its key is the one."""
    try:
        os.link(fresh, path)
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_key(path: Path) -> bytes:
    """A key file's content; `Refused` if anybody but its owner may read it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise Refused(
                f"the key file `{path}` may be read by others",
                hint=f"treat the key as known: replace it, or run `chmod 600 {path}` if you are sure it is not",
            )
        return file.read(_LARGEST_FILE)
