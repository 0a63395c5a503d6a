"""Identifiers: `req_` and 26 characters, a ULID, so that sorting by id is sorting by time of creation.

The first 48 bits are milliseconds since 1970, the other 80 are random; within one millisecond (or when the clock
stands still) the random part counts up, so that ids of one process are strictly increasing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_RANDOM_BITS = 80
_HEADROOM_BITS = 79
"""The highest random bit starts at zero, so that counting up within a millisecond never overflows."""


class Ids:
    """Makes identifiers with a prefix; `now` is the clock they are sorted by."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._last = 0

    def __call__(self, prefix: str) -> str:
        """A new identifier, e.g. `req_01K0Z3V9Q5X8J2M4N6P7R8S9T0`."""
        milliseconds = (self._now() - _EPOCH) // _MILLISECOND
        fresh = (milliseconds << _RANDOM_BITS) | secrets.randbits(_HEADROOM_BITS)
        same_instant = self._last >> _RANDOM_BITS >= milliseconds
        self._last = self._last + 1 if same_instant else fresh
        return f"{prefix}_{_crockford(self._last)}"


def _crockford(number: int) -> str:
    """128 bits as 26 characters of Crockford's base 32, most significant first."""
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
