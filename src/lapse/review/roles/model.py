"""The values of the validation of roles: what is allowed, what was used, and what a narrower role would be.

Called by `check` and `peers`, the report and the edges. Times are UTC; shares are 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RightState(StrEnum):
    """What is known of one right: `KEPT` rights are needed by used ones, or their use is not recorded by name."""

    USED = "used"
    KEPT = "kept"
    UNUSED = "unused"


class RoleState(StrEnum):
    """What came of checking a role. Only `NARROWER` has a proposal; the others say why there is none."""

    NARROWER = "narrower"
    FITS = "fits"
    NEVER_USED = "never used"
    NOT_HELD = "not held"
    UNKNOWN = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One right of a role: `action` on `object` (of `kind`, in `database`, where the target says so).

    `used_as` are the exact (action, object) pairs that were seen where the right itself is a wildcard. `why` says why
    a right is kept although no use of it was seen.
    """

    action: str
    object: str
    kind: str = ""
    database: str = ""
    wildcard: bool = False
    state: RightState = RightState.UNUSED
    why: str = ""
    last_used: datetime | None = None
    used_as: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """The narrower role in one language: `format` is `postgresql`, `aws-iam`, `kubernetes` or `lapse`."""

    format: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCheck:
    """One role on one resource: its rights against what its `holders` used, of whom `users` used anything.

    `rights` are all that the role has; `used`, `kept` and `unused` count them. `unused_rights` and `spellings` are
    there only if a narrower role is proposed. `notes` is what to mind when it is taken up.
    """

    resource: str
    role: str
    connector: str
    entitlement: str = ""
    state: RoleState
    reason: str
    holders: int = 0
    users: int = 0
    rights: int = 0
    used: int = 0
    kept: int = 0
    unused: int = 0
    unused_rights: tuple[Right, ...] = ()
    kept_rights: tuple[Right, ...] = ()
    used_rights: tuple[Right, ...] = ()
    spellings: tuple[Spelling, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerHolding:
    """One role that a person or team holds, and how many of the `peers` (without the person) hold it."""

    resource: str
    role: str
    peers_holding: int
    peers: int
    since: datetime | None = None

    @property
    def share(self) -> float:
        """The share of the peers that hold it; 0 where there are none."""
        return self.peers_holding / self.peers if self.peers else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mover:
    """Somebody whose job changed and who still holds what they had before: advice, never a reason by itself.

    `unusual` holdings are rare among the peers of the new job, `usual` ones are not; both empty where there are too few
    peers to say (`peers`).
    """

    principal: str
    moved_at: datetime
    change: str
    team: str
    peers: int
    unusual: tuple[PeerHolding, ...] = ()
    usual: tuple[PeerHolding, ...] = ()
    not_comparable: tuple[PeerHolding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """What most people of one department and title hold: a starting point for a role of that job."""

    team: str
    people: int
    usual: tuple[PeerHolding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleValidation:
    """Everything about roles. `missing` says what was not collected; then the rest is of what was."""

    checks: tuple[RoleCheck, ...] = ()
    movers: tuple[Mover, ...] = ()
    teams: tuple[Team, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def proposals(self) -> tuple[RoleCheck, ...]:
        """The roles for which a narrower one is proposed."""
        return tuple(check for check in self.checks if check.state is RoleState.NARROWER)
