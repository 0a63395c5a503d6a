"""What a proposed policy would do, as values that a second person reads before it comes into force.

Computed by `bootstrap`, kept with the proposal as data, and read again when somebody activates it. What could not be
computed says why; nothing is left out silently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lapse.domain.data import Json, from_data
from lapse.policy.replay import ReplayReport
from lapse.policy.rules import Policy


class ProofOutcome(StrEnum):
    """What the solver says of a claim."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimEffect:
    """One claim of the proposal: `detail` is a sentence, `lines` show the counter-example if there is one."""

    name: str
    outcome: ProofOutcome
    detail: str = ""
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffEffect:
    """How the answers change. `missing` says why that is not known; then the rest says nothing.

    `widens`: somebody can have more, or have it more easily; None is not known.
    """

    missing: str = ""
    equivalent: bool = False
    widens: bool | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Diff, proofs, replay and warnings of one proposal. `replay_missing` says why there is no replay."""

    diff: DiffEffect = DiffEffect(missing="it was not computed")
    claims: tuple[ClaimEffect, ...] = ()
    replay: ReplayReport | None = None
    replay_missing: str = ""
    warnings: tuple[str, ...] = field(default=())


def claims_of(policy: Policy, effects: Mapping[str, Json]) -> tuple[ClaimEffect, ...]:
    """Every claim of `policy` with what the recorded `effects` say of it; one they do not speak of is unknown."""
    known = {claim.name: claim for claim in from_data(Effects, dict(effects)).claims}
    missing = "nobody tried to prove it"
    return tuple(
        known.get(claim.name) or ClaimEffect(name=claim.name, outcome=ProofOutcome.UNKNOWN, detail=missing)
        for claim in policy.claims
    )
