"""Offers and limits as formulas over a request of which nothing is known: when each is satisfied, and what follows.

`RulesModel` mirrors `evaluator.evaluate`; a property test compares the two. Several policies can speak of the same
request (`AskedModel`), which is how two of them are compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property, partial

from lapse.domain.durations import LONGEST
from lapse.policy.checks import need_checks
from lapse.policy.frequency import break_glass_check, rate_check
from lapse.policy.patterns import ANYONE, Pattern
from lapse.policy.proof.asked import AskedModel, PrincipalModel, seconds
from lapse.policy.proof.cel_values import Truth
from lapse.policy.proof.conditions import ConditionModel
from lapse.policy.proof.logic import (
    Formula,
    Number,
    all_of,
    any_of,
    both,
    choose,
    either,
    largest,
    no,
    smallest,
)
from lapse.policy.proof.texts import at_least_long_stripped, exactly, spelled, wildcard
from lapse.policy.results import Status
from lapse.policy.rules import Budget, JustificationNeed, Limit, Needs, Offer, Policy, Selector, TicketNeed
from lapse.policy.values import Ask, TicketStatus
from lapse.policy.windows import Window

Who = frozenset[str]


@dataclass(frozen=True)
class LimitModel:
    """A limit: `selects` the request, `denies` it, or `binds` it (it is selected and meets what is needed)."""

    limit: Limit
    selects: Formula
    denies: Formula
    binds: Formula


class RulesModel:
    """The rules of one policy about one request. `limits` are those that count, all of the policy if left out.

    Attributes are made when they are first asked for, so that only rules that matter cost anything. Once all that is
    wanted was asked for, `conditions.finish()` completes the formulas.
    """

    def __init__(
        self, policy: Policy, asked: AskedModel, conditions: ConditionModel, limits: Sequence[Limit] | None = None
    ) -> None:
        self.policy = policy
        self.asked = asked
        self.conditions = conditions
        self._limits_that_count = policy.limits if limits is None else limits
        self._limits: list[LimitModel] | None = None
        self._satisfied: dict[str, Formula] = {}
        self._votes: dict[str, Number] = {}
        self._quorums: dict[Who, Number] | None = None

    @property
    def limits(self) -> list[LimitModel]:
        """Every limit."""
        if self._limits is None:
            self._limits = [self._limit(limit) for limit in self._limits_that_count]
        return self._limits

    @cached_property
    def sound(self) -> Formula:
        """What holds of every question that is looked at at all: the time asked for makes sense."""
        asked = self.asked
        return both(asked.duration > 0, asked.duration <= seconds(LONGEST), asked.total >= asked.duration)

    @cached_property
    def denied(self) -> Formula:
        """Some limit denies it."""
        return any_of(limit.denies for limit in self.limits)

    @property
    def allowed(self) -> Formula:
        """The policy allows it."""
        return both(self.sound, no(self.denied), any_of(map(self.satisfied, self.policy.offers)))

    def fits(self, offer: Offer) -> Formula:
        """`offer` is satisfied and no limit denies: its terms could be those of the request."""
        return both(self.sound, no(self.denied), self.satisfied(offer))

    def chosen(self, offer: Offer) -> Formula:
        """`offer` is the one whose terms the request gets."""
        return both(self.fits(offer), *(no(self._before(other, offer)) for other in self.policy.offers))

    def satisfied(self, offer: Offer) -> Formula:
        """`offer` fits, whatever the limits say."""
        if offer.name not in self._satisfied:
            self._satisfied[offer.name] = self._offer(offer)
        return self._satisfied[offer.name]

    def votes(self, offer: Offer) -> Number:
        """How many distinct persons must agree, if `offer` is chosen: stages that ask the same people are one."""
        if offer.name not in self._votes:
            self._votes[offer.name] = self._by_limits + self._by_itself(offer)
        return self._votes[offer.name]

    @cached_property
    def _by_limits(self) -> Number:
        return sum(self.quorums.values())

    def _by_itself(self, offer: Offer) -> Number:
        """How many more than the limits ask for."""
        more: Number = 0
        for stage in offer.needs.stages:
            by_limits = self.quorums.get(frozenset(stage.approvers), 0)
            more += largest(stage.quorum, by_limits) - by_limits
        return more

    @property
    def quorums(self) -> dict[Who, Number]:
        """How many of which people the limits that bind ask for."""
        if self._quorums is None:
            self._quorums = {}
            for limit in self.limits:
                for stage in limit.limit.needs.stages:
                    who = frozenset(stage.approvers)
                    asked = choose(limit.binds, stage.quorum, 0)
                    self._quorums[who] = largest(self._quorums[who], asked) if who in self._quorums else asked
        return self._quorums

    def longest(self, offer: Offer) -> Number:
        """`max_duration` of the terms, in seconds, if `offer` is chosen."""
        return self._least(offer, ("max_duration", "max_total"))

    def longest_total(self, offer: Offer) -> Number:
        """`max_total` of the terms, in seconds, if `offer` is chosen."""
        return self._least(offer, ("max_total",))

    def _least(self, offer: Offer, names: Sequence[str]) -> Number:
        least: Number = min(seconds(getattr(offer.needs, name)) for name in names)
        for limit in self.limits:
            for name in names:
                value: timedelta | None = getattr(limit.limit.needs, name)
                if value is not None:
                    least = choose(limit.binds, smallest(least, seconds(value)), least)
        return least

    def _before(self, other: Offer, offer: Offer) -> Formula:
        """`other` fits and asks less of people, lasts longer, or stands first."""
        if other is offer:
            return False
        more, most = self.votes(other), self.votes(offer)
        longer, long = self.longest(other), self.longest(offer)
        first = self.policy.offers.index(other) < self.policy.offers.index(offer)
        longest = either(longer > long, both(longer == long, first))
        other_first, offer_first = other.post_review is None, offer.post_review is None
        quieter = longest if other_first == offer_first else other_first
        return both(self.satisfied(other), either(more < most, both(more == most, quieter)))

    def _offer(self, offer: Offer) -> Formula:
        asked, selector = self.asked, offer.selector
        asker = either(asked.for_self, asked.answers, self._one_of(asked.requester, selector.asked_by))
        parts = [
            self.about(selector),
            self._one_of(asked.beneficiary, selector.to),
            self.of_kind(selector),
            asker,
            self.when(selector).yes,
            self.met(offer.needs),
        ]
        if offer.post_review is not None:
            reviewed = asked.look("reviewed", _reviewed)
            parts.append(both(asked.break_glass, reviewed))
        if offer.auto_rate is not None:
            rate = offer.auto_rate
            look = partial(_rate_left, rate, offer.name)
            parts.append(asked.look(f"rate {rate} of {offer.name}", look))
        return all_of(parts)

    def _limit(self, limit: Limit) -> LimitModel:
        selector, asked = limit.selector, self.asked
        bound = any_of(self._touches(principal, selector.to) for principal in asked.principals) if selector.to else True
        about = both(self.about(selector), self.of_kind(selector), bound)
        when = self.when(selector)
        met = False if limit.forbid else self.met(limit.needs)
        return LimitModel(
            limit=limit,
            selects=both(about, either(when.yes, when.error)),
            denies=both(about, either(when.error, both(when.yes, no(met)))),
            binds=both(about, when.yes, met),
        )

    def about(self, selector: Selector) -> Formula:
        """The request is for such an entitlement."""
        return any_of(map(self._covers, selector.entitlements)) if selector.entitlements else True

    def of_kind(self, selector: Selector) -> Formula:
        """The beneficiary is of such a kind."""
        words, kind = self.asked.words, self.asked.beneficiary.text("kind")
        return any_of(words.is_in(kind, exactly(one)) for one in selector.kinds) if selector.kinds else True

    def when(self, selector: Selector) -> Truth:
        """The condition is true of the request, or cannot be evaluated."""
        return Truth(holds=True) if selector.when is None else self.conditions.truth(selector.when.text)

    def benefits(self, parties: Sequence[str]) -> Formula:
        """The beneficiary itself is one of `parties`; anybody if there are none."""
        return self._one_of(self.asked.beneficiary, parties) if parties else True

    def _covers(self, pattern: Pattern) -> Formula:
        asked, is_in = self.asked, self.asked.words.is_in
        if not pattern.tag:
            left, right = wildcard(pattern.left), wildcard(pattern.right)
            return both(is_in(asked.resource("name"), left), is_in(asked.entitlement("role"), right))
        tags, values = (asked.resource_tags, asked.entitlement_tags), wildcard(pattern.right)
        return any_of(both(one.has(pattern.tag), is_in(one.value(pattern.tag), values)) for one in tags)

    def _one_of(self, principal: PrincipalModel, parties: Iterable[str]) -> Formula:
        return any_of(self._is(principal, party, ("groups",)) for party in parties)

    def _touches(self, principal: PrincipalModel, parties: Iterable[str]) -> Formula:
        return any_of(self._is(principal, party, ("groups", "human_groups"), humans=True) for party in parties)

    def _is(self, principal: PrincipalModel, party: str, groups: Sequence[str], *, humans: bool = False) -> Formula:
        words = self.asked.words
        if party == ANYONE:
            return True
        if party.startswith("group:"):
            group = words.written(party[6:])
            return any_of(principal.lists[name].has(group) for name in groups)
        name = words.written(party)
        named = either(words.equal(principal.text("name"), name), words.equal(principal.text("person"), name))
        return either(named, principal.lists["humans"].has(name)) if humans else named

    def met(self, needs: Needs) -> Formula:
        """The request has all that is needed of it (approvals come later)."""
        asked = self.asked
        parts = []
        if needs.max_duration is not None:
            parts.append(asked.duration <= seconds(needs.max_duration))
        if needs.max_total is not None:
            parts.append(asked.total <= seconds(needs.max_total))
        if needs.justification is not None:
            parts.append(self._justified(needs.justification))
        if needs.ticket is not None:
            parts.append(self._ticketed(needs.ticket))
        if needs.windows:
            parts.append(self.within(needs.windows))
        if needs.budget is not None:
            parts.append(self._left_of(needs.budget))
        if needs.cooldown is not None:
            parts.append(self._looked_up(Needs(cooldown=needs.cooldown)))
        if needs.quota is not None:
            parts.append(self._looked_up(Needs(quota=needs.quota)))
        return all_of(parts)

    def within(self, windows: tuple[Window, ...]) -> Formula:
        """All of the access is within `windows`."""
        within = self.asked.windows[windows] = self._looked_up(Needs(windows=windows))
        return within

    def _left_of(self, budget: Budget) -> Formula:
        left = self.asked.budgets[budget] = self._looked_up(Needs(budget=budget))
        return left

    def _looked_up(self, needs: Needs) -> Formula:
        return self.asked.look(f"needs {needs}", partial(_meets, needs))

    def _justified(self, need: JustificationNeed) -> Formula:
        text = self.asked.justification
        parts = [self.asked.words.is_in(text, at_least_long_stripped(need.min_length))]
        if need.real:
            parts.append(self._looked_up(Needs(justification=JustificationNeed(real=True))))
        if need.unlike_last:
            parts.append(self._looked_up(Needs(justification=JustificationNeed(unlike_last=need.unlike_last))))
        return all_of(parts)

    def _ticketed(self, need: TicketNeed) -> Formula:
        asked, is_in = self.asked, self.asked.words.is_in
        parts = [is_in(asked.ticket("number"), at_least_long_stripped(1))]
        if need.systems:
            parts.append(any_of(is_in(asked.ticket("system"), spelled(name)) for name in need.systems))
        if need.checked:
            is_open = asked.look("ticket is open", partial(_ticket_is, TicketStatus.OPEN))
            silent = asked.look("ticket is unreachable", partial(_ticket_is, TicketStatus.UNREACHABLE))
            parts.append(either(is_open, both(silent, need.allow_unreachable)))
        return all_of(parts)


def _meets(needs: Needs, ask: Ask) -> bool:
    return all(check.status is Status.SATISFIED for check in need_checks(needs, ask))


def _reviewed(ask: Ask) -> bool:
    return ask.break_glass and break_glass_check(ask).status is Status.SATISFIED


def _rate_left(rate: object, offer: str, ask: Ask) -> bool:
    return rate_check(rate, offer, ask).status is Status.SATISFIED  # type: ignore[arg-type]


def _ticket_is(status: TicketStatus, ask: Ask) -> bool:
    return ask.ticket_facts is not None and ask.ticket_facts.status is status
