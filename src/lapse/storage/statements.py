"""SQL, written once in SQLAlchemy Core and compiled once per dialect. Used by everything here that reads or writes.

A `Query` is one statement with named values. A `Bulk` writes many rows at once: on SQLite hundreds with one statement,
on PostgreSQL all with one over `unnest`. Values never become
part of the SQL text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import (
    Column,
    Integer,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    insert,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import ClauseElement, ColumnElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import Boolean

Values: TypeAlias = "Mapping[str, object]"
Row: TypeAlias = "tuple[object, ...]"

DIALECTS: Mapping[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": postgresql.dialect(paramstyle="pyformat"),  # type: ignore[no-untyped-call]
}


class Among(ColumnElement[bool]):
    """Whether `column` is one of the list of texts given for `name`; one statement for lists of any length."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, subject: Column[str], name: str) -> None:
        self.subject = subject
        self.values: ColumnElement[Any] = bindparam(name)

    def self_group(self, against: Any = None) -> Among:
        """As it is: SQLAlchemy would write `= 1` behind it for SQLite, which then uses no index."""
        del against
        return self


@compiles(Among, "sqlite")
def _among_sqlite(element: Among, compiler: SQLCompiler, **kwargs: Any) -> str:
    subject, values = compiler.process(element.subject, **kwargs), compiler.process(element.values, **kwargs)
    return f"{subject} IN (SELECT value FROM json_each({values}))"  # noqa: S608  both are compiled SQL


@compiles(Among, "postgresql")
def _among_postgresql(element: Among, compiler: SQLCompiler, **kwargs: Any) -> str:
    subject, values = compiler.process(element.subject, **kwargs), compiler.process(element.values, **kwargs)
    return f"{subject} = ANY(CAST({values} AS TEXT[]))"


class AmongPairs(ColumnElement[bool]):
    """Whether two columns of numbers are one of the pairs given for `name`, as JSON text: `[[0, 1], [0, 2]]`."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, first: Column[int], second: Column[int], name: str) -> None:
        self.first = first
        self.second = second
        self.values: ColumnElement[Any] = bindparam(name)

    def self_group(self, against: Any = None) -> AmongPairs:
        """As it is; see `Among`."""
        del against
        return self


@compiles(AmongPairs, "sqlite")
def _among_pairs_sqlite(element: AmongPairs, compiler: SQLCompiler, **kwargs: Any) -> str:
    pairs = "SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each"
    return _among_pairs(element, compiler, pairs, **kwargs)


@compiles(AmongPairs, "postgresql")
def _among_pairs_postgresql(element: AmongPairs, compiler: SQLCompiler, **kwargs: Any) -> str:
    pairs = "SELECT CAST(value ->> 0 AS BIGINT), CAST(value ->> 1 AS BIGINT) FROM json_array_elements"
    return _among_pairs(element, compiler, pairs, **kwargs)


def _among_pairs(element: AmongPairs, compiler: SQLCompiler, pairs: str, **kwargs: Any) -> str:
    first, second, values = (compiler.process(p, **kwargs) for p in (element.first, element.second, element.values))
    given = values if "json_each" in pairs else f"CAST({values} AS JSON)"
    return f"({first}, {second}) IN ({pairs}({given}))"


@dataclass(frozen=True)
class Compiled:
    """SQL text for one dialect, with the names of its values in order and those that are constants."""

    sql: str
    names: tuple[str, ...]
    constants: Values

    @property
    def as_array(self) -> str:
        """This select of documents as one row: how many, and a JSON array of them, in order."""
        return f"SELECT count(*), '[' || coalesce(group_concat(doc, ','), '') || ']' FROM ({self.sql})"  # noqa: S608  compiled SQL

    @property
    def as_lines(self) -> str:
        """This select of ledger entries as one row: how many, the first and the last id, and the bodies as lines."""
        lines = "CAST(group_concat(body, '\n') AS BLOB)"
        return f"SELECT count(*), min(id), max(id), {lines} FROM ({self.sql})"  # noqa: S608  compiled SQL

    def positional(self, values: Values) -> list[object]:
        """Values for `?` marks; a list becomes JSON text, which `json_each` reads."""
        merged = {**self.constants, **values}
        return [_listed(merged[name]) for name in self.names]

    def named(self, values: Values) -> dict[str, object]:
        """Values for `%(name)s` marks."""
        return {**self.constants, **values}


def _listed(value: object) -> object:
    return msgspec.json.encode(value).decode() if isinstance(value, list) else value


def compile_for(dialect: str, statement: ClauseElement) -> Compiled:
    """`statement` as text for `dialect`."""
    compiled = statement.compile(dialect=DIALECTS[dialect])
    if not isinstance(compiled, SQLCompiler):
        raise TypeError(f"{type(statement).__name__} is not SQL")
    constants = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
    return Compiled(str(compiled), tuple(compiled.positiontup or ()), constants)


class Query:
    """A statement that is compiled when a dialect first needs it, and then kept."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, Compiled] = {}

    def on(self, dialect: str) -> Compiled:
        """This statement for `dialect`."""
        found = self._compiled.get(dialect)
        if found is None:
            found = self._compiled[dialect] = compile_for(dialect, self._statement)
        return found


class Bulk:
    """A statement that takes many rows; each row has a value for every one of `columns`."""

    def __init__(self, columns: Sequence[str], by_marks: ClauseElement, by_array: ClauseElement) -> None:
        self._names = [_NEW + name for name in columns]
        self._by_marks = Query(by_marks)
        self._by_array = Query(by_array)

    def marks(self, rows: Iterable[Row]) -> Iterator[tuple[str, list[object]]]:
        """For SQLite: statements with one group of `?` for each row, and their values.

        One statement for hundreds of rows, because the driver takes Python's lock again after each: an `executemany`
        beside a busy event loop waits for it at every row.
        """
        sql = self._by_marks.on("sqlite").sql
        group = f"({', '.join('?' * len(self._names))})"
        head, _, tail = sql.partition(group)
        remaining = iter(rows)
        while chunk := list(islice(remaining, ROWS_AT_ONCE)):
            yield head + ", ".join([group] * len(chunk)) + tail, list(chain.from_iterable(chunk))

    def arrays(self, rows: Sequence[Row]) -> tuple[str, dict[str, object]]:
        """For PostgreSQL: the text, and one array for each column, sent in binary (a tenth of the work of text)."""
        compiled = self._by_array.on("postgresql")
        columns = zip(*rows, strict=True)
        return compiled.sql.replace(")s AS ", ")b AS "), compiled.named(
            dict(zip(self._names, map(list, columns), strict=True))
        )


ROWS_AT_ONCE = 500
_NEW = "new_"
_ONE: ColumnElement[int] = literal_column("1", Integer)


def bulk_insert(table: Table, names: Sequence[str] = ()) -> Bulk:
    """Add rows of `table` (all columns, or those of `names`), in order."""
    columns = [table.c[name] for name in names] or list(table.c)
    by_marks = insert(table).values({c: bindparam(_NEW + c.name) for c in columns})
    source = _unnested(columns)
    wanted = select(*(source.c[c.name] for c in columns)).order_by(source.c.position_in_array)
    return Bulk([c.name for c in columns], by_marks, insert(table).from_select(columns, wanted))


def bulk_upsert(table: Table) -> Bulk:
    """Add rows of `table`, or replace those that have the same key. Keys must not repeat within one call."""
    keys = list(table.primary_key)
    by_marks = sqlite.insert(table).values({c: bindparam(_NEW + c.name) for c in table.c})
    source = _unnested(list(table.c))
    wanted = select(*(source.c[c.name] for c in table.c)).order_by(source.c.position_in_array)
    by_array = postgresql.insert(table).from_select(list(table.c), wanted)
    return Bulk(
        [c.name for c in table.c],
        by_marks.on_conflict_do_update(index_elements=keys, set_=_others(by_marks.excluded, table)),
        by_array.on_conflict_do_update(index_elements=keys, set_=_others(by_array.excluded, table)),
    )


def bulk_save(table: Table, changing: Sequence[str]) -> Bulk:
    """Set the columns `changing` of rows whose stored version is one less than the given; others are not touched."""
    columns = list(table.c)
    return Bulk(
        [c.name for c in columns],
        _save_from(table, changing, _marked(columns)),
        _save_from(table, changing, _unnested(columns)),
    )


def _save_from(table: Table, changing: Sequence[str], given: Any) -> ClauseElement:
    return (
        update(table)
        .values({name: given.c[name] for name in changing})
        .where(table.c.id == given.c.id, table.c.version == given.c.version - _ONE)
    )


def _others(excluded: Mapping[str, Any] | Any, table: Table) -> dict[str, Any]:
    return {c.name: excluded[c.name] for c in table.c if not c.primary_key}


def _unnested(columns: Sequence[Column[Any]]) -> Any:
    """The arrays given for `columns` as a table, with the place of each row."""
    arrays = [cast(bindparam(_NEW + c.name), postgresql.ARRAY(_element(c))) for c in columns]
    names = [column(c.name, c.type) for c in columns]
    return func.unnest(*arrays).table_valued(*names, with_ordinality="position_in_array").render_derived(name="given")


def _element(source: Column[Any]) -> Any:
    """The column's type; a collation has no place in a cast."""
    return Text() if isinstance(source.type, Text) else source.type


def _marked(columns: Sequence[Column[Any]]) -> Any:
    """One row of `?` marks for `columns` as a table, which `Bulk.marks` makes many."""
    marks = text(f"(VALUES ({', '.join(':' + _NEW + c.name for c in columns)}))")
    named = [literal_column(f"column{n}", c.type).label(c.name) for n, c in enumerate(columns, 1)]
    return select(*named).select_from(marks).subquery("given")
