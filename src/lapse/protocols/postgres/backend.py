"""What servers send: each message as a value or a function that writes it, and readers where somebody needs one.

Who calls: the logins (which play the server to a client), the guards and masks, the readers of recordings.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lapse.protocols.postgres.framing import Fields, ProtocolViolation, message
from lapse.protocols.postgres.frontend import encode_formats, encode_value

AUTHENTICATION, PARAMETER_STATUS, BACKEND_KEY_DATA = b"R", b"S", b"K"
READY_FOR_QUERY, NEGOTIATE_PROTOCOL_VERSION = b"Z", b"v"
ERROR_RESPONSE, NOTICE_RESPONSE, NOTIFICATION_RESPONSE = b"E", b"N", b"A"
ROW_DESCRIPTION, DATA_ROW, COMMAND_COMPLETE, EMPTY_QUERY_RESPONSE = b"T", b"D", b"C", b"I"
PARSE_COMPLETE, BIND_COMPLETE, CLOSE_COMPLETE = b"1", b"2", b"3"
PARAMETER_DESCRIPTION, NO_DATA, PORTAL_SUSPENDED = b"t", b"n", b"s"
COPY_IN_RESPONSE, COPY_OUT_RESPONSE, COPY_BOTH_RESPONSE = b"G", b"H", b"W"
COPY_DATA, COPY_DONE = b"d", b"c"
FUNCTION_CALL_RESPONSE = b"V"

IDLE, IN_TRANSACTION, IN_FAILED_TRANSACTION = b"I", b"T", b"E"

AUTH_OK, AUTH_CLEARTEXT, AUTH_SASL, AUTH_SASL_CONTINUE, AUTH_SASL_FINAL = 0, 3, 10, 11, 12


class SqlState(StrEnum):
    """Error codes that lapse gives by itself (manual, appendix A)."""

    PROTOCOL_VIOLATION = "08P01"
    CANNOT_CONNECT = "08001"
    CONNECTION_FAILURE = "08006"
    FEATURE_NOT_SUPPORTED = "0A000"
    INVALID_AUTHORIZATION = "28000"
    INVALID_PASSWORD = "28P01"  # noqa: S105  the name of an error
    INSUFFICIENT_PRIVILEGE = "42501"
    SYNTAX_ERROR = "42601"
    TOO_MANY_CONNECTIONS = "53300"
    PROGRAM_LIMIT_EXCEEDED = "54000"
    QUERY_CANCELED = "57014"
    ADMIN_SHUTDOWN = "57P01"
    CANNOT_CONNECT_NOW = "57P03"


@dataclass(frozen=True, slots=True)
class Report:
    """An error or a notice. `severity`: ERROR, FATAL or PANIC; WARNING, NOTICE, INFO, DEBUG or LOG."""

    severity: str
    sqlstate: str
    message: str
    detail: str = ""
    hint: str = ""

    @classmethod
    def read(cls, body: bytes) -> Report:
        """From a body; texts that are no UTF-8 are read as far as they are."""
        fields, found = Fields(body), dict[bytes, str]()
        while (code := fields.take(1)) != b"\0":
            found.setdefault(code, fields.text().decode("utf-8", "replace"))
        fields.end()
        severity = found.get(b"V") or found.get(b"S", "")
        return cls(severity, found.get(b"C", ""), found.get(b"M", ""), found.get(b"D", ""), found.get(b"H", ""))

    def _body(self) -> bytes:
        parts = {
            b"S": self.severity,
            b"V": self.severity,
            b"C": str(self.sqlstate),
            b"M": self.message,
            b"D": self.detail,
            b"H": self.hint,
        }
        listed = (code + _text(value) for code, value in parts.items() if value)
        return b"".join(listed) + b"\0"

    def error(self) -> bytes:
        """As ErrorResponse."""
        return message(ERROR_RESPONSE, self._body())

    def notice(self) -> bytes:
        """As NoticeResponse."""
        return message(NOTICE_RESPONSE, self._body())


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result. `table` and `attribute` are 0 where it is not a table's; `size` < 0: any."""

    name: bytes
    table: int = 0
    attribute: int = 0
    type: int = 25
    size: int = -1
    modifier: int = -1
    format: int = 0


_COLUMN = struct.Struct("!IhIhih")


@dataclass(frozen=True, slots=True)
class RowDescription:
    """The columns of the rows that follow."""

    columns: tuple[Column, ...]

    @classmethod
    def read(cls, body: bytes) -> RowDescription:
        """From a body."""
        fields = Fields(body)
        number = fields.count(1 + _COLUMN.size)
        columns = tuple(Column(fields.text(), *_COLUMN.unpack(fields.take(_COLUMN.size))) for _ in range(number))
        fields.end()
        return cls(columns)

    def encode(self) -> bytes:
        """As it is on the wire."""
        parts = [struct.pack("!H", len(self.columns))]
        for one in self.columns:
            numbers = _COLUMN.pack(one.table, one.attribute, one.type, one.size, one.modifier, one.format)
            parts += [one.name, b"\0", numbers]
        return message(ROW_DESCRIPTION, *parts)


def data_row_values(body: bytes) -> list[bytes | None]:
    """The values of a DataRow, None for NULL."""
    fields = Fields(body)
    values = [fields.value() for _ in range(fields.count(4))]
    fields.end()
    return values


def data_row(values: Iterable[bytes | None]) -> bytes:
    """A DataRow."""
    listed = list(values)
    return message(DATA_ROW, struct.pack("!H", len(listed)), *map(encode_value, listed))


LONGEST_COUNT = 20
"""Digits of the largest number of rows (unsigned, of 64 bits)."""


@dataclass(frozen=True, slots=True)
class CommandComplete:
    """A command's tag, e.g. `INSERT 0 5`."""

    tag: bytes

    @classmethod
    def read(cls, body: bytes) -> CommandComplete:
        """From a body."""
        fields = Fields(body)
        complete = cls(fields.text())
        fields.end()
        return complete

    @property
    def command(self) -> str:
        """The tag without its numbers, e.g. `CREATE TABLE`."""
        words = self.tag.decode("ascii", "replace").split()
        return " ".join(word for word in words if not word.isdigit())

    @property
    def rows(self) -> int | None:
        """How many rows it says, if it does."""
        last = self.tag.rsplit(b" ", 1)[-1]
        return int(last) if last.isdigit() and len(last) <= LONGEST_COUNT else None

    def encode(self) -> bytes:
        """As it is on the wire."""
        return message(COMMAND_COMPLETE, self.tag, b"\0")


@dataclass(frozen=True, slots=True)
class CopyResponse:
    """CopyInResponse, CopyOutResponse or CopyBothResponse: formats of the whole and of each column."""

    format: int
    columns: tuple[int, ...]

    @classmethod
    def read(cls, body: bytes) -> CopyResponse:
        """From a body."""
        fields = Fields(body)
        overall = fields.take(1)[0]
        columns = tuple(fields.int16() for _ in range(fields.count(2)))
        fields.end()
        return cls(overall, columns)

    def encode(self, kind: bytes) -> bytes:
        """As it is on the wire."""
        return message(kind, bytes([self.format]), encode_formats(self.columns))


@dataclass(frozen=True, slots=True)
class BackendKeyData:
    """What a cancel request must show. `key` has 4 bytes in protocol 3.0 and up to 256 in 3.2."""

    process: int
    key: bytes

    @classmethod
    def read(cls, body: bytes) -> BackendKeyData:
        """From a body."""
        fields = Fields(body)
        data = cls(fields.uint32(), fields.rest())
        if not LEAST_KEY <= len(data.key) <= LONGEST_KEY:
            raise ProtocolViolation("a cancel key has no valid length")
        return data

    def encode(self) -> bytes:
        """As it is on the wire."""
        return message(BACKEND_KEY_DATA, struct.pack("!I", self.process), self.key)


LEAST_KEY, LONGEST_KEY = 4, 256


@dataclass(frozen=True, slots=True)
class NegotiateProtocolVersion:
    """The server speaks minor version `minor` at most, and does not know these `_pq_.` options."""

    minor: int
    options: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, body: bytes) -> NegotiateProtocolVersion:
        """From a body. Servers send the whole version or its minor part; the minor part is kept."""
        fields = Fields(body)
        minor, number = fields.int32() & 0xFFFF, fields.uint32()
        if number > len(body):
            raise ProtocolViolation("a message promises more items than it has")
        options = tuple(fields.text() for _ in range(number))
        fields.end()
        return cls(minor, options)

    def encode(self) -> bytes:
        """As it is on the wire, with the whole version as PostgreSQL's server sends it."""
        options = b"".join(option + b"\0" for option in self.options)
        numbers = struct.pack("!ii", 3 << 16 | self.minor, len(self.options))
        return message(NEGOTIATE_PROTOCOL_VERSION, numbers, options)


def parameter_types(body: bytes) -> tuple[int, ...]:
    """The types in a ParameterDescription."""
    fields = Fields(body)
    types = tuple(fields.uint32() for _ in range(fields.count(4)))
    fields.end()
    return types


def parameter_description(types: Iterable[int]) -> bytes:
    """A ParameterDescription."""
    listed = tuple(types)
    return message(PARAMETER_DESCRIPTION, struct.pack(f"!H{len(listed)}I", len(listed), *listed))


def read_parameter_status(body: bytes) -> tuple[bytes, bytes]:
    """A run-time parameter's name and value."""
    fields = Fields(body)
    pair = fields.text(), fields.text()
    fields.end()
    return pair


def parameter_status(name: bytes, value: bytes) -> bytes:
    """A ParameterStatus."""
    return message(PARAMETER_STATUS, name, b"\0", value, b"\0")


def parameter_statuses(parameters: Mapping[bytes, bytes]) -> bytes:
    """A ParameterStatus for each."""
    return b"".join(parameter_status(name, value) for name, value in parameters.items())


def read_authentication(body: bytes) -> tuple[int, bytes]:
    """Which step of authentication, and its data."""
    fields = Fields(body)
    return fields.int32(), fields.rest()


def authentication(code: int, data: bytes = b"") -> bytes:
    """An Authentication message: `AUTH_OK`, or a step."""
    return message(AUTHENTICATION, struct.pack("!i", code), data)


def authentication_sasl(mechanisms: Iterable[str]) -> bytes:
    """AuthenticationSASL: what the server offers."""
    return authentication(AUTH_SASL, b"".join(_text(name) for name in mechanisms) + b"\0")


def ready_for_query(status: bytes = IDLE) -> bytes:
    """A ReadyForQuery."""
    return message(READY_FOR_QUERY, status)


def _text(value: str) -> bytes:
    return value.replace("\0", "").encode("utf-8", "replace") + b"\0"
