"""One gateway process: it listens, keeps deadlines, follows its orders, and ends in order.

Guarantees: what lapse says must end is cut, also what ended while lapse was not reached; while lapse is not reached
sessions run to their own deadline, or as long as their resource says; at the end nobody is cut without having been
told. Lapse that does not answer is as good as away. Made by `bootstrap`, in the server's process or in one of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lapse.domain.errors import LapseError, Unavailable
from lapse.domain.sessions import SessionEnd
from lapse.gateway.context import GatewayContext, ProtocolServer
from lapse.gateway.listeners import Listener, listen
from lapse.gateway.live import Ending
from lapse.gateway.recording.recorder import FileRecorder
from lapse.ports import CancelQuery, ControlPlane, Cut, Decided, Order

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
ASK_EVERY = 1.0
"""Seconds between questions whether lapse is there; sessions that may not go on without it are cut so much late."""

ANSWER_SECONDS = 5.0
NOBODY = "-"
"""A login that nobody has: asking for it shows whether lapse answers."""

RENEWALS_EVERY = 60.0
CUT_SECONDS = 5.0
"""How long sessions get to end once they were cut in a drain."""

RECORDED_SECONDS = 10.0
TOLD_SECONDS = 5.0
"""How long the end waits for recordings to be on disk, and for lapse to be told. The next start does the rest."""

MakeServer = Callable[[GatewayContext], ProtocolServer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """One address, and who speaks there."""

    host: str
    port: int
    make_server: MakeServer


@dataclass(eq=False, kw_only=True)
class GatewayProcess:
    """Runs the servers of `context`. `recorder` writes for its door; sessions may go on for `drain` at the end."""

    context: GatewayContext
    recorder: FileRecorder
    listening: Sequence[Listening]
    drain: timedelta = timedelta(seconds=20)
    reached: bool = False
    """Whether lapse was reached when it was tried last."""
    listeners: list[Listener] = field(default_factory=list)
    _servers: list[ProtocolServer] = field(default_factory=list)
    _reached_at: datetime | None = None
    _hurry: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def addresses(self) -> dict[str, str]:
        """By protocol, the address where it is spoken."""
        pairs = zip(self._servers, self.listeners, strict=True)
        return {server.protocol: shown_address(*listener.address) for server, listener in pairs}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve while the body runs, then drain.

        Raises:
            Unavailable: an address is in use.
        """
        stop = asyncio.Event()
        tasks: list[asyncio.Task[None]] = []
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close, tasks, stop)
            self._listen()
            await self.recorder.recover()
            self._reached_at = self.context.clock.now()
            tasks.append(asyncio.create_task(self.context.door.live.keep_deadlines(stop), name="deadlines"))
            for name, work in (("orders", self._follow), ("lapse", self._ask_after), ("renewals", self._look_again)):
                tasks.append(asyncio.create_task(work(), name=name))
            for listener in self.listeners:
                listener.start()
            yield
            await self._drain()

    def hurry(self) -> None:
        """Do not wait for sessions that drain: cut them now."""
        self._hurry.set()

    def renew(self, *, always: bool = True) -> None:
        """Read the certificate again, if its files changed or `always`; one that cannot be used changes nothing."""
        tls, log = self.context.tls, self.context.log
        if tls is None:
            return
        try:
            if tls.reload(always=always):
                log.info("certificate read again", sha256=tls.fingerprint)
        except LapseError as error:
            log.warning("certificate not used", reason=error.message)

    def cancel_query(self, query: CancelQuery) -> None:
        """Cancel what a client of another process asked for, if it runs here."""
        for server in self._servers:
            cancel = getattr(server, "cancel_query", None)
            if cancel is not None:
                cancel(query)

    def _listen(self) -> None:
        for one in self.listening:
            sock = listen(one.host, one.port)
            try:
                server = one.make_server(self.context)
            except BaseException:
                sock.close()
                raise
            self._servers.append(server)
            self.listeners.append(Listener(sock, server, self.context))

    async def _drain(self) -> None:
        """No new connections; sessions are told, may end by themselves for a while, and are cut then."""
        door = self.context.door
        door.shut = True
        for listener in self.listeners:
            listener.stop()
        if len(door.live):
            self.context.log.info("draining", sessions=len(door.live), seconds=self.drain.total_seconds())
            door.live.warn_all(Ending(self.drain, SessionEnd.DRAINED))
            await self._until_empty(self.drain.total_seconds(), patient=True)
            door.live.cut_all(SessionEnd.DRAINED)
            await self._until_empty(CUT_SECONDS)

    async def _until_empty(self, longest: float, *, patient: bool = False) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(longest):
                while len(self.context.door.live) and not (patient and self._hurry.is_set()):  # noqa: ASYNC110  an end
                    await asyncio.sleep(0.05)

    async def _close(self, tasks: list[asyncio.Task[None]], stop: asyncio.Event) -> None:
        self.context.door.shut = True
        for listener in self.listeners:
            await listener.close()
        for server in self._servers:
            await server.close()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.context.door.recorded(), RECORDED_SECONDS)
        stop.set()
        for task in tasks:
            if task.get_name() != "deadlines":
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        patience = TOLD_SECONDS if self.reached else 0.0
        if self.context.door.endings is not None:
            await self.context.door.endings.close(patience)
        await self.recorder.close(patience)

    async def _follow(self) -> None:
        """Do as ordered, for ever; what ended while nobody listened comes first when lapse is back."""
        pause = FIRST_PAUSE
        while True:
            try:
                async with aclosing(_orders(self.context)) as orders:
                    async for order in orders:
                        pause = FIRST_PAUSE
                        self._do(order)
            except LapseError as error:
                if pause == FIRST_PAUSE:
                    self.context.log.info("no orders", reason=error.message)
            except Exception as error:
                self.context.log.warning("bug", what="orders", exc_info=error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _do(self, order: Order) -> None:
        match order:
            case Cut():
                self.context.door.live.cut(order)
            case Decided():
                session = self.context.door.live.get(order.hold.session_id)
                if session is not None:
                    session.on_decided(order)
            case CancelQuery():
                self.cancel_query(order)

    async def _ask_after(self) -> None:
        """Whether lapse is there; while it is not, cut what may not go on without it."""
        while True:
            problem = await self._problem()
            if problem is None:
                self._is_reached()
            else:
                self._is_lost(problem)
            await asyncio.sleep(ASK_EVERY)

    async def _problem(self) -> str | None:
        """Why lapse is not reached; None if it is."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self.context.door.plane.credential(NOBODY, NOBODY)
        except Unavailable as error:
            return error.message
        except TimeoutError:
            return f"lapse does not answer within {ANSWER_SECONDS:g} s"
        except LapseError:
            return None
        except Exception as error:
            self.context.log.warning("bug", what="lapse", exc_info=error)
            return str(error)
        return None

    def _is_reached(self) -> None:
        self._reached_at = self.context.clock.now()
        if self.reached:
            return
        self.reached = True
        self.recorder.hurry()
        if self.context.door.endings is not None:
            self.context.door.endings.hurry()
        self.context.log.info("lapse is reached", gateway=self.context.door.gateway)

    def _is_lost(self, problem: str) -> None:
        if self.reached:
            self.context.log.warning("lapse is not reached", reason=problem)
        self.reached = False
        now = self.context.clock.now()
        lost_for = now - (self._reached_at or now)
        for session in self.context.door.live:
            allowed = session.admission.rules.cut_after_store_loss
            if allowed is not None and lost_for >= allowed:
                self.context.door.live.cut(Cut(session_id=session.id, reason=SessionEnd.CONTROL_LOST))

    async def _look_again(self) -> None:
        """Take a renewed certificate without being told."""
        while True:
            await asyncio.sleep(RENEWALS_EVERY)
            self.renew(always=False)


def shown_address(host: str, port: int) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _orders(context: GatewayContext) -> AsyncGenerator[Order, None]:
    """The orders as they come; a stream that ends is broken."""
    plane: ControlPlane = context.door.plane
    async for order in plane.orders(context.door.gateway):
        yield order
    raise Unavailable("lapse ended the stream of orders")
