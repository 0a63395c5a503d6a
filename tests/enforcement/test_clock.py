from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lapse.enforcement.backoff import LONGEST, next_attempt
from lapse.enforcement.clock import SystemClock

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Wall:
    """A wall clock and a monotonic clock that can be set apart."""

    def __init__(self):
        self.wall, self.elapsed = NOON, 100.0

    def pass_time(self, seconds):
        self.wall += timedelta(seconds=seconds)
        self.elapsed += seconds

    def clock(self):
        return SystemClock(wall=lambda: self.wall, monotonic=lambda: self.elapsed)


def test_it_follows_the_wall():
    wall = Wall()
    clock = wall.clock()
    wall.pass_time(5)
    assert clock.now() == NOON + timedelta(seconds=5)


def test_setting_the_wall_clock_back_does_not_lengthen_a_grant():
    wall = Wall()
    clock = wall.clock()
    clock.now()
    wall.wall -= timedelta(hours=3)
    wall.pass_time(60)
    assert clock.now() == NOON + timedelta(seconds=60)
    wall.pass_time(60)
    assert clock.now() == NOON + timedelta(seconds=120)


def test_setting_the_wall_clock_forward_ends_grants_earlier():
    wall = Wall()
    clock = wall.clock()
    wall.wall += timedelta(hours=3)
    assert clock.now() == NOON + timedelta(hours=3)


async def test_waiting_for_the_past_returns_at_once():
    await SystemClock().wait_until(NOON - timedelta(days=4000))


def test_backoff_doubles_to_a_minute_and_stays_there():
    waits = [(next_attempt(NOON, n) - NOON).total_seconds() for n in range(9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert next_attempt(NOON, 10_000) - NOON == LONGEST


def test_a_process_that_is_held_up_between_two_looks_is_never_ahead_of_the_time():
    held_up, elapsed = timedelta(0), 0.0

    def wall():
        """Another program gets the processor right after the look."""
        nonlocal elapsed
        seen = NOON + timedelta(seconds=elapsed)
        elapsed += held_up.total_seconds()
        return seen

    def monotonic():
        nonlocal elapsed
        seen = elapsed
        elapsed += held_up.total_seconds()
        return seen

    clock = SystemClock(wall=wall, monotonic=monotonic)
    for held_up in (timedelta(milliseconds=3), timedelta(0)):  # noqa: B007  the looks use it
        told = clock.now()
    assert told == NOON + timedelta(seconds=elapsed)
