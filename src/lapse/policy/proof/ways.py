"""How two policies may approve the same request otherwise, beside figures: in another order, with other exceptions.

That depends on the offers that are chosen and on the limits that bind. `differ` is true wherever terms can differ so;
it may be true where they do not, and the evaluator tells. Called by `diff`.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass

from lapse.domain.terms import Stage
from lapse.policy.proof.logic import Formula, any_of, both, no
from lapse.policy.proof.rules import LimitModel, Who
from lapse.policy.proof.sides import Side
from lapse.policy.rules import Policy


@dataclass(frozen=True)
class Ways:
    """Two policies about one request; `changed` are the rules that are not the same in both, by identity."""

    old: Side
    new: Side
    changed: Collection[int]

    @property
    def staged(self) -> list[LimitModel]:
        """The limits that can have a part in how a request is approved."""
        return [*self.old.staged, *self.new.staged]

    def differ(self) -> Formula:
        """The terms may differ in something besides figures."""
        return any_of([no(self.old.others == self.new.others), *self._by_limits()])

    def _by_limits(self) -> Iterator[Formula]:
        plain = _plain([self.old.policy, self.new.policy])
        for side in (self.old, self.new):
            staged = side.staged
            for place, limit in enumerate(staged):
                if id(limit.limit) in self.changed:
                    later = [one for one in self.staged if id(one.limit) in self.changed and one is not limit]
                    yield from self._by(side, limit, [*staged[place + 1 :], *later], plain)

    def _by(self, side: Side, limit: LimitModel, others: list[LimitModel], plain: Collection[Who]) -> Iterator[Formula]:
        """When this limit, which is not the same in both, can make a difference."""
        if limit.limit.needs.windows:
            yield limit.binds
        for who in _asked(limit):
            if who not in plain:
                yield limit.binds
                continue
            # Where everybody asks these people alike, it only matters who asks them first.
            again = any_of(other.binds for other in others if who in _asked(other))
            yield both(limit.binds, again, no(self._by_offer(side, who)))

    def _by_offer(self, side: Side, who: Who) -> Formula:
        """The offer that is chosen asks these people, before any limit does."""
        offers = [
            offer for offer in side.policy.offers if any(who == frozenset(s.approvers) for s in offer.needs.stages)
        ]
        return any_of(side.chosen(offer) for offer in offers)


def _asked(limit: LimitModel) -> set[Who]:
    return {frozenset(stage.approvers) for stage in limit.limit.needs.stages}


def _plain(policies: list[Policy]) -> set[Who]:
    """Those whom all rules ask in the same way, but for the quorum."""
    ways: dict[Who, set[Hashable]] = {}
    for policy in policies:
        for stage in _stages(policy):
            extras = (stage.everyone, stage.excluded, stage.escalations, stage.remind_after)
            ways.setdefault(frozenset(stage.approvers), set()).add(extras)
    return {who for who, found in ways.items() if len(found) == 1}


def _stages(policy: Policy) -> Iterator[Stage]:
    yield from (stage for offer in policy.offers for stage in offer.needs.stages)
    yield from (stage for limit in policy.limits for stage in limit.needs.stages)
