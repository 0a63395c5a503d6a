"""What two policies differ in, as values: each difference with a question that shows it, or that there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from lapse.domain.terms import Terms
from lapse.policy.proof.changes import unnamed
from lapse.policy.results import Evaluation
from lapse.policy.values import Ask


class Kind(StrEnum):
    """How the answer of the new policy differs from that of the old one. In the order in which they are shown."""

    PERMITTED = "newly permitted"
    AUTOMATIC = "automatic now"
    BREAK_GLASS = "break-glass now"
    FEWER = "fewer approvals"
    APPROVERS = "other approvers"
    LONGER = "longer"
    DENIED = "newly denied"
    MORE = "more approvals"
    NO_BREAK_GLASS = "no break-glass now"
    SHORTER = "shorter"
    OTHER = "other terms"


_IN_QUESTION = {
    Kind.PERMITTED: "anything is newly permitted",
    Kind.AUTOMATIC: "anything is automatic now",
    Kind.BREAK_GLASS: "anything is break-glass now",
    Kind.FEWER: "anything takes fewer approvals",
    Kind.APPROVERS: "anything is approved by others",
    Kind.LONGER: "anything may last longer",
    Kind.DENIED: "anything is newly denied",
    Kind.MORE: "anything takes more approvals",
    Kind.NO_BREAK_GLASS: "anything is no longer break-glass",
    Kind.SHORTER: "anything must be shorter",
    Kind.OTHER: "anything has other terms",
}
WIDER = frozenset({Kind.PERMITTED, Kind.AUTOMATIC, Kind.BREAK_GLASS, Kind.FEWER, Kind.LONGER})
"""Those that let people have more, or have it more easily."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One way in which answers differ. `ask` is such a question; `old` and `new` are what the policies answer to it.

    `rule` is what was changed, in words.
    """

    kind: Kind
    rule: str
    ask: Ask
    old: Evaluation
    new: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A kind of difference of which it is not known whether there is one, and why."""

    kind: Kind
    rule: str
    why: str

    @property
    def words(self) -> str:
        """This, as a sentence."""
        return f"not known: whether {_IN_QUESTION[self.kind]}, by {self.rule}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyDiff:
    """All differences that were found. `notes` are sentences about what the comparison rests on.

    It is `equivalent` if there is none and none can be: the same is allowed, on the same terms, to everybody.
    """

    differences: tuple[Difference, ...] = ()
    unknown: tuple[Open, ...] = ()
    changed: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def equivalent(self) -> bool:
        """Whether it is proved that there is no difference."""
        return not self.differences and not self.unknown

    @property
    def widens(self) -> bool | None:
        """Whether somebody can have more, or have it more easily; None if that is not known."""
        if any(one.kind in WIDER for one in self.differences):
            return True
        return None if any(one.kind in WIDER for one in self.unknown) else False


Seen = Callable[[Terms, Terms], bool]

_OF_TERMS: dict[Kind, Seen] = {
    Kind.AUTOMATIC: lambda old, new: new.automatic and not old.automatic,
    Kind.BREAK_GLASS: lambda old, new: new.break_glass and not old.break_glass,
    Kind.NO_BREAK_GLASS: lambda old, new: old.break_glass and not new.break_glass and not new.automatic,
    Kind.FEWER: lambda old, new: votes(new) < votes(old) and not new.automatic and not new.break_glass,
    Kind.MORE: lambda old, new: votes(new) > votes(old) and not old.break_glass,
    Kind.APPROVERS: lambda old, new: votes(new) == votes(old) and approvers(new) != approvers(old),
    Kind.LONGER: lambda old, new: new.max_duration > old.max_duration or new.max_total > old.max_total,
    Kind.SHORTER: lambda old, new: new.max_duration < old.max_duration or new.max_total < old.max_total,
    Kind.OTHER: lambda old, new: _other(new) != _other(old),
}


def shows(kind: Kind, old: Evaluation, new: Evaluation) -> bool:
    """Whether these two answers to one question are such a difference."""
    if kind in {Kind.PERMITTED, Kind.DENIED}:
        return (old.allowed, new.allowed) == ((False, True) if kind is Kind.PERMITTED else (True, False))
    return old.terms is not None and new.terms is not None and _OF_TERMS[kind](old.terms, new.terms)


def votes(terms: Terms) -> int:
    """How many persons must agree."""
    return sum(stage.quorum for stage in terms.stages)


def approvers(terms: Terms) -> object:
    """Who must agree, in which order or in any."""
    stages = [(frozenset(s.approvers), s.quorum, s.everyone, s.excluded, s.escalations) for s in terms.stages]
    return (stages if not terms.in_parallel else sorted(stages, key=repr)), terms.in_parallel and len(stages) > 1


def _other(terms: Terms) -> object:
    parallel = terms.in_parallel and len(terms.stages) > 1
    return unnamed(terms.stages), parallel, terms.post_review, terms.purpose, terms.pending_timeout
