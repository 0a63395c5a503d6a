"""Which rules two policies have in common, and which of the others could meet which: what a comparison looks at.

A request that no changed rule touches gets the same answer from both policies, so only changed rules need a look, each
with the rules that can concern the same request. Called by `diff` and `findings`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from lapse.domain.terms import Stage
from lapse.policy.proof.relevant import overlap
from lapse.policy.rules import Limit, Offer, Policy, Selector

Rule: TypeAlias = Offer | Limit


@dataclass(frozen=True, slots=True)
class Change:
    """A rule that is not the same in both; None on the side that does not have it."""

    old: Rule | None
    new: Rule | None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.rule.name

    @property
    def rule(self) -> Rule:
        """The new one if there is one."""
        if self.new is not None:
            return self.new
        if self.old is None:  # pragma: no cover  one of the two is always there
            raise ValueError("a change of nothing")
        return self.old

    @property
    def sides(self) -> tuple[Rule, ...]:
        """The versions there are."""
        return tuple(one for one in (self.old, self.new) if one is not None)

    @property
    def about(self) -> tuple[Selector, ...]:
        """What it selects and selected."""
        return tuple(rule.selector for rule in self.sides)

    @property
    def words(self) -> str:
        """What happened to it."""
        kind = "offer" if isinstance(self.rule, Offer) else "limit"
        happened = "added" if self.old is None else "removed" if self.new is None else "changed"
        return f"{kind} `{self.name}` ({happened})"


def changes(old: Policy, new: Policy) -> tuple[Change, ...]:
    """All rules that differ in anything that answers depend on, or stand in another order; limits first."""
    return (*_changes(old.limits, new.limits), *_changes(old.offers, new.offers))


def without_others(policy: Policy, about: Sequence[Selector]) -> Policy:
    """`policy` with only those rules that can concern a request that one of `about` selects."""
    return replace(
        policy,
        offers=tuple(offer for offer in policy.offers if _meets(offer.selector, about)),
        limits=tuple(limit for limit in policy.limits if _meets(limit.selector, about)),
        claims=(),
    )


def _changes(old: Sequence[Rule], new: Sequence[Rule]) -> Iterator[Change]:
    pairs = list(_pairs(old, new))
    same = [(one, other) for one, other in pairs if _meaning(old[one]) == _meaning(new[other])]
    kept = _in_order(same)
    yield from (Change(old[one], new[other]) for one, other in pairs if (one, other) not in kept)
    paired_old, paired_new = {one for one, _ in pairs}, {other for _, other in pairs}
    yield from (Change(rule, None) for place, rule in enumerate(old) if place not in paired_old)
    yield from (Change(None, rule) for place, rule in enumerate(new) if place not in paired_new)


def _pairs(old: Sequence[Rule], new: Sequence[Rule]) -> Iterator[tuple[int, int]]:
    """Rules of the same name; and of the others those that mean the same."""
    places = {rule.name: place for place, rule in enumerate(new)}
    named = [(place, places[rule.name]) for place, rule in enumerate(old) if rule.name in places]
    yield from named
    taken_old, taken_new = {one for one, _ in named}, {other for _, other in named}
    left: dict[Hashable, list[int]] = {}
    for place, rule in enumerate(new):
        if place not in taken_new:
            left.setdefault(_meaning(rule), []).append(place)
    for place, rule in enumerate(old):
        alike = left.get(_meaning(rule)) if place not in taken_old else None
        if alike:
            yield place, alike.pop(0)


def _in_order(pairs: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """As many of `pairs` as can be that stand in the same order on both sides: the first of equals is chosen."""
    ends: list[int] = []
    chains: list[tuple[tuple[int, int], object]] = []
    for pair in sorted(pairs):
        at = bisect_left(ends, pair[1])
        link = (pair, chains[at - 1] if at else None)
        ends[at : at + 1] = [pair[1]]
        chains[at : at + 1] = [link]
    kept, last = set(), chains[-1] if chains else None
    while last is not None:
        pair, last = last  # type: ignore[assignment]
        kept.add(pair)
    return kept


def _meaning(rule: Rule) -> Hashable:
    """All that answers depend on: not what it is called or where it stands, nor how its stages are called."""
    bare = replace(rule, file="", line=0, description="", needs=replace(rule.needs, stages=unnamed(rule.needs.stages)))
    if isinstance(bare, Limit):
        return replace(bare, name="", forbid="forbidden" if bare.forbid else "")
    # How often an offer was used is counted by its name.
    return bare if bare.auto_rate is not None else replace(bare, name="")


def unnamed(stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """The stages, whatever they are called."""
    return tuple(replace(stage, name="") for stage in stages)


def _meets(selector: Selector, others: Iterable[Selector]) -> bool:
    return any(overlap(selector, other) for other in others)
