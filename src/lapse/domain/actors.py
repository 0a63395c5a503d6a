"""Who is acting, and what that lets them do inside lapse. Asked by every use case, before anything else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lapse.domain.errors import Refused
from lapse.domain.times import Instant


class Scope(StrEnum):
    """What a token may be used for. None includes another, but `ADMIN` may read what `AUDIT` may."""

    REQUEST = "request"
    APPROVE = "approve"
    REVIEW = "review"
    AUDIT = "audit"
    ADMIN = "admin"


LOCAL_SCOPES = frozenset({Scope.REQUEST, Scope.APPROVE, Scope.REVIEW, Scope.AUDIT})
"""What a local user may do, who only says who they are (demos on one machine). Administration always takes a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A principal (or `system:NAME` for lapse's own parts) acting through `via` (`cli`, `api`, `system`)."""

    name: str
    scopes: frozenset[Scope] = frozenset()
    via: str = "api"

    def require(self, *any_of: Scope) -> None:
        """Raise `Refused` unless the actor holds one of the scopes."""
        if not self.scopes & set(any_of):
            wanted = " or ".join(f"`{scope}`" for scope in any_of)
            raise Refused(f"`{self.name}` may not do this", hint=f"use a token with scope {wanted}")


def system_actor(part: str) -> Actor:
    """The actor for lapse's own parts, e.g. `system:enforcer`."""
    return Actor(name=f"system:{part}", scopes=frozenset(Scope), via="system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An API token. Only `digest` (SHA-256 of 256 random bits, hex) is kept; it stops at `expires_at`."""

    id: str
    principal: str
    scopes: frozenset[Scope]
    digest: str
    created_at: Instant
    expires_at: Instant
    revoked_at: Instant | None = None
    note: str = ""
