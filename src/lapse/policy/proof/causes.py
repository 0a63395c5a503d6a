"""Which changed rule is behind a difference, so that one change is not told again for every rule it meets.

The policies' answers to the example itself tell: a rule is the cause if the difference goes away where it is as it was.
A difference is only left out if it is told with the rule that alone causes it. Called by `diff`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from lapse.policy.evaluator import evaluate
from lapse.policy.proof.changes import Change, Rule
from lapse.policy.proof.differences import Difference, Kind, shows
from lapse.policy.results import Evaluation, Status
from lapse.policy.rules import Limit, Offer, Policy

Told = tuple[Change, Difference]


def with_cause(found: Sequence[Told], new: Policy) -> Iterator[Difference]:
    """Those of `found` that are not told with another rule, which alone is behind them."""
    causes = [(change, one, _goes_away(one, change, new)) for change, one in found]
    sure = {(one.kind, change.name): change for change, one, is_cause in causes if is_cause}
    for change, one, is_cause in causes:
        others = [other for (kind, _), other in sure.items() if kind is one.kind and other is not change]
        if is_cause or not any(_goes_away(one, other, new) for other in _concerned(others, one)):
            yield one


def _concerned(changes: Iterable[Change], one: Difference) -> Iterator[Change]:
    """Those that have a part in the answers."""
    names = {one.old.chosen, one.new.chosen, *_selecting(one.old), *_selecting(one.new)}
    return (change for change in changes if names.intersection(rule.name for rule in change.sides))


def _selecting(answer: Evaluation) -> Iterator[str]:
    return (limit.name for limit in answer.limits if limit.status is not Status.NOT_APPLICABLE)


def _goes_away(one: Difference, change: Change, new: Policy) -> bool:
    """Whether the example shows no such difference if this rule is as it was."""
    answer = evaluate(_as_it_was(new, change), one.ask)
    return not any(shows(kind, one.old, answer) for kind in _like(one.kind))


def _like(kind: Kind) -> tuple[Kind, ...]:
    """A choice among other offers makes one of these out of the other."""
    people = (Kind.FEWER, Kind.AUTOMATIC, Kind.BREAK_GLASS)
    return people if kind in people else (kind,)


def _as_it_was(new: Policy, change: Change) -> Policy:
    offers = [rule for rule in _put_back(new.offers, change) if isinstance(rule, Offer)]
    limits = [rule for rule in _put_back(new.limits, change) if isinstance(rule, Limit)]
    if isinstance(change.rule, Offer):
        return replace(new, offers=tuple(offers))
    return replace(new, limits=tuple(limits))


def _put_back(rules: Sequence[Offer] | Sequence[Limit], change: Change) -> Iterator[Rule]:
    for rule in rules:
        if rule is not change.new:
            yield rule
        elif change.old is not None:
            yield change.old
    if change.new is None and change.old is not None:
        yield change.old
