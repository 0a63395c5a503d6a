"""Which rules can matter to a claim at all: those about something that it is about. Used by `decide`, `changes`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from lapse.policy.patterns import Pattern
from lapse.policy.proof.texts import NAMES, disjoint, wildcard
from lapse.policy.rules import Policy, Selector


def relevant(policy: Policy, about: Selector) -> tuple[str, ...]:
    """The names of the offers and limits that may concern something that `about` selects."""
    offers = [offer for offer in policy.offers if overlap(about, offer.selector)]
    limits = [limit for limit in policy.limits if overlap(about, limit.selector)]
    return (*(offer.name for offer in offers), *(limit.name for limit in limits))


def overlap(one: Selector, other: Selector) -> bool:
    """Whether a request could concern both, as far as kinds and names of entitlements tell."""
    if one.kinds and other.kinds and not set(one.kinds) & set(other.kinds):
        return False
    return not one.entitlements or not other.entitlements or _patterns_overlap(one.entitlements, other.entitlements)


def _patterns_overlap(ours: Sequence[Pattern], theirs: Sequence[Pattern]) -> bool:
    """Tags exclude nothing: a resource and an entitlement can have the same one with different values."""
    return any(
        left.tag or right.tag or not (_disjoint(left.left, right.left) or _disjoint(left.right, right.right))
        for left in ours
        for right in theirs
    )


@lru_cache(maxsize=65536)
def _disjoint(one: str, other: str) -> bool:
    return disjoint(wildcard(one), wildcard(other), NAMES)
