"""The answers of a policy to very many recorded questions: each is evaluated once, and its equals get the same.

Two questions are the same if they agree in everything that a rule which may concern them looks at. Who asks for what
comes down to which rules that are, and how their conditions come out; the rest is in `features`. The evaluator is the
only judge. Called by `replay`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from lapse.domain.terms import Terms
from lapse.policy.checks import asked_by
from lapse.policy.evaluator import decide, evaluate
from lapse.policy.features import Feature, Look, looks_back, need_features, sane
from lapse.policy.outcomes import Outcomes
from lapse.policy.recorded import AskReader, RecordedAsk, Whole, looked_back
from lapse.policy.results import Evaluation, RuleResult, Status
from lapse.policy.rules import Limit, Offer, Policy
from lapse.policy.values import Ask

Key = tuple[object, ...]
Rule = Offer | Limit

MOST_KEPT = 200_000
"""Answers kept at a time; beyond that all are forgotten, and evaluated again when they come back."""

MOST_PAIRS = 50_000
"""Pairs of people and entitlements known at a time."""

_SHORTENING = frozenset({"max_duration", "max_total"})
_ABOUT_FACTS = frozenset(
    {"budget", "cooldown", "quota", "pending", "auto_approve", "break_glass", "justification", "ticket"}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the policy says: its `terms`, or none; `shorter` is the longest time it would allow instead, if any.

    With `lacking` it cannot be said: a rule needs facts nobody recorded. Pending time-outs are those of the first of
    equal questions. `effects` is where `replay` remembers what the answer comes to for terms it has seen.
    """

    terms: Terms | None
    shorter: timedelta | None = None
    lacking: bool = False
    effects: dict[int, tuple[Terms | None, Any]] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class _Class:
    """Questions that the same rules may concern in the same way, with the answers to them."""

    features: tuple[Feature, ...]
    looks: tuple[Look, ...]
    amounts: bool
    answers: dict[Key, Answer]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Somebody who asks for something: what is known of them, and how conditions come out."""

    person: str
    whole: Whole
    outcomes: tuple[Feature, ...]
    classes: _Class


class Memo:
    """Answers of one policy. Memory is bounded by `MOST_KEPT` answers and `MOST_PAIRS` pairs."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        rules: tuple[Rule, ...] = (*policy.offers, *policy.limits)
        self._outcomes = {rule.name: Outcomes(rule.selector.when) for rule in rules if rule.selector.when is not None}
        self._asks = AskReader()
        self._pairs: dict[Key, _Pair] = {}
        self._classes: dict[Key, _Class] = {}
        self._kept = 0
        self.evaluated = 0

    def answer(self, asked: RecordedAsk) -> tuple[Answer, str]:
        """What the policy says to `asked`, and the person it is for."""
        who = asked.who()
        pair = self._pairs.get(who)
        if pair is None:
            pair = self._known(who, asked)
        kind = pair.classes
        duration, total = asked.duration, asked.total_duration
        seen: list[object] = [duration, None if total == duration else total, asked.is_extension, asked.break_glass]
        seen += [outcome(asked) for outcome in pair.outcomes]
        seen += [feature(asked) for feature in kind.features]
        if kind.looks:
            past = looked_back(pair.whole.entitlement, asked)
            seen += [look(past) for look in kind.looks]
        key = tuple(seen)
        found = kind.answers.get(key)
        if found is None:
            found = self._evaluated(pair.whole.ask(asked))
            # What a shorter time would do to a budget or a cool-down is not in the key.
            if found.shorter is None or not kind.amounts:
                self._keep(kind, key, found)
        return found, pair.person

    def reason(self, asked: RecordedAsk) -> str:
        """Why the policy says so, in the words of the evaluator."""
        return evaluate(self._policy, self._asks.whole(asked).ask(asked)).reason

    def _keep(self, kind: _Class, key: Key, answer: Answer) -> None:
        if self._kept >= MOST_KEPT:
            for other in self._classes.values():
                other.answers.clear()
            self._kept = 0
        kind.answers[key] = answer
        self._kept += 1

    def _evaluated(self, ask: Ask) -> Answer:
        self.evaluated += 1
        evaluation = decide(self._policy, ask)
        if evaluation.terms is not None:
            return Answer(evaluation.terms)
        if _lacking(evaluation):
            return Answer(None, lacking=True)
        checks = [check for rule in (*evaluation.offers, *evaluation.limits) for check in rule.checks]
        shorter = {check.at_most for check in checks if check.name in _SHORTENING and check.at_most is not None}
        for length in sorted(shorter, reverse=True):
            less = replace(ask, duration=length, total_duration=ask.total_duration - (ask.duration - length))
            if decide(self._policy, less).terms is not None:
                return Answer(None, length)
        return Answer(None)

    def _known(self, who: Key, asked: RecordedAsk) -> _Pair:
        whole = self._asks.whole(asked)
        ask = whole.ask(asked)
        rules: list[Rule] = []
        fixed: list[Status | None] = []
        outcomes: list[Feature] = []
        for rule in self._about(ask):
            seen, status = self._outcomes.get(rule.name), None
            if seen is not None and seen.fixed:
                status = seen.of_people(whole)(asked)
                if status is Status.UNSATISFIED and isinstance(rule, Limit):
                    continue
            elif seen is not None:
                outcomes.append(seen.of_people(whole))
            rules.append(rule)
            fixed.append(status)
        if len(self._pairs) >= MOST_PAIRS:
            self._pairs.clear()
        pair = self._pairs[who] = _Pair(
            person=ask.beneficiary.person or ask.beneficiary.name,
            whole=whole,
            outcomes=tuple(outcomes),
            classes=self._class(rules, (*_standing(ask, rules), *fixed)),
        )
        return pair

    def _about(self, ask: Ask) -> Iterator[Rule]:
        """The rules that who asks for what does not already rule out."""
        offers, limits = self._policy.index.concerning(ask)
        yield from (self._policy.offers[place] for place in offers)
        yield from (self._policy.limits[place] for place in limits)

    def _class(self, rules: Sequence[Rule], standing: Key) -> _Class:
        """Those whom the same rules concern in the same way."""
        key = (tuple(rule.name for rule in rules), standing)
        found = self._classes.get(key)
        if found is None:
            needs = [rule.needs for rule in rules]
            found = self._classes[key] = _Class(
                features=(sane, *need_features(needs)),
                looks=tuple(looks_back(rules)),
                amounts=any(one.budget is not None or one.cooldown is not None for one in needs),
                answers={},
            )
        return found


def _standing(ask: Ask, rules: Sequence[Rule]) -> Iterator[object]:
    """What rules look at of the people besides being about them."""
    yield ask.requester.active
    yield ask.beneficiary.active
    yield ask.for_self
    for rule in rules:
        if isinstance(rule, Offer) and not ask.for_self:
            yield asked_by(rule.selector, ask).status


def _lacking(evaluation: Evaluation) -> bool:
    """Whether only what nobody recorded stands in the way."""
    stopping = [limit for limit in evaluation.limits if limit.open_checks]
    if not all(map(_only_lacks, stopping)):
        return False
    offers = [offer for offer in evaluation.offers if offer.status is not Status.NOT_APPLICABLE]
    possible = [offer for offer in offers if offer.status is Status.SATISFIED or _only_lacks(offer)]
    return bool(possible) and (bool(stopping) or all(offer.open_checks for offer in possible))


def _only_lacks(rule: RuleResult) -> bool:
    """Whether every open check of the rule failed because the question does not have the facts for it."""
    checks = rule.open_checks
    return bool(checks) and all(check.status is Status.FAILED and check.name in _ABOUT_FACTS for check in checks)
