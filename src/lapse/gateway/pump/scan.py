"""One direction of an established session, read header by header: what goes on, what is kept, where messages end.

Guarantees: nothing is passed on whose header is not complete and allowed, so that between two calls the other side has
either whole messages or the beginning of one whose end is known; what is kept of a message is kept whole, as it passes.
Called by the twin. The compiled pump does the same, and both pass the same tests.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from lapse.protocols.pieces import Direction
from lapse.protocols.postgres.framing import HEADER, LENGTH_SIZE, LONGEST_MESSAGE, message

CLIENT_KINDS = frozenset(b"BCDEFHPQSXcdf")
SERVER_KINDS = frozenset(b"123ACDEGHINSTVZcdnst")
KEPT = {Direction.CLIENT: CLIENT_KINDS - set(b"d"), Direction.SERVER: SERVER_KINDS - set(b"ADTVcd")}
SYNCS, OPENS = frozenset(b"QSF"), frozenset(b"BCDEHP")
"""Of the client: each of the former is answered by one ReadyForQuery; the latter wait for a Sync."""
COPY_BOTH = ord("W")
BIND, FUNCTION_CALL = ord("B"), ord("F")
REDACTED = {BIND: b"b", FUNCTION_CALL: b"k"}
OID_SIZE = 4
LONGEST_NAMES = 8_192
"""Of portal and statement together, where parameters are redacted and the names must be found."""


class BadMessage(Exception):  # noqa: N818  it says what came
    """What came is no message that may be here."""


class Replicates(Exception):  # noqa: N818  as its sibling
    """The server begins to copy in both directions."""


@dataclass(slots=True)
class Passed:
    """What may be passed on of a chunk: `data`, and what of it is `kept`. The last message's end in `data` is at `end`.

    `end` is -1 where no message ends. `fault` is why nothing after `data` may pass.
    """

    data: bytes = b""
    kept: list[bytes] = field(default_factory=list)
    end: int = -1
    fault: BadMessage | Replicates | None = None


class Stream:
    """What is known of one direction. `kinds` counts its messages by their first byte.

    `unsynced` is whether a client has begun what the server answers in full only after a Sync.
    """

    __slots__ = ("_allowed", "_head", "_held", "_keeping", "_kept", "_redact", "direction", "kinds", "left", "unsynced")

    def __init__(self, direction: Direction, *, redact: bool = False) -> None:
        self.direction = direction
        self.kinds: Counter[int] = Counter()
        self.unsynced = False
        self.left = 0
        """How many bytes are missing of the message that is on its way; at 0 the other side has whole messages."""
        self._allowed = CLIENT_KINDS if direction is Direction.CLIENT else SERVER_KINDS
        self._redact = redact and direction is Direction.CLIENT
        self._kept = KEPT[direction] - {BIND, FUNCTION_CALL} if self._redact else KEPT[direction]
        self._keeping = False
        self._head: _Head | None = None
        self._held = b""

    def feed(self, chunk: bytes) -> Passed:
        """Read on. After a `fault` the stream is of no more use."""
        data = self._held + chunk if self._held else chunk
        self._held = b""
        passed = Passed(data)
        try:
            at = self._scan(passed, data)
            self._held = data[at:]
        except (BadMessage, Replicates) as fault:
            passed.fault = fault
            at = max(passed.end, 0)
        if at < len(data):
            passed.data = data[:at]
        return passed

    def _scan(self, passed: Passed, data: bytes) -> int:
        """Go through the messages; where what may pass ends. Runs of kept messages are kept as one."""
        size, at = len(data), self._body(passed, data, 0) if self.left else 0
        run = at if self._keeping else -1
        while size - at >= HEADER.size:
            kind, begin = data[at], at
            try:
                at = begin + 1 + self._length(data, begin)
            except (BadMessage, Replicates):
                _keep(passed, data, run, begin)
                raise
            self.kinds[kind] += 1
            if kind in OPENS or kind in SYNCS:
                self.unsynced = kind in OPENS
            self._keeping = kind in self._kept
            if not self._keeping:
                _keep(passed, data, run, begin)
                run = -1
            elif run < 0:
                run = begin
            if at > size:
                self.left, at = at - size, size
            if self._redact and kind in {BIND, FUNCTION_CALL}:
                self._head = _Head(kind)
                self._gather(passed, data[begin + HEADER.size : at])
            if not self.left:
                passed.end = at
        _keep(passed, data, run, at)
        return at

    def _length(self, data: bytes, at: int) -> int:
        kind, length = HEADER.unpack_from(data, at)
        if data[at] == COPY_BOTH and self.direction is Direction.SERVER:
            raise Replicates
        if data[at] not in self._allowed or not LENGTH_SIZE <= length <= LONGEST_MESSAGE:
            raise BadMessage(kind)
        return int(length)

    def _body(self, passed: Passed, data: bytes, at: int) -> int:
        """More of the message that is on its way; where it ends, or the data."""
        end = min(at + self.left, len(data))
        self.left -= end - at
        if self._keeping:
            _keep(passed, data, at, end)
        elif self._head:
            self._gather(passed, data[at:end])
        if not self.left:
            passed.end = end
        return end

    def _gather(self, passed: Passed, body: bytes) -> None:
        """More of a message of which only the head is kept."""
        if self._head and self._head.add(body, last=not self.left):
            passed.kept.append(self._head.kept)
            self._head = None


class _Head:
    """Of a Bind the two names, of a FunctionCall the function's OID: what is kept where parameters are redacted."""

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self._gathered = bytearray()

    def add(self, body: bytes, *, last: bool) -> bool:
        """Whether it is whole, or the message ended before."""
        self._gathered += body[: LONGEST_NAMES - len(self._gathered)]
        end = self._end()
        if end >= 0:
            del self._gathered[end:]
        elif len(self._gathered) == LONGEST_NAMES:
            raise BadMessage(b"B")
        return end >= 0 or last

    def _end(self) -> int:
        if self._kind == FUNCTION_CALL:
            return OID_SIZE if len(self._gathered) >= OID_SIZE else -1
        portal = self._gathered.find(0)
        return self._gathered.find(0, portal + 1) + 1 or -1 if portal >= 0 else -1

    @property
    def kept(self) -> bytes:
        """As it stands in the recording, under a letter that no client's message has."""
        return message(REDACTED[self._kind], bytes(self._gathered))


def _keep(passed: Passed, data: bytes, begin: int, end: int) -> None:
    if 0 <= begin < end:
        passed.kept.append(data[begin:end])
