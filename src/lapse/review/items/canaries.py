"""Made-up items that are plainly wrong, mixed in to see whether reviewers look. Pure and re-performable from the seed.

Each is like an item that is there: a real resource and role, held by somebody who is not there, with as much known of
its use and in the words of real ones. Half of them are recommended to be kept, against what their own evidence says, so
that following recommendations blindly shows as well as keeping everything. Nothing is ever carried out for one, and the
report says which they were. Called at validation, and by the API, which shows items before the seal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

from lapse.domain.removals import MANUAL
from lapse.domain.reviews import Item, ItemDecision, ItemVote, Usage
from lapse.domain.times import Instant

_NAMES = ("morgan", "ellis", "reese", "devon", "harper", "quinn", "sasha", "robin", "jules", "avery")
_LEFT = timedelta(days=75)
_TAKEN = (ItemDecision.REVOKE, ItemDecision.NARROW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """How reviewers did on canaries: `planted` were asked, `caught` taken away (or handed on), `missed` were kept."""

    planted: int = 0
    caught: int = 0
    missed: int = 0
    undecided: int = 0
    missed_by: tuple[str, ...] = ()


def canaries(items: Sequence[Item], taken: Iterable[str], number: int, seed: int, at: Instant) -> list[Item]:
    """So many canaries among `items`, with names that are not in `taken`; fewer if there is nothing to be like."""
    likenesses = [item for item in items if item.role and item.asked]
    if not likenesses:
        return []
    chance, names = Random(f"{seed} {items[0].review_id}"), set(taken)  # noqa: S311  re-performable on purpose
    made = []
    for place in range(number):
        name = _unused(chance, names)
        names.add(name)
        made.append(_made(chance.choice(likenesses), name, place, at))
    return made


def disguised(item: Item) -> Item:
    """A canary as it is shown before the seal: a removal that was decided looks like one that was carried out."""
    after = replace(item, canary=False)
    if item.decision not in _TAKEN or item.decided_at is None:
        return after
    if item.role.startswith("("):
        return replace(after, outcome=f"not managed by lapse on {item.resource}: {MANUAL}")
    proof = f"catalog: `{item.account}` is no member of `{item.role}`, direct or nested"
    return replace(after, carried_out_at=item.decided_at, outcome=proof)


def attention(items: Iterable[Item]) -> Attention:
    """What became of the canaries among `items`."""
    planted = [item for item in items if item.canary]
    missed = [item for item in planted if item.decision is ItemDecision.KEEP and not item.by_default]
    undecided = [item for item in planted if item.decision is None or item.by_default]
    return Attention(
        planted=len(planted),
        caught=len(planted) - len(missed) - len(undecided),
        missed=len(missed),
        undecided=len(undecided),
        missed_by=tuple(sorted({_keeper(item.votes) for item in missed})),
    )


def _keeper(votes: Sequence[ItemVote]) -> str:
    return next((vote.by for vote in reversed(votes) if vote.decision is ItemDecision.KEEP), "")


def _unused(chance: Random, taken: set[str]) -> str:
    while True:
        name = f"{chance.choice(_NAMES)}.{chance.choice(_NAMES)}{chance.randrange(10, 99)}"
        if name not in taken:
            return name


def _made(like: Item, name: str, place: int, at: Instant) -> Item:
    keep, left = place % 2 == 1, f"left on {at - _LEFT:%Y-%m-%d}"
    kept_for = "on the exception register: the project needs it"
    reason = kept_for if keep else f"`{name}` {left} and still has {like.role}, login"
    recorded = like.usage_coverage.startswith("complete")
    return replace(
        like,
        id=f"itm_{hashlib.sha256(f'canary {like.review_id} {name}'.encode()).hexdigest()[:20]}",
        account=name,
        principal=name,
        holding="standing",
        usage=Usage.UNUSED if recorded else Usage.UNKNOWN,
        usage_coverage=like.usage_coverage,
        recommendation=ItemDecision.KEEP if keep else ItemDecision.REVOKE,
        recommendation_reason=reason,
        grant_id=None,
        since=at - timedelta(days=400) if like.since else None,
        ends_at=None,
        last_used=None,
        purpose=f"{left}; for a project that was over before",
        findings=(),
        group="",
        uses=0 if recorded else None,
        exposure_hours=9_600,
        peers="",
        approval="nobody approved it: no grant is behind it",
        would_lose="nothing that was used" if recorded else "not known: its use was not recorded",
        canary=True,
    )
