"""The sessions of this gateway process: each has one deadline, held here, and is cut once.

Guarantee: whatever the rest of lapse does, a session is told to end at its deadline, by a timer of this process. A
session that was told to end cannot be told anything else, and what ends it first is the reason that is recorded. One
that does not end when told is ended by force, `CUT_GRACE` later. Called by the door, the orders and the drain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any

from lapse.domain.sessions import SessionEnd, SessionUse
from lapse.gateway.recording import Recording
from lapse.ports import Admission, Clock, Cut, Decided

CUT_GRACE = timedelta(seconds=2)
"""How long a protocol may take to end a session in order once it was told to."""

IDLE_LOOKS = 8
"""How often in an idle timeout traffic is looked for: an idle session ends at most an eighth of it late."""

_FEW = 64


@dataclass(frozen=True, slots=True)
class Ending:
    """A session will be cut for `reason` when `left` has passed; its user is told so."""

    left: timedelta
    reason: SessionEnd = SessionEnd.ELAPSED


OnCut = Callable[[Cut], None]
OnWarning = Callable[[Ending], None]
OnDecided = Callable[[Decided], None]


@dataclass(eq=False)
class LiveSession:
    """One admitted session. Its protocol sets the callbacks; they are called in the event loop and must not block.

    `on_cut` comes at most once, at once if the cut came before it was set. `use` is what the protocol has counted, at
    the latest when the session is over; `counting` gives what it has counted so far, where that is elsewhere meanwhile.
    Sessions that moved no bytes by that count are idle. `by_force` ends it when nothing else does.
    """

    admission: Admission
    recording: Recording
    use: SessionUse = field(default_factory=SessionUse)
    counting: Callable[[], SessionUse] | None = None
    on_warning: OnWarning = lambda _ending: None
    on_decided: OnDecided = lambda _decided: None
    by_force: Callable[[], object] = lambda: None
    cut_by: Cut | None = None
    cut_at: datetime | None = None
    _on_cut: OnCut | None = None

    @property
    def id(self) -> str:
        """The session's id."""
        return self.admission.session.id

    @property
    def so_far(self) -> SessionUse:
        """What it has done until now."""
        return self.counting() if self.counting else self.use

    def when_cut(self, call: OnCut) -> None:
        """Call `call` when the session must end; now, if it must already."""
        self._on_cut = call
        if self.cut_by is not None:
            call(self.cut_by)

    def cut(self, cut: Cut) -> None:
        """Tell the protocol to end the session; the first reason stands."""
        if self.cut_by is None:
            self.cut_by = cut
            if self._on_cut is not None:
                self._on_cut(cut)


@dataclass(eq=False)
class _Held:
    """A session, how many timers wait for it, whether it must be over soon, and when traffic was last seen."""

    session: LiveSession
    timers: int = 0
    must_end: bool = False
    moved: int = 0
    moved_at: datetime | None = None


_Step = Callable[[_Held, datetime], None]
_Timer = tuple[datetime, int, _Held, _Step]
OnTrouble = Callable[[str, Exception], None]


class LiveSessions:
    """All sessions of this process, and the one task that keeps their deadlines and warnings.

    `on_trouble` is told a session's id and what its protocol raised when it was called.
    """

    def __init__(self, clock: Clock, *, on_trouble: OnTrouble = lambda _id, _error: None) -> None:
        self._clock = clock
        self._on_trouble = on_trouble
        self._held: dict[str, _Held] = {}
        self._timers: list[_Timer] = []
        self._stale = 0
        self._order = count()
        self._sooner = asyncio.Event()

    def __iter__(self) -> Iterator[LiveSession]:
        return iter([held.session for held in self._held.values()])

    def __len__(self) -> int:
        return len(self._held)

    @property
    def timers(self) -> int:
        """How many timers are kept, those of sessions that are over included."""
        return len(self._timers)

    def get(self, session_id: str) -> LiveSession | None:
        """The session with this id, if it is held here."""
        held = self._held.get(session_id)
        return held.session if held else None

    def add(self, session: LiveSession) -> None:
        """Hold `session`: from now on its deadline is kept here."""
        rules, now = session.admission.rules, self._clock.now()
        deadline = session.admission.session.deadline
        held = self._held[session.id] = _Held(session, moved_at=now)
        self._plan(deadline, held, self._elapsed)
        for left in rules.warn_before:
            if deadline - left > now:
                self._plan(deadline - left, held, self._warning(left))
        if rules.idle_timeout:
            self._plan(now + rules.idle_timeout / IDLE_LOOKS, held, self._look)

    def discard(self, session: LiveSession) -> None:
        """It is over: its timers go."""
        held = self._held.get(session.id)
        if held is None or held.session is not session:
            return
        del self._held[session.id]
        self._stale += held.timers
        if self._stale > max(_FEW, len(self._timers) // 2):
            self._timers = [timer for timer in self._timers if self._holds(timer[2])]
            heapify(self._timers)
            self._stale = 0

    def cut(self, cut: Cut) -> bool:
        """Cut one session; whether it is held here."""
        held = self._held.get(cut.session_id)
        if held is not None:
            self._cut(held, cut)
        return held is not None

    def cut_all(self, reason: SessionEnd, by: str = "") -> None:
        """Cut every session."""
        for held in list(self._held.values()):
            self._cut(held, Cut(session_id=held.session.id, reason=reason, by=by))

    def warn_all(self, ending: Ending) -> None:
        """Tell every session that it will be cut, unless its own deadline comes first."""
        at = self._clock.now() + ending.left
        for held in list(self._held.values()):
            if held.session.admission.session.deadline > at:
                self._warn(held, ending)

    async def keep_deadlines(self, stop: asyncio.Event) -> None:
        """Warn and cut on time, until `stop`."""
        stopped = asyncio.ensure_future(stop.wait())
        try:
            while not stop.is_set():
                self._sooner.clear()
                self._fire()
                await self._nap(stopped)
        finally:
            stopped.cancel()

    async def _nap(self, stopped: asyncio.Future[Any]) -> None:
        """Until the next timer is due, an earlier one was set, or the end."""
        waits = {asyncio.ensure_future(self._sooner.wait())}
        if self._timers:
            waits.add(asyncio.ensure_future(self._clock.wait_until(self._timers[0][0])))  # type: ignore[arg-type]
        try:
            await asyncio.wait({stopped, *waits}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _plan(self, at: datetime, held: _Held, step: _Step) -> None:
        if not self._timers or at < self._timers[0][0]:
            self._sooner.set()
        held.timers += 1
        heappush(self._timers, (at, next(self._order), held, step))

    def _fire(self) -> None:
        now = self._clock.now()
        while self._timers and self._timers[0][0] <= now:
            _, _, held, step = heappop(self._timers)
            held.timers -= 1
            if self._holds(held):
                step(held, now)
            else:
                self._stale -= 1

    def _holds(self, held: _Held) -> bool:
        return self._held.get(held.session.id) is held

    def _elapsed(self, held: _Held, _now: datetime) -> None:
        self._cut(held, Cut(session_id=held.session.id, reason=SessionEnd.ELAPSED))

    def _warning(self, left: timedelta) -> _Step:
        return lambda held, _now: self._warn(held, Ending(left))

    def _look(self, held: _Held, now: datetime) -> None:
        """Whether bytes moved since the last look; an idle session is cut."""
        session, allowed = held.session, held.session.admission.rules.idle_timeout
        if allowed is None or session.cut_by is not None:
            return
        use = session.so_far
        if (moved := use.bytes_in + use.bytes_out) != held.moved or held.moved_at is None:
            held.moved, held.moved_at = moved, now
        if now - held.moved_at >= allowed:
            self._cut(held, Cut(session_id=session.id, reason=SessionEnd.IDLE))
        else:
            self._plan(now + allowed / IDLE_LOOKS, held, self._look)

    def _cut(self, held: _Held, cut: Cut) -> None:
        if held.must_end:
            return
        held.must_end = True
        session, now = held.session, self._clock.now()
        # A session that says that it is ending by itself must be over in time all the same.
        self._plan(now + CUT_GRACE, held, self._force)
        session.cut_at = session.cut_at or now
        try:
            session.cut(cut)
        except Exception as error:  # noqa: BLE001  the others must be cut all the same, and so must this one
            self._on_trouble(session.id, error)
            session.by_force()

    def _force(self, held: _Held, now: datetime) -> None:
        self._plan(now + CUT_GRACE, held, self._force)
        held.session.by_force()

    def _warn(self, held: _Held, ending: Ending) -> None:
        if held.session.cut_by is not None:
            return
        try:
            held.session.on_warning(ending)
        except Exception as error:  # noqa: BLE001  the others must be warned all the same
            self._on_trouble(held.session.id, error)
