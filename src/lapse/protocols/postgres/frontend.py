"""What clients send after the startup packet: each message as a value that can be read and written.

Texts stay bytes, in the client's own encoding. Who calls: the logins, the guards, the readers of recordings.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from lapse.protocols.postgres.framing import Fields, ProtocolViolation, message

QUERY, PARSE, BIND, DESCRIBE, EXECUTE, CLOSE = b"Q", b"P", b"B", b"D", b"E", b"C"
SYNC, FLUSH, TERMINATE, FUNCTION_CALL = b"S", b"H", b"X", b"F"
COPY_DATA, COPY_DONE, COPY_FAIL = b"d", b"c", b"f"
PASSWORD = b"p"
"""A password, or a step of SASL."""

TEXT_FORMAT, BINARY_FORMAT = 0, 1
STATEMENT, PORTAL = b"S", b"P"


@dataclass(frozen=True, slots=True)
class Query:
    """A simple query: one or more statements."""

    text: bytes

    @classmethod
    def read(cls, body: bytes) -> Query:
        """From a body."""
        fields = Fields(body)
        query = cls(fields.text())
        fields.end()
        return query

    def encode(self) -> bytes:
        """As it is on the wire."""
        return message(QUERY, self.text, b"\0")


@dataclass(frozen=True, slots=True)
class Parse:
    """Prepare `text` as the statement `name` (empty: the unnamed one); `types` are identifiers, 0 for unsaid."""

    name: bytes
    text: bytes
    types: tuple[int, ...] = ()

    @classmethod
    def read(cls, body: bytes) -> Parse:
        """From a body."""
        fields = Fields(body)
        name, text = fields.text(), fields.text()
        types = tuple(fields.uint32() for _ in range(fields.count(4)))
        fields.end()
        return cls(name, text, types)

    def encode(self) -> bytes:
        """As it is on the wire."""
        types = struct.pack(f"!H{len(self.types)}I", len(self.types), *self.types)
        return message(PARSE, self.name, b"\0", self.text, b"\0", types)


@dataclass(frozen=True, slots=True)
class Bind:
    """Make `portal` of `statement` with `values` (None is NULL).

    Formats are 0 (text) or 1 (binary): none means all text, one is for all, else one for each.
    """

    portal: bytes
    statement: bytes
    formats: tuple[int, ...] = ()
    values: tuple[bytes | None, ...] = ()
    result_formats: tuple[int, ...] = ()

    @classmethod
    def read(cls, body: bytes) -> Bind:
        """From a body."""
        fields = Fields(body)
        portal, statement = fields.text(), fields.text()
        formats = _formats(fields)
        values = tuple(fields.value() for _ in range(fields.count(4)))
        result_formats = _formats(fields)
        fields.end()
        if len(formats) > 1 and len(formats) != len(values):
            raise ProtocolViolation("a Bind message has neither one format nor one for each parameter")
        return cls(portal, statement, formats, values, result_formats)

    def format(self, number: int) -> int:
        """The format of the parameter `number`, from 0."""
        return format_of(self.formats, number)

    def encode(self) -> bytes:
        """As it is on the wire."""
        values = [struct.pack("!H", len(self.values)), *map(encode_value, self.values)]
        formats, results = encode_formats(self.formats), encode_formats(self.result_formats)
        return message(BIND, self.portal, b"\0", self.statement, b"\0", formats, *values, results)


@dataclass(frozen=True, slots=True)
class Named:
    """Describe or Close: `of` is `STATEMENT` or `PORTAL`."""

    of: bytes
    name: bytes

    @classmethod
    def read(cls, body: bytes) -> Named:
        """From a body."""
        fields = Fields(body)
        of, name = fields.take(1), fields.text()
        fields.end()
        if of not in {STATEMENT, PORTAL}:
            raise ProtocolViolation("a message names neither a statement nor a portal")
        return cls(of, name)

    def encode(self, kind: bytes) -> bytes:
        """As it is on the wire; `kind` is `DESCRIBE` or `CLOSE`."""
        return message(kind, self.of, self.name, b"\0")


@dataclass(frozen=True, slots=True)
class Execute:
    """Run `portal`; at most `rows` of its rows, 0 for all."""

    portal: bytes
    rows: int = 0

    @classmethod
    def read(cls, body: bytes) -> Execute:
        """From a body."""
        fields = Fields(body)
        execute = cls(fields.text(), fields.int32())
        fields.end()
        return execute

    def encode(self) -> bytes:
        """As it is on the wire."""
        return message(EXECUTE, self.portal, b"\0", struct.pack("!i", self.rows))


@dataclass(frozen=True, slots=True)
class SaslInitial:
    """The first step of SASL. `data` is None where the client leaves it out."""

    mechanism: bytes
    data: bytes | None

    @classmethod
    def read(cls, body: bytes) -> SaslInitial:
        """From a body."""
        fields = Fields(body)
        initial = cls(fields.text(), fields.value())
        fields.end()
        return initial

    def encode(self) -> bytes:
        """As it is on the wire."""
        return message(PASSWORD, self.mechanism, b"\0", encode_value(self.data))


def sync() -> bytes:
    """End of a pipeline's part."""
    return message(SYNC)


def terminate() -> bytes:
    """A polite end."""
    return message(TERMINATE)


def password(data: bytes) -> bytes:
    """A later step of SASL; for a clear password, `data` ends with a zero."""
    return message(PASSWORD, data)


def format_of(formats: tuple[int, ...], number: int) -> int:
    """Which of `formats` is meant for the value `number`: none means text, one is for all.

    Raises:
        ProtocolViolation: there are several, and none for this value.
    """
    if len(formats) > 1:
        if number >= len(formats):
            raise ProtocolViolation("a value has no format of its own")
        return formats[number]
    return formats[0] if formats else TEXT_FORMAT


def encode_value(value: bytes | None) -> bytes:
    """A length and the bytes; -1 for NULL."""
    return struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value


def encode_formats(formats: Iterable[int]) -> bytes:
    """A count and the formats."""
    listed = tuple(formats)
    return struct.pack(f"!H{len(listed)}h", len(listed), *listed)


def _formats(fields: Fields) -> tuple[int, ...]:
    formats = tuple(fields.int16() for _ in range(fields.count(2)))
    if any(one not in {TEXT_FORMAT, BINARY_FORMAT} for one in formats):
        raise ProtocolViolation("a value's format is neither text nor binary")
    return formats
