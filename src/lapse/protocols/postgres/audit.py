"""What a session did, statement by statement, read from what was kept of its wire. Pieces in, records out.

Guarantees: every statement that a client sent is in a record of its own, with the name it was prepared under resolved,
and with what became of it; what was sent and not answered says so. What cannot be understood ends in `Corrupt`, never
in a record that is wrong. Called by whoever shows or exports a recording.

Which answer belongs to which statement follows from the protocol's order (manual, 55.2): answers come in the order of
the messages, and after an error the server skips what comes before the next Sync.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from lapse.domain.errors import Corrupt
from lapse.protocols.pieces import Direction, Piece
from lapse.protocols.postgres import backend, frontend
from lapse.protocols.postgres.backend import Report
from lapse.protocols.postgres.framing import (
    CLIENT_KINDS,
    LONGEST_MESSAGE,
    SERVER_KINDS,
    Fields,
    Message,
    MessageReader,
    ProtocolViolation,
)
from lapse.protocols.postgres.frontend import Bind, Execute, Named, Parse, Query

REDACTED_BIND, REDACTED_CALL = b"b", b"k"
"""What the pump keeps in place of a Bind and of a FunctionCall where parameters are redacted."""

_CLIENT = CLIENT_KINDS | {REDACTED_BIND, REDACTED_CALL}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COUNTED = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "FETCH", "MOVE", "COPY"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement, or the several of one simple query.

    `kind` is `simple`, `extended`, `function`, or `parse` for one that was refused when it was prepared. `name` is that
    of the prepared statement; `parameters` are texts, None for NULL, and None altogether where they were redacted.
    `tags` are the server's, one for each statement that ran to its end; `rows` what they count. `error` is the
    SQLSTATE.
    `duration` is None where no answer was recorded.
    """

    at: datetime
    kind: str
    text: str
    name: str = ""
    parameters: tuple[str | None, ...] | None = ()
    tags: tuple[str, ...] = ()
    rows: int = 0
    error: str = ""
    message: str = ""
    duration: timedelta | None = None


@dataclass(slots=True)
class _Sent:
    """A message that waits for its answer. `skipped` by the server after an error it is none's."""

    kind: bytes
    micros: int
    text: str = ""
    name: str = ""
    parameters: tuple[str | None, ...] | None = ()
    tags: list[str] = field(default_factory=list)


_SHOWN = {
    frontend.QUERY: "simple",
    frontend.EXECUTE: "extended",
    frontend.FUNCTION_CALL: "function",
    frontend.PARSE: "parse",
}


class Auditor:
    """Reads the pieces of one session in order."""

    def __init__(self) -> None:
        self._readers = {
            Direction.CLIENT: MessageReader(LONGEST_MESSAGE, _CLIENT),
            Direction.SERVER: MessageReader(LONGEST_MESSAGE, SERVER_KINDS),
        }
        self._sent: deque[_Sent] = deque()
        self._statements: dict[bytes, Parse] = {}
        self._portals: dict[bytes, _Sent] = {}

    def feed(self, pieces: Iterable[Piece]) -> Iterator[Statement]:
        """The statements that are answered with these pieces.

        Raises:
            Corrupt: they are no recording of a PostgreSQL session.
        """
        try:
            for piece in pieces:
                reader = self._readers[piece.direction]
                reader.feed(piece.data)
                for message in reader:
                    if piece.direction is Direction.CLIENT:
                        self._from_client(message, piece.micros)
                    else:
                        yield from self._from_server(message, piece.micros)
        except ProtocolViolation as error:
            raise Corrupt(f"the recording cannot be read: {error.message}") from None

    def close(self) -> Iterator[Statement]:
        """What was sent and never answered: the session ended before."""
        while self._sent:
            sent = self._sent.popleft()
            if sent.kind in {frontend.QUERY, frontend.EXECUTE, frontend.FUNCTION_CALL}:
                yield _record(sent, None)

    def _from_client(self, message: Message, micros: int) -> None:
        sent = self._read(message, micros)
        if sent is not None:
            self._sent.append(sent)

    def _read(self, message: Message, micros: int) -> _Sent | None:
        read = _READ.get(message.kind)
        return read(self, message, micros) if read else None

    def _query(self, message: Message, micros: int) -> _Sent:
        return _Sent(message.kind, micros, _text(Query.read(message.body).text))

    def _parse(self, message: Message, micros: int) -> _Sent:
        parse = Parse.read(message.body)
        self._statements[parse.name] = parse
        return _Sent(message.kind, micros, _text(parse.text), _text(parse.name))

    def _execute(self, message: Message, micros: int) -> _Sent:
        portal = self._portals.get(Execute.read(message.body).portal)
        if portal is None:
            return _Sent(message.kind, micros)
        return _Sent(message.kind, micros, portal.text, portal.name, portal.parameters)

    def _close(self, message: Message, micros: int) -> _Sent:
        named = Named.read(message.body)
        (self._statements if named.of == frontend.STATEMENT else self._portals).pop(named.name, None)
        return _Sent(message.kind, micros)

    def _call(self, message: Message, micros: int) -> _Sent:
        oid = int.from_bytes(message.body[:_OID], "big")
        return _Sent(frontend.FUNCTION_CALL, micros, f"function {oid}", parameters=None)

    def _sync(self, message: Message, micros: int) -> _Sent:
        return _Sent(message.kind, micros)

    def _bound(self, message: Message, micros: int) -> _Sent:
        if message.kind == frontend.BIND:
            bind = Bind.read(message.body)
            portal, name = bind.portal, bind.statement
            prepared = self._statements.get(name, _UNKNOWN)
            parameters: tuple[str | None, ...] | None = _parameters(bind, prepared.types)
        else:
            fields = Fields(message.body)
            portal, name, parameters = fields.text(), fields.text(), None
            prepared = self._statements.get(name, _UNKNOWN)
        sent = _Sent(frontend.BIND, micros, _text(prepared.text), _text(name), parameters)
        self._portals[portal] = sent
        return sent

    def _from_server(self, message: Message, micros: int) -> Iterator[Statement]:
        match message.kind:
            case backend.PARSE_COMPLETE:
                self._answered(frontend.PARSE)
            case backend.BIND_COMPLETE:
                self._answered(frontend.BIND)
            case backend.CLOSE_COMPLETE:
                self._answered(frontend.CLOSE)
            case backend.COMMAND_COMPLETE | backend.EMPTY_QUERY_RESPONSE | backend.PORTAL_SUSPENDED:
                yield from self._completed(message, micros)
            case backend.ERROR_RESPONSE:
                yield from self._failed(Report.read(message.body), micros)
            case backend.READY_FOR_QUERY:
                yield from self._ready(micros)
            case backend.FUNCTION_CALL_RESPONSE:
                yield from self._called(micros)

    def _answered(self, kind: bytes) -> None:
        if self._sent and self._sent[0].kind == kind:
            self._sent.popleft()

    def _completed(self, message: Message, micros: int) -> Iterator[Statement]:
        if not self._sent:
            return
        sent = self._sent[0]
        tag = _text(message.body.rstrip(b"\0")) if message.kind == backend.COMMAND_COMPLETE else ""
        sent.tags += [tag] if tag else []
        # A simple query goes on to its ReadyForQuery: it may hold several statements.
        if sent.kind == frontend.EXECUTE:
            yield _record(self._sent.popleft(), micros)

    def _called(self, micros: int) -> Iterator[Statement]:
        if self._sent and self._sent[0].kind == frontend.FUNCTION_CALL:
            sent = self._sent.popleft()
            yield _record(sent, micros)
            self._expect_ready(sent)

    def _expect_ready(self, sent: _Sent) -> None:
        """A function call is answered by a ReadyForQuery too, like a Sync."""
        self._sent.appendleft(_Sent(frontend.SYNC, sent.micros))

    def _failed(self, report: Report, micros: int) -> Iterator[Statement]:
        """The first that waits has failed, and what follows up to the next Sync was skipped."""
        if not self._sent:
            return
        if self._sent[0].kind == frontend.QUERY:
            yield _record(self._sent[0], micros, report)
            self._sent[0] = _Sent(frontend.SYNC, micros)
            return
        failed = self._sent[0]
        if failed.kind == frontend.SYNC:
            return
        if failed.kind == frontend.FUNCTION_CALL:
            yield _record(self._sent.popleft(), micros, report)
            self._expect_ready(failed)
            return
        skipped = self._skipped()
        ran = next((one for one in skipped if one.kind == frontend.EXECUTE), None)
        yield _record(failed if failed.kind == frontend.PARSE or ran is None else ran, micros, report)

    def _skipped(self) -> list[_Sent]:
        skipped: list[_Sent] = []
        while self._sent and self._sent[0].kind != frontend.SYNC:
            skipped.append(self._sent.popleft())
        return skipped

    def _ready(self, micros: int) -> Iterator[Statement]:
        if not self._sent:
            return
        sent = self._sent.popleft()
        if sent.kind == frontend.QUERY:
            yield _record(sent, micros)


_OID = 4
_UNKNOWN = Parse(b"", b"")
_INTEGERS = frozenset({20, 21, 23})
_TEXTS = frozenset({18, 19, 25, 114, 705, 1042, 1043})
"""Object identifiers of types (pg_type.dat) whose binary format is that of a number, or the text itself."""
_READ: dict[bytes, Callable[[Auditor, Message, int], _Sent]] = {
    frontend.QUERY: Auditor._query,  # noqa: SLF001  its own
    frontend.PARSE: Auditor._parse,  # noqa: SLF001
    frontend.BIND: Auditor._bound,  # noqa: SLF001
    REDACTED_BIND: Auditor._bound,  # noqa: SLF001
    frontend.EXECUTE: Auditor._execute,  # noqa: SLF001
    frontend.CLOSE: Auditor._close,  # noqa: SLF001
    frontend.FUNCTION_CALL: Auditor._call,  # noqa: SLF001
    REDACTED_CALL: Auditor._call,  # noqa: SLF001
    frontend.SYNC: Auditor._sync,  # noqa: SLF001
}


def _record(sent: _Sent, micros: int | None, report: Report | None = None) -> Statement:
    return Statement(
        at=_EPOCH + timedelta(microseconds=sent.micros),
        kind=_SHOWN.get(sent.kind, "extended"),
        text=sent.text,
        name=sent.name,
        parameters=sent.parameters,
        tags=tuple(sent.tags),
        rows=sum(map(_rows, sent.tags)),
        error=report.sqlstate if report else "",
        message=report.message if report else "",
        duration=None if micros is None else timedelta(microseconds=max(0, micros - sent.micros)),
    )


def _rows(tag: str) -> int:
    """How many rows a tag counts: `INSERT 0 5` and `SELECT 5` are five."""
    word, _, rest = tag.partition(" ")
    last = rest.rpartition(" ")[2]
    return int(last) if word in _COUNTED and last.isascii() and last.isdigit() else 0


def _parameters(bind: Bind, types: tuple[int, ...]) -> tuple[str | None, ...]:
    return tuple(
        None if value is None else _value(value, types[number : number + 1], bind.format(number))
        for number, value in enumerate(bind.values)
    )


def _value(value: bytes, type_: tuple[int, ...], format_: int) -> str:
    """A text or a number as it is, anything else in hexadecimal digits, as PostgreSQL writes bytes."""
    if format_ == frontend.BINARY_FORMAT:
        if type_ and type_[0] in _INTEGERS:
            return str(int.from_bytes(value, "big", signed=True))
        if not type_ or type_[0] not in _TEXTS:
            return "\\x" + value.hex()
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "\\x" + value.hex()


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
