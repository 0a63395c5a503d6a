"""Who may read what: those who decide, review, audit or administer see everybody's; others see their own.

Own is what one asked for or has under any name, and what the agents and services have that one answers for. Called by
the entry points when they read.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.errors import NotFound, Refused

SEES_ALL = frozenset({Scope.APPROVE, Scope.REVIEW, Scope.AUDIT, Scope.ADMIN})


def parties_of(catalog: Catalog, *names: str) -> frozenset[str]:
    """Everybody to whom what concerns `names` is their own."""
    return frozenset[str]().union(*(catalog.everyone_behind(name) for name in names))


def only_own(actor: Actor, wanted: str | None, catalog: Catalog) -> str | None:
    """Whose things a listing shows: what was asked for, or the actor's own where they may see no others."""
    if actor.scopes & SEES_ALL or (wanted is not None and actor.name in parties_of(catalog, wanted)):
        return wanted
    if wanted is not None:
        raise Refused(f"`{actor.name}` may see own requests and grants only", hint="leave the filter out")
    return actor.name


def require_sight_of(actor: Actor, parties: AbstractSet[str], what: str) -> None:
    """A thing of other people does not exist for those who may not see it."""
    if not actor.scopes & SEES_ALL and actor.name not in parties:
        raise NotFound(f"there is no {what}")
