"""What is protected, and the entitlements that can be held on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from lapse.domain.guards import GatewayRules, Guard


class OnDrift(StrEnum):
    """What reconciliation does with access that lapse did not grant. It never adopts it."""

    REPORT = "report"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """A role on a resource. `native` says what it is on the target, in the connector's own terms.

    For `postgresql`: `{"role": "app_reader", "mode": "membership", "reassign_to": "app_owner"}`; the
    other mode is `ephemeral`.
    """

    resource: str
    role: str
    title: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    native: Mapping[str, str] = field(default_factory=dict)
    guard: Guard = field(default_factory=Guard)

    @property
    def name(self) -> str:
        """`resource/role`, the spelling people and policies use."""
        return f"{self.resource}/{self.role}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Something protected. `owner` is a principal's name or `group:NAME`; empty means nobody owns it."""

    name: str
    connector: str
    title: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    on_drift: OnDrift = OnDrift.REPORT
    gateway: GatewayRules = field(default_factory=GatewayRules)
    entitlements: tuple[Entitlement, ...] = ()

    def entitlement(self, role: str) -> Entitlement | None:
        """The entitlement called `role`, if this resource has it."""
        return next((e for e in self.entitlements if e.role == role), None)
