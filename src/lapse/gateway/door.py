"""The one way into every target: who proved to hold a credential gets a session from here, or an error.

Every protocol calls `Door.open`; nothing else makes a `LiveSession`. Whatever fails on the way, and wherever the caller
is cancelled, nothing is left open: neither on the target nor on record.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime, timedelta

from lapse.domain.errors import LapseError, Refused, Unavailable
from lapse.domain.sessions import SessionEnd
from lapse.gateway.endings import Ended, Endings
from lapse.gateway.live import LiveSession, LiveSessions
from lapse.gateway.measures import Metrics, NoMetrics, NoTraces, Traces
from lapse.gateway.recording import Recorder
from lapse.ports import Admission, Attempt, Clock, ControlPlane

ADMIT_SECONDS = 15.0
CLOSE_SECONDS = 30.0


@dataclass(eq=False)
class Door:
    """Opens sessions for one gateway process called `gateway`, until it is shut.

    `endings` brings their ends to lapse, `new_id` makes ids for a prefix.
    """

    gateway: str
    _: KW_ONLY
    plane: ControlPlane
    live: LiveSessions
    recorder: Recorder
    clock: Clock
    endings: Endings | None = None
    metrics: Metrics = field(default_factory=NoMetrics)
    traces: Traces = field(default_factory=NoTraces)
    new_id: Callable[[str], str] = lambda prefix: f"{prefix}_{secrets.token_hex(13)}"
    shut: bool = False
    _closing: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def open(self, attempt: Attempt) -> AsyncIterator[LiveSession]:
        """A session for `attempt`; when the body ends, its end is recorded with the reason it was cut for.

        A body that returns by itself says why in `LiveSession.cut` before (`CLIENT`, `SERVER`); one that fails, fails
        the session. The body has closed both sides when it ends. It is cancelled if it does not when it should.

        Raises:
            Refused: there is no session in it.
            Unavailable: lapse cannot be reached, so nothing is opened.
        """
        if self.shut:
            raise Refused("this gateway is shutting down", hint="connect again")
        session = self._held(await self._admitted(replace(attempt, session_id=self.new_id("ses"))))
        try:
            yield session
        finally:
            over = asyncio.get_running_loop().create_task(self._over(session), name=f"end of {session.id}")
            self._closing.add(over)
            over.add_done_callback(self._closing.discard)
            await asyncio.shield(over)

    async def recorded(self) -> None:
        """Return when the recording of every session that is over is closed, and its end on the way to lapse."""
        while self._closing:
            await asyncio.wait(set(self._closing))

    async def settled(self) -> None:
        """Return when every session that is over is recorded, and lapse was told."""
        await self.recorded()
        await self._endings.settled()

    @property
    def _endings(self) -> Endings:
        if self.endings is None:
            self.endings = Endings(self.plane)
        return self.endings

    async def _admitted(self, attempt: Attempt) -> Admission:
        """Ask lapse. A caller that is cancelled meanwhile, or an answer that is lost, leaves nothing on record."""
        asking = asyncio.ensure_future(self._ask(attempt))
        try:
            admission = await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(lambda done: self._unwanted(attempt, done))
            raise
        except Unavailable:
            self._tell(attempt.session_id, SessionEnd.FAILED)
            raise
        if self.shut:
            self._tell(attempt.session_id, SessionEnd.DRAINED)
            raise Refused("this gateway is shutting down", hint="connect again")
        return admission

    async def _ask(self, attempt: Attempt) -> Admission:
        try:
            async with asyncio.timeout(ADMIT_SECONDS):
                return await self.plane.admit(self.gateway, attempt)
        except TimeoutError:
            raise Unavailable("lapse does not answer", hint="try again later") from None

    def _unwanted(self, attempt: Attempt, asking: asyncio.Future[Admission]) -> None:
        error = None if asking.cancelled() else asking.exception()
        if error is None or not isinstance(error, LapseError) or isinstance(error, Unavailable):
            self._tell(attempt.session_id, SessionEnd.CLIENT)

    def _held(self, admission: Admission) -> LiveSession:
        try:
            session = LiveSession(admission, self.recorder.begin(admission))
        except Exception as error:
            not_recorded = isinstance(error, LapseError)
            self._tell(admission.session.id, SessionEnd.NOT_RECORDED if not_recorded else SessionEnd.FAILED)
            raise
        task = asyncio.current_task()
        session.by_force = task.cancel if task is not None else session.by_force
        self.live.add(session)
        self.metrics.opened(admission.session)
        self.traces.note(session=session.id, grant=admission.session.grant_id, resource=admission.session.resource)
        return session

    def _tell(self, session_id: str, reason: SessionEnd) -> None:
        """It is on record, or may be, and never began."""
        self._endings.put(Ended(session_id=session_id, reason=reason, at=self.clock.now()))

    async def _over(self, session: LiveSession) -> None:
        ended_at = self.clock.now()
        self.live.discard(session)
        cut = session.cut_by
        reason = cut.reason if cut else SessionEnd.FAILED
        self.metrics.ended(session.admission.session, reason, session.use, _late(session, ended_at))
        recorded = await _sealed(session)
        self._endings.put(
            Ended(
                session_id=session.id,
                reason=reason,
                at=ended_at,
                use=session.use,
                recorded=recorded,
                by=cut.by if cut else "",
            )
        )


async def _sealed(session: LiveSession) -> bool:
    """Whether its recording is whole; a recorder that fails or hangs must not keep the end from being told."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            return await session.recording.close()
    except Exception:  # noqa: BLE001  whatever it is, what is not known to be whole is not
        return False


def _late(session: LiveSession, ended_at: datetime) -> timedelta | None:
    """How long after its deadline, or after the order, a session that was cut came to its end."""
    if session.cut_by is None or session.cut_at is None:
        return None
    elapsed = session.cut_by.reason is SessionEnd.ELAPSED
    return ended_at - (session.admission.session.deadline if elapsed else session.cut_at)
