"""What is allowed in a policy and probably not meant, seen together with a catalog.

Warnings, never errors: a policy may be written before the group it names.
Called by `lapse policy check` where a catalog is at hand.
"""

from __future__ import annotations

from collections.abc import Iterator

from lapse.domain.catalog import Catalog
from lapse.domain.terms import Stage
from lapse.policy.patterns import ANYONE
from lapse.policy.problems import Problem, nearest
from lapse.policy.rules import Limit, Offer, Policy


def lint(policy: Policy, catalog: Catalog) -> tuple[Problem, ...]:
    """Warnings in order of the rules: names that nobody has, patterns that match nothing, quorums out of reach."""
    rules: tuple[Offer | Limit, ...] = (*policy.offers, *policy.limits)
    return tuple(warning for rule in rules for warning in _warnings(rule, catalog))


def _warnings(rule: Offer | Limit, catalog: Catalog) -> Iterator[Problem]:
    for party in (*rule.selector.to, *rule.selector.asked_by):
        yield from _unknown_party(rule, party, catalog)
    yield from _empty_patterns(rule, catalog)
    for stage in rule.needs.stages:
        for party in stage.approvers:
            if party not in {"owner", "manager"}:
                yield from _unknown_party(rule, party, catalog)
        yield from _unreachable(rule, stage, catalog)


def _unknown_party(rule: Offer | Limit, party: str, catalog: Catalog) -> Iterator[Problem]:
    kind, colon, group = party.partition(":")
    if colon and kind == "group" and group not in catalog.groups:
        yield _warning(rule, f"there is no group `{group}` in the catalog", nearest(group, catalog.groups))
    elif not colon and party != ANYONE and party not in catalog.principals:
        yield _warning(rule, f"there is no principal `{party}` in the catalog", nearest(party, catalog.principals))


def _empty_patterns(rule: Offer | Limit, catalog: Catalog) -> Iterator[Problem]:
    for pattern in rule.selector.entitlements:
        if not any(
            pattern.covers(catalog.resources[entitlement.resource], entitlement)
            for entitlement in catalog.entitlements()
        ):
            yield _warning(rule, f"`{pattern.text}` is about no entitlement of the catalog", "check its spelling")


def _unreachable(rule: Offer | Limit, stage: Stage, catalog: Catalog) -> Iterator[Problem]:
    """`owner` and `manager` depend on the request: for a stage with them nothing can be said here."""
    if {"owner", "manager"} & set(stage.approvers):
        return
    people = frozenset[str]().union(*(catalog.persons_in(party) for party in stage.approvers))
    if len(people) < stage.quorum:
        message = f"stage `{stage.name}` needs {stage.quorum} persons, and {len(people)} could decide"
        yield _warning(rule, message, "add people to the groups, or ask for fewer")


def _warning(rule: Offer | Limit, message: str, hint: str) -> Problem:
    return Problem(file=rule.file, line=rule.line, column=1, message=f"`{rule.name}`: {message}", hint=hint)
