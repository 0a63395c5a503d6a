"""Masks: which columns of a result are masked, and rows with their values masked.

Guarantees: a masked value is one of its column's type, in the format that the client asked for, not longer than the
column allows; a column of a table whose name is not known is masked by every mask that could be meant. Pure; called by
`guarding`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lapse.domain.guards import Mask, MaskKind
from lapse.domain.wildcards import wildcard_match
from lapse.protocols.postgres.backend import DATA_ROW, Column
from lapse.protocols.postgres.framing import HEADER, Fields, ProtocolViolation, message
from lapse.protocols.postgres.frontend import encode_value
from lapse.protocols.postgres.values import PATTERNS, Masking, masked_text, masked_texts, whole_value

Names = Mapping[int, "TableNames | None"]
"""Tables by their identifiers; None for one that nobody could look up."""
_Cell = Callable[[bytes], bytes | None]
_QUOTED_CLASS = b"22"
_DATA_ROW = ord("D")
_SIZE = struct.Struct("!i")
_ROW_HEAD = HEADER.size + 2


@dataclass(frozen=True, slots=True)
class TableNames:
    """A table's name, with its schema, and its columns' by their numbers."""

    name: str
    columns: Mapping[int, str]


class _Batch:
    """A cell whose expressions are better applied to many values at once."""

    def __init__(self, masks: Sequence[Mask], column: Masking) -> None:
        self._masks, self._column = masks, column
        self._masked: dict[bytes, bytes | None] = {}

    def prepare(self, values: set[bytes]) -> None:
        """These are the next values."""
        self._masked = masked_texts(self._masks, list(values), self._column)

    def __call__(self, value: bytes) -> bytes | None:
        """One value, masked."""
        masked = self._masked.get(value, b"")
        return value if masked == value else masked


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows of one result are masked: what is done with the values of some columns."""

    cells: tuple[tuple[int, _Cell], ...]

    def rows(self, data: bytes) -> tuple[bytes, int]:
        """The whole DataRows at the beginning of `data` as the client gets them, and where what follows begins.

        Raises:
            ProtocolViolation: a row is none.
        """
        for number, cell in self.cells:
            if isinstance(cell, _Batch):
                cell.prepare(_values(data, number))
        made: list[bytes] = []
        at, size = 0, len(data)
        while size - at >= HEADER.size and data[at] == _DATA_ROW:
            end = at + 1 + _SIZE.unpack_from(data, at + 1)[0]
            if end > size:
                break
            self._row(data, at, end, made)
            at = end
        return b"".join(made), at

    def _row(self, data: bytes, at: int, end: int, made: list[bytes]) -> None:
        """Copy what is not masked, as few times as possible."""
        position, column, parts, copied = at + _ROW_HEAD, 0, list[bytes](), at + HEADER.size
        number_of_columns = int.from_bytes(data[copied:position], "big")
        for number, cell in self.cells:
            if number >= number_of_columns:
                break
            while column <= number:
                begin, position, column = position, _after_value(data, position, end), column + 1
            if position - begin < _SIZE.size or _SIZE.unpack_from(data, begin)[0] < 0:
                continue
            value = data[begin + _SIZE.size : position]
            if (masked := cell(value)) is not value:
                parts += data[copied:begin], encode_value(masked)
                copied = position
        if not parts:
            made.append(data[at:end])
        else:
            parts.append(data[copied:end])
            made.append(message(DATA_ROW, *parts))


def _values(data: bytes, column: int) -> set[bytes]:
    """The values of one column in the whole rows at the beginning of `data`."""
    found, at = set[bytes](), 0
    while len(data) - at >= HEADER.size and data[at] == _DATA_ROW:
        end = at + 1 + _SIZE.unpack_from(data, at + 1)[0]
        if end > len(data):
            break
        begin, position = at, at + _ROW_HEAD
        for _ in range(min(column + 1, int.from_bytes(data[at + HEADER.size : position], "big"))):
            begin, position = position, _after_value(data, position, end)
        found.add(data[begin + _SIZE.size : position])
        at = end
    return found


def _after_value(data: bytes, at: int, end: int) -> int:
    """Where the value at `at` ends."""
    if at + _SIZE.size <= end:
        at += _SIZE.size + max(_SIZE.unpack_from(data, at)[0], 0)
        if at <= end:
            return at
    raise ProtocolViolation("a row ends in the middle of a value")


class Masks:
    """The masks of one session. `key` makes hashes that can be compared within it only."""

    def __init__(self, masks: Sequence[Mask], *, key: bytes) -> None:
        self._masks, self._key = tuple(masks), key
        self._by_name = any(mask.tables or mask.columns != ("*",) for mask in masks)

    def wants(self, columns: Sequence[Column]) -> set[int]:
        """The tables whose names must be known to plan for these columns."""
        return {column.table for column in columns if column.table} if self._by_name else set()

    def plan(self, columns: Sequence[Column], names: Names, encoding: str) -> Plan | None:
        """What is masked of a result; None: nothing."""
        cells = []
        for number, column in enumerate(columns):
            chosen = [mask for mask in self._masks if _matches(mask, column, names)]
            if chosen and (cell := self._cell(column, chosen, encoding)) is not None:
                cells.append((number, cell))
        return Plan(tuple(cells)) if cells else None

    def _cell(self, column: Column, chosen: Sequence[Mask], encoding: str) -> _Cell | None:
        masking = Masking(column.type, column.modifier, column.format, encoding, self._key)
        whole = next((mask.kind for mask in chosen if mask.kind not in PATTERNS), None)
        if whole in {MaskKind.FULL, MaskKind.NULL}:
            always = whole_value(whole, b"", masking)
            return lambda _value: always
        if whole is not None:
            return lambda value: whole_value(whole, value, masking)
        if not masking.textual:
            return None
        if all(mask.kind is MaskKind.EMAIL for mask in chosen):
            return lambda value: masked_text(chosen, value, masking) if b"@" in value else value
        if any(mask.kind is MaskKind.CUSTOM for mask in chosen):
            return _Batch(chosen, masking)
        return lambda value: masked_text(chosen, value, masking)

    def report(self, kind: bytes, body: bytes, encoding: str) -> bytes:
        """An error or a notice without the values that its texts may quote."""
        fields, kept = Fields(body), []
        while (code := fields.take(1)) != b"\0":
            kept.append((code, fields.text()))
        state = next((text for code, text in kept if code == b"C"), b"")
        parts = []
        for code, text in kept:
            if code in {b"D", b"q", b"W"}:
                continue
            parts.append(code + (self._said(text, state, encoding) if code in {b"M", b"H"} else text) + b"\0")
        return message(kind, *parts, b"\0")

    def _said(self, text: bytes, state: bytes, encoding: str) -> bytes:
        if state.startswith(_QUOTED_CLASS) and text.count(b'"') > 1:
            begin, end = text.index(b'"'), text.rindex(b'"')
            text = text[: begin + 1] + b"****" + text[end:]
        patterns = [mask for mask in self._masks if mask.kind in PATTERNS]
        return masked_text(patterns, text, Masking(25, -1, 0, encoding, self._key)) or b"****"


def _matches(mask: Mask, column: Column, names: Names) -> bool:
    table = names.get(column.table) if column.table else None
    unknown = bool(column.table) and table is None
    if mask.tables and not unknown and (table is None or not _any(mask.tables, table.name)):
        return False
    called = {column.name.decode("utf-8", "replace")}
    if table is not None:
        called.add(table.columns.get(column.attribute, ""))
    return unknown or mask.columns == ("*",) or any(_any(mask.columns, one) for one in called)


def _any(patterns: Sequence[str], text: str) -> bool:
    return any(wildcard_match(pattern.lower(), text.lower()) for pattern in patterns)


LOOK_UP = (
    "SELECT c.oid, n.nspname || '.' || c.relname, a.attnum, a.attname FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 WHERE c.oid IN ({})"
)


def look_up(tables: set[int]) -> bytes:
    """A query for the names of these tables; its rows are for `looked_up`."""
    text = LOOK_UP.format(", ".join(map(str, sorted(tables))))
    return message(b"Q", text.encode(), b"\0")


def looked_up(rows: Sequence[Sequence[bytes | None]]) -> dict[int, TableNames]:
    """The names in the answer to `look_up`."""
    found: dict[int, TableNames] = {}
    columns: dict[int, dict[int, str]] = {}
    for row in rows:
        oid, name, number, column = ((value or b"").decode("utf-8", "replace") for value in row)
        columns.setdefault(int(oid), {})[int(number)] = column
        found[int(oid)] = TableNames(name, columns[int(oid)])
    return found
