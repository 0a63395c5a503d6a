"""Decide a question: `decide(policy, ask)`, or `evaluate` to hear of every rule. Pure and deterministic.

The same question always has the same answer, and both give it; `evaluate` uses no index, so that each checks the other.

Nothing is allowed unless an offer allows it, and no limit forbids it. Offers are alternatives; limits always bind.
A rule that cannot be evaluated does not permit: a failed offer is not satisfied, a failed limit denies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta

from lapse.domain.durations import human_duration
from lapse.domain.names import shown
from lapse.domain.terms import Stage, Terms
from lapse.policy.checks import (
    Question,
    asked_by,
    basic_checks,
    binds,
    condition_check,
    entitlement_check,
    kind_check,
    latest_begin,
    need_checks,
    offer_checks,
    offered_to,
)
from lapse.policy.language import name_stages
from lapse.policy.results import Check, Evaluation, RuleResult, Status
from lapse.policy.rules import Limit, Needs, Offer, Policy
from lapse.policy.values import Ask

_SECOND = timedelta(seconds=1)
_NAMED_OFFERS = 3


def evaluate(policy: Policy, ask: Ask) -> Evaluation:
    """What `policy` says to `ask`: every rule's outcome, and the terms if it is allowed."""
    return _evaluate(policy.version, ask, policy.offers, policy.limits)


def decide(policy: Policy, ask: Ask) -> Evaluation:
    """What `evaluate` says, with the outcome of those rules only that may concern the question: others cost nothing."""
    offers, limits = policy.index.concerning(ask)
    return _evaluate(policy.version, ask, [policy.offers[n] for n in offers], [policy.limits[n] for n in limits])


def _evaluate(version: str, ask: Ask, offers: Sequence[Offer], limits: Sequence[Limit]) -> Evaluation:
    basics = tuple(basic_checks(ask))
    if any(check.status is not Status.SATISFIED for check in basics):
        return _refused(version, basics)
    question = Question(ask)
    limit_results = tuple(_limit_result(limit, question) for limit in limits)
    binding = _binding(limits, limit_results)
    offer_results = tuple(_offer_result(offer, question, binding) for offer in offers)
    chosen = _choose(offer_results)
    terms = chosen.terms if chosen else None
    return Evaluation(
        policy_version=version,
        allowed=terms is not None,
        reason=_allowed_reason(terms) if terms else _denied_reason(ask, offer_results, limit_results),
        hint="" if terms else _hint(offer_results, limit_results),
        chosen=chosen.name if chosen else "",
        terms=terms,
        basics=basics,
        offers=offer_results,
        limits=limit_results,
    )


def _binding(limits: Iterable[Limit], results: Iterable[RuleResult]) -> list[Needs] | None:
    """What the limits that bind here ask for; None if one of them denies."""
    binding = []
    for limit, result in zip(limits, results, strict=True):
        if result.status in {Status.UNSATISFIED, Status.FAILED}:
            return None
        if result.status is Status.SATISFIED:
            binding.append(limit.needs)
    return binding


def _refused(version: str, basics: tuple[Check, ...]) -> Evaluation:
    reason = next(check.detail for check in basics if check.status is not Status.SATISFIED)
    return Evaluation(policy_version=version, allowed=False, reason=reason, basics=basics)


def _limit_result(limit: Limit, question: Question) -> RuleResult:
    ask, selector = question.ask, limit.selector
    checks = [entitlement_check(selector, ask)]
    if _met(checks) and selector.kinds and ask.beneficiary.kind not in selector.kinds:
        checks.append(kind_check(selector, ask))
    if _met(checks):
        checks.append(binds(selector, ask))
    if _met(checks) and selector.when is not None:
        checks.append(condition_check(selector.when, question, otherwise=Status.NOT_APPLICABLE))
    if not _met(checks):
        return _result(limit, checks, checks[-1].status)
    if limit.forbid:
        checks.append(Check(name="forbid", status=Status.UNSATISFIED, detail=f"forbids it: {limit.forbid}"))
    checks += need_checks(limit.needs, ask)
    return _result(limit, checks, _worst(checks))


def _offer_result(offer: Offer, question: Question, binding: Sequence[Needs] | None) -> RuleResult:
    """The offer's outcome; with its terms if it is satisfied and no limit denies (`binding` is None if one does)."""
    ask, selector = question.ask, offer.selector
    checks = [entitlement_check(selector, ask)]
    if _met(checks):
        checks.append(offered_to(selector, ask))
    if _met(checks) and ask.beneficiary.kind not in selector.kinds:
        checks.append(kind_check(selector, ask))
    if not _met(checks):
        return _result(offer, checks, checks[-1].status)
    if not ask.for_self:
        checks.append(asked_by(selector, ask))
    if selector.when is not None:
        checks.append(condition_check(selector.when, question))
    checks += need_checks(offer.needs, ask)
    checks += offer_checks(offer, ask)
    status = _worst(checks)
    fits = status is Status.SATISFIED and binding is not None
    return _result(offer, checks, status, _terms(offer, binding or (), ask) if fits else None)


def _met(checks: Sequence[Check]) -> bool:
    """Whether the last check is satisfied, and so all are: each is only made when those before it are."""
    return checks[-1].status is Status.SATISFIED


def _worst(checks: Iterable[Check]) -> Status:
    worst = Status.SATISFIED
    for check in checks:
        if check.status is Status.FAILED:
            return Status.FAILED
        if check.status is not Status.SATISFIED:
            worst = check.status
    return worst


def _result(rule: Offer | Limit, checks: Sequence[Check], status: Status, terms: Terms | None = None) -> RuleResult:
    return RuleResult(
        name=rule.name,
        description=rule.description,
        file=rule.file,
        line=rule.line,
        status=status,
        checks=tuple(checks),
        terms=terms,
    )


def _terms(offer: Offer, binding: Sequence[Needs], ask: Ask) -> Terms:
    everything = [offer.needs, *binding]
    durations = [needs.max_duration for needs in everything if needs.max_duration is not None]
    totals = [needs.max_total for needs in everything if needs.max_total is not None]
    return Terms(
        offer=offer.name,
        max_duration=min([*durations, *totals]),
        max_total=min(totals),
        pending_timeout=_pending_timeout(offer, everything, ask),
        stages=stages_of(everything),
        in_parallel=offer.in_parallel,
        post_review=offer.post_review,
        purpose=offer.purpose,
    )


def stages_of(everything: Iterable[Needs]) -> tuple[Stage, ...]:
    """All stages in order; where two ask the same people, one stage that is as strict as both."""
    merged: dict[frozenset[str], Stage] = {}
    for needs in everything:
        for stage in needs.stages:
            who = frozenset(stage.approvers)
            earlier = merged.get(who)
            merged[who] = stage if earlier is None else _stricter(earlier, stage)
    return name_stages(merged.values())


def _stricter(one: Stage, other: Stage) -> Stage:
    """Both at once: the larger quorum, all exclusions, and only those escalations that both have."""
    reminders = [after for after in (one.remind_after, other.remind_after) if after is not None]
    return replace(
        one,
        quorum=max(one.quorum, other.quorum),
        everyone=one.everyone or other.everyone,
        excluded=tuple(dict.fromkeys((*one.excluded, *other.excluded))),
        escalations=one.escalations if one.escalations == other.escalations else (),
        remind_after=min(reminders, default=None),
    )


def _pending_timeout(offer: Offer, everything: Iterable[Needs], ask: Ask) -> timedelta:
    """How long approvers have: no longer than the access could still begin and end within every window."""
    wait = offer.pending_timeout
    for needs in everything:
        begin = latest_begin(needs, ask, wait)
        if begin is not None:
            wait = min(wait, (begin - ask.at) // _SECOND * _SECOND)
    return max(wait, _SECOND)


def _choose(offers: Iterable[RuleResult]) -> RuleResult | None:
    """Less is chosen: fewest votes, no break-glass, then the longest time. Ties go to the first in the files."""
    possible = [(_cost(offer.terms), offer) for offer in offers if offer.terms]
    return min(possible, key=lambda option: option[0])[1] if possible else None


def _cost(terms: Terms) -> tuple[int, bool, timedelta]:
    return sum(stage.quorum for stage in terms.stages), terms.break_glass, -terms.max_duration


def _allowed_reason(terms: Terms) -> str:
    steps = (" and " if terms.in_parallel else ", then ").join(stage_words(stage) for stage in terms.stages)
    if terms.post_review is not None:
        # A limit may demand approvals of break-glass, too.
        how = f"as break-glass with approval by {steps}" if steps else "at once as break-glass"
        within = human_duration(terms.post_review.within)
        return f"offer `{terms.offer}` allows it {how}, to be reviewed within {within}"
    if not steps:
        return f"offer `{terms.offer}` allows it without approval"
    return f"offer `{terms.offer}` allows it with approval by {steps}"


def stage_words(stage: Stage) -> str:
    """Whose approval a stage takes: `2 of `group:dba` or `owner``."""
    many = "all" if stage.everyone else str(stage.quorum)
    return f"{many} of {' or '.join(f'`{party}`' for party in stage.approvers)}"


def _denied_reason(ask: Ask, offers: Sequence[RuleResult], limits: Iterable[RuleResult]) -> str:
    stopping = [limit for limit in limits if limit.status in {Status.FAILED, Status.UNSATISFIED}]
    if stopping:
        return "; ".join(f"limit {_words(limit)}" for limit in stopping)
    near = [offer for offer in offers if offer.status is not Status.NOT_APPLICABLE]
    if near:
        more = f"; {len(near) - _NAMED_OFFERS} more" if len(near) > _NAMED_OFFERS else ""
        return "no offer fits: " + "; ".join(_words(offer) for offer in near[:_NAMED_OFFERS]) + more
    who, what = shown(ask.beneficiary.name), shown(ask.entitlement.name)
    return f"no offer is about `{what}` for `{who}`, and nothing is allowed unless an offer allows it"


def _words(rule: RuleResult) -> str:
    return f"`{rule.name}` " + " and ".join(check.detail for check in rule.open_checks)


def _hint(offers: Iterable[RuleResult], limits: Iterable[RuleResult]) -> str:
    """What the asker could do about every limit in the way and the offer that lacks least; empty if nothing helps."""
    stopping = [check for limit in limits for check in limit.open_checks]
    lacking = [offer.open_checks for offer in offers if offer.status is not Status.NOT_APPLICABLE]
    curable = [checks for checks in lacking if all(check.remedy for check in checks)]
    if not curable or not all(check.remedy for check in stopping):
        return ""
    to_cure = [*stopping, *min(curable, key=len)]
    shortest = min((check.at_most for check in to_cure if check.at_most is not None), default=None)
    return " and ".join(
        dict.fromkeys(check.remedy for check in to_cure if check.at_most == shortest or not check.at_most)
    )
