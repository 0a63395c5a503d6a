"""The values of step 5: proposed changes of the policy, each with its evidence, its patch and what it would do.

Called by the finders of this package, the report, the edges, and whoever files a proposal for two persons to decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from lapse.domain.data import Json
from lapse.policy.effects import Effects


class ProposalKind(StrEnum):
    """What a proposal is about, in the order in which they are shown."""

    STANDING = "standing access"
    DURATION = "shorter maximum"
    WAVED = "approvals waved through"
    BLOCKED = "approvals that block"
    UNUSED = "unused offer"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyProposal:
    """One proposed change of policy. Nothing is applied by the review itself.

    `subject` is the offer or entitlement it is about. `covers` is the share (0..1) of the `samples` real uses that
    `proposed` would have been enough for. `changed` are the policy files that differ, None for one that goes;
    `patch` shows the same as a unified diff against the policy `base`. Without a patch `not_patched` says why. What the
    change would do is in `effects`, or `effects_missing` says why it is not.
    """

    id: str
    kind: ProposalKind
    subject: str
    title: str
    reason: str
    offers: tuple[str, ...] = ()
    entitlements: tuple[str, ...] = ()
    current: timedelta | None = None
    proposed: timedelta | None = None
    covers: float | None = None
    samples: int = 0
    saved_hours: float = 0.0
    evidence: tuple[Mapping[str, Json], ...] = ()
    base: str = ""
    changed: Mapping[str, str | None] = field(default_factory=dict)
    patch: str = ""
    not_patched: str = ""
    effects: Effects | None = None
    effects_missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotProposed:
    """Something that was looked at and for which nothing is proposed, and why."""

    kind: ProposalKind
    subject: str
    reason: str
