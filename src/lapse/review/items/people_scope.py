"""Limits what a review shows to the people in its scope. Called by `validate` and `stages`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from lapse.domain.reviews import Finding
from lapse.ports import Engine
from lapse.review.items.holdings import Holding, holdings
from lapse.review.model import Adjustments, AuditResult, Snapshot, ValidationResult, WorkflowResult
from lapse.review.sql import ask

Stage = TypeVar("Stage", AuditResult, ValidationResult, WorkflowResult, Adjustments)

_NAMES = """
SELECT principal, principal AS party FROM principals
UNION
SELECT principal, person FROM principals WHERE person IS NOT NULL
UNION
SELECT principal, 'group:' || group_name FROM group_members
"""


def people_in_scope(engine: Engine, snapshot: Snapshot) -> frozenset[str] | None:
    """The principals that the review is about, under all their names; None if it is about everybody."""
    wanted = snapshot.manifest.scope.people
    if not wanted:
        return None
    named: dict[str, set[str]] = {}
    for row in ask(engine, snapshot, _NAMES, ["principals", "group_members"]):
        named.setdefault(row["principal"], {row["principal"]}).add(row["party"])
    return frozenset(name for name, parties in named.items() if all(parties & set(term) for term in wanted))


def held_in_scope(engine: Engine, snapshot: Snapshot) -> list[Holding]:
    """Every holding of the people in scope; what nobody known holds is left out where the scope names people."""
    people, held = people_in_scope(engine, snapshot), holdings(engine, snapshot)
    return held if people is None else [one for one in held if one.principal in people]


def about_people(stage: Stage, people: frozenset[str] | None) -> Stage:
    """`stage` with the findings about `people`, and those that are about nobody in particular."""
    if people is None:
        return stage
    return replace(stage, findings=tuple(about(stage.findings, people)))


def about(findings: Iterable[Finding], people: frozenset[str]) -> Iterable[Finding]:
    """Those of `findings` that are about `people`, or about nobody in particular."""
    return (finding for finding in findings if not finding.principal or finding.principal in people)
