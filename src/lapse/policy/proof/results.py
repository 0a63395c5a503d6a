"""What a proof says of a claim: proved, refuted with a counter-example, or unknown with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from lapse.domain.catalog import Catalog
from lapse.domain.times import Instant
from lapse.policy.effects import ProofOutcome
from lapse.policy.values import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One request of a counter-example: the question, the offer that allows it, and the `persons` who agree.

    Access is held from `held_from` for the question's duration.
    """

    ask: Ask
    offer: str
    held_from: Instant
    persons: tuple[str, ...] = ()
    break_glass: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterExample:
    """How what must never be comes about: `steps` in order, in the organisation `catalog`.

    `total` is the contiguous time over all of them.
    """

    catalog: Catalog
    steps: tuple[Step, ...]
    total: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is known of a claim. `detail` is one sentence.

    `vacuous`: it is proved because it speaks of nothing that anybody can ask for. `unmodelled` are the conditions, and
    what of them, that the model does not cover; they only matter where the outcome is unknown.
    """

    claim: str
    outcome: ProofOutcome
    detail: str
    vacuous: bool = False
    counter_example: CounterExample | None = None
    unmodelled: tuple[str, ...] = field(default=())
