"""What connectors do and see: assignments and their outcomes, and the observed state of a target.

These are the words between `enforcement`, `review` and every connector. An outcome is never assumed: it is
confirmed by reading the target back, or it is a failure that says whether it may have been applied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lapse.domain.times import Instant


class Fence(StrEnum):
    """An independent way in which access ends (see the design, invariant 11)."""

    TARGET = "target"
    GATEWAY = "gateway"
    RECONCILER = "reconciler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One grant, as a connector needs it. `native` is the entitlement's; `account` is never empty."""

    grant_id: str
    account: str
    native: Mapping[str, str]
    ends_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the target said about an assignment before lapse touched it."""

    grant_id: str
    held: bool
    account_exists: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The target was read back and has the access, at `confirmed_at`."""

    grant_id: str
    confirmed_at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """The target was seen to refuse, at `refused_at`. `proof` says how (catalog, refused login)."""

    grant_id: str
    refused_at: Instant
    proof: tuple[str, ...]
    sessions_cut: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Not confirmed. `maybe_applied` is False only where the target was read and has nothing of it."""

    grant_id: str
    error: str
    maybe_applied: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckItem:
    """One thing a target must allow lapse to do; `remedy` is the exact statement that gives it."""

    name: str
    ok: bool
    needed_for: str
    detail: str = ""
    remedy: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetCheck:
    """Whether a target is ready; `server` names product and version."""

    server: str
    items: tuple[CheckItem, ...]
    fences: frozenset[Fence]

    @property
    def ok(self) -> bool:
        """Whether everything required is there."""
        return all(item.ok for item in self.items if item.required)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedAccount:
    """A role or login on a target, with the powers it has by itself."""

    name: str
    can_login: bool
    powers: tuple[str, ...] = ()
    valid_until: Instant | None = None
    last_activity: Instant | None = None
    sessions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedMembership:
    """`member` holds `role`, directly or through the roles in `via`, outermost first.

    `inherits`: the role's rights apply at once; `may_set`: the member can switch to the role.
    """

    member: str
    role: str
    via: tuple[str, ...] = ()
    admin_option: bool = False
    inherits: bool = True
    may_set: bool = True
    grantor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPrivilege:
    """`grantee` (or `PUBLIC`) may do `privileges` on one object; `on_future` marks default privileges."""

    grantee: str
    object_kind: str
    object_name: str
    privileges: tuple[str, ...]
    database: str = ""
    grantor: str = ""
    grantable: bool = False
    is_owner: bool = False
    on_future: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedEscalation:
    """Whoever is or holds `from_name` can get `to_name` (an account, a role or a `(power)`), though nobody gave it.

    Memberships and powers are no such steps: they are observed as what they are. `how` says what makes it possible.
    """

    from_name: str
    to_name: str
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One read of a target. `gaps` lists what could not be read; with gaps it is not the full population.

    `evidence` says, per kind of row, where it was read from (catalog, view) and what it proves. `own_account` is the
    account that lapse itself used for the read. `memberships_complete` says that no gap hides an account or who holds
    which role: then what is not there is known to be gone.
    """

    resource: str
    observed_at: Instant
    server: str
    accounts: tuple[ObservedAccount, ...] = ()
    memberships: tuple[ObservedMembership, ...] = ()
    privileges: tuple[ObservedPrivilege, ...] = ()
    escalations: tuple[ObservedEscalation, ...] = ()
    gaps: tuple[str, ...] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    own_account: str = ""
    memberships_complete: bool = True

    @property
    def complete(self) -> bool:
        """Whether everything could be read."""
        return not self.gaps
