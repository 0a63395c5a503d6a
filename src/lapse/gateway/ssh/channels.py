"""One channel of a session: a command, a shell or a subsystem, relayed to the host without loss and recorded.

Guarantees: what the host says reaches the client before the exit status does; at most a window of data waits in either
direction, since a side that does not take it stops the other; what is not permitted never reaches the host.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import asyncssh

from lapse.domain.errors import LapseError
from lapse.gateway.ssh.asking import Asked
from lapse.protocols.recording import FrameKind
from lapse.protocols.ssh.sftp import FileEvent, SftpWatch
from lapse.protocols.ssh.wire import Malformed, uint32

if TYPE_CHECKING:
    from lapse.gateway.ssh.session import SshSession

FULL = 256 << 10
"""Bytes that may wait for a side before the other is stopped."""
FAILED = 255
"""The status that ssh itself gives for its own failures."""
_PASSED_ON = ("LANG", "LC_")


class ClientChannel(asyncssh.SSHServerSession[bytes]):
    """The client's side. The host's side is made when the client says what it wants."""

    def __init__(self, session: SshSession, number: int) -> None:
        self._session, self.number = session, number
        self._asked: Asked | None = None
        self._host: HostChannel | None = None
        self._waiting: list[Callable[[HostChannel], None]] = []
        self._over = False
        self.chan: asyncssh.SSHServerChannel[bytes]
        self.bytes_in = self.bytes_out = self.bytes_err = 0

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """The channel is open; what it is for comes next."""
        self.chan = chan
        chan.set_write_buffer_limits(high=FULL)

    def pty_requested(self, *_: object) -> bool:
        """A terminal, where commands or a shell are permitted."""
        return self._session.permit.terminal

    def shell_requested(self) -> bool:
        """A shell."""
        return self._ask(Asked.shell())

    def exec_requested(self, command: str) -> bool:
        """A command, or a file transfer that has a word of its own."""
        return self._ask(Asked.command_line(command))

    def subsystem_requested(self, subsystem: str) -> bool:
        """A subsystem, e.g. `sftp`."""
        return self._ask(Asked.subsystem(subsystem))

    def session_started(self) -> None:
        """Begin on the host. Until it has begun nothing is read from the client."""
        self.chan.pause_reading()
        self._session.spawn(self._begin())

    def data_received(self, data: bytes, _datatype: int | None) -> None:
        """The client says something."""
        if not self._session.passing:
            return
        self.bytes_in += len(data)
        self._with_host(lambda host: host.from_client(data))

    def eof_received(self) -> bool:
        """The client has said all; the host may go on."""
        self._with_host(lambda host: host.client_said_all())
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """The window has another size."""
        self.record(FrameKind.RESIZE, {"channel": self.number, "width": width, "height": height})
        self._with_host(lambda host: host.chan.change_terminal_size(width, height, pixwidth, pixheight))

    def signal_received(self, signal: str) -> None:
        """A signal for the command."""
        self._with_host(lambda host: host.chan.send_signal(signal))

    def break_received(self, msec: int) -> bool:
        """A break on a serial line."""
        self._with_host(lambda host: host.chan.send_break(msec))
        return True

    def pause_writing(self) -> None:
        """The client does not take more: the host must wait."""
        if self._host is not None:
            self._host.hold()

    def resume_writing(self) -> None:
        """The client takes more."""
        if self._host is not None:
            self._host.release()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client is gone: the host's side ends too."""
        self._over = True
        self._session.gone(self)
        if self._host is not None and self._session.passing:
            self._host.chan.abort()

    def record(self, kind: FrameKind, event: dict[str, Any]) -> None:
        """Write an event into the recording."""
        self._session.record(kind, json.dumps(event, separators=(",", ":")).encode())

    def tell(self, text: str) -> None:
        """Say something to whoever sits there: on the terminal, or on standard error."""
        if self._over or self._asked is None or not self._asked.for_people:
            return
        line = f"\r\n{text}\r\n".encode()
        if self.chan.get_terminal_type():
            self.chan.write(line)
        else:
            self.chan.write_stderr(line)

    def _ask(self, asked: Asked) -> bool:
        if not asked.permitted(self._session.permit):
            self._session.refused(asked)
            return False
        self._asked = asked
        return True

    async def _begin(self) -> None:
        asked = self._asked
        if asked is None:
            return
        self._session.counted(asked)
        self.record(FrameKind.STARTED, {"channel": self.number, **asked.about(self.chan)})
        try:
            self._host = await HostChannel.open(self, self._session, asked)
        except LapseError as error:
            self.chan.write_stderr(f"lapse: {error.message}\r\n".encode())
            self.chan.exit(FAILED)
            return
        for call in self._waiting:
            call(self._host)
        self._waiting.clear()
        if not self._over:
            self.chan.resume_reading()

    def _with_host(self, call: Callable[[HostChannel], None]) -> None:
        if not self._session.passing:
            return
        if self._host is None:
            self._waiting.append(call)
        else:
            call(self._host)


class NoChannel(asyncssh.SSHServerSession[bytes]):
    """A channel on which nothing happens but that the client is told why."""

    def __init__(self, why: str) -> None:
        self._why = why
        self._chan: asyncssh.SSHServerChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """It is open."""
        self._chan = chan

    def pty_requested(self, *_: object) -> bool:
        """As it likes."""
        return True

    def shell_requested(self) -> bool:
        """As it likes."""
        return True

    def exec_requested(self, command: str) -> bool:  # noqa: ARG002  whatever it is
        """As it likes."""
        return True

    def subsystem_requested(self, subsystem: str) -> bool:  # noqa: ARG002  whatever it is
        """As it likes."""
        return True

    def session_started(self) -> None:
        """Say why, and end."""
        if self._chan is not None:
            self._chan.write_stderr(f"{self._why}\r\n".encode())
            self._chan.exit(FAILED)


class HostChannel(asyncssh.SSHClientSession[bytes]):
    """The host's side."""

    def __init__(self, client: ClientChannel, session: SshSession, asked: Asked) -> None:
        self._client, self._session = client, session
        self._label = uint32(client.number)
        self._watch = SftpWatch() if asked.is_sftp else None
        self._records_output = not asked.is_transfer
        self._status: int | None = None
        self._signal: str | None = None
        self._holds = 0
        self._client_holds = 0
        self.chan: asyncssh.SSHClientChannel[bytes]

    @classmethod
    async def open(cls, client: ClientChannel, session: SshSession, asked: Asked) -> HostChannel:
        """Ask the host for the same. Raises `Unavailable`."""
        made: list[HostChannel] = []

        def factory() -> Any:
            made.append(cls(client, session, asked))
            return made[-1]

        await session.open_on_host(factory, client.chan, asked)
        return made[-1]

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        """The channel is open on the host."""
        self.chan = chan
        chan.set_write_buffer_limits(high=FULL)

    def session_started(self) -> None:
        """The host has begun."""

    def from_client(self, data: bytes) -> None:
        """Pass on what the client says."""
        if self._session.records_input:
            self._session.record(FrameKind.INPUT, self._label + data)
        if self._watch is not None and not self._followed(lambda watch: watch.from_client(data)):
            return
        self.chan.write(data)

    def client_said_all(self) -> None:
        """Pass on the end of what the client says."""
        self.chan.write_eof()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """The host says something."""
        if not self._session.passing:
            return
        client = self._client
        if datatype is None:
            client.bytes_out += len(data)
            if self._records_output:
                self._session.record(FrameKind.OUTPUT, self._label + data)
            if self._watch is not None and not self._followed(lambda watch: self._files(watch.from_server(data))):
                return
            client.chan.write(data)
        else:
            client.bytes_err += len(data)
            self._session.record(FrameKind.ERRORS, self._label + data)
            client.chan.write_stderr(data)
        self._session.breathe(self)

    def eof_received(self) -> bool:
        """The host has said all; what it exits with follows."""
        return True

    def xon_xoff_requested(self, client_can_do: bool) -> None:
        """Not passed on."""

    def exit_status_received(self, status: int) -> None:
        """What the command exited with; told when all it said is."""
        self._status = status

    def exit_signal_received(self, signal: str, _core_dumped: bool, _msg: str, _lang: str) -> None:
        """The signal that ended the command."""
        self._signal = signal

    def pause_writing(self) -> None:
        """The host does not take more: the client must wait."""
        self._client.chan.pause_reading()

    def resume_writing(self) -> None:
        """The host takes more."""
        self._client.chan.resume_reading()

    def hold(self) -> None:
        """Stop reading the host; `release` as often."""
        self._holds += 1
        if self._holds == 1:
            self.chan.pause_reading()

    def release(self) -> None:
        """See `hold`."""
        self._holds = max(0, self._holds - 1)
        if not self._holds:
            self.chan.resume_reading()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The host is done: tell the client, after everything that was said before."""
        client = self._client
        if self._watch is not None:
            self._followed(lambda watch: self._files(watch.finish()))
        client.record(
            FrameKind.EXIT,
            {"channel": client.number, "status": self._status, "signal": self._signal,
             "bytes_in": client.bytes_in, "bytes_out": client.bytes_out, "bytes_err": client.bytes_err},
        )  # fmt: skip
        self._session.spawn(self._ended())

    async def _ended(self) -> None:
        chan = self._client.chan
        while chan.get_write_buffer_size() and not chan.is_closing():  # noqa: ASYNC110  it has no event for it
            await asyncio.sleep(0.005)
        chan.write_eof()
        if self._signal is not None:
            chan.exit_with_signal(self._signal)
        elif self._status is not None:
            chan.exit(self._status)
        else:
            chan.close()

    def _files(self, events: Any) -> None:
        for event in events:
            self._file(event)

    def _file(self, event: FileEvent) -> None:
        told = {
            "op": str(event.op), "path": event.path, "to": event.to, "mode": event.mode,
            "bytes_read": event.bytes_read, "bytes_written": event.bytes_written, "status": event.status,
        }  # fmt: skip
        self._client.record(FrameKind.FILE, {"channel": self._client.number, **told})

    def _followed(self, step: Callable[[SftpWatch], None]) -> bool:
        """Whether the transfer can still be followed; one that cannot is ended, so that nothing goes unseen."""
        try:
            if self._watch is not None:
                step(self._watch)
        except Malformed as error:
            self._session.trouble(f"file transfer ended: {error.message}")
            self.chan.abort()
            return False
        return True


def environment(chan: asyncssh.SSHServerChannel[bytes]) -> dict[bytes | str, bytes | str]:
    """The variables that are passed on: those of the language."""
    given = chan.get_environment()
    return {name: text for name, text in given.items() if name.startswith(_PASSED_ON)}
