"""What a policy can give at most, without any question asked: for the review's detectors and for people.

These are bounds over all questions an offer could satisfy; a limit that binds only some of them is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from lapse.domain.catalog import Catalog
from lapse.domain.resources import Entitlement
from lapse.policy.rules import Limit, Needs, Offer, Policy, Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferFacts:
    """One offer, by itself: `approvals` is the least number of distinct persons who must say yes."""

    name: str
    file: str
    line: int
    entitlements: tuple[str, ...]
    to: tuple[str, ...]
    max_duration: timedelta
    max_total: timedelta
    approvals: int
    auto_approve: bool
    has_windows: bool
    needs_ticket: bool
    needs_justification: bool
    condition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What an offer comes to for one entitlement, with the limits that bind everybody there at all times."""

    offer: str
    entitlement: str
    max_duration: timedelta
    max_total: timedelta
    approvals: int


def offer_facts(policy: Policy) -> tuple[OfferFacts, ...]:
    """The facts of every offer, in order."""
    return tuple(_facts(offer) for offer in policy.offers)


def reaches(policy: Policy, catalog: Catalog) -> tuple[Reach, ...]:
    """Which entitlements of `catalog` each offer is about, and on what terms.

    An offer without `entitlements` (only `when`) may be about any, so it is listed for all of them.
    """
    return tuple(
        _reach(offer, entitlement, policy, catalog)
        for offer in policy.offers
        for entitlement in catalog.entitlements()
        if selects(offer.selector, entitlement, catalog)
    )


def _facts(offer: Offer) -> OfferFacts:
    selector, needs = offer.selector, offer.needs
    longest, total = _bounds([needs])
    return OfferFacts(
        name=offer.name,
        file=offer.file,
        line=offer.line,
        entitlements=tuple(pattern.text for pattern in selector.entitlements),
        to=selector.to,
        max_duration=longest,
        max_total=total,
        approvals=sum(stage.quorum for stage in needs.stages),
        auto_approve=offer.auto_approve,
        has_windows=bool(needs.windows),
        needs_ticket=needs.ticket is not None,
        needs_justification=needs.justification is not None,
        condition=selector.when.text if selector.when else "",
    )


def _reach(offer: Offer, entitlement: Entitlement, policy: Policy, catalog: Catalog) -> Reach:
    always = [limit.needs for limit in always_binding(offer, entitlement, policy, catalog)]
    longest, total = _bounds([offer.needs, *always])
    quorums: dict[frozenset[str], int] = {}
    for needs in (offer.needs, *always):
        for stage in needs.stages:
            who = frozenset(stage.approvers)
            quorums[who] = max(quorums.get(who, 0), stage.quorum)
    return Reach(
        offer=offer.name,
        entitlement=entitlement.name,
        max_duration=longest,
        max_total=total,
        approvals=sum(quorums.values()),
    )


def always_binding(offer: Offer, entitlement: Entitlement, policy: Policy, catalog: Catalog) -> Iterator[Limit]:
    """The limits that bind whoever takes up `offer` of `entitlement`, at any time."""
    for limit in policy.limits:
        selector = limit.selector
        everybody = not selector.to and selector.when is None
        kinds = not selector.kinds or set(offer.selector.kinds) <= set(selector.kinds)
        if everybody and kinds and selects(selector, entitlement, catalog):
            yield limit


def _bounds(needs: list[Needs]) -> tuple[timedelta, timedelta]:
    totals = [need.max_total for need in needs if need.max_total is not None]
    longest = [need.max_duration for need in needs if need.max_duration is not None]
    return min([*longest, *totals]), min(totals)


def selects(selector: Selector, entitlement: Entitlement, catalog: Catalog) -> bool:
    """Whether a rule is about this entitlement."""
    if not selector.entitlements:
        return True
    resource = catalog.resources[entitlement.resource]
    return any(pattern.covers(resource, entitlement) for pattern in selector.entitlements)
