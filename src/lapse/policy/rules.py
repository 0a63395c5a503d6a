"""A policy as values: offers and limits, checked and ready to be evaluated. Built by `parser`, nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from lapse.domain.requests import Stage
from lapse.policy.expressions.condition import Condition
from lapse.policy.patterns import Pattern
from lapse.policy.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Which questions a rule is about. An empty part selects everything; offers always name `to`.

    `asked_by` are those who may ask for somebody else (offers only).
    """

    entitlements: tuple[Pattern, ...] = ()
    to: tuple[str, ...] = ()
    asked_by: tuple[str, ...] = ()
    when: Condition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a question must meet, and what approvals it takes. None and () ask for nothing.

    `ticket` is the ticket systems that count, () for any; `justification` the least number of characters.
    """

    max_duration: timedelta | None = None
    max_total: timedelta | None = None
    windows: tuple[Window, ...] = ()
    justification: int | None = None
    ticket: tuple[str, ...] | None = None
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What people may have, and on which terms. `max_duration` and `max_total` of its needs are always set."""

    name: str
    file: str
    line: int
    selector: Selector
    needs: Needs
    pending_timeout: timedelta
    description: str = ""
    auto_approve: bool = False


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


@dataclass(frozen=True, kw_only=True)
class Policy:
    """All rules, in order of file name and line. `version` is the hash of `files`, which alone it is made from."""

    version: str
    files: Mapping[str, str]
    offers: tuple[Offer, ...] = field(default=())
    limits: tuple[Limit, ...] = field(default=())
