"""A policy as values: offers and limits, checked and ready to be evaluated. Built by `parser`, nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from lapse.domain.terms import PostReview, Stage
from lapse.policy.expressions.condition import Condition
from lapse.policy.index import RuleIndex
from lapse.policy.patterns import Pattern
from lapse.policy.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """At most `most` times within any `per`."""

    most: int
    per: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """At most `most` of the entitlement for one person within any `per`, this request included."""

    most: timedelta
    per: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much one requester may ask: `rate` requests, `pending` of them open at a time."""

    rate: Rate | None = None
    pending: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JustificationNeed:
    """At least `min_length` characters; unlike the requester's last `unlike_last`; with `real` no boilerplate."""

    min_length: int = 1
    unlike_last: int = 0
    real: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketNeed:
    """`systems` are those that count, () for any. With `checked` the ticket must be open where it lives.

    `allow_unreachable` accepts a ticket whose system does not answer.
    """

    systems: tuple[str, ...] = ()
    checked: bool = False
    allow_unreachable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which questions a rule is about. An empty part selects everything; offers always name `to`.

    `asked_by` are those who may ask for somebody else (offers only). `kinds` are kinds of the beneficiary.
    """

    entitlements: tuple[Pattern, ...] = ()
    to: tuple[str, ...] = ()
    asked_by: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    when: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a question must meet, and what approvals it takes. None and () ask for nothing."""

    max_duration: timedelta | None = None
    max_total: timedelta | None = None
    windows: tuple[Window, ...] = ()
    justification: JustificationNeed | None = None
    ticket: TicketNeed | None = None
    budget: Budget | None = None
    cooldown: timedelta | None = None
    quota: Quota | None = None
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What people may have, and on which terms. `max_duration` and `max_total` of its needs are always set.

    `auto_rate` bounds how often it is approved automatically for one person. With `post_review` it is break-glass.
    """

    name: str
    file: str
    line: int
    selector: Selector
    needs: Needs
    pending_timeout: timedelta
    description: str = ""
    auto_approve: bool = False
    auto_rate: Rate | None = None
    in_parallel: bool = False
    post_review: PostReview | None = None
    purpose: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What binds whatever the offer. With `forbid` (its reason) nothing selected is allowed."""

    name: str
    file: str
    line: int
    selector: Selector
    needs: Needs
    forbid: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What is always true of groups, for proofs: `disjoint` have no common member, all of `subset` are in `of`."""

    file: str
    line: int
    disjoint: tuple[str, ...] = ()
    subset: str = ""
    of: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Access that comes about so, in all the ways given together. None and () say nothing.

    `longer_than` is one grant; `total_longer_than` the contiguous time over any sequence of requests; and
    `fewer_persons_than` the distinct persons who agreed to any of it. `outside` are windows it is not all within.
    """

    longer_than: timedelta | None = None
    total_longer_than: timedelta | None = None
    fewer_persons_than: int | None = None
    automatic: bool | None = None
    break_glass: bool | None = None
    outside: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What must never be possible: any of the situations in `never`, for what `about` selects.

    Its `to` and `kinds` speak of the beneficiary.
    """

    name: str
    file: str
    line: int
    about: Selector
    never: tuple[Situation, ...]
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """All rules, in order of file name and line. `version` is the hash of `files`, which alone it is made from."""

    version: str
    files: Mapping[str, str]
    offers: tuple[Offer, ...] = field(default=())
    limits: tuple[Limit, ...] = field(default=())
    facts: tuple[Fact, ...] = field(default=())
    claims: tuple[Claim, ...] = field(default=())

    @cached_property
    def index(self) -> RuleIndex:
        """Finds the rules that may concern a question."""
        return RuleIndex([offer.selector for offer in self.offers], [limit.selector for limit in self.limits])
