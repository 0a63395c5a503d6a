"""The answers of a policy to very many recorded questions: each is evaluated once, and its equals get the same.

Two questions are the same if they agree in everything that a rule which may concern them looks at. What that is, is
read off the rules: who and what (as recorded), how long, and the rest only where a rule needs it. The evaluator is the
only judge; nothing here knows what a rule means. Called by `replay`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from lapse.domain.errors import InvalidInput
from lapse.domain.terms import Terms
from lapse.domain.times import parse_time
from lapse.policy.checks import binds, entitlement_check, kind_check, offered_to
from lapse.policy.evaluator import decide
from lapse.policy.expressions.condition import Condition
from lapse.policy.expressions.reader import read
from lapse.policy.expressions.syntax import Binary, Call, Literal, Name, Node, Select
from lapse.policy.frequency import break_glass_check, budget_check, cooldown_check, quota_checks, rate_check
from lapse.policy.justifications import is_boilerplate, repeats
from lapse.policy.recorded import AskReader, RecordedAsk
from lapse.policy.results import Check, Evaluation, RuleResult, Status
from lapse.policy.rules import Limit, Needs, Offer, Policy
from lapse.policy.values import Ask
from lapse.policy.windows import Window, closes_at, is_open, opens_at

Key = tuple[object, ...]
Feature = Callable[[RecordedAsk], object]
Look = Callable[[Ask], object]

MOST_KEPT = 200_000
"""Answers kept at a time; beyond that the oldest kind of question is evaluated again when it comes back."""

_ALWAYS_IN_KEY = frozenset({"duration", "total_duration", "is_extension", "for_self"})
_COMPARING = frozenset({"<", "<=", ">", ">=", "==", "!="})
_SHORTENING = frozenset({"max_duration", "max_total"})
_ABOUT_FACTS = frozenset(
    {"budget", "cooldown", "quota", "pending", "auto_approve", "break_glass", "justification", "ticket"}
)
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the policy says: its `terms`, or why not; `shorter` is the longest time it would allow instead, if any.

    `shorter_terms` are the terms for that. With `lacking` it cannot be said: a rule needs facts nobody recorded.
    Pending time-outs are those of the first of equal questions.
    """

    terms: Terms | None
    reason: str = ""
    shorter: timedelta | None = None
    shorter_terms: Terms | None = None
    lacking: bool = False


@dataclass(frozen=True, slots=True)
class _Plan:
    """What of a question matters to the rules that may concern these people and this entitlement."""

    features: tuple[Feature, ...]
    amounts: bool
    answers: dict[Key, Answer]


class Memo:
    """Answers of one policy. Memory is bounded by `MOST_KEPT` answers."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._asks = AskReader()
        self._plans: dict[Key, _Plan] = {}
        self._by_rules: dict[Key, tuple[Feature, ...]] = {}
        self._calendars: dict[tuple[Window, ...], _Calendar] = {}
        self._kept = 0
        self.evaluated = 0

    def answer(self, asked: RecordedAsk) -> Answer:
        """What the policy says to `asked`."""
        who = asked.who()
        plan = self._plans.get(who)
        if plan is None:
            plan = self._plan(who, asked)
        key = (
            asked.duration,
            asked.total_duration,
            asked.is_extension,
            asked.break_glass,
            *[feature(asked) for feature in plan.features],
        )
        found = plan.answers.get(key)
        if found is None:
            found = self._evaluated(asked)
            # What a shorter time would do to a budget or a cool-down is not in the key.
            if found.shorter is None or not plan.amounts:
                self._keep(plan, key, found)
        return found

    def _keep(self, plan: _Plan, key: Key, answer: Answer) -> None:
        if self._kept >= MOST_KEPT:
            self._plans.clear()
            self._kept = 0
        plan.answers[key] = answer
        self._kept += 1

    def _evaluated(self, asked: RecordedAsk) -> Answer:
        self.evaluated += 1
        ask = self._asks.ask(asked)
        evaluation = decide(self._policy, ask)
        if evaluation.terms is not None:
            return Answer(evaluation.terms)
        if _lacking(evaluation):
            return Answer(None, evaluation.reason, lacking=True)
        checks = [check for rule in (*evaluation.offers, *evaluation.limits) for check in rule.checks]
        shorter = {check.at_most for check in checks if check.name in _SHORTENING and check.at_most is not None}
        for length in sorted(shorter, reverse=True):
            less = replace(ask, duration=length, total_duration=ask.total_duration - (ask.duration - length))
            terms = decide(self._policy, less).terms
            if terms is not None:
                return Answer(None, evaluation.reason, length, terms)
        return Answer(None, evaluation.reason)

    def _plan(self, who: Key, asked: RecordedAsk) -> _Plan:
        ask = self._asks.ask(asked)
        everything: tuple[Offer | Limit, ...] = (*self._policy.offers, *self._policy.limits)
        rules = [rule for rule in everything if _may_concern(rule, ask)]
        names = tuple(rule.name for rule in rules)
        features = self._by_rules.get(names)
        if features is None:
            features = self._by_rules[names] = tuple(self._features(rules))
        amounts = any(rule.needs.budget is not None or rule.needs.cooldown is not None for rule in rules)
        plan = self._plans[who] = _Plan(features, amounts, {})
        return plan

    def _features(self, rules: Sequence[Offer | Limit]) -> Iterator[Feature]:
        needs = [rule.needs for rule in rules]
        yield _sane
        yield from _condition_features([rule.selector.when for rule in rules if rule.selector.when is not None])
        for windows in {one.windows: None for one in needs if one.windows}:
            yield self._calendars.setdefault(windows, _Calendar(windows)).room
        yield from _justification_features(needs)
        if any(one.ticket is not None for one in needs):
            yield _ticket
            if any(one.ticket is not None and one.ticket.checked for one in needs):
                yield _ticket_facts
        past = tuple(_looks_back(rules))
        if past:
            yield partial(self._past, past)

    def _past(self, looks: Sequence[Look], asked: RecordedAsk) -> object:
        """How everything that looks at the past comes out."""
        ask = self._asks.ask(asked)
        return tuple(look(ask) for look in looks)


def _may_concern(rule: Offer | Limit, ask: Ask) -> bool:
    """Whether who asks for what does not already rule it out; all that these checks look at is in `RecordedAsk.who`."""
    selector = rule.selector
    checks = [entitlement_check(selector, ask), kind_check(selector, ask)]
    checks.append(offered_to(selector, ask) if isinstance(rule, Offer) else binds(selector, ask))
    return all(check.status is not Status.NOT_APPLICABLE for check in checks)


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


def _looks_back(rules: Iterable[Offer | Limit]) -> Iterator[Look]:
    """What the rules look at in the past, each as a function that gives the outcome alone."""
    for rule in rules:
        needs = rule.needs
        if needs.budget is not None:
            yield partial(_outcome, budget_check, needs.budget)
        if needs.cooldown is not None:
            yield partial(_outcome, cooldown_check, needs.cooldown)
        if needs.quota is not None:
            yield partial(_outcomes, quota_checks, needs.quota)
        if needs.justification is not None and needs.justification.unlike_last:
            yield partial(_repeated, needs.justification.unlike_last)
        if isinstance(rule, Offer) and rule.auto_rate is not None:
            yield partial(_outcome, rate_check, rule.auto_rate, rule.name)
        if isinstance(rule, Offer) and rule.post_review is not None:
            yield partial(_outcome, break_glass_check)


def _outcome(check: Callable[..., Check], *given: object) -> Status:
    return check(*given).status


def _outcomes(checks: Callable[..., Iterable[Check]], *given: object) -> tuple[Status, ...]:
    return tuple(check.status for check in checks(*given))


def _repeated(last: int, ask: Ask) -> object:
    return ask.history and repeats(ask.justification.strip(), ask.history.justifications[:last])


def _sane(asked: RecordedAsk) -> object:
    starts = asked.starts_at
    return _EARLIEST <= asked.at < _LATEST and (starts is None or _EARLIEST <= starts < _LATEST)


def _ticket(asked: RecordedAsk) -> object:
    ticket = asked.ticket
    return None if ticket is None else (ticket.system.strip().lower(), bool(ticket.number.strip()))


def _ticket_facts(asked: RecordedAsk) -> object:
    return bytes(asked.ticket_facts)


def _justification_features(needs: Sequence[Needs]) -> Iterator[Feature]:
    wanted = [one.justification for one in needs if one.justification is not None]
    lengths = sorted({one.min_length for one in wanted})
    if lengths:
        yield lambda asked: bisect_right(lengths, len(asked.justification.strip()))
    if any(one.real for one in wanted):
        yield lambda asked: is_boilerplate(asked.justification)


def _condition_features(conditions: Sequence[Condition]) -> Iterator[Feature]:
    """What the conditions see of a question besides who and what."""
    seen: set[str] = set()
    moments: set[datetime] = set()
    for condition in conditions:
        seen |= _seen(read(condition.text), moments)
    for name in sorted(seen - _ALWAYS_IN_KEY):
        yield _SEEN.get(name, _everything)
    if moments:
        edges = sorted(moments)
        yield lambda asked: (_between(edges, asked.at), _between(edges, asked.begins_at))


def _between(edges: Sequence[datetime], at: datetime) -> tuple[int, int]:
    return bisect_left(edges, at), bisect_right(edges, at)


def _everything(asked: RecordedAsk) -> object:
    return (
        asked.at,
        asked.starts_at,
        asked.justification,
        asked.ticket and (asked.ticket.system, asked.ticket.number),
        bytes(asked.context),
    )


_SEEN: dict[str, Feature] = {
    "at": lambda asked: asked.at,
    "starts_at": lambda asked: asked.begins_at,
    "justification": lambda asked: asked.justification,
    "ticket": lambda asked: asked.ticket and (asked.ticket.system, asked.ticket.number),
    "context": lambda asked: bytes(asked.context),
}


def _seen(node: object, moments: set[datetime]) -> set[str]:
    """Which parts of a question the tree under `node` looks at.

    Where a time is only compared with a moment that is written down, its side of the moment is all that is seen.
    """
    if isinstance(node, Name):
        return {"request": {"everything"}, "context": {"context"}}.get(node.name, set())
    if isinstance(node, Select) and isinstance(node.operand, Name) and node.operand.name == "request":
        return {node.field}
    if isinstance(node, Binary) and node.operator in _COMPARING:
        moment = _moment(node.left, node.right) or _moment(node.right, node.left)
        if moment is not None:
            moments.add(moment)
            return set()
    if isinstance(node, tuple):
        return set[str]().union(*(_seen(item, moments) for item in node))
    if isinstance(node, Node):
        return set[str]().union(*(_seen(getattr(node, part.name), moments) for part in fields(node)))
    return set()


def _moment(time: object, other: object) -> datetime | None:
    """The moment that is written down in `other`, if `time` is a time of the request."""
    is_time = isinstance(time, Select) and time.field in {"at", "starts_at"}
    if not is_time or not isinstance(time, Select) or not isinstance(time.operand, Name):
        return None
    if time.operand.name != "request" or not isinstance(other, Call) or other.name != "timestamp":
        return None
    written = other.args[0] if other.args else None
    if not isinstance(written, Literal) or written.text is None:
        return None
    try:
        return parse_time(written.text)
    except InvalidInput:
        return None


class _Calendar:
    """When windows are open, remembered as stretches of time, so that each is worked out once."""

    def __init__(self, windows: tuple[Window, ...]) -> None:
        self._windows = windows
        self._starts: list[datetime] = []
        self._stretches: list[tuple[datetime, datetime, bool]] = []

    def room(self, asked: RecordedAsk) -> object:
        """How long from the beginning on the windows stay open, at most the time asked for; None if not at all."""
        try:
            return self._room(asked)
        except (ArithmeticError, ValueError, LookupError, OSError) as error:
            return str(error)

    def _room(self, asked: RecordedAsk) -> timedelta | None:
        begin = asked.begins_at
        at = bisect_right(self._starts, begin) - 1
        if at < 0 or begin >= self._stretches[at][1]:
            return self._worked_out(begin, asked.duration)
        _, end, opened = self._stretches[at]
        if not opened:
            return None
        if begin + asked.duration <= end:
            return asked.duration
        return self._exact(begin, asked.duration)

    def _worked_out(self, begin: datetime, duration: timedelta) -> timedelta | None:
        """Learn the stretch around `begin`: from there to the next change that the windows themselves tell of."""
        opened = is_open(self._windows, begin)
        if opened:
            end = closes_at(self._windows, begin, begin + timedelta(days=7)) or begin + timedelta(days=7)
        else:
            end = opens_at(self._windows, begin) or begin + timedelta(days=7)
        at = bisect_right(self._starts, begin)
        self._starts.insert(at, begin)
        self._stretches.insert(at, (begin, end, opened))
        return self._exact(begin, duration) if opened else None

    def _exact(self, begin: datetime, duration: timedelta) -> timedelta:
        closing = closes_at(self._windows, begin, begin + duration)
        return duration if closing is None else closing - begin
