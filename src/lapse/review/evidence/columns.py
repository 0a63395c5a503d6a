"""What an evidence table is made of: columns of four types, with texts, and their Parquet schema.

Used by `evidence`, which declares the tables, and by whatever writes or reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

EVIDENCE_VERSION = 1


class Kind(StrEnum):
    """Types of columns, few enough to exist in every SQL engine. Times are UTC with microseconds."""

    TEXT = "text"
    INT = "int"
    BOOL = "bool"
    TIME = "time"


TEXT, INT, BOOL, TIME = Kind.TEXT, Kind.INT, Kind.BOOL, Kind.TIME


@dataclass(frozen=True, slots=True)
class Column:
    """One column. A `required` one is never null; in the others null is `not known` or `does not apply`."""

    name: str
    kind: Kind
    doc: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One evidence table. `derived` tables are written by a later stage of the review, not collected."""

    name: str
    doc: str
    columns: tuple[Column, ...]
    derived: bool = False

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that must have a value in every row."""
        return tuple(c.name for c in self.columns if c.required)

    def column(self, name: str) -> Column | None:
        """The column called `name`."""
        return next((c for c in self.columns if c.name == name), None)

    def schema(self) -> Any:
        """The pyarrow schema; column and table texts travel in the Parquet file as metadata."""
        import pyarrow as pa

        kinds = {
            Kind.TEXT: pa.string(),
            Kind.INT: pa.int64(),
            Kind.BOOL: pa.bool_(),
            Kind.TIME: pa.timestamp("us", tz="UTC"),
        }
        fields = [
            pa.field(c.name, kinds[c.kind], nullable=not c.required, metadata={"doc": c.doc}) for c in self.columns
        ]
        return pa.schema(fields, metadata={"table": self.name, "evidence_version": str(EVIDENCE_VERSION)})


def tables_markdown(tables: Iterable[Table]) -> str:
    """The text of `docs/evidence.md` for `tables`."""
    lines = [
        f"# Evidence tables, version {EVIDENCE_VERSION}",
        "",
        "What a review collects, what detectors read, and what you can supply as a CSV or Parquet file of the same",
        "name. Generated from the declaration in the code. Times are UTC (RFC 3339 in CSV), `yes` in the third",
        "column marks a value that every row must have, an empty CSV field is null.",
    ]
    for table in tables:
        note = " Written by a later stage of the review where it is not supplied." if table.derived else ""
        lines += ["", f"## {table.name}", "", f"{table.doc}{note}", ""]
        lines += ["| column | type | required | meaning |", "|---|---|---|---|"]
        lines += [f"| {c.name} | {c.kind} | {'yes' if c.required else ''} | {c.doc} |" for c in table.columns]
    return "\n".join(lines) + "\n"
