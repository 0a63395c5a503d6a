"""A mapping as a value: what was read from its file, checked. Pure; used by everything in `mapping`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lapse.policy.yaml_tree import Place
from lapse.review.evidence import TABLES
from lapse.review.evidence.columns import TEXT, TIME, Column, Kind, Table
from lapse.review.evidence.shared import ACCOUNT, RESOURCE, must
from lapse.review.sources.mapping.paths import Path
from lapse.review.sources.mapping.values import Way

CHANGES = Table(
    "access_changes",
    "Single events that gave or took access; they are put together to `access_periods`.",
    (
        RESOURCE,
        ACCOUNT,
        must("role", TEXT, "native role that was given or taken"),
        must("change", TEXT, "`given` or `taken`"),
        must("happened_at", TIME, "when"),
        Column("changed_by", TEXT, "who did it"),
    ),
)
MAPPABLE: Mapping[str, Table] = {
    **{name: table for name, table in TABLES.items() if not table.derived},
    CHANGES.name: CHANGES,
}
"""The tables that a mapping may fill."""


@dataclass(frozen=True, slots=True)
class Cell:
    """Where a column's value comes from: the first of `paths` that has one, all of them joined, or always `value`.

    `words` replaces texts by others; what is not among them is `default`, as is a value that is not there. `place` is
    where the mapping says how to read it.
    """

    paths: tuple[Path, ...] = ()
    joined_with: str | None = None
    value: Any = None
    way: Way = field(default_factory=lambda: Way("text"))
    words: Mapping[str, str] | None = None
    default: Any = None
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Test:
    """What must hold of the value at `path`: that it is there or not, or is one of `texts` or none of them."""

    path: Path
    exists: bool | None = None
    texts: frozenset[str] | None = None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """One way to make rows of a table: of which records, from which items of them, from which fields."""

    table: Table
    cells: Mapping[str, Cell]
    kinds: Mapping[str, Kind]
    tests: tuple[Test, ...] = ()
    items: Path | None = None
    person: Path | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """Records that are sound and no evidence, and why."""

    tests: tuple[Test, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMapping:
    """A whole mapping."""

    rules: tuple[Rule, ...]
    skips: tuple[Skip, ...] = ()
    identity: tuple[Path, ...] = ()
    records: Path | None = None
    format: str = ""
    delimiter: str = ","

    @property
    def tables(self) -> tuple[str, ...]:
        """The evidence tables that it fills."""
        names = ("access_periods" if rule.table is CHANGES else rule.table.name for rule in self.rules)
        return tuple(dict.fromkeys(names))
