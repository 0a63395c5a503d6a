"""What is odd about a policy, without being asked: rules that do nothing, and access that nobody watches over.

Each finding is proved, or shown by a question that the evaluator was asked; what could not be decided in time is a
finding that says so. Called by `lapse policy analyse`, for every proposal, and for the evidence of a review.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from lapse.domain.catalog import Catalog
from lapse.domain.durations import human_duration
from lapse.domain.names import shown
from lapse.policy.patterns import Pattern
from lapse.policy.proof.asked import seconds
from lapse.policy.proof.changes import Change, Rule, without_others
from lapse.policy.proof.diff import EACH, Comparison, Pair
from lapse.policy.proof.differences import votes
from lapse.policy.proof.logic import Formula, any_of, both, no
from lapse.policy.proof.noticed import Certainty, Effect, Noticed, PolicyFinding, order_of
from lapse.policy.proof.question import Allowance, Answers, Inquiry, NotKnown, Outcome, Shown, usable
from lapse.policy.proof.sides import Side
from lapse.policy.proof.solver import Clock
from lapse.policy.quorums import quorum_reaches, quorum_words, too_few_names
from lapse.policy.results import Status
from lapse.policy.rules import Fact, Limit, Needs, Offer, Policy, Selector

LONGEST = timedelta(days=7)
"""Access of one person without a gap that is longer than this is told."""

_OVER = "the time for it is over"


@dataclass(frozen=True)
class Task:
    """A policy, and what the analysis of it rests on."""

    policy: Policy
    facts: tuple[Fact, ...]
    allowance: Allowance
    longest: timedelta = LONGEST

    def inquiry(self, about: Selector) -> tuple[Inquiry, Side]:
        """The rules that can concern what `about` selects, over one request."""
        inquiry = Inquiry({"policy": without_others(self.policy, [about])}, self.facts, self.allowance)
        inquiry.judged_by([self.policy])
        return inquiry, inquiry.sides[0]


def analyse(
    policy: Policy,
    catalog: Catalog | None = None,
    *,
    clock: Clock,
    timeout: float = 60.0,
    longest: timedelta = LONGEST,
) -> tuple[PolicyFinding, ...]:
    """Everything that is odd about `policy`, within `timeout` seconds on `clock`, most important kinds first.

    With a `catalog` it is counted whether it has enough persons to approve; the rest is about all there could be.
    """
    facts, note = usable(policy.facts)
    task = Task(policy, facts, Allowance(clock, clock() + timeout, EACH), longest)
    found = [finding for tier in tiers(policy) for finding in _about_tier(task, tier)]
    found += [finding for offer in policy.offers for finding in about_offer(task, offer)]
    found += [finding for limit in policy.limits for finding in about_limit(task, limit)]
    found += about_quorums(policy, catalog)
    if note:
        found.append(PolicyFinding(kind=Noticed.FACTS, about="facts", certainty=Certainty.PROVED, detail=note))
    return tuple(sorted(found, key=order_of))


def effects(policy: Policy, *, clock: Clock, timeout: float = 60.0) -> Iterator[tuple[Rule, Effect]]:
    """Whether each rule of `policy` ever decides anything, within `timeout` seconds on `clock`."""
    facts, _ = usable(policy.facts)
    task = Task(policy, facts, Allowance(clock, clock() + timeout, EACH))
    for offer in policy.offers:
        yield offer, _effect(about_offer(task, offer))
    for limit in policy.limits:
        yield limit, _effect(about_limit(task, limit))


def _effect(found: Iterator[PolicyFinding]) -> Effect:
    """What was found of a rule comes first if it is that it does nothing, or may do nothing."""
    first = next(found, None)
    if first is None or first.kind not in {Noticed.DEAD_OFFER, Noticed.DEAD_LIMIT}:
        return Effect(decisive=True)
    unknown = first.certainty is Certainty.UNKNOWN
    return Effect(decisive=None if unknown else False, detail=first.detail)


def about_offer(task: Task, offer: Offer) -> Iterator[PolicyFinding]:
    """What is odd about one offer; nothing else of one that nobody ever gets."""
    if task.allowance.over:
        yield _found(Noticed.DEAD_OFFER, offer, NotKnown(_OVER))
        return
    inquiry, side = task.inquiry(offer.selector)
    chosen, fits, satisfied = (
        both(side.allowed, side.chosen(offer)),
        side.rules.fits(offer),
        side.rules.satisfied(offer),
    )
    freely = both(chosen, side.votes == 0, side.way == 0, no(_bound_again(side)))
    inquiry.close()
    outcome = inquiry.look_for([chosen], partial(_chosen, offer))
    if outcome is None:
        yield _dead(offer, inquiry, fits, satisfied)
        return
    if isinstance(outcome, NotKnown):
        yield _found(Noticed.DEAD_OFFER, offer, outcome)
    long = inquiry.look_for([chosen, inquiry.asked.total > seconds(task.longest)], partial(_chosen, offer))
    yield from _maybe(
        Noticed.LONG, offer, long, f"one person can hold it without a gap for more than {human_duration(task.longest)}"
    )
    if offer.auto_approve and not _bounds_again(offer.needs) and offer.auto_rate is None:
        outcome = inquiry.look_for([freely], partial(_freely, task.policy, offer))
        yield from _maybe(
            Noticed.ENDLESS, offer, outcome, "nobody decides, and nothing bounds how often one may have it again"
        )


def _dead(offer: Offer, inquiry: Inquiry, fits: Formula, satisfied: Formula) -> PolicyFinding:
    """Why an offer that is never chosen is not."""
    found = inquiry.look_for([fits], partial(_satisfied, offer))
    if isinstance(found, Shown):
        detail = (
            f"nobody ever gets its terms: where it fits, another offer is chosen, as here `{found.answers[0].chosen}`"
        )
        return _found(Noticed.DEAD_OFFER, offer, found, detail, Certainty.PROVED)
    found = inquiry.look_for([satisfied], partial(_satisfied, offer))
    if isinstance(found, Shown):
        limits = ", ".join(f"`{limit.name}`" for limit in found.answers[0].limits if limit.open_checks)
        detail = f"nobody ever gets it: wherever it fits, limits deny it, as here {limits}"
        return _found(Noticed.DEAD_OFFER, offer, found, detail, Certainty.PROVED)
    return _found(Noticed.DEAD_OFFER, offer, None, "no request can ever fit it", Certainty.PROVED)


def about_limit(task: Task, limit: Limit) -> Iterator[PolicyFinding]:
    """Whether any answer would be another without it."""
    others = tuple(one for one in task.policy.limits if one is not limit)
    pair = Pair(replace(task.policy, limits=others), task.policy, task.facts, task.allowance)
    if task.allowance.over:
        yield _found(Noticed.DEAD_LIMIT, limit, NotKnown(_OVER))
        return
    change = Change(None, limit)
    outcome = Comparison(pair, change, [change]).any()
    if outcome is None:
        detail = "every answer would be the same without it"
        yield _found(Noticed.DEAD_LIMIT, limit, None, detail, Certainty.PROVED)
    elif isinstance(outcome, NotKnown):
        yield _found(Noticed.DEAD_LIMIT, limit, outcome)


def about_quorums(policy: Policy, catalog: Catalog | None) -> Iterator[PolicyFinding]:
    """Approvals that nobody could ever get: of too few persons that are named, or of too few there are."""
    for rule, stage, named in too_few_names(policy):
        detail = f"stage `{stage.name}` needs {stage.quorum} persons, and names {named}"
        yield _found(Noticed.QUORUM, rule, None, detail, Certainty.PROVED)
    told: set[object] = set()
    for reach in quorum_reaches(policy, catalog) if catalog is not None else ():
        offer = next(offer for offer in policy.offers if offer.name == reach.offer)
        what = (reach.offer, reach.stuck, reach.candidates, reach.example, reach.needed)
        if reach.stuck == 0 or what in told:
            continue
        told.add(what)
        if reach.stuck is None:
            why = NotKnown(f"who is on call is not in the catalog (for `{shown(reach.entitlement)}`)")
            yield _found(Noticed.QUORUM, offer, why)
        else:
            yield _found(Noticed.QUORUM, offer, None, quorum_words(reach), Certainty.PROVED)


def tiers(policy: Policy) -> tuple[Pattern, ...]:
    """The kinds of entitlements that a policy tells apart: tags, and what limits and claims are about."""
    selectors = [*(limit.selector for limit in policy.limits), *(claim.about for claim in policy.claims)]
    patterns = [pattern for selector in selectors for pattern in selector.entitlements]
    patterns += [one for offer in policy.offers for one in offer.selector.entitlements if one.tag]
    return tuple({pattern.text: pattern for pattern in patterns}.values())


def _about_tier(task: Task, tier: Pattern) -> Iterator[PolicyFinding]:
    """How few persons it takes to get something of the tier."""
    if task.allowance.over:
        yield _found(Noticed.UNWATCHED, tier, NotKnown(_OVER))
        return
    about = Selector(entitlements=(tier,))
    inquiry, side = task.inquiry(about)
    here = both(side.allowed, side.way == 0, side.rules.about(about))
    inquiry.close()
    for count, kind, detail in (
        (0, Noticed.UNWATCHED, "such access is given and nobody decides"),
        (1, Noticed.ONE_PERSON, "one person alone can say yes to such access"),
    ):
        outcome = inquiry.look_for([here, side.votes == count], partial(_takes, count))
        if outcome is not None:
            yield from _maybe(kind, tier, outcome, detail)
            return


def _found(
    kind: Noticed, about: Rule | Pattern, outcome: Outcome, detail: str = "", certainty: Certainty = Certainty.SHOWN
) -> PolicyFinding:
    place = about if not isinstance(about, Pattern) else None
    shown = outcome if isinstance(outcome, Shown) else None
    unknown = isinstance(outcome, NotKnown)
    return PolicyFinding(
        kind=kind,
        about=about.text if isinstance(about, Pattern) else about.name,
        certainty=Certainty.UNKNOWN if unknown else certainty,
        detail=outcome.why if isinstance(outcome, NotKnown) else detail,
        file=place.file if place else "",
        line=place.line if place else 0,
        ask=shown.ask if shown else None,
        answer=shown.answers[0] if shown else None,
    )


def _maybe(kind: Noticed, about: Rule | Pattern, outcome: Outcome, detail: str) -> Iterator[PolicyFinding]:
    if outcome is not None:
        yield _found(kind, about, outcome, detail)


def _bound_again(side: Side) -> Formula:
    """Some limit that binds bounds how often one may have it again."""
    return any_of(limit.binds for limit in side.rules.limits if _bounds_again(limit.limit.needs))


def _bounds_again(needs: Needs) -> bool:
    return needs.budget is not None or needs.cooldown is not None or needs.quota is not None


def _chosen(offer: Offer, answers: Answers) -> bool:
    return answers[0].chosen == offer.name


def _satisfied(offer: Offer, answers: Answers) -> bool:
    return any(one.name == offer.name and one.status is Status.SATISFIED for one in answers[0].offers)


def _freely(policy: Policy, offer: Offer, answers: Answers) -> bool:
    """Nobody decides, and nothing bounds how often."""
    answer = answers[0]
    binding = {limit.name for limit in answer.limits if limit.status is Status.SATISFIED}
    bounded = any(limit.name in binding and _bounds_again(limit.needs) for limit in policy.limits)
    return _chosen(offer, answers) and answer.terms is not None and answer.terms.automatic and not bounded


def _takes(count: int, answers: Answers) -> bool:
    terms = answers[0].terms
    return terms is not None and not terms.break_glass and votes(terms) == count
