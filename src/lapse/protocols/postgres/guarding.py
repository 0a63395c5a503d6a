"""The guarded relay of one PostgreSQL session, without I/O: what goes on to each side, and what has to wait.

Guarantees: no statement reaches the server that the guard refuses, or that waits for an approver. In its place goes
one that PostgreSQL cannot parse, so that everything that follows from an error follows by itself: the transaction has
failed, a pipeline is skipped up to its Sync. The server's complaint becomes the guard's reason on its way back.

`gateway.postgres.guarded` feeds it whole or cut messages of both sides, whose headers were checked, and does what it
wants: `hold` is a statement that waits (then nothing more of the client is looked at until `decided`), `tables` are
those whose names masks need (then nothing more of the server is, until `named`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lapse.domain.errors import Fault, LapseError
from lapse.domain.guards import Guard
from lapse.protocols.postgres import backend, frontend
from lapse.protocols.postgres.backend import IDLE, IN_FAILED_TRANSACTION, Report, RowDescription
from lapse.protocols.postgres.framing import HEADER, LENGTH_SIZE, ProtocolViolation
from lapse.protocols.postgres.judging import (
    ENCODING,
    READ_ONLY,
    STRINGS,
    Outcome,
    Verdict,
    approves,
    judges,
    verdict,
)
from lapse.protocols.postgres.masking import Masks, Names, Plan, TableNames
from lapse.protocols.postgres.parser import LONGEST
from lapse.protocols.postgres.versions import Versions

LONGEST_NAMES = 8_192
"""Bytes of portal and statement together in a Bind."""
LONGEST_UNJUDGED = 64 << 20
"""Bytes of a statement that is only kept until it is whole."""
LONGEST_LOOKED_AT = 1 << 20
"""Bytes of a server's error, notice or setting that are looked into."""
_REMEMBERED = 1_000
_FAILED = "25P02"
_ABORTED = "current transaction is aborted, commands ignored until end of transaction block"
_QUERY, _PARSE, _BIND, _CLOSE, _DESCRIBE, _EXECUTE, _SYNC, _OWN, _COPIED = range(9)
_LOOKED_AT = frozenset(b"EZS")
_ANSWERS = frozenset(b"123TnDCIsGHNV")


class GuardBroken(LapseError):  # noqa: N818  it says what happened
    """The server does what the guard cannot keep up with: the session must end."""

    code = "guard-broken"
    fault = Fault.SYSTEM


@dataclass(frozen=True, slots=True)
class Judgement:
    """A statement that was refused or waits, for the record."""

    text: bytes
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _Expected:
    """An answer that the server owes; `version` is what becomes of a name when it comes."""

    kind: int
    version: int = -1


@dataclass
class Guarding:
    """See the module. `token` is a word of this session that no client knows; `parameters` are the server's own."""

    guard: Guard
    token: str
    masks: Masks
    parameters: Mapping[bytes, bytes]
    to_server: bytearray = field(default_factory=bytearray)
    to_client: bytearray = field(default_factory=bytearray)
    judgements: list[Judgement] = field(default_factory=list)
    hold: Judgement | None = None
    tables: set[int] = field(default_factory=set)
    names: dict[int, TableNames | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._judges, self._masking = judges(self.guard), bool(self.guard.masks)
        self._longest = LONGEST if self._judges else LONGEST_UNJUDGED
        self._follows = self._masking or approves(self.guard)
        self._encoding = self.parameters.get(ENCODING.encode(), b"UTF8").decode("ascii", "replace")
        self._client, self._server = bytearray(), bytearray()
        self._client_left = self._server_left = 0
        self._dropping = False
        self._held: bytes = b""
        self._reasons: dict[int, Report] = {}
        self._number = 0
        self._status = IDLE
        self._expected: deque[_Expected] = deque()
        self._copying = False
        self._statements: Versions[Judgement] = Versions()
        self._portals: Versions[Judgement] = Versions()
        self._plan: Plan | None = None
        self._planned = False
        self._server_begins = _LOOKED_AT | (_ANSWERS if self._follows else frozenset())

    # What clients send.

    def from_client(self, data: bytes | bytearray) -> None:
        """More from the client."""
        self._client += data
        while self.hold is None and self._client and self._client_step():
            pass

    @property
    def waiting(self) -> int:
        """How many bytes of the client wait to be looked at."""
        return len(self._client)

    def _client_step(self) -> bool:
        """Do one message, or a part of one; whether there may be more."""
        if self._client_left:
            taken = self._take(self._client, self._client_left)
            self._client_left -= len(taken)
            if not self._dropping:
                self.to_server += taken
            return bool(taken)
        self._dropping = False
        if len(self._client) < HEADER.size:
            return False
        kind, length = HEADER.unpack_from(self._client)
        return self._begin(kind, length + 1)

    def _begin(self, kind: bytes, size: int) -> bool:
        """A message of so many bytes begins."""
        if kind == frontend.BIND and self._follows:
            return self._bind(size)
        if kind in {frontend.BIND, frontend.COPY_DATA}:
            return self._stream_client(size)
        if kind in {frontend.QUERY, frontend.PARSE} and size > self._longest:
            return self._too_long(kind, size)
        if len(self._client) < size:
            return False
        self._message(kind, self._take(self._client, size))
        return True

    def _stream_client(self, size: int) -> bool:
        taken = self._take(self._client, size)
        self._client_left = size - len(taken)
        self.to_server += taken
        return True

    def _too_long(self, kind: bytes, size: int) -> bool:
        """A text that is longer than what is judged is dropped as it comes."""
        taken = self._take(self._client, size)
        self._client_left, self._dropping = size - len(taken), True
        why = Verdict(Outcome.REFUSED, f"a statement of more than {self._longest} bytes cannot be judged")
        self._refuse(kind, b"", Judgement(b"", why))
        return True

    def _message(self, kind: bytes, whole: bytes) -> None:
        body = whole[HEADER.size :]
        if kind == frontend.QUERY:
            self._judged(kind, whole, frontend.Query.read(body).text)
        elif kind == frontend.PARSE:
            self._parse(whole, frontend.Parse.read(body))
        elif kind == frontend.EXECUTE:
            self._execute(whole, frontend.Execute.read(body).portal)
        elif kind == frontend.FUNCTION_CALL:
            why = Verdict(Outcome.REFUSED, "function calls by the protocol are not allowed here", "call it in SELECT")
            self._refuse(kind, b"", Judgement(b"", why))
        else:
            if self._follows:
                self._follow(kind, body)
            self.to_server += whole

    def _judged(self, kind: bytes, whole: bytes, text: bytes) -> None:
        """A simple query: it goes on, is refused, or waits."""
        found = Judgement(text, verdict(self.guard, text, self._encoding))
        if found.verdict.outcome is Outcome.REFUSED:
            self._refuse(kind, b"", found)
        elif found.verdict.outcome is Outcome.HELD:
            self.hold, self._held = found, whole
        else:
            self._pass_on(kind, whole)

    def _pass_on(self, kind: bytes, whole: bytes) -> None:
        if kind == frontend.EXECUTE and self._masking:
            # Whatever the client knows of the portal: its rows are masked by what the server says now.
            portal = frontend.Execute.read(whole[HEADER.size :]).portal
            self.to_server += frontend.Named(frontend.PORTAL, portal).encode(frontend.DESCRIBE)
            self._expect(_OWN)
        self._expect(_EXECUTE if kind == frontend.EXECUTE else _QUERY)
        self.to_server += whole

    def _parse(self, whole: bytes, parse: frontend.Parse) -> None:
        found = Judgement(parse.text, verdict(self.guard, parse.text, self._encoding))
        if found.verdict.outcome is Outcome.REFUSED:
            self._refuse(frontend.PARSE, parse.name, found)
            return
        held = found if found.verdict.outcome is Outcome.HELD else None
        if self._follows:
            self._expect(_PARSE, self._statements.begin(parse.name, held))
        self.to_server += whole

    def _bind(self, size: int) -> bool:
        """Only the two names are looked at; the values pass as they come."""
        head = bytes(self._client[HEADER.size : min(size, HEADER.size + LONGEST_NAMES)])
        portal, found, rest = head.partition(b"\0")
        statement, also, _ = rest.partition(b"\0")
        if not found or not also:
            if len(self._client) >= size or len(head) >= LONGEST_NAMES:
                raise ProtocolViolation("a Bind message has no two names")
            return False
        self._expect(_BIND, self._portals.begin(portal, self._statements.worst(statement)))
        return self._stream_client(size)

    def _execute(self, whole: bytes, portal: bytes) -> None:
        held = self._portals.worst(portal) if self._follows else None
        if held is None:
            self._pass_on(frontend.EXECUTE, whole)
        else:
            self.hold, self._held = held, whole

    def _follow(self, kind: bytes, body: bytes) -> None:
        """Remember what the server will answer."""
        if kind == frontend.SYNC and not self._copying:
            self._statements.sync()
            self._portals.sync()
            self._expect(_SYNC)
        elif kind == frontend.DESCRIBE:
            self._expect(_DESCRIBE)
        elif kind == frontend.CLOSE:
            named = frontend.Named.read(body)
            versions = self._statements if named.of == frontend.STATEMENT else self._portals
            self._expect(_CLOSE, versions.begin(named.name, None))
        elif kind in {frontend.COPY_DONE, frontend.COPY_FAIL}:
            self._copying = False
            self._expect(_COPIED)

    def _expect(self, kind: int, version: int = -1) -> None:
        if self._follows:
            self._expected.append(_Expected(kind, version))

    def decided(self, refused: Report | None) -> None:
        """The statement that waited may run, or is refused with `refused`."""
        held, whole = self.hold, self._held
        if held is None:
            return
        self.hold, self._held = None, b""
        kind = whole[:1]
        if refused is not None:
            self._replace(kind, b"", refused)
        else:
            if kind == frontend.EXECUTE:
                self._portals.clear(frontend.Execute.read(whole[HEADER.size :]).portal)
            self._pass_on(kind, whole)
        self.from_client(b"")

    def _refuse(self, kind: bytes, name: bytes, found: Judgement) -> None:
        self.judgements.append(found)
        why = found.verdict
        self._replace(kind, name, Report("ERROR", why.sqlstate, why.why, hint=why.hint))

    def _replace(self, kind: bytes, name: bytes, report: Report) -> None:
        """Send what the server cannot parse instead of a message of `kind`."""
        self._number += 1
        self._reasons[self._number] = report
        # Those of a pipeline that was skipped are never asked for.
        self._reasons.pop(self._number - _REMEMBERED, None)
        text = f"{self.token}_{self._number}".encode()
        if kind in {frontend.QUERY, frontend.FUNCTION_CALL}:
            self._expect(_QUERY)
            self.to_server += frontend.Query(text).encode()
        else:
            self._expect(_PARSE)
            self.to_server += frontend.Parse(name if kind == frontend.PARSE else b"lapse", text).encode()

    # What servers send.

    def from_server(self, data: bytes | bytearray) -> None:
        """More from the server.

        Raises:
            GuardBroken: the session must end.
        """
        self._server += data
        while not self.tables and self._server and self._server_step():
            pass

    def named(self, names: Names) -> None:
        """What was found of `tables`; what is not there is not known. More of what waited goes on."""
        for table in self.tables:
            self.names[table] = names.get(table)
        self.tables = set()
        self.from_server(b"")

    def _server_step(self) -> bool:
        if self._server_left:
            taken = self._take(self._server, self._server_left)
            self._server_left -= len(taken)
            self.to_client += taken
            return bool(taken)
        if len(self._server) < HEADER.size:
            return False
        kind, length = HEADER.unpack_from(self._server)
        if self._streams(kind, length):
            self._stream_server()
            return True
        if len(self._server) <= length:
            return False
        if kind == backend.DATA_ROW:
            self._rows()
            return True
        whole = bytes(self._server[: length + 1])
        answer = self._answer(kind, whole)
        if answer is not None:
            del self._server[: length + 1]
            self.to_client += answer
        return answer is not None

    def _streams(self, kind: bytes, length: int) -> bool:
        """Whether a message passes as it comes."""
        if kind[0] not in self._server_begins or length < HEADER.size - 1:
            return True
        if kind == backend.DATA_ROW:
            return not self._masking or (self._planned and self._plan is None)
        return kind in {b"E", b"N", b"S"} and length > LONGEST_LOOKED_AT and not self._masking

    def _stream_server(self) -> None:
        """Pass on the messages that begin here and are of no interest, as one."""
        data, at, size = self._server, 0, len(self._server)
        rows_pass = not self._masking or (self._planned and self._plan is None)
        looked_at = self._server_begins - {ord(backend.DATA_ROW)} if rows_pass else self._server_begins
        while size - at >= HEADER.size:
            if data[at] in looked_at and not self._streams(*HEADER.unpack_from(data, at)):
                break
            at += max(int.from_bytes(data[at + 1 : at + HEADER.size], "big", signed=True), LENGTH_SIZE) + 1
        self.to_client += self._server[:at]
        del self._server[:at]
        self._server_left = max(at - size, 0)

    def _rows(self) -> None:
        """Pass on the rows that are whole, masked."""
        if not self._planned or self._plan is None:
            raise GuardBroken("the server sends rows that nobody described, so that they cannot be masked")
        masked, end = self._plan.rows(bytes(self._server))
        self.to_client += masked
        del self._server[:end]

    def _answer(self, kind: bytes, whole: bytes) -> bytes | None:
        """What the client gets of a message; None if it has to wait."""
        match kind:
            case backend.ROW_DESCRIPTION | backend.NO_DATA:
                return self._described(kind, whole)
            case backend.ERROR_RESPONSE:
                return self._error(whole)
            case backend.NOTICE_RESPONSE if self._masking:
                return self.masks.report(kind, whole[HEADER.size :], self._encoding)
            case backend.READY_FOR_QUERY:
                self._ready(whole)
            case backend.PARAMETER_STATUS:
                self._setting(*backend.read_parameter_status(whole[HEADER.size :]))
            case _:
                self._answered(kind)
        return whole

    def _described(self, kind: bytes, whole: bytes) -> bytes | None:
        """A description of rows: of those that follow, or an answer to the client's own question."""
        head = self._head.kind
        if head == _DESCRIBE:
            self._expected.popleft()
            return whole
        if kind == backend.ROW_DESCRIPTION and self._masking:
            columns = RowDescription.read(whole[HEADER.size :]).columns
            self.tables = self.masks.wants(columns) - self.names.keys()
            if self.tables:
                return None
            self._plan = self.masks.plan(columns, self.names, self._encoding)
        else:
            self._plan = None
        self._planned = True
        if head == _OWN:
            self._expected.popleft()
            return b""
        return whole

    def _error(self, whole: bytes) -> bytes:
        """A refused statement's error gets the guard's words; what the server skips is expected no more."""
        self._copying = False
        while self._expected and self._expected[0].kind not in {_QUERY, _SYNC}:
            self._abandon(self._expected.popleft())
        report = self._reason(Report.read(whole[HEADER.size :]).message)
        if report is not None:
            return report.error()
        return self.masks.report(b"E", whole[HEADER.size :], self._encoding) if self._masking else whole

    def _reason(self, told: str) -> Report | None:
        _, found, number = told.partition(f"{self.token}_")
        digits = number[: len(number) - len(number.lstrip("0123456789"))]
        report = self._reasons.pop(int(digits), None) if found and digits else None
        if report is not None and self._status == IN_FAILED_TRANSACTION:
            return replace(report, sqlstate=_FAILED, message=_ABORTED, hint="", detail="")
        return report

    def _ready(self, whole: bytes) -> None:
        self._status, self._planned, self._plan = whole[HEADER.size :], False, None
        while self._expected:
            expected = self._expected.popleft()
            if expected.kind in {_QUERY, _SYNC}:
                break
            self._abandon(expected)

    def _abandon(self, expected: _Expected) -> None:
        for versions in (self._statements, self._portals):
            versions.abandon(expected.version)

    @property
    def _head(self) -> _Expected:
        """What the server answers now; the ends of copies have no answer of their own."""
        while self._expected and self._expected[0].kind == _COPIED:
            self._expected.popleft()
        return self._expected[0] if self._expected else _Expected(_QUERY)

    def _answered(self, kind: bytes) -> None:
        head = self._head
        if kind in {b"1", b"2", b"3"} and head.kind in {_PARSE, _BIND, _CLOSE}:
            self._expected.popleft()
            self._statements.commit(head.version)
            self._portals.commit(head.version)
        elif kind in {b"C", b"I", b"s"}:
            self._planned, self._plan = False, None
            if head.kind == _EXECUTE:
                self._expected.popleft()
        elif kind == backend.COPY_IN_RESPONSE:
            self._copy_in()
        elif kind == backend.COPY_OUT_RESPONSE and self._masking:
            raise GuardBroken("the server sends COPY data, which cannot be masked")

    def _copy_in(self) -> None:
        """The server overlooks each Sync until the copy is over: they have no answer."""
        later, over = deque[_Expected](), False
        for number, expected in enumerate(self._expected):
            over = over or expected.kind == _COPIED
            if over or number == 0 or expected.kind != _SYNC:
                later.append(expected)
        self._expected, self._copying = later, not over

    def _setting(self, name: bytes, value: bytes) -> None:
        if name == ENCODING.encode():
            self._encoding = value.decode("ascii", "replace")
        check_setting(self.guard, name, value)

    @staticmethod
    def _take(waiting: bytearray, size: int) -> bytes:
        taken = bytes(waiting[:size])
        del waiting[:size]
        return taken


def check_setting(guard: Guard, name: bytes, value: bytes) -> None:
    """What the server says of a setting must not undo the guard.

    Raises:
        GuardBroken: it does.
    """
    if name == STRINGS.encode() and value != b"on" and judges(guard):
        raise GuardBroken(f"`{STRINGS}` is off on the target, so that statements cannot be judged")
    if name == READ_ONLY.encode() and value != b"on" and guard.read_only:
        raise GuardBroken(f"`{READ_ONLY}` is off on the target, and access is read-only")
