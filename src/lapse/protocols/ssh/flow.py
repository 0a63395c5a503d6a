"""One direction of one relayed channel: windows, packet sizes, and the order of everything that passes (RFC 4254, 5.2).

Data and what follows it (an exit status, an end of file, the close) leave in the order in which they came: nothing
overtakes queued data, so none is lost when a channel ends. At most one window of data is ever queued, because the
source gets new credit only for what has been passed on. Bytes in, messages out; used by the gateway's relay.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from lapse.protocols.ssh.wire import Malformed, Message, uint32

WINDOW = 2 * 1024 * 1024
"""How much a peer may send on a channel before it has to wait; OpenSSH's own default."""

LONGEST_DATA = 128 * 1024
"""How much a peer may put into one message."""

_CREDIT_AT = WINDOW // 4
_MOST_MARKS = 1_024
_SMALL = 16 * 1024
_MAX_WINDOW = 2**32 - 1

Send = Callable[..., None]
"""Sends one message, given in pieces."""


class Flow:
    """From a source to a sink. `send` writes to the sink; the channel's owner gives credit to the source."""

    __slots__ = (
        "_credit",
        "_longest",
        "_marks",
        "_queue",
        "_recipient",
        "_send",
        "_window",
        "closed",
        "passed",
        "queued",
        "source_window",
    )

    def __init__(self, send: Send) -> None:
        self._send = send
        self._recipient = b""
        self._window = 0
        self._longest = 0
        self._queue: deque[tuple[bytes, memoryview | None]] = deque()
        self._marks = 0
        self._credit = 0
        self.source_window = WINDOW
        self.queued = 0
        self.passed = 0
        self.closed = False

    def opened(self, recipient: int, window: int, longest: int) -> None:
        """The sink's own number of the channel, and what it takes."""
        if longest < 1:
            raise Malformed("a channel of SSH takes no data")
        self._recipient = uint32(recipient)
        self._window = window
        self._longest = longest
        self._pump()

    def adjust(self, more: int) -> None:
        """The sink takes `more` bytes."""
        self._window += more
        if self._window > _MAX_WINDOW:
            raise Malformed("the window of a channel is larger than SSH allows")
        self._pump()

    def data(self, kind: bytes, data: memoryview) -> None:
        """Data from the source; `kind` is what stands before the recipient's number and, for stderr, after it."""
        size = len(data)
        if size > self.source_window or size > LONGEST_DATA:
            raise Malformed("a peer of SSH sent more than the window of its channel")
        self.source_window -= size
        if self.closed or not size:
            self._credit += size
        elif not self._queue and size <= self._window and size <= self._longest:
            self._pass(kind, data)
        else:
            self._enqueue(kind, data)
            self._pump()

    def mark(self, message: bytes) -> None:
        """A message that must not overtake data: `message` without the recipient's number behind its first byte."""
        if self.closed:
            return
        if self._queue or not self._recipient:
            self._marks += 1
            if self._marks > _MOST_MARKS:
                raise Malformed("too many requests wait on a channel of SSH")
            self._queue.append((message, None))
        else:
            self._send(message[:1], self._recipient, message[1:])

    def drop(self) -> None:
        """The sink is gone: what is queued is of no use, what comes neither."""
        self._credit += self.queued
        self.queued = self._marks = 0
        self._queue.clear()
        self.closed = True

    def take_credit(self, *, all_of_it: bool = False) -> int:
        """How many bytes the source may send again; 0 until it is worth a message."""
        if self._credit < (1 if all_of_it else _CREDIT_AT):
            return 0
        credit, self._credit = self._credit, 0
        self.source_window += credit
        return credit

    def _enqueue(self, kind: bytes, data: memoryview) -> None:
        self.queued += len(data)
        if self._queue:
            last_kind, last = self._queue[-1]
            # Bytes that come one by one would cost a hundred times their size.
            if last is not None and last_kind == kind and len(last) + len(data) <= _SMALL:
                self._queue[-1] = kind, memoryview(bytes(last) + bytes(data))
                return
        self._queue.append((kind, data))

    def _pass(self, kind: bytes, data: memoryview) -> None:
        size = len(data)
        self._window -= size
        self._credit += size
        self.passed += size
        self._send(kind[:1], self._recipient, kind[1:], uint32(size), data)

    def _pump(self) -> None:
        queue = self._queue
        while queue and self._recipient:
            kind, data = queue[0]
            if data is None:
                self._marks -= 1
                self._send(kind[:1], self._recipient, kind[1:])
            else:
                size = min(len(data), self._window, self._longest)
                if not size:
                    return
                self.queued -= size
                self._pass(kind, data[:size])
                if size < len(data):
                    queue[0] = kind, data[size:]
                    continue
            queue.popleft()


DATA_KIND = bytes([Message.DATA])
STDERR_KIND = bytes([Message.EXTENDED_DATA]) + uint32(1)
