"""Policy proposals: a change of the policy waits for a second person, with what it would do beside it.

`PROPOSAL_LIFE` is the whole life of a proposal. Made and decided by `control.policies`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from lapse.domain.data import Json
from lapse.domain.lifecycle import Lifecycle
from lapse.domain.times import Instant


class ProposalState(StrEnum):
    """Where a proposal is."""

    PENDING = "pending"
    ACTIVATED = "activated"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


class ProposalEvent(StrEnum):
    """What can happen to a proposal."""

    ACTIVATE = "activate"
    REJECT = "reject"
    WITHDRAW = "withdraw"


PROPOSAL_LIFE: Lifecycle[ProposalState, ProposalEvent] = Lifecycle(
    what="policy proposal",
    initial=frozenset({ProposalState.PENDING}),
    table={
        (ProposalState.PENDING, ProposalEvent.ACTIVATE): ProposalState.ACTIVATED,
        (ProposalState.PENDING, ProposalEvent.REJECT): ProposalState.REJECTED,
        (ProposalState.PENDING, ProposalEvent.WITHDRAW): ProposalState.WITHDRAWN,
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """`files` instead of the policy `base` (empty: there was none). `effects` are diff, proofs and replay as data.

    It can be activated only while `base` is still in force: what was shown is then what happens.
    """

    id: str
    files: Mapping[str, str]
    policy_version: str
    base: str
    reason: str
    proposed_by: str
    created_at: Instant
    effects: Mapping[str, Json] = field(default_factory=dict)
    state: ProposalState = ProposalState.PENDING
    decided_by: str = ""
    decided_at: Instant | None = None
    decision_reason: str = ""
    version: int = 0

    def after(self, event: ProposalEvent, *, by: str, at: datetime, reason: str = "") -> Proposal:
        """This proposal after `event`; `Refused` where the lifecycle has no such step."""
        return replace(
            self,
            state=PROPOSAL_LIFE.step(self.state, event),
            decided_by=by,
            decided_at=at,
            decision_reason=reason,
            version=self.version + 1,
        )
