"""What runs beside the API in a server: enforcer, sequencer, request expiry, reminders, notices, reconciliation.

A part that fails is logged and started again after a pause that doubles up to a minute; none ends silently.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from lapse.bootstrap.app import App
from lapse.bootstrap.logs import Logger
from lapse.bootstrap.looking import look_where_due
from lapse.bootstrap.recurring import start_due_reviews
from lapse.control.aftermath import remind_reviewers
from lapse.control.gateways import lose_silent_gateways
from lapse.control.holds import expire_holds
from lapse.control.reminders import remind
from lapse.control.requests import expire_requests
from lapse.control.retention import remove_due_recordings
from lapse.control.review_deadlines import move_reviews_on
from lapse.control.sessions import lose_overdue_sessions
from lapse.domain.errors import LapseError
from lapse.enforcement.reconcile import reconcile_resource
from lapse.enforcement.removals import carry_out_due
from lapse.notify.log import LogWay

HOUSEKEEPING_EVERY = timedelta(seconds=2)
NOTICES_EVERY = timedelta(seconds=1)
REMIND_EVERY = timedelta(seconds=10)
ROTAS_EVERY = timedelta(seconds=20)
REMOVALS_EVERY, REVIEWS_EVERY, LOOKS_EVERY = timedelta(seconds=1), timedelta(minutes=1), timedelta(minutes=1)
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0

Part = Callable[[asyncio.Event], Awaitable[None]]


@asynccontextmanager
async def running(app: App, log: Logger) -> AsyncIterator[None]:
    """Run every background part of `app` while the body runs; at the end each finishes what it has in hand."""
    stop = asyncio.Event()
    in_log = LogWay(log.info)
    for problem in app.integrations.problems:
        log.warning("integration not set up", reason=problem)
    parts: dict[str, Part] = {
        "enforcer": app.enforcer.run,
        "sequencer": app.sequencer.run,
        "housekeeping": _Every(app, HOUSEKEEPING_EVERY, lambda: _housekeep(app)),
        "reminders": _Every(app, REMIND_EVERY, lambda: _remind(app)),
        "removals": _Every(app, REMOVALS_EVERY, lambda: carry_out_due(app.parts)),
        "reviews": _Every(app, REVIEWS_EVERY, lambda: _review(app)),
        "looks": _Every(app, LOOKS_EVERY, lambda: _look(app, log)),
        "notices": _Every(app, NOTICES_EVERY, lambda: app.tell(in_log)),
        "rotas": _Every(app, ROTAS_EVERY, app.integrations.rotas.refresh),
        "reconciler": _Every(app, app.settings.reconcile_every, lambda: _reconcile_all(app, log)),
    }
    tasks = [asyncio.create_task(_kept_up(name, part, stop, log), name=name) for name, part in parts.items()]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


class _Every:
    """Runs a job, then waits for `every` (or the end), and so on."""

    def __init__(self, app: App, every: timedelta, job: Callable[[], Awaitable[object]]) -> None:
        self._app, self._every, self._job = app, every, job

    async def __call__(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            await self._job()
            await _pause(stop, self._every.total_seconds())


async def _kept_up(name: str, part: Part, stop: asyncio.Event, log: Logger) -> None:
    pause = FIRST_PAUSE
    while not stop.is_set():
        try:
            await part(stop)
        except Exception as error:  # noqa: BLE001  whatever it is, the part must come back and somebody must know
            reason = error.message if isinstance(error, LapseError) else f"{type(error).__name__}: {error}"
            log.warning("part failed", part=name, reason=reason, retry_in_seconds=pause)
            await _pause(stop, pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        else:
            pause = FIRST_PAUSE


async def _housekeep(app: App) -> None:
    """What nobody answered expires, what gateways left open is lost, recordings go when their time is over."""
    now = app.clock.now()
    if await app.store.read(lambda reader: reader.requests_to_expire(now, 1)):
        await expire_requests(app.control)
    await expire_holds(app.control)
    await lose_silent_gateways(app.control)
    await lose_overdue_sessions(app.control)
    await remove_due_recordings(app.control, app.blobs)
    await app.targets.refresh(app.store)


async def _remind(app: App) -> None:
    """Those who may decide or review are reminded, and others are called once a request has waited too long."""
    await remind(app.control)
    await remind_reviewers(app.control)


async def _review(app: App) -> None:
    """Recurring reviews begin when their time has come; reviewers are asked, reminded, and followed by others."""
    await move_reviews_on(app.control)
    await start_due_reviews(app)


async def _look(app: App, log: Logger) -> None:
    """New evidence of schedules that are continuous is looked at, once a day."""

    def trouble(schedule: str, reason: str) -> None:
        log.warning("look failed", schedule=schedule, reason=reason)

    await look_where_due(app, trouble)


async def _reconcile_all(app: App, log: Logger) -> None:
    """Each target by itself: one that does not answer must not keep the others from being read."""
    targets = await app.store.read(lambda reader: reader.targets())
    await asyncio.gather(*(reconcile(app, target.resource, log) for target in targets))


async def reconcile(app: App, resource: str, log: Logger) -> None:
    """Read one target, and have what that ends ended now."""
    try:
        result = await reconcile_resource(app.parts, resource)
    except LapseError as error:
        log.warning("target not read", resource=resource, reason=error.message)
        return
    if result.plan.missing:
        app.enforcer.wake()
    log.info("target read", resource=resource, complete=result.observation.complete, drift=len(result.plan.found))


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
