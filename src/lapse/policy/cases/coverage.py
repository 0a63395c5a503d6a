"""Which rules test cases looked at, and how they came out. Called by `judge`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from lapse.policy.results import Evaluation, Status
from lapse.policy.rules import Limit, Offer, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleCoverage:
    """One rule: in how many cases it was satisfied, was not, could not be evaluated; else it was not about the case."""

    kind: str
    name: str
    file: str
    line: int
    satisfied: int = 0
    unsatisfied: int = 0
    failed: int = 0

    @property
    def looked_at(self) -> bool:
        """Whether any case was about it."""
        return bool(self.satisfied or self.unsatisfied or self.failed)


def coverage(policy: Policy, evaluations: Iterable[Evaluation]) -> tuple[RuleCoverage, ...]:
    """Every rule of `policy`, in order."""
    counts: Counter[tuple[str, Status]] = Counter(
        (rule.name, rule.status) for answer in evaluations for rule in (*answer.offers, *answer.limits)
    )
    rules: tuple[Offer | Limit, ...] = (*policy.offers, *policy.limits)
    return tuple(
        RuleCoverage(
            kind="offer" if isinstance(rule, Offer) else "limit",
            name=rule.name,
            file=rule.file,
            line=rule.line,
            satisfied=counts[rule.name, Status.SATISFIED],
            unsatisfied=counts[rule.name, Status.UNSATISFIED],
            failed=counts[rule.name, Status.FAILED],
        )
        for rule in rules
    )
