"""The loop: find what is due, work on each resource by itself, sleep until the next deadline or a wake.

A target that hangs holds up its own resource only. Costs grow with what is due, not with what exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime

from lapse.domain.errors import LapseError
from lapse.domain.grants import ENDING, LIVE, Grant
from lapse.enforcement.activation import activate_batch
from lapse.enforcement.backoff import next_attempt
from lapse.enforcement.ending import end_batch
from lapse.enforcement.parts import Parts

BATCH = 20_000


class Enforcer:
    """Activates, ends and retries. One runs in every `lapse serve`; the CLI without a server runs single ticks."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._wake = asyncio.Event()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._looked_at = datetime.min.replace(tzinfo=UTC)

    def wake(self) -> None:
        """Something may be due now. Safe to call from the event loop's thread at any time."""
        self._wake.set()

    async def tick(self) -> int:
        """Do what is due now and wait for it; returns how many grants were worked on."""
        due = await self._dispatch()
        if self._busy:
            await asyncio.gather(*self._busy.values(), return_exceptions=True)
        return due

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then finish what is in hand."""
        failures = 0
        while not stop.is_set():
            self._wake.clear()
            try:
                await self._dispatch()
                await self._sleep(stop)
                failures = 0
            except LapseError as error:
                self._parts.on_trouble("enforcer", error.message)
                await self._rest(stop, failures)
                failures += 1
        await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _dispatch(self) -> int:
        """Start a worker on every resource that has something due and none at work."""
        parts, now = self._parts, self._parts.clock.now()
        self._looked_at, busy = now, tuple(self._busy)
        due = await parts.store.read(lambda reader: reader.grants_due(now, BATCH, besides=busy))
        by_resource: dict[str, list[Grant]] = {}
        for grant in due:
            by_resource.setdefault(grant.resource, []).append(grant)
        for resource, grants in by_resource.items():
            task = asyncio.create_task(self._work(resource, grants), name=f"enforce {resource}")
            self._busy[resource] = task
            task.add_done_callback(self._finished(resource))
        return len(due)

    def _finished(self, resource: str) -> Callable[[asyncio.Task[None]], None]:
        def done(task: asyncio.Task[None]) -> None:
            self._busy.pop(resource, None)
            self._wake.set()
            if not task.cancelled() and (error := task.exception()) is not None:
                self._parts.on_trouble(resource, _sentence(error))

        return done

    async def _work(self, resource: str, due: Sequence[Grant]) -> None:
        """Ends come first: nobody waits longer to lose access because somebody else is to get some."""
        now = self._parts.clock.now()
        ending = [grant for grant in due if _must_end(grant, now)]
        starting = [grant for grant in due if not _must_end(grant, now)]
        try:
            if ending:
                await end_batch(self._parts, resource, ending)
            if starting:
                await activate_batch(self._parts, resource, starting)
        except Exception as error:  # noqa: BLE001  whatever it is, this resource must be tried again, and not at once
            self._parts.on_trouble(resource, _sentence(error))
            await self._parts.clock.wait_until(next_attempt(now, 0))

    async def _sleep(self, stop: asyncio.Event) -> None:
        """Until the next deadline after those just dispatched, a wake, or the end."""
        looked_at = self._looked_at
        next_due = await self._parts.store.read(lambda reader: reader.next_due(looked_at))
        waits: list[Coroutine[None, None, object]] = [self._wake.wait(), stop.wait()]
        if next_due is not None:
            waits.append(self._parts.clock.wait_until(next_due))
        await _first(waits)

    async def _rest(self, stop: asyncio.Event, failures: int) -> None:
        until = next_attempt(self._parts.clock.now(), failures)
        await _first([stop.wait(), self._parts.clock.wait_until(until)])


def _must_end(grant: Grant, now: datetime) -> bool:
    past = grant.ends_at is not None and grant.ends_at <= now
    return grant.state in ENDING or (grant.state in LIVE and past)


def _sentence(error: BaseException) -> str:
    return error.message if isinstance(error, LapseError) else f"{type(error).__name__}: {error}"


async def _first(waits: Sequence[Coroutine[None, None, object]]) -> None:
    """Wait for the first of `waits` and cancel the rest."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
