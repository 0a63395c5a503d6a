"""How the clauses of each framework came out, as the report shows it: one row a framework. Pure; called by `render`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lapse.review.frameworks import Outcome, clause_results, frameworks_in_scope
from lapse.review.model import ReviewResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseRow:
    """One framework: `counts` of its clauses in the order of `Outcome`, and the page of the pack that has them all."""

    title: str
    counts: tuple[tuple[Outcome, int], ...]
    page: str


def clause_rows(result: ReviewResult) -> tuple[ClauseRow, ...]:
    """The frameworks in scope."""
    rows = []
    for framework in frameworks_in_scope(result.scope.frameworks):
        counted = Counter(one.outcome for one in clause_results(result, framework))
        counts = tuple((outcome, counted[outcome]) for outcome in Outcome)
        rows.append(ClauseRow(title=framework.title, counts=counts, page=f"frameworks/{framework.id}/index.html"))
    return tuple(rows)
