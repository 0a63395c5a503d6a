"""Which account on which host a file of keys is for, by where it lies in a folder of copies.

Guarantee: nothing but the layouts that are documented is taken for an answer. Called by the kind `authorized-keys`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lapse.domain.errors import InvalidInput

_FILES = frozenset({"authorized_keys", "authorized_keys2"})
_FOLDERS = frozenset({"authorized_keys", "authorized_keys.d"})
_WITH_ACCOUNT, _WITH_HOST = 2, 3


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """An account of a host; `host` is "" where the layout does not say it."""

    host: str
    account: str


def place_of(name: str) -> Place | None:
    """What a path below the source says; None if it is none of the layouts.

    `HOST/ACCOUNT/authorized_keys`, `ACCOUNT/authorized_keys`; and, below nothing or a folder that is named after the
    host, `home/ACCOUNT/.ssh/authorized_keys`, `root/.ssh/authorized_keys`, `etc/ssh/authorized_keys/ACCOUNT`.
    """
    parts = PurePosixPath(name).parts
    if parts[-4:-2] == ("etc", "ssh") and parts[-2] in _FOLDERS:
        return _below(parts[:-4], parts[-1])
    if parts[-1] not in _FILES:
        return None
    if parts[-2:-1] == (".ssh",):
        return _home(parts[:-2])
    if len(parts) == _WITH_HOST:
        return Place(parts[0], parts[1])
    return Place("", parts[0]) if len(parts) == _WITH_ACCOUNT else None


def looks_like_keys(name: str) -> bool:
    """Whether a file that is in none of the layouts may hold keys all the same."""
    return "authorized_keys" in name


def files_of_keys(path: Path) -> list[Path]:
    """All files below `path`, in order of name; hidden ones only in `.ssh`. Links that lead out are not followed."""
    root = path.resolve()
    found = (file for file in path.rglob("*") if file.is_file() and root in file.resolve().parents)
    return sorted(file for file in found if not any(map(_hidden, file.relative_to(path).parts)))


def single_place(host: str, account: str) -> Place:
    """The place of a source that is one file, by options.

    Raises:
        InvalidInput: one of them is missing.
    """
    if not host or not account:
        raise InvalidInput(
            "a single file does not say whose it is", hint="give the options `host` and `account`, or a folder"
        )
    return Place(host, account)


def _home(parts: tuple[str, ...]) -> Place | None:
    if parts[-1:] == ("root",):
        return _below(parts[:-1], "root")
    return _below(parts[:-2], parts[-1]) if parts[-2:-1] == ("home",) else None


def _below(parts: tuple[str, ...], account: str) -> Place | None:
    return Place("".join(parts), account) if len(parts) <= 1 else None


def _hidden(part: str) -> bool:
    return part.startswith(".") and part != ".ssh"
