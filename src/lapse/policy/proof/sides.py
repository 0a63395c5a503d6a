"""What one policy comes to for a request: which offer is chosen, and the figures of its terms, as unknowns.

The order in which offers are preferred is one number for each (`_cost`), so that a choice among many offers takes as
many formulas as there are offers. Called by `diff` and `findings`.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, replace

from lapse.domain.durations import LONGEST
from lapse.policy.proof.asked import AskedModel, seconds
from lapse.policy.proof.changes import Rule, unnamed
from lapse.policy.proof.conditions import ConditionModel
from lapse.policy.proof.logic import Formula, Number, any_of, both, implies, largest
from lapse.policy.proof.rules import LimitModel, RulesModel, Who
from lapse.policy.proof.solver import Found
from lapse.policy.results import Evaluation, Status
from lapse.policy.rules import Offer, Policy

_LONGEST = seconds(LONGEST)


@dataclass(frozen=True)
class Keys:
    """Numbers for things that are only equal or not, the same on all sides."""

    known: dict[Hashable, int]

    def of(self, thing: Hashable) -> int:
        """The number of `thing`."""
        return self.known.setdefault(thing, len(self.known))


class Side:
    """A policy about a request, called `name` in formulas. The figures say nothing where the request is not allowed."""

    def __init__(self, name: str, policy: Policy, asked: AskedModel, conditions: ConditionModel, keys: Keys) -> None:
        self.name, self.policy = name, policy
        self.rules = RulesModel(policy, asked, conditions)
        self._asked, self._keys = asked, keys
        self.best = self._integer("best")
        self.votes = self._integer("votes")
        self.longest = self._integer("longest")
        self.total = self._integer("total")
        self.way = self._integer("way")
        self.others = self._integer("others")
        self._asks: dict[Who, Number] = {}
        self._places = {offer.name: place for place, offer in enumerate(policy.offers)}

    def _integer(self, what: str) -> Number:
        return self._asked.words.integer(f"{self.name}.{what}")

    @property
    def allowed(self) -> Formula:
        """The policy allows it."""
        return self.rules.allowed

    @property
    def staged(self) -> list[LimitModel]:
        """The limits that can add to how a request is approved."""
        return [limit for limit in self.rules.limits if limit.limit.needs.stages or limit.limit.needs.windows]

    def chosen(self, offer: Offer) -> Formula:
        """`offer` is the one whose terms the request gets, if it is allowed."""
        return both(self.rules.satisfied(offer), self.best == self._cost(offer))

    def asks(self, who: Who) -> Number:
        """How many of `who` must agree."""
        if who not in self._asks:
            self._asks[who] = self._integer(f"asks {self._keys.of(who)}")
        return self._asks[who]

    def parties(self) -> set[Who]:
        """Everybody who may have to agree."""
        rules: list[Rule] = [*self.policy.offers, *self.policy.limits]
        return {frozenset(stage.approvers) for rule in rules for stage in rule.needs.stages}

    def is_as(self, found: Found, answer: Evaluation) -> bool:
        """Whether the evaluator chooses what was found, and the same limits add to how it is approved."""
        offers = [offer for offer in self.policy.offers if offer.name == answer.chosen]
        binding = {limit.name for limit in answer.limits if limit.status is Status.SATISFIED}
        same_limits = all((one.limit.name in binding) == found.true(one.binds) for one in self.staged)
        return same_limits and [self._keys.of(_rest(offer)) for offer in offers] == [found.number(self.others)]

    def meaning(self) -> Iterator[Formula]:
        """What the unknowns mean. To be said once all that is wanted of this side was asked for."""
        offers = self.policy.offers
        satisfied = [self.rules.satisfied(offer) for offer in offers]
        costs = [self._cost(offer) for offer in offers]
        for fits, cost in zip(satisfied, costs, strict=True):
            yield implies(fits, self.best <= cost)
        some = any_of(both(fits, self.best == cost) for fits, cost in zip(satisfied, costs, strict=True))
        yield implies(self.allowed, some)
        for offer in offers:
            yield implies(self.chosen(offer), self._figures(offer))

    def _figures(self, offer: Offer) -> Formula:
        rules, way = self.rules, 0 if offer.post_review is None else 1
        return both(
            self.votes == rules.votes(offer),
            self.longest == rules.longest(offer),
            self.total == rules.longest_total(offer),
            self.way == way,
            self.others == self._keys.of(_rest(offer)),
            *(asks == self._asked_of(who, offer) for who, asks in self._asks.items()),
        )

    def _asked_of(self, who: Who, offer: Offer) -> Number:
        by_offer = max((stage.quorum for stage in offer.needs.stages if frozenset(stage.approvers) == who), default=0)
        return largest(by_offer, self.rules.quorums.get(who, 0))

    def _cost(self, offer: Offer) -> Number:
        """The smaller, the more it is preferred: fewest votes, no break-glass, the longest time, the first."""
        place, count = self._places[offer.name], len(self._places)
        people = self.rules.votes(offer) * 2 + (0 if offer.post_review is None else 1)
        return (people * (_LONGEST + 1) + (_LONGEST - self.rules.longest(offer))) * count + place


def _rest(offer: Offer) -> Hashable:
    """All that its terms have besides figures."""
    stages = tuple(replace(stage, quorum=1) for stage in unnamed(offer.needs.stages))
    return (
        stages,
        offer.in_parallel and len(stages) > 1,
        offer.post_review,
        offer.purpose,
        offer.pending_timeout,
        offer.needs.windows,
    )
