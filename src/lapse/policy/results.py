"""The answer to a question: `Evaluation`, with every rule and every check, as a frozen value.

The same value feeds `explain`, the API's preview, the denial text and the review's re-derivation. `to_data` and
`from_data` keep it whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from lapse.domain.terms import Terms


class Status(StrEnum):
    """How a check or a rule came out. `failed` (it could not be evaluated) never permits anything."""

    SATISFIED = "satisfied"
    UNSATISFIED = "unsatisfied"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing a rule looked at. `detail` continues a sentence that begins with the rule's name.

    `remedy` is what the asker could do to satisfy it; empty if nothing. `at_most` is the longest time that would.
    """

    name: str
    status: Status
    detail: str
    remedy: str = ""
    at_most: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """One offer or limit. `terms` is what a satisfied offer comes to together with all limits that bind."""

    name: str
    description: str
    file: str
    line: int
    status: Status
    checks: tuple[Check, ...] = ()
    terms: Terms | None = None

    @property
    def open_checks(self) -> tuple[Check, ...]:
        """The checks that stand in the way."""
        return tuple(c for c in self.checks if c.status in {Status.UNSATISFIED, Status.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the policy says. `reason` is one sentence for the asker, `hint` what to try next (may be empty).

    `terms` are there if and only if `allowed`, and are those of the offer `chosen`: of all satisfied offers the one
    that asks least of people (fewest votes, then the longest time, then the first in the files).
    """

    policy_version: str
    allowed: bool
    reason: str
    hint: str = ""
    chosen: str = ""
    terms: Terms | None = None
    basics: tuple[Check, ...] = ()
    offers: tuple[RuleResult, ...] = ()
    limits: tuple[RuleResult, ...] = ()

    @property
    def others(self) -> tuple[RuleResult, ...]:
        """Satisfied offers that were not chosen."""
        return tuple(o for o in self.offers if o.status is Status.SATISFIED and o.name != self.chosen)
