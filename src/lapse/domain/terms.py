"""What a policy offers for one request: who must approve, for how long at most, and what follows.

Terms are made by `policy`, pinned in the request, and read by `control` and by the review.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """Once a stage has been open for `after`, `approvers` may decide in it as well."""

    after: timedelta
    approvers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of approval: `quorum` distinct persons out of `approvers` must say yes.

    `approvers` are parties: `group:NAME`, `owner` (of the resource), `manager` (of the beneficiary), `oncall:ROTA` or
    a principal's name. They are resolved to persons at each decision, never stored as persons. With `everyone` all who
    may decide must say yes, and at least `quorum`. Persons in `excluded` never count. `remind_after` is how long the
    stage may be open before those who may decide are reminded.
    """

    name: str
    quorum: int
    approvers: tuple[str, ...]
    everyone: bool = False
    excluded: tuple[str, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    remind_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostReview:
    """What follows break-glass: within `within` one of `reviewers` (parties), never the person, must look at it."""

    within: timedelta
    reviewers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a policy offers for one request: the offer's name and everything that binds the grant.

    `max_total` caps the contiguous time of a grant and all that touch it. No stages means that nobody decides. Stages
    are met in order, or with `in_parallel` in any. `post_review` is there for break-glass and for nothing else.
    `purpose` is what the offer is for, where it pins that; grants carry it.
    """

    offer: str
    max_duration: timedelta
    max_total: timedelta
    pending_timeout: timedelta
    stages: tuple[Stage, ...] = ()
    in_parallel: bool = False
    post_review: PostReview | None = None
    purpose: str = ""

    @property
    def break_glass(self) -> bool:
        """Whether access is given at once, loudly, and reviewed afterwards."""
        return self.post_review is not None

    @property
    def automatic(self) -> bool:
        """Whether nobody decides, before or after."""
        return not self.stages and self.post_review is None
