"""What the report says about figures, roles and proposals, and in which words. Called by `render`. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lapse.review.adjust.model import NotProposed, PolicyProposal
from lapse.review.figures.model import ExpiryLag, KeyFigures, TrendPoint
from lapse.review.model import ReviewResult
from lapse.review.report import words
from lapse.review.roles.model import RoleCheck, RoleState, RoleValidation

P = TypeVar("P", PolicyProposal, NotProposed)
MOST_ROLES_SHOWN = 40
MOST_PROPOSALS_SHOWN = 40
MOST_LINES = 80
MOST_REVIEWS_SHOWN = 5
_BETTER, _WORSE, _SAME = "better", "worse", "as before"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendRow:
    """One review of the trend: `change` says how its score differs from the one before, `tone` whether for the better.

    `standing` is how many permissions stood on average.
    """

    point: TrendPoint
    standing: float | None
    change: str
    tone: str
    decided: str
    now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RolesView:
    """Roles by what came of them; `unknown` counts the reasons why nothing is known."""

    states: tuple[tuple[RoleState, int], ...]
    proposals: tuple[RoleCheck, ...]
    hidden: int
    unknown: tuple[tuple[str, int], ...]


def trend_rows(result: ReviewResult) -> tuple[TrendRow, ...]:
    """The newest reviews in the order of time; the last one is this review, with the decisions that its items have."""
    rows: list[TrendRow] = []
    before: float | None = None
    for point in result.trend:
        now = point is result.trend[-1]
        decisions = _decisions(result) if now else point.decisions
        score = point.figures.score if point.figures else None
        change, tone = _change(before, score)
        rows.append(
            TrendRow(
                point=point,
                standing=_standing(point.figures),
                change=change,
                tone=tone,
                decided=_decided(decisions),
                now=now,
            )
        )
        before = score if score is not None else before
    return tuple(rows[-MOST_REVIEWS_SHOWN:])


def roles_view(roles: RoleValidation) -> RolesView:
    """The roles as the report shows them."""
    counted = Counter(check.state for check in roles.checks)
    unknown = Counter(check.reason for check in roles.checks if check.state is RoleState.UNKNOWN)
    proposals = roles.proposals
    return RolesView(
        states=tuple((state, counted[state]) for state in RoleState),
        proposals=proposals[:MOST_ROLES_SHOWN],
        hidden=max(0, len(proposals) - MOST_ROLES_SHOWN),
        unknown=tuple(unknown.most_common()),
    )


def objective_words(lag: ExpiryLag) -> tuple[str, str]:
    """The objective in words, and whether it is met: `met`, `missed` or `not known`; empty where there is none."""
    objective = lag.objective
    if objective is None:
        return "", ""
    said = f"{words.share(objective.share)} within {words.lag(objective.within_ms)}"
    if objective.met is None:
        return said, "not known"
    reached = f"{words.share(objective.reached)} did" if objective.reached is not None else ""
    return said, f"{'met' if objective.met else 'missed'}, {reached}".strip(", ")


def effects_words(proposal: PolicyProposal) -> tuple[tuple[str, str], ...]:
    """What a change would do, as pairs of question and answer."""
    effects = proposal.effects
    if effects is None:
        return (("What it would do", f"not computed: {proposal.effects_missing}"),) if proposal.patch else ()
    diff = effects.diff
    if diff.missing:
        answers = f"not known: {diff.missing}"
    elif diff.equivalent:
        answers = "the same as today, proved"
    else:
        answers = {True: "permits more than today", False: "permits nothing new", None: "may permit more"}[diff.widens]
    outcomes = Counter(str(claim.outcome) for claim in effects.claims)
    claims = ", ".join(f"{number} {name}" for name, number in sorted(outcomes.items()))
    return (
        ("Its answers", answers),
        ("Claims", claims or "the policy makes none"),
        ("On the past", _replayed(proposal)),
        *((("Warnings", words.count(len(effects.warnings), "warning")),) if effects.warnings else ()),
    )


def by_kind(several: Sequence[P]) -> tuple[tuple[str, tuple[P, ...]], ...]:
    """Proposals, or what nothing is proposed for, under what was looked for."""
    kinds = dict.fromkeys(one.kind for one in several)
    return tuple((str(kind), tuple(one for one in several if one.kind is kind)) for kind in kinds)


def shortened(text: str) -> tuple[str, int]:
    """The first lines of a text, and how many more there are."""
    lines = text.splitlines()
    return "\n".join(lines[:MOST_LINES]), max(0, len(lines) - MOST_LINES)


def _replayed(proposal: PolicyProposal) -> str:
    effects = proposal.effects
    if effects is None or effects.replay is None:
        return f"not known: {effects.replay_missing or 'nobody looked'}" if effects else ""
    replay = effects.replay
    changed = [f"{group.requests:,} {group.effect}" for group in replay.groups if group.effect != "unchanged"]
    saved = replay.saved.total_seconds() / 3600
    held = replay.held.total_seconds() / 3600
    said = ", ".join(changed) or "nothing changes"
    return f"{words.count(replay.requests, 'request')}: {said}; {words.hours(saved)} of {words.hours(held)} less held"


def _decisions(result: ReviewResult) -> Mapping[str, int]:
    return Counter(str(item.decision) if item.decision else "undecided" for item in result.items)


def _decided(decisions: Mapping[str, int] | None) -> str:
    if not decisions:
        return words.NONE
    order = ("revoke", "shorten", "narrow", "keep", "cannot_say", "undecided")
    known = [(name, decisions[name]) for name in order if decisions.get(name)]
    return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in known) or words.NONE


def _standing(figures: KeyFigures | None) -> float | None:
    if figures is None or figures.standing_hours is None or not figures.period_hours:
        return None
    return figures.standing_hours / figures.period_hours


def _change(before: float | None, now: float | None) -> tuple[str, str]:
    if before is None or now is None:
        return "", ""
    difference = round(now - before, 2)
    if not difference:
        return _SAME, ""
    tone = _BETTER if difference > 0 else _WORSE
    return f"{difference:+.2f}, {tone}", tone
