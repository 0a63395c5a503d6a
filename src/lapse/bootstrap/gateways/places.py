"""The place of one gateway process on its machine: a number, a name, and the files that are its own.

Guarantee: no two processes have one place at a time. A process that is killed leaves its place free, and the next one
takes it over with everything that is in it: so its sessions are known to be lost, and their recordings are sealed.
A process that still drains keeps its place, and its successor takes the next. Made by `assembly`.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lapse.domain.errors import Refused, Unavailable
from lapse.storage.lease import try_lock

MOST_PLACES = 1_000
_LONGEST_HOST = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Place `number` in `folder`, on a machine called `host`."""

    folder: Path
    number: int
    host: str

    @property
    def name(self) -> str:
        """What lapse calls the gateway process that has this place."""
        return f"{self.host}/{self.number}"

    @property
    def lock_file(self) -> Path:
        """Held while a process has the place."""
        return self.folder / f"{self.number}.lock"

    @property
    def endings_file(self) -> Path:
        """Ends of sessions that lapse could not be told."""
        return self.folder / f"{self.number}.endings"

    @property
    def marks(self) -> Path:
        """Which recordings are not over."""
        return self.folder / f"{self.number}.open"

    @property
    def socket_file(self) -> Path:
        """Where neighbours pass on cancel requests."""
        return self.folder / f"{self.number}.sock"


@contextmanager
def taken_place(folder: Path, host: str = "") -> Iterator[Place]:
    """The first place that is free, held while the body runs or until the process dies.

    Raises:
        Refused: there are as many gateway processes as there may be.
        Unavailable: the folder cannot be used.
    """
    _make(folder)
    for number in range(MOST_PLACES):
        place = Place(folder, number, host or host_name())
        descriptor = try_lock(place.lock_file)
        if descriptor is not None:
            try:
                yield place
            finally:
                os.close(descriptor)
            return
    raise Refused(f"{MOST_PLACES} gateway processes run here already")


@contextmanager
def abandoned_places(place: Place) -> Iterator[list[Place]]:
    """The other places that nobody has although somebody had them, held while the body runs."""
    held: list[tuple[Place, int]] = []
    try:
        for file in sorted(place.folder.glob("*.lock")):
            another = file != place.lock_file and file.stem.isdigit()
            descriptor = try_lock(file) if another else None
            if descriptor is not None:
                held.append((Place(place.folder, int(file.stem), place.host), descriptor))
        yield [one for one, _ in held]
    finally:
        for _, descriptor in held:
            os.close(descriptor)


def host_name() -> str:
    """What this machine is called, fit for a name."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:_LONGEST_HOST] or "gateway"


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"the folder `{folder}` cannot be made: {error.strerror}") from None
