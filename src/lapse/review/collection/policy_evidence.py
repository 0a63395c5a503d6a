"""What the policy in force comes to over all requests, as evidence: rules without effect, access without approval.

Needs the solver. Without it the tables stay absent, and what was not decided in time is a gap in them: then what
detectors do not find was not assessed. Whether there are enough approvers is counted. Called before `collect`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from lapse.domain.catalog import Catalog
from lapse.policy import parse
from lapse.policy.proof.outcomes import HOW_TO_INSTALL, installed
from lapse.policy.quorums import QuorumReach, eligible, quorum_reaches
from lapse.policy.rules import Policy
from lapse.ports import PolicyVersion
from lapse.review.collection.rows import Row, joined

EFFECTS, PATHS, QUORUMS, ELIGIBLE = "rule_effects", "approval_paths", "quorums", "eligibilities"
MOST_ELIGIBLE = 2_000_000
"""Rows of `eligibilities`; beyond them the rest is a gap."""
TIME_FOR_IT = 120.0
"""Seconds for each table, after which the rest of it is not known."""


@dataclass(frozen=True)
class PolicyEvidence:
    """Rows by table; `gaps` say what of a table is not known, `problems` why a table is not there."""

    tables: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    gaps: Mapping[str, Sequence[str]] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


def policy_evidence(version: PolicyVersion | None, catalog: Catalog, clock: Callable[[], float]) -> PolicyEvidence:
    """All that can be said of the policy `version` (None: none is in force) and `catalog`. `clock` counts seconds.

    Raises:
        InvalidInput: the stored policy cannot be read; the store holds only policies that could.
    """
    if version is None:
        return PolicyEvidence(tables={EFFECTS: (), PATHS: (), QUORUMS: (), ELIGIBLE: ()})
    policy, name = parse(version.files), {"policy_version": version.version}
    tables: dict[str, list[Row]] = {QUORUMS: [name | quorum_row(one) for one in quorum_reaches(policy, catalog)]}
    if not installed():
        why = f"the solver is not installed (`{HOW_TO_INSTALL}`)"
        return _with_eligible(policy, catalog, tables, dict.fromkeys((EFFECTS, PATHS), why))
    tables[EFFECTS] = [name | row for row in _effect_rows(policy, clock)]
    tables[PATHS] = [name | row for row in _path_rows(policy, catalog, clock)]
    return _with_eligible(policy, catalog, tables, {})


def _with_eligible(
    policy: Policy, catalog: Catalog, tables: Mapping[str, Sequence[Row]], problems: Mapping[str, str]
) -> PolicyEvidence:
    rows = list(islice(_eligible_rows(policy, catalog), MOST_ELIGIBLE + 1))
    gaps = _gaps(tables)
    if len(rows) > MOST_ELIGIBLE:
        gaps[ELIGIBLE] = [f"more than {MOST_ELIGIBLE} pairs of person and entitlement, the rest was left out"]
    return PolicyEvidence({**tables, ELIGIBLE: rows[:MOST_ELIGIBLE]}, gaps, problems)


def _eligible_rows(policy: Policy, catalog: Catalog) -> Iterator[Row]:
    for offer, entitlement, names in eligible(policy, catalog):
        for name in names:
            yield {
                "principal": name,
                "entitlement": entitlement.name,
                "resource": entitlement.resource,
                "offer": offer.name,
            }


def _effect_rows(policy: Policy, clock: Callable[[], float]) -> Iterator[Row]:
    from lapse.policy.proof.findings import effects

    kinds = {offer.name: "offer" for offer in policy.offers} | {limit.name: "limit" for limit in policy.limits}
    for rule, effect in effects(policy, clock=clock, timeout=TIME_FOR_IT):
        yield {
            "rule": rule.name,
            "kind": kinds[rule.name],
            "decisive": effect.decisive,
            "detail": effect.detail or None,
            "file": rule.file,
            "line": rule.line,
        }


def _path_rows(policy: Policy, catalog: Catalog, clock: Callable[[], float]) -> Iterator[Row]:
    from lapse.policy.proof.paths import approval_paths

    for path in approval_paths(policy, catalog, clock=clock, timeout=TIME_FOR_IT):
        entitlement = catalog.entitlement(path.entitlement)
        resource = catalog.resource(entitlement.resource)
        tags = (*resource.tags.items(), *entitlement.tags.items())
        yield {
            "entitlement": path.entitlement,
            "resource": resource.name,
            "role": entitlement.role,
            "tags": joined(tuple(sorted({f"{key}={value}" for key, value in tags}))),
            "unattended": path.unattended,
            "offer": path.offer or None,
            "detail": path.detail or None,
        }


def quorum_row(reach: QuorumReach) -> Row:
    """Whether those who may ask for one entitlement by one offer could get enough approvals."""
    return {
        "offer": reach.offer,
        "entitlement": reach.entitlement,
        "resource": reach.entitlement.partition("/")[0],
        "needed": reach.needed,
        "candidates": reach.candidates,
        "stuck": reach.stuck,
        "example": reach.example or None,
        "possible": reach.possible if reach.example else None,
    }


_DECIDED = {
    EFFECTS: ("decisive", "rule", "whether `{}` ever decides anything is not known: {}"),
    PATHS: ("unattended", "entitlement", "whether `{}` can be had with nobody deciding is not known: {}"),
    QUORUMS: ("stuck", "entitlement", "whether there are approvers enough for `{}` depends on who is on call"),
}


def _gaps(tables: Mapping[str, Sequence[Row]]) -> dict[str, list[str]]:
    """What rows do not know is a gap of their table."""
    found: dict[str, list[str]] = {}
    for table, rows in tables.items():
        column, about, words = _DECIDED[table]
        open_rows = [row for row in rows if row[column] is None]
        found[table] = [words.format(row[about], row.get("detail")) for row in open_rows]
    return {table: gaps for table, gaps in found.items() if gaps}
