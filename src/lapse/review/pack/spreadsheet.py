"""CSV that no spreadsheet executes: cells that would start a formula begin with `'`, and nothing is lost.

Called when a pack is sealed and by exports. Every field is quoted, lines end with CRLF (RFC 4180), UTF-8.
`plain_cell(safe_cell(text)) == text` for every text.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence

from lapse.domain.data import Json, to_data
from lapse.domain.reviews import Finding, Item

_STARTS_FORMULA = tuple("=+-@\t\r\n|%＝＋－＠")  # noqa: RUF001  spreadsheets read the wide forms as well
_GUARD = "'"
_PIECE = 1 << 20

FINDING_COLUMNS = (
    "severity", "confidence", "detector", "title", "subject", "resource", "principal", "summary", "would_clear",
    "remediation", "coverage", "clauses", "state", "first_found", "evidence", "fingerprint", "detector_version",
)  # fmt: skip
ITEM_COLUMNS = (
    "risk", "resource", "account", "principal", "role", "holding", "since", "ends_at", "usage", "usage_coverage",
    "last_used", "purpose", "recommendation", "recommendation_reason", "decision", "decided_by", "decided_at",
    "decision_reason", "until", "narrow_to", "by_default", "carried_out_at", "outcome", "grant_id", "findings", "id",
    "review_id",
)  # fmt: skip


def safe_cell(text: str) -> str:
    """`text` as a cell that is shown and not executed; what already begins with `'` gets one more."""
    guarded = text.startswith(_GUARD) or text.lstrip(" \u00a0").startswith(_STARTS_FORMULA)
    return _GUARD + text if guarded else text


def plain_cell(cell: str) -> str:
    """What `safe_cell` was given."""
    return cell.removeprefix(_GUARD)


def findings_csv(findings: Iterable[Finding]) -> Iterator[bytes]:
    """A row for each finding."""
    return rows_csv(FINDING_COLUMNS, (fields_of(finding, FINDING_COLUMNS) for finding in findings))


def items_csv(items: Iterable[Item]) -> Iterator[bytes]:
    """A row for each item."""
    return rows_csv(ITEM_COLUMNS, (fields_of(item, ITEM_COLUMNS) for item in items))


def rows_csv(columns: Sequence[str], rows: Iterable[Iterable[Json]]) -> Iterator[bytes]:
    """A table, piece by piece: the header, then the rows."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell_text(v) if isinstance(v, (int, float)) else safe_cell(cell_text(v)) for v in row])
        if text.tell() > _PIECE:
            yield text.getvalue().encode("utf-8", "backslashreplace")
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode("utf-8", "backslashreplace")


def fields_of(value: object, columns: Sequence[str]) -> list[Json]:
    """The values of a finding, an item or another value in the order of `columns`; what it lacks is null."""
    return [to_data(getattr(value, column, None)) for column in columns]


def cell_text(value: Json) -> str:
    """A value as the text of a cell, not guarded yet: nothing for null, lists joined, other structures as JSON."""
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "; ".join(str(part) for part in value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
