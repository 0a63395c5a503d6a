"""The review as one workbook (XLSX, ECMA-376): findings, items, clauses, detectors and the population, a sheet each.

Guarantee: every cell that is not a number is written as text, whatever it begins with, so no spreadsheet takes one for
a formula, also not when it is edited; the same review gives the same bytes. Called when a pack is sealed.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lapse.domain.data import Json
from lapse.review.frameworks import Framework, clause_results
from lapse.review.model import ReviewResult
from lapse.review.pack.spreadsheet import FINDING_COLUMNS, ITEM_COLUMNS, cell_text, fields_of

MOST_ROWS = 10_000
"""Of one sheet; all rows are in the CSV files."""

_LONGEST_CELL = 32_767
_WIDEST, _NARROWEST = 60, 8
_DETECTORS = (
    "detector", "title", "status", "findings", "severity", "confidence", "version", "reason", "missing", "parameters",
    "clauses", "sql_sha256",
)  # fmt: skip
_POPULATION = ("table", "coverage", "rows", "recount", "rejected", "left_out", "source", "gaps", "sha256")
_CLAUSES = ("framework", "clause", "in words of ours", "result", "what that says", "findings", "detectors")
_GRANTS = ("grant_id", "resource", "role", "account", "principal", "state", "starts_at", "ends_at", "task", "ticket",
           "approved_by", "usage", "last_used")  # fmt: skip
_STANDING = ("resource", "account", "principal", "role", "via", "powers", "valid_until", "known_since", "usage",
             "last_used", "reason")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One sheet. `rows` are taken up to `MOST_ROWS`; `total` is how many there are."""

    name: str
    columns: Sequence[str]
    rows: Iterable[Sequence[Json]]
    total: int


def workbook(result: ReviewResult, frameworks: Sequence[Framework], title: str, made_at: datetime) -> bytes:
    """The workbook's bytes."""
    import xlsxwriter

    stored = io.BytesIO()
    book = xlsxwriter.Workbook(stored, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    book.set_properties({"title": cell_text(title)[:200], "created": made_at.astimezone(UTC).replace(tzinfo=None)})
    looks = _Looks(book)
    sheets = list(_sheets(result, frameworks))
    _write(book.add_worksheet("About"), _about(result, title, made_at, sheets), looks)
    for sheet in sheets:
        _write(book.add_worksheet(sheet.name), sheet, looks)
    book.close()
    return stored.getvalue()


class _Looks:
    """The formats of cells: text is marked as text, so that a cell that is edited stays text."""

    def __init__(self, book: Any) -> None:
        self.head = book.add_format({"bold": True, "bottom": 1, "valign": "top"})
        self.text = book.add_format({"valign": "top", "text_wrap": False, "num_format": "@", "quote_prefix": True})
        self.number = book.add_format({"valign": "top"})


def _sheets(result: ReviewResult, frameworks: Sequence[Framework]) -> Iterator[Sheet]:
    tables, manifest = result.audit, result.snapshot.manifest
    yield _sheet("Findings", FINDING_COLUMNS, result.findings)
    yield _sheet("Items", ITEM_COLUMNS, result.items)
    clauses = [
        (f.title, one.clause.id, one.clause.title, str(one.outcome), one.sentence, len(one.findings),
         ", ".join(one.clause.detectors))
        for f in frameworks for one in clause_results(result, f)
    ]  # fmt: skip
    yield Sheet(name="Clauses", columns=_CLAUSES, rows=clauses, total=len(clauses))
    yield _sheet("Detectors", _DETECTORS, result.runs)
    yield _sheet("Grants in force", _GRANTS, tables.active_grants)
    yield _sheet("Standing access", _STANDING, tables.standing)
    yield _sheet("Population", _POPULATION, manifest.tables)


def _sheet(name: str, columns: Sequence[str], values: Sequence[object]) -> Sheet:
    rows = (fields_of(value, columns) for value in values[:MOST_ROWS])
    return Sheet(name=name, columns=columns, rows=rows, total=len(values))


def _about(result: ReviewResult, title: str, made_at: datetime, sheets: Sequence[Sheet]) -> Sheet:
    period = result.scope.period
    rows: list[Sequence[Json]] = [
        ("Review", title),
        ("Id", result.scope.review_id),
        ("Scope", result.scope.selector),
        ("Period", f"{period.start:%Y-%m-%d} up to {period.end:%Y-%m-%d}, the end not included"),
        ("Made", f"{made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"),
        ("Note", "Every cell is text or a number; nothing in here is a formula. The sealed originals are beside it."),
    ]
    for sheet in sheets:
        shown = f"{sheet.total:,} rows"
        if sheet.total > MOST_ROWS:
            shown += f", the first {MOST_ROWS:,} of them here, all in the CSV files"
        rows.append((f"Sheet {sheet.name}", shown))
    return Sheet(name="About", columns=("what", "value"), rows=rows, total=len(rows))


def _write(page: Any, sheet: Sheet, looks: _Looks) -> None:
    widths = [len(column) for column in sheet.columns]
    for place, column in enumerate(sheet.columns):
        page.write_string(0, place, column.replace("_", " "), looks.head)
    for number, row in enumerate(sheet.rows, start=1):
        for place, value in enumerate(row):
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                page.write_number(number, place, value, looks.number)
                continue
            text = _clean(cell_text(value))
            widths[place] = max(widths[place], min(len(text), _WIDEST))
            page.write_string(number, place, text, looks.text)
    for place, width in enumerate(widths):
        page.set_column(place, place, max(width, _NARROWEST) + 2)
    page.freeze_panes(1, 0)
    if sheet.total and sheet.name != "About":
        page.autofilter(0, 0, min(sheet.total, MOST_ROWS), len(sheet.columns) - 1)


def _clean(text: str) -> str:
    """What XML and a cell can hold: lone surrogates as escapes, and the beginning of what is too long."""
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return safe if len(safe) <= _LONGEST_CELL else safe[: _LONGEST_CELL - 1] + "…"
