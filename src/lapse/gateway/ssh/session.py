"""One session on a host: all channels of one client's connection, under one admission. Called by `server`.

Guarantees: the host is logged in to only with an `Admission`; when the session is cut, terminals are told why and both
connections are closed; when it cannot be recorded it ends.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import asyncssh

from lapse.domain.errors import LapseError, Unavailable
from lapse.domain.sessions import SessionEnd, SessionUse
from lapse.gateway.context import GatewayContext
from lapse.gateway.live import Ending, LiveSession
from lapse.gateway.ssh.agents import passed
from lapse.gateway.ssh.asking import Asked
from lapse.gateway.ssh.channels import ClientChannel, HostChannel, environment
from lapse.gateway.ssh.forwarding import Connect, joined
from lapse.gateway.telling import told_end, told_ending
from lapse.ports import Cut
from lapse.protocols.recording import FrameKind
from lapse.protocols.ssh.native import parse_native
from lapse.protocols.ssh.permit import Permit

MOST_LISTENERS = 16
"""Addresses at which a host listens for one session."""
_BY_APPLICATION = 11
"""Why a connection is closed (RFC 4253, 11.1)."""
_LAST_WORDS = 0.02
"""Seconds that a terminal has to get the last words."""


class SshSession:
    """Joins `client` with `host`, which is logged in to as `live` was admitted."""

    def __init__(
        self,
        context: GatewayContext,
        live: LiveSession,
        client: asyncssh.SSHServerConnection,
        host: asyncssh.SSHClientConnection,
    ) -> None:
        self._context, self._live, self._client, self._host = context, live, client, host
        self.permit: Permit = parse_native(live.admission.native).permit
        self.records_input = live.admission.rules.record_input
        self._channels: dict[int, ClientChannel] = {}
        self._numbers = 0
        self._kinds: Counter[str] = Counter()
        self._refused = 0
        self._listening = 0
        self._before = SessionUse()
        self._tasks: set[asyncio.Task[None]] = set()
        self._catching_up = False
        self.passing = True
        """Whether what one side says still reaches the other: not from the moment of a cut."""
        self.over = asyncio.Event()

    def begin(self) -> None:
        """Follow cuts and warnings from now on."""
        self._live.counting = self._use
        self._live.on_warning = self._warn
        self._live.when_cut(self._cut)

    def channel(self) -> ClientChannel:
        """Another channel of the client's."""
        self._numbers += 1
        made = self._channels[self._numbers] = ClientChannel(self, self._numbers)
        return made

    async def open_on_host(
        self, factory: Callable[[], Any], chan: asyncssh.SSHServerChannel[bytes], asked: Asked
    ) -> None:
        """Ask the host for the same as the client asked for. Raises `Unavailable`."""
        wanted: dict[str, Any] = {"command": asked.text or None} if asked.kind != "subsystem" else {}
        if asked.kind == "subsystem":
            wanted = {"subsystem": asked.text}
        terminal = chan.get_terminal_type()
        if terminal:
            wanted |= {
                "term_type": terminal,
                "term_size": chan.get_terminal_size(),
                "term_modes": chan.get_terminal_modes(),
                "request_pty": "force",
            }
        try:
            await self._host.create_session(factory, encoding=None, env=environment(chan), **wanted)
        except (asyncssh.Error, OSError) as error:
            reason = str(getattr(error, "reason", "") or error)
            raise Unavailable(f"the host does not do that: {reason[:200]}") from None

    async def forward(self, host: str, port: int, orig_host: str, orig_port: int) -> Any:
        """A connection from the host to elsewhere, where the entitlement permits it; the client's side of it."""
        event = {"kind": "local", "to": f"{host}:{port}", "from": f"{orig_host}:{orig_port}"}
        if not self._permitted("forward-local", event):
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "lapse: forwarding is not permitted"
            )
        return await self._joined(event, lambda far: self._host.create_connection(far, host, port, encoding=None))

    async def listen_on_host(self, host: str, port: int) -> asyncssh.SSHListener | bool:
        """Let the host listen, and forward what connects there to the client; False: it is not permitted, or fails."""
        event: dict[str, Any] = {"kind": "remote", "at": f"{host}:{port}"}
        if not self._permitted("forward-remote", event):
            return False
        if self._listening >= MOST_LISTENERS:
            self._tunnel(event | {"event": "failed"})
            return False
        self._listening += 1
        told: list[int] = [port] if port else []

        async def connected(orig_host: str, orig_port: int) -> Any:
            at = told[0] if told else 0
            return await self._joined(
                event | {"from": f"{orig_host}:{orig_port}"},
                lambda far: self._client.create_connection(far, host, at, orig_host, orig_port, encoding=None),
            )

        try:
            listener: asyncssh.SSHListener | None = await self._host.create_server(connected, host, port, encoding=None)
        except (asyncssh.ChannelListenError, asyncssh.Error, OSError):
            listener = None
        if listener is None:
            self._tunnel(event | {"event": "failed"})
            return False
        told.append(listener.get_port())
        self._tunnel(event | {"event": "listening", "at": f"{host}:{told[0]}"})
        return listener

    def agent_wanted(self) -> bool:
        """Whether the client may lend the host its agent."""
        return self._permitted("agent", {"kind": "agent"})

    async def agent_reached(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The host asks the client's agent something."""
        event = {"kind": "agent"}
        try:
            answers, questions = await self._client.open_agent_connection()
        except asyncssh.Error:
            return
        self._tunnel(event | {"event": "open"})
        sizes = await asyncio.gather(passed(reader, questions), passed(answers, writer))
        self._tunnel(event | {"event": "close", "bytes_in": sizes[1], "bytes_out": sizes[0]})

    def _permitted(self, word: str, event: dict[str, Any]) -> bool:
        if word in self.permit:
            self._kinds[event["kind"] if word == "agent" else "forward"] += 1
            return True
        self._refused += 1
        self._tunnel(event | {"event": "refused"})
        return False

    async def _joined(self, event: dict[str, Any], connect: Connect) -> Any:
        self._tunnel(event | {"event": "open"})
        return await joined(
            connect,
            on_close=lambda sizes: self._tunnel(event | {"event": "close"} | sizes),
            passing=lambda: self.passing,
        )

    def _tunnel(self, event: dict[str, Any]) -> None:
        self.record(FrameKind.TUNNEL, json.dumps(event, separators=(",", ":")).encode())

    def record(self, kind: FrameKind, data: bytes) -> None:
        """Write a frame; a session that cannot be recorded ends."""
        try:
            self._live.recording.write(kind, data)
        except LapseError:
            self._end(SessionEnd.NOT_RECORDED)

    def breathe(self, channel: HostChannel) -> None:
        """Stop a host that says more than can be recorded, until it can."""
        if self._live.recording.behind:
            channel.hold()
            self.spawn(self._catch_up(channel))

    def counted(self, asked: Asked) -> None:
        """Something was begun."""
        self._kinds[asked.counts_as] += 1

    def refused(self, asked: Asked) -> None:
        """Something is not permitted."""
        self._refused += 1
        self._context.log.info("not permitted", session=self._live.id, what=asked.counts_as)

    def trouble(self, text: str) -> None:
        """Something is wrong with what passes."""
        self._context.log.warning("trouble in a session", subject=self._live.id, reason=text)

    def gone(self, channel: ClientChannel) -> None:
        """A channel of the client's is closed."""
        self._channels.pop(channel.number, None)
        before = self._before
        self._before = SessionUse(
            bytes_in=before.bytes_in + channel.bytes_in,
            bytes_out=before.bytes_out + channel.bytes_out + channel.bytes_err,
        )

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self) -> None:
        """Until one side is gone or the session is cut."""
        waits = [
            asyncio.ensure_future(self._client.wait_closed()),
            asyncio.ensure_future(self._host.wait_closed()),
            asyncio.ensure_future(self.over.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if waits[1].done() and not waits[0].done() and not self.over.is_set():
                await self._drained()
            self._end(SessionEnd.SERVER if waits[1].done() and not waits[0].done() else SessionEnd.CLIENT)
        finally:
            for wait in waits:
                wait.cancel()
            for task in self._tasks:
                task.cancel()
            self._live.use = self._use()

    async def _drained(self) -> None:
        """The host is gone: let the client have what is on its way."""
        tasks = set(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    async def _catch_up(self, channel: HostChannel) -> None:
        try:
            await self._live.recording.caught_up()
        except LapseError:
            self._end(SessionEnd.NOT_RECORDED)
        channel.release()

    def _use(self) -> SessionUse:
        live, before = self._channels.values(), self._before
        return SessionUse(
            bytes_in=before.bytes_in + sum(one.bytes_in for one in live),
            bytes_out=before.bytes_out + sum(one.bytes_out + one.bytes_err for one in live),
            statements=sum(self._kinds.values()),
            refused=self._refused,
            kinds=dict(self._kinds),
        )

    def _warn(self, ending: Ending) -> None:
        for channel in self._channels.values():
            channel.tell(told_ending(ending))

    def _end(self, reason: SessionEnd) -> None:
        if self._live.cut_by is None:
            self._live.cut(Cut(session_id=self._live.id, reason=reason))

    def _cut(self, cut: Cut) -> None:
        """Let nothing pass any more, say why, and close the client's side. The host's follows when `run` is over.

        What the host runs loses its connection, and so its terminal.
        """
        if cut.reason in {SessionEnd.CLIENT, SessionEnd.SERVER}:
            self._leave(cut)
            return
        self.passing = False
        for channel in list(self._channels.values()):
            channel.tell(told_end(cut))
        if self._channels:
            asyncio.get_running_loop().call_later(_LAST_WORDS, self._leave, cut)
        else:
            self._leave(cut)

    def _leave(self, cut: Cut) -> None:
        self._client.disconnect(_BY_APPLICATION, told_end(cut))
        self.over.set()
