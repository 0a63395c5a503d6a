"""When to try again: doubling from one second to one minute, for ever."""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST = timedelta(seconds=1)
LONGEST = timedelta(minutes=1)


def next_attempt(now: datetime, attempts: int) -> datetime:
    """The instant of the next try after `attempts` tries that failed before this one."""
    return now + min(FIRST * (1 << min(attempts, 10)), LONGEST)
