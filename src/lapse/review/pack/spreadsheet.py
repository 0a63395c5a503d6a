"""CSV that no spreadsheet executes: cells that would start a formula begin with `'`, and nothing is lost.

Called when a pack is sealed and by exports. Every field is quoted, lines end with CRLF (RFC 4180), UTF-8.
`plain_cell(safe_cell(text)) == text` for every text.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence

from lapse.domain.data import Json, to_data
from lapse.domain.reviews import Finding, Item

_STARTS_FORMULA = tuple("=+-@\t\r\n|%＝＋－＠")  # noqa: RUF001  spreadsheets read the wide forms as well
_GUARD = "'"

FINDING_COLUMNS = (
    "severity", "confidence", "detector", "title", "subject", "resource", "principal", "summary", "would_clear",
    "remediation", "coverage", "clauses", "evidence", "fingerprint", "detector_version",
)  # fmt: skip
ITEM_COLUMNS = (
    "risk", "resource", "account", "principal", "role", "holding", "since", "ends_at", "usage", "usage_coverage",
    "last_used", "purpose", "recommendation", "recommendation_reason", "decision", "decided_by", "decided_at",
    "decision_reason", "carried_out_at", "outcome", "grant_id", "findings", "id", "review_id",
)  # fmt: skip


def safe_cell(text: str) -> str:
    """`text` as a cell that is shown and not executed; what already begins with `'` gets one more."""
    guarded = text.startswith(_GUARD) or text.lstrip(" \u00a0").startswith(_STARTS_FORMULA)
    return _GUARD + text if guarded else text


def plain_cell(cell: str) -> str:
    """What `safe_cell` was given."""
    return cell.removeprefix(_GUARD)


def findings_csv(findings: Iterable[Finding]) -> bytes:
    """A row for each finding."""
    return _table(FINDING_COLUMNS, (to_data(finding) for finding in findings))


def items_csv(items: Iterable[Item]) -> bytes:
    """A row for each item."""
    return _table(ITEM_COLUMNS, (to_data(item) for item in items))


def _table(columns: Sequence[str], rows: Iterable[Json]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        if isinstance(row, Mapping):
            writer.writerow([_cell(row.get(column)) for column in columns])
    return text.getvalue().encode("utf-8", "backslashreplace")


def _cell(value: Json) -> str:
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return str(value)
    if isinstance(value, str):
        return safe_cell(value)
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return safe_cell("; ".join(str(part) for part in value))
    return safe_cell(json.dumps(value, ensure_ascii=False, sort_keys=True))
