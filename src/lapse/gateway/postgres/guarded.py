"""A flow whose guard looks into every message: the pump's twin, with `protocols.postgres.guarding` between its sides.

It ends, warns and records as every flow does. A statement that waits for an approver stays at the gateway, and its
client is told so from time to time; when the flow ends meanwhile, nobody is asked any more. Called by `session`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from lapse.domain.errors import LapseError
from lapse.domain.holds import Hold, HoldState
from lapse.gateway.pump.interface import Attachment, FlowEnd
from lapse.gateway.pump.twin import TwinFlow, TwinPump
from lapse.gateway.recording import FrameKind
from lapse.ports import Decided
from lapse.protocols.pieces import Direction
from lapse.protocols.postgres.backend import Report, SqlState
from lapse.protocols.postgres.guarding import Guarding, Judgement
from lapse.protocols.postgres.masking import TableNames

TELL_AGAIN = timedelta(seconds=30)
"""How often a client is told that its statement still waits."""
PATIENCE = timedelta(seconds=30)
"""How much longer than the guard says an answer is waited for, since lapse itself lets a hold expire."""
SHOWN = 10_000
"""Characters of a statement that its verdict in the recording has; the wire beside it has all."""
MOST_WAITING = 65_536
"""Bytes that a client may send while a statement of it waits."""

Holder = Callable[[str, str], Awaitable[Hold]]
LookUp = Callable[[set[int]], Awaitable[dict[int, TableNames]]]


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What a guarded flow asks of others: to hold a statement, to drop a hold, for the names of tables.

    `count` is told what becomes of each hold, as `Metrics.held` wants it.
    """

    hold: Holder
    drop: Callable[[str], Awaitable[None]]
    look_up: LookUp
    timeout: timedelta
    count: Callable[[str], None]


class GuardedFlow(TwinFlow):
    """See the module."""

    def __init__(self, pump: TwinPump, attachment: Attachment, guarding: Guarding, asking: Asking) -> None:
        super().__init__(pump, attachment)
        self._guarding, self._asking = guarding, asking
        self._waiting: asyncio.Task[None] | None = None
        self._naming: asyncio.Task[None] | None = None
        self._decided: dict[str, Hold] = {}
        self._news = asyncio.Event()
        self._cancelled = False
        self.refused = 0
        self.done.add_done_callback(lambda _done: self._forget())

    def relay(self, data: bytes) -> None:
        """See `TwinFlow`."""
        try:
            self._guarding.from_client(data)
        except LapseError:
            self._finish(FlowEnd.BAD_CLIENT, self._attachment.farewells.broken)
            return
        self._act()

    def received(self, direction: Direction, data: bytes) -> None:
        """See `TwinFlow`; what the server says is looked into first."""
        if direction is Direction.SERVER and not self.done.done() and not self._closing:
            data = self._looked_into(data)
        super().received(direction, data)

    def _looked_into(self, data: bytes) -> bytes:
        try:
            self._guarding.from_server(data)
        except LapseError as error:
            self._broken(error)
            return b""
        self._name_tables()
        return self._answers()

    def _answers(self) -> bytes:
        said = bytes(self._guarding.to_client)
        self._guarding.to_client.clear()
        return said

    def _broken(self, error: LapseError) -> None:
        report = Report("FATAL", SqlState.ADMIN_SHUTDOWN, f"the session ended: {error.message}")
        self._finish(FlowEnd.BAD_SERVER, report.error())

    def said_all(self, direction: Direction) -> None:
        """See `TwinFlow`; a client that leaves does not wait for anybody."""
        if direction is Direction.CLIENT and self._guarding.hold is not None:
            self._finish(FlowEnd.CLIENT, b"")
        else:
            super().said_all(direction)

    def decided(self, decided: Decided) -> None:
        """An approver has answered, or the hold is over by itself."""
        self._decided[decided.hold.id] = decided.hold
        self._news.set()

    def cancel_hold(self) -> bool:
        """The client wants no answer any more; whether a statement waited for one."""
        if self._waiting is None:
            return False
        self._cancelled = True
        self._news.set()
        return True

    def _act(self) -> None:
        """Do what the guard wants now."""
        guarding = self._guarding
        if guarding.judgements:
            judged, guarding.judgements = guarding.judgements, []
            for one in judged:
                self.refused += 1
                self._record(one, {})
        if guarding.to_server:
            data = bytes(guarding.to_server)
            guarding.to_server.clear()
            self._server.write(data)
        if guarding.hold is not None and self._waiting is None:
            self._waiting = asyncio.ensure_future(self._ask(guarding.hold))
        waits = guarding.hold is not None and guarding.waiting > MOST_WAITING
        if waits is not self.client_waits:
            self.client_waits = waits
            self.regulate()

    def _record(self, judged: Judgement, more: dict[str, str]) -> None:
        """Keep a verdict, after what came before it."""
        text = judged.text.decode("utf-8", "replace")[:SHOWN]
        facts = {"outcome": str(judged.verdict.outcome), "why": judged.verdict.why, "statement": text} | more
        self.keeper.flush()
        self.keeper.write(json.dumps(facts, ensure_ascii=False).encode(), FrameKind.VERDICT)

    async def _ask(self, judged: Judgement) -> None:
        """Wait for an approver, and let the statement run or not."""
        self._record(judged, {"outcome": "held"})
        hold: Hold | None = None
        try:
            hold = await self._asking.hold(judged.text.decode("utf-8", "replace"), judged.verdict.why)
            self._asking.count("asked")
            answer = await self._answer_of(hold)
        except LapseError as error:
            answer = Report("ERROR", SqlState.INSUFFICIENT_PRIVILEGE, error.message, hint=error.hint)
        except asyncio.CancelledError:
            if hold is not None and hold.id not in self._decided:
                await asyncio.shield(self._dropped(hold.id))
            raise
        decided = self._decided.pop(hold.id, None) if hold else None
        if decided is not None:
            self._asking.count(decided.state)
        elif hold is not None:
            await self._dropped(hold.id)
        self._record(
            judged,
            {
                "outcome": "refused" if answer else "allowed",
                "hold": hold.id if hold else "",
                "by": decided.decided_by if decided else "",
            },
        )
        self.refused += answer is not None
        self._resume(answer)

    def _resume(self, answer: Report | None) -> None:
        self._waiting, self._cancelled = None, False
        if self._end is not None:
            return
        try:
            self._guarding.decided(answer)
        except LapseError:
            self._finish(FlowEnd.BAD_CLIENT, self._attachment.farewells.broken)
            return
        self._act()

    async def _answer_of(self, hold: Hold) -> Report | None:
        """None once it is allowed; else what the client is told."""
        until = asyncio.get_running_loop().time() + (self._asking.timeout + PATIENCE).total_seconds()
        told = f"the statement waits for {_people(hold)}: {hold.why} ({hold.id})"
        while hold.id not in self._decided and not self._cancelled:
            left = until - asyncio.get_running_loop().time()
            if left <= 0:
                return Report("ERROR", SqlState.INSUFFICIENT_PRIVILEGE, "nobody approved the statement in time")
            self.insert(Report("NOTICE", "00000", told).notice())
            self._news.clear()
            try:
                await asyncio.wait_for(self._news.wait(), min(left, TELL_AGAIN.total_seconds()))
            except TimeoutError:
                continue
        if self._cancelled and hold.id not in self._decided:
            return Report("ERROR", SqlState.QUERY_CANCELED, "canceling statement due to user request")
        return _refusal(self._decided[hold.id])

    async def _dropped(self, hold_id: str) -> None:
        self._asking.count("dropped")
        try:
            await self._asking.drop(hold_id)
        except LapseError:
            return  # it expires by itself

    def _name_tables(self) -> None:
        if self._guarding.tables and self._naming is None:
            self.server_waits = True
            self._naming = asyncio.ensure_future(self._named())
            self.regulate()

    async def _named(self) -> None:
        """Find the names of tables; those that are not found are not known."""
        try:
            found = await self._asking.look_up(set(self._guarding.tables))
        except LapseError:
            found = {}
        self._naming = None
        try:
            self._guarding.named(found)
        except LapseError as error:
            self._broken(error)
            return
        super().received(Direction.SERVER, self._answers())
        if self._guarding.tables:
            self._name_tables()
        else:
            self.server_waits = False
            self.regulate()

    def _forget(self) -> None:
        for task in (self._waiting, self._naming):
            if task is not None:
                task.cancel()


def _people(hold: Hold) -> str:
    return ", ".join(hold.approvers) or "an approver"


def _refusal(hold: Hold) -> Report | None:
    """What the client is told of a hold that was decided; None: it may run."""
    if hold.state is HoldState.ALLOWED:
        return None
    if hold.state is HoldState.EXPIRED:
        return Report("ERROR", SqlState.INSUFFICIENT_PRIVILEGE, "nobody approved the statement in time")
    said = f": {hold.comment}" if hold.comment else ""
    by = f"`{hold.decided_by}`" if hold.decided_by else "an approver"
    return Report("ERROR", SqlState.INSUFFICIENT_PRIVILEGE, f"{by} refused the statement{said}")
