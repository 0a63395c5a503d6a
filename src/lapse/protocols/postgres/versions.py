"""What a name may stand for while the server has not yet said so: prepared statements and portals of a pipeline.

Guarantee: as long as it is not known which of several values a name has, the worst one counts. Between two Syncs what
comes later runs only if all before it did, so there a name has the value that it was given last. Called by `guarding`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

_Value = TypeVar("_Value")
_NUMBERS = count()


@dataclass(slots=True)
class _Version(Generic[_Value]):
    name: bytes
    value: _Value | None
    part: int


class Versions(Generic[_Value]):
    """Values by name; None is nothing to worry about. Numbers of versions are never the same in two of these."""

    def __init__(self) -> None:
        self._settled: dict[bytes, _Value] = {}
        self._waiting: dict[int, _Version[_Value]] = {}
        self._part = 0

    def begin(self, name: bytes, value: _Value | None) -> int:
        """`name` will stand for `value` if the server agrees; the number of this version."""
        number = next(_NUMBERS)
        self._waiting[number] = _Version(name, value, self._part)
        return number

    def sync(self) -> None:
        """The client sent a Sync: what comes now runs even if what came before it did not."""
        self._part += 1

    def commit(self, number: int) -> None:
        """The server agreed."""
        version = self._waiting.pop(number, None)
        if version is not None:
            self._settle(version.name, version.value)

    def abandon(self, number: int) -> None:
        """The server did not."""
        self._waiting.pop(number, None)

    def clear(self, name: bytes) -> None:
        """Whatever `name` stands for is nothing to worry about any more."""
        self._settle(name, None)
        for version in self._waiting.values():
            if version.name == name:
                version.value = None

    def worst(self, name: bytes) -> _Value | None:
        """What to worry about with `name`, if there is anything: the latest that may be meant."""
        found: _Value | None = None
        for version in reversed(self._waiting.values()):
            if version.name == name:
                if version.part == self._part:
                    return version.value
                found = found if found is not None else version.value
        return found if found is not None else self._settled.get(name)

    def _settle(self, name: bytes, value: _Value | None) -> None:
        if value is None:
            self._settled.pop(name, None)
        else:
            self._settled[name] = value
