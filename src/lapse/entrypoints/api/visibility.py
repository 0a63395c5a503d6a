"""Who may read what: those who decide, review, audit or administer see everybody's; others see their own."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import NotFound, Refused

SEES_ALL = frozenset({Scope.APPROVE, Scope.REVIEW, Scope.AUDIT, Scope.ADMIN})


def only_own(actor: Actor, wanted: str | None) -> str | None:
    """Whose things a listing shows: what was asked for, or the actor's own where they may see no others."""
    if actor.scopes & SEES_ALL or wanted == actor.name:
        return wanted
    if wanted is not None:
        raise Refused(f"`{actor.name}` may see own requests and grants only", hint="leave the filter out")
    return actor.name


def require_sight_of(actor: Actor, parties: AbstractSet[str], what: str) -> None:
    """A thing of other people does not exist for those who may not see it."""
    if not actor.scopes & SEES_ALL and actor.name not in parties:
        raise NotFound(f"there is no {what}")
