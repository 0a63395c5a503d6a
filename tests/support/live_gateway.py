"""A gateway in the test's own process, on a control plane and a recorder in memory: what protocol servers are given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fakes.control_plane import FakePlane
from fakes.recorder import FakeRecorder
from lapse.enforcement.clock import SystemClock
from lapse.gateway.context import GatewayContext, Limits, ProtocolServer
from lapse.gateway.door import Door
from lapse.gateway.listeners import Listener, listen
from lapse.gateway.live import LiveSessions
from lapse.gateway.tls import ServerTls
from lapse.ports import Clock, Cut, Decided

GATEWAY = "gw-1/0"


@dataclass
class KeptLog:
    """Remembers what was logged."""

    said: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def info(self, event: str, **facts: Any) -> None:
        self.said.append((event, facts))

    warning = error = debug = info


@dataclass(kw_only=True)
class LiveGateway:
    """One gateway process; `context` is what protocol servers get."""

    plane: FakePlane
    recorder: FakeRecorder
    context: GatewayContext
    log: KeptLog

    @property
    def live(self) -> LiveSessions:
        return self.context.door.live

    async def settled(self) -> None:
        """Every session that is over is recorded, and the control plane was told."""
        await self.context.door.settled()

    def follow(self, order: Cut | Decided) -> None:
        """Do what an order says, as if it had come from the control plane."""
        if isinstance(order, Cut):
            self.live.cut(order)
        elif (session := self.live.get(order.hold.session_id)) is not None:
            session.on_decided(order)


@asynccontextmanager
async def live_gateway(
    *,
    clock: Clock | None = None,
    tls: ServerTls | None = None,
    require_tls: bool = False,
    limits: Limits | None = None,
    make_plane: type[FakePlane] = FakePlane,
    recorder_for: Callable[[FakePlane], Any] | None = None,
) -> AsyncIterator[LiveGateway]:
    """A gateway whose deadlines are kept while the body runs, by default on a recorder in memory."""
    clock = clock or SystemClock()
    plane, log = make_plane(clock), KeptLog()
    recorder = recorder_for(plane) if recorder_for else FakeRecorder()
    live = LiveSessions(clock, on_trouble=lambda session, error: log.error("trouble", session=session, error=error))
    door = Door(GATEWAY, plane=plane, live=live, recorder=recorder, clock=clock)
    context = GatewayContext(
        door=door,
        clock=clock,
        number=await plane.register(GATEWAY),
        log=log,
        tls=tls,
        require_tls=require_tls,
        limits=limits or Limits(),
    )
    stop = asyncio.Event()
    keeping = asyncio.create_task(live.keep_deadlines(stop))
    try:
        yield LiveGateway(plane=plane, recorder=recorder, context=context, log=log)
    finally:
        await door.settled()
        stop.set()
        await keeping


@asynccontextmanager
async def listening(server: ProtocolServer, context: GatewayContext) -> AsyncIterator[tuple[str, int]]:
    """`server` behind a listener on a free port of 127.0.0.1, as in the gateway process."""
    listener = Listener(listen("127.0.0.1", 0), server, context)
    listener.start()
    try:
        yield listener.address
    finally:
        await listener.close()
        await server.close()
