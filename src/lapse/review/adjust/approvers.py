"""Approval stages that hold people up, and stages that say yes to everything at once. Called by `adjust`.

A stage that holds up is made to tell somebody else in time; one that waves through is given something to look at. Who
should decide instead is for people to say.
"""

from __future__ import annotations

from datetime import timedelta

from lapse.domain.durations import human_duration
from lapse.policy.editing import add_to_rule, add_to_stage
from lapse.policy.rules import Limit, Offer
from lapse.ports import Engine
from lapse.review.adjust.drafts import Draft, Found
from lapse.review.adjust.model import ProposalKind
from lapse.review.figures.approvals import stages_of_offers
from lapse.review.figures.model import ApproverSet
from lapse.review.in_force import InForce
from lapse.review.model import Snapshot

FEWEST_ASKED = 10
"""With fewer requests put to a stage nothing is proposed."""
EXPIRED_SHARE = 0.2
"""From this share of requests that nobody decided in time a stage blocks."""
LONG_WAIT = timedelta(hours=4)
"""From this median wait a stage blocks."""
FEWEST_VOTES = 20
APPROVAL_RATE = 0.99
FAST = timedelta(seconds=30)
"""With so many votes, nearly all yes, half of them within this time, a stage waves through."""

_REMINDER = timedelta(minutes=30)
_SHORTEST_ESCALATION = timedelta(minutes=15)
_OWNER = "owner"
_JUSTIFICATION = "{min_length: 20, real: true}"


def approver_sets(engine: Engine, snapshot: Snapshot, in_force: InForce | None) -> Found:
    """Drafts about stages that block or wave through."""
    found = Found()
    if not {"requests", "decisions", "stages"} <= snapshot.manifest.present:
        found.skip(ProposalKind.BLOCKED, "", "requests, stages and decisions are not all on record")
        return found
    for offer, stage, figures in stages_of_offers(engine, snapshot):
        if blocks(figures):
            found.drafts.append(_blocked(offer, stage, figures, in_force))
        elif waves_through(figures):
            found.drafts.append(_waved(offer, stage, figures, in_force))
    return found


def blocks(figures: ApproverSet) -> bool:
    """Whether too many requests expire with these approvers, or wait too long."""
    if figures.asked < FEWEST_ASKED:
        return False
    slow = figures.p50_ms is not None and timedelta(milliseconds=figures.p50_ms) >= LONG_WAIT
    return slow or figures.expired >= EXPIRED_SHARE * figures.asked


def waves_through(figures: ApproverSet) -> bool:
    """Whether these approvers say yes to nearly everything within seconds."""
    if figures.votes < FEWEST_VOTES or figures.approval_rate is None or figures.p50_ms is None:
        return False
    return figures.approval_rate >= APPROVAL_RATE and timedelta(milliseconds=figures.p50_ms) <= FAST


def _blocked(offer: str, stage: str, figures: ApproverSet, in_force: InForce | None) -> Draft:
    wait = f", half of the others waited {_spoken(figures.p50_ms)}" if figures.p50_ms is not None else ""
    rule, place = _place_of(in_force, offer, stage)
    change = _help(rule, place)
    who = figures.approvers.replace(";", " or ")
    return Draft(
        kind=ProposalKind.BLOCKED,
        subject=f"{offer}: {stage}",
        title=f"`{offer}`: {change[1] if change else f'more people who can decide than {who}'}",
        reason=f"{figures.expired} of {figures.asked} requests put to {who} expired undecided{wait}",
        offers=(offer,),
        samples=figures.asked,
        evidence=(_evidence(figures),),
        edit=(lambda policy: add_to_stage(policy.files, change[0], place, *change[2])) if change else None,
        not_patched="" if change else _WHO,
    )


_WHO = "who else should decide is for people to say"


def _help(rule: Offer | Limit | None, place: int) -> tuple[str, str, tuple[str, str]] | None:
    """Rule, what changes in words, and the key to add; None where the stage asks and reminds everybody already."""
    if rule is None:
        return None
    stage = rule.needs.stages[place]
    if not stage.escalations and _OWNER not in {*stage.approvers, *stage.excluded}:
        after = human_duration(_escalation(rule))
        words = f"the owner may decide as well after {after}"
        return rule.name, words, ("escalate", f"[{{after: {after}, to: {_OWNER}}}]")
    if stage.remind_after is None:
        after = human_duration(min(_REMINDER, _escalation(rule)))
        return rule.name, f"approvers are reminded after {after}", ("remind_after", after)
    return None


def _escalation(rule: Offer | Limit) -> timedelta:
    """A quarter of the time that requests wait, in whole quarters of an hour."""
    waits = rule.pending_timeout if isinstance(rule, Offer) else timedelta(hours=24)
    return max(_SHORTEST_ESCALATION, waits / 4 // _SHORTEST_ESCALATION * _SHORTEST_ESCALATION)


def _waved(offer: str, stage: str, figures: ApproverSet, in_force: InForce | None) -> Draft:
    rule = None if in_force is None else next((o for o in in_force.policy.offers if o.name == offer), None)
    asks = rule is not None and rule.needs.justification is not None
    who = figures.approvers.replace(";", " or ")
    title = "let somebody decide who knows the work" if asks else "ask for a justification that can be judged"
    return Draft(
        kind=ProposalKind.WAVED,
        subject=f"{offer}: {stage}",
        title=f"`{offer}`: {title}",
        reason=(
            f"{who} said yes to {figures.approval_rate or 0:.1%} of {figures.votes}, half of them within "
            f"{_spoken(figures.p50_ms)}: nobody can have looked"
        ),
        offers=(offer,),
        samples=figures.votes,
        evidence=(_evidence(figures),),
        edit=None
        if asks
        else lambda policy: add_to_rule(policy.files, offer, "justification", _JUSTIFICATION, after="max_duration"),
        not_patched="a justification is asked for already; who should decide instead is for people to say"
        if asks
        else "",
    )


def _place_of(in_force: InForce | None, offer: str, stage: str) -> tuple[Offer | Limit | None, int]:
    """The rule that has the stage, and its place there: the offer, or else a limit."""
    if in_force is None:
        return None, 0
    policy = in_force.policy
    rules: list[Offer | Limit] = [*(one for one in policy.offers if one.name == offer), *policy.limits]
    for rule in rules:
        names = [one.name for one in rule.needs.stages]
        if stage in names:
            return rule, names.index(stage)
    return None, 0


def _evidence(figures: ApproverSet) -> dict[str, int | float | str | None]:
    return {
        "approvers": figures.approvers,
        "asked": figures.asked,
        "approved": figures.approved,
        "denied": figures.denied,
        "expired": figures.expired,
        "wait_p50_ms": figures.p50_ms,
        "wait_p95_ms": figures.p95_ms,
        "approval_rate": figures.approval_rate,
    }


def _spoken(ms: int | None) -> str:
    return human_duration(timedelta(seconds=round((ms or 0) / 1000)))
