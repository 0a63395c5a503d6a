"""How the answers of two policies differ, over all requests: each way with an example, or proved to be none.

Only rules that changed are looked at, each with those that can concern the same request (`changes`): a request that no
changed rule touches is answered alike. What the solver finds is shown to the evaluator, with both policies, and counts
only if their answers differ so. Called by `lapse policy diff` and for every proposal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lapse.policy.evaluator import evaluate
from lapse.policy.proof.asked import seconds
from lapse.policy.proof.causes import Told, with_cause
from lapse.policy.proof.changes import Change, changes, without_others
from lapse.policy.proof.differences import Difference, Kind, Open, PolicyDiff, shows
from lapse.policy.proof.logic import Formula, any_of, both, either, no, same
from lapse.policy.proof.question import Allowance, Answers, Inquiry, NotKnown, Outcome, Shown, usable
from lapse.policy.proof.sides import Side
from lapse.policy.proof.solver import Clock, Found
from lapse.policy.proof.ways import Ways
from lapse.policy.results import Evaluation, Status
from lapse.policy.rules import Fact, Policy
from lapse.policy.values import Ask

EACH = 15.0
"""Seconds for one question."""

_MOST_ALIKE = 50
"""Ways of approval that come to the same and are looked past, in the search for one that does not."""


def compare(old: Policy, new: Policy, *, clock: Clock, timeout: float = 60.0) -> PolicyDiff:
    """Every way in which `new` answers otherwise than `old`, within `timeout` seconds on `clock`."""
    facts, note = usable(_common(old.facts, new.facts))
    pair = Pair(old, new, facts, Allowance(clock, clock() + timeout, EACH))
    changed = changes(old, new)
    found: list[Told] = []
    folded: list[Told] = []
    unknown: list[Open] = []
    for change in changed:
        for kind, outcome in _compared(pair, change, changed):
            if isinstance(outcome, NotKnown):
                unknown.append(Open(kind=kind, rule=change.words, why=outcome.why))
            elif outcome is not None:
                one = _difference(change, *_lasting(kind, (old, new), outcome))
                (found if one.kind is kind or kind is Kind.OTHER else folded).append((change, one))
    told = {(one.kind, *_rules(one)): one for one in reversed(list(with_cause([*found, *folded], new)))}
    return PolicyDiff(
        differences=tuple(sorted(told.values(), key=lambda one: list(Kind).index(one.kind))),
        unknown=tuple(unknown),
        changed=tuple(change.words for change in changed),
        notes=(note,) if note else (),
    )


def _common(old: Iterable[Fact], new: Iterable[Fact]) -> Iterator[Fact]:
    """What both policies take for a fact."""
    known = {(fact.disjoint, fact.subset, fact.of) for fact in old}
    return (fact for fact in new if (fact.disjoint, fact.subset, fact.of) in known)


def _rules(one: Difference) -> tuple[str, str]:
    return one.old.chosen or one.rule, one.new.chosen or one.rule


def _compared(pair: Pair, change: Change, others: Sequence[Change]) -> Iterator[tuple[Kind, Outcome]]:
    """What each question about one changed rule came to."""
    if pair.allowance.over:
        yield from ((kind, NotKnown("the time for it is over")) for kind in Kind)
        return
    try:
        comparison = Comparison(pair, change, others)
        for kind in Kind:
            yield kind, comparison.of(kind)
    except RecursionError:
        yield from ((kind, NotKnown("its conditions are nested too deeply")) for kind in Kind)


@dataclass(frozen=True)
class Pair:
    """Two policies, and what the comparison of them rests on."""

    old: Policy
    new: Policy
    facts: tuple[Fact, ...]
    allowance: Allowance


@dataclass(frozen=True)
class _Formulas:
    """What each kind of difference is to the solver."""

    old: Side
    new: Side

    def of(self, kind: Kind) -> Formula:
        """Both policies allow it, or one of them does, and they differ so."""
        old, new = self.old, self.new
        if kind in {Kind.PERMITTED, Kind.DENIED}:
            yes, otherwise = (new, old) if kind is Kind.PERMITTED else (old, new)
            return both(yes.allowed, no(otherwise.allowed))
        return both(old.allowed, new.allowed, self._terms(kind))

    def _terms(self, kind: Kind) -> Formula:
        old, new = self.old, self.new
        automatic, was_automatic = (both(side.votes == 0, side.way == 0) for side in (new, old))
        formulas: dict[Kind, Callable[[], Formula]] = {
            Kind.AUTOMATIC: lambda: both(automatic, no(was_automatic)),
            Kind.BREAK_GLASS: lambda: new.way > old.way,
            Kind.NO_BREAK_GLASS: lambda: both(new.way < old.way, no(automatic)),
            Kind.FEWER: lambda: both(new.votes < old.votes, no(automatic), new.way == 0),
            Kind.MORE: lambda: both(new.votes > old.votes, old.way == 0),
            Kind.APPROVERS: lambda: both(old.votes == new.votes, self.other_people),
            Kind.LONGER: lambda: either(new.longest > old.longest, new.total > old.total),
            Kind.SHORTER: lambda: either(new.longest < old.longest, new.total < old.total),
            Kind.OTHER: lambda: self.same_figures,
        }
        return formulas[kind]()

    @property
    def other_people(self) -> Formula:
        """Other persons must agree."""
        return any_of(no(self.old.asks(who) == self.new.asks(who)) for who in self._parties())

    @property
    def same_figures(self) -> Formula:
        """They differ in nothing that the other kinds are about."""
        old, new = self.old, self.new
        people = both(*(old.asks(who) == new.asks(who) for who in self._parties()))
        return both(old.longest == new.longest, old.total == new.total, old.way == new.way, people)

    def _parties(self) -> list[frozenset[str]]:
        return sorted(self.old.parties() | self.new.parties(), key=sorted)


class Comparison:
    """All questions about one changed rule."""

    def __init__(self, pair: Pair, change: Change, others: Sequence[Change]) -> None:
        policies = {"old": without_others(pair.old, change.about), "new": without_others(pair.new, change.about)}
        self._inquiry = Inquiry(policies, pair.facts, pair.allowance)
        self._inquiry.judged_by((pair.old, pair.new))
        self._old, self._new = self._inquiry.sides
        formulas = _Formulas(self._old, self._new)
        self._formulas = {kind: formulas.of(kind) for kind in Kind}
        self._touched = self._touches(change)
        self._alone = both(*(no(self._touches(other)) for other in others if other is not change))
        changed = {id(rule) for other in others for rule in other.sides}
        ways = Ways(self._old, self._new, changed)
        self._staged, self._differ = ways.staged, ways.differ()
        self._short = self._shortest()
        self._inquiry.close()

    def of(self, kind: Kind) -> Outcome:
        """Whether there is such a difference."""
        wanted = [self._touched, self._formulas[kind]]
        if kind is Kind.OTHER:
            return self._inquiry.look_past([*wanted, self._differ], _judged_any, self._alike, _MOST_ALIKE)
        return self._inquiry.look_for(wanted, partial(_judged, kind), [self._short, self._alone])

    def any(self) -> Outcome:
        """Whether there is any difference at all."""
        figures = either(*(self._formulas[kind] for kind in Kind if kind is not Kind.OTHER))
        outcome = self._inquiry.look_for([self._touched, figures], _judged_any)
        return self.of(Kind.OTHER) if outcome is None else outcome

    def _alike(self, found: Found, answers: Answers) -> tuple[Formula, bool]:
        """Requests that are approved in the same way, and whether they surely get the same answers.

        Not if the evaluator saw another request than the solver; and how long one waits depends on more where there are
        windows.
        """
        ways = [side.others == found.number(side.others) for side in self._inquiry.sides]
        bound = [same(limit.binds, found.true(limit.binds)) for limit in self._staged]
        old, new = (set(_windows(side, answer)) for side, answer in zip(self._inquiry.sides, answers, strict=True))
        pairs = zip(self._inquiry.sides, answers, strict=True)
        return both(*ways, *bound), old == new and all(side.is_as(found, answer) for side, answer in pairs)

    def _touches(self, change: Change) -> Formula:
        """The changed rule is about the request, as it was or as it is."""
        parts = []
        for side, rule in ((self._old, change.old), (self._new, change.new)):
            parts += [limit.selects for limit in side.rules.limits if limit.limit is rule]
            parts += [side.rules.satisfied(offer) for offer in side.policy.offers if offer is rule]
        return any_of(parts)

    def _shortest(self) -> Formula:
        """So short that no rule minds."""
        policies = [side.policy for side in self._inquiry.sides]
        needs = [rule.needs for policy in policies for rule in policy.offers]
        needs += [rule.needs for policy in policies for rule in policy.limits]
        bounds = [one for need in needs for one in (need.max_duration, need.max_total) if one is not None]
        asked = self._inquiry.asked
        return both(asked.duration <= min(map(seconds, bounds), default=1), asked.total == asked.duration)


def _windows(side: Side, answer: Evaluation) -> Iterator[object]:
    """What decides how long a request can wait."""
    binding = {limit.name for limit in answer.limits if limit.status is Status.SATISFIED}
    yield from (offer.pending_timeout for offer in side.policy.offers if offer.name == answer.chosen)
    yield from (offer.needs.windows for offer in side.policy.offers if offer.name == answer.chosen)
    yield from (limit.needs.windows for limit in side.policy.limits if limit.name in binding)


def _judged(kind: Kind, answers: Answers) -> bool:
    old, new = answers
    return shows(kind, old, new)


def _judged_any(answers: Answers) -> bool:
    return any(_judged(kind, answers) for kind in Kind)


def _difference(change: Change, kind: Kind, ask: Ask, answers: Answers) -> Difference:
    old, new = answers
    kind = next(one for one in Kind if shows(one, old, new)) if kind is Kind.OTHER else kind
    return Difference(kind=kind, rule=change.words, ask=ask, old=old, new=new)


_OF_LENGTH = {Kind.PERMITTED: Kind.LONGER, Kind.DENIED: Kind.SHORTER}


def _lasting(kind: Kind, policies: tuple[Policy, Policy], shown: Shown) -> tuple[Kind, Ask, Answers]:
    """What is only denied because it is too long, as a question that both allow, with other lengths."""
    refused = next((answer for answer in shown.answers if not answer.allowed), None)
    if kind not in _OF_LENGTH or refused is None:
        return kind, shown.ask, shown.answers
    checks = [check for rule in (*refused.offers, *refused.limits) for check in rule.checks]
    for length in sorted({check.at_most for check in checks if check.at_most is not None}, reverse=True):
        ask = replace(shown.ask, duration=length, total_duration=shown.ask.total_duration - shown.ask.duration + length)
        answers = tuple(evaluate(policy, ask) for policy in policies)
        if _judged(_OF_LENGTH[kind], answers):
            return _OF_LENGTH[kind], ask, answers
    return kind, shown.ask, shown.answers
