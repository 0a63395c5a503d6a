"""What is odd about a policy, as values: each with a proof or an example, or with why it is not known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lapse.policy.results import Evaluation
from lapse.policy.values import Ask


class Noticed(StrEnum):
    """What a finding is about. In the order in which they are shown."""

    UNWATCHED = "nobody decides"
    QUORUM = "quorum out of reach"
    LONG = "very long"
    ENDLESS = "again and again"
    DEAD_OFFER = "offer without effect"
    DEAD_LIMIT = "limit without effect"
    ONE_PERSON = "one person decides"
    FACTS = "facts contradict"


class Certainty(StrEnum):
    """How it is known. `unknown`: it may be so or not."""

    PROVED = "proved"
    SHOWN = "shown"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyFinding:
    """One thing that is odd. `about` is a rule, or a pattern of entitlements; `file` and `line` are a rule's.

    `detail` is a clause: what is so, or why that is not known. `ask` is a question that shows it, with its `answer`.
    """

    kind: Noticed
    about: str
    certainty: Certainty
    detail: str
    file: str = ""
    line: int = 0
    ask: Ask | None = None
    answer: Evaluation | None = None

    def __str__(self) -> str:
        if self.certainty is Certainty.UNKNOWN:
            return f"`{self.about}`: not known whether it is `{self.kind}`: {self.detail}"
        return f"`{self.about}`: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Whether a rule ever decides anything; None where that is not known. `detail` is a clause: why it does not."""

    decisive: bool | None
    detail: str = ""


def order_of(finding: PolicyFinding) -> tuple[int, bool, str, int]:
    """Where a finding stands among others."""
    kinds = list(Noticed)
    return kinds.index(finding.kind), finding.certainty is Certainty.UNKNOWN, finding.file, finding.line
