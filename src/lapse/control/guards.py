"""Checks that several use cases share: who acts, and what a lock forbids. Each raises; silence is never a yes."""

from __future__ import annotations

from collections.abc import Iterable

from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.errors import Refused
from lapse.domain.grants import Grant
from lapse.domain.locks import Lock, LockKind, covering_lock
from lapse.domain.names import shown
from lapse.domain.principals import Principal
from lapse.domain.requests import Request
from lapse.ports import Reader


def acting_principal(actor: Actor, catalog: Catalog) -> Principal:
    """The actor as a known and active principal."""
    principal = catalog.principals.get(actor.name)
    if principal is None:
        raise Refused(
            f"`{shown(actor.name)}` is not in the catalog", hint="add the principal and `lapse catalog apply`"
        )
    refuse_leaver(catalog, principal.name)
    return principal


def refuse_leaver(catalog: Catalog, name: str) -> None:
    """Raise `Refused` if `name`, or somebody it is an alias of or acts for, is not active."""
    if not catalog.may_hold(name):
        principal = catalog.principals.get(name)
        who = "" if principal is None or not principal.active else ", since who it stands for is not"
        raise Refused(f"`{shown(name)}` is not active{who}")


def refuse_locked(locks: Iterable[Lock], catalog: Catalog, names: Iterable[str], entitlement: str) -> None:
    """Raise `Refused` if a lock in force covers the entitlement, or any of the names or whoever is behind one."""
    lock = covering_lock(locks, catalog, names, entitlement)
    if lock is not None:
        what = "everything" if not lock.target else f"`{lock.target}`"
        raise Refused(f"{what} is locked: {lock.reason}", hint=f"lock {lock.id} must be removed first")


async def refuse_locked_actor(reader: Reader, actor: Actor) -> None:
    """Raise `Refused` if who acts, or whoever is behind, is locked: with a stolen token nobody gets round the lock."""
    locks = [one for one in await reader.locks() if one.kind is LockKind.PRINCIPAL]
    own = covering_lock(locks, await reader.catalog(), [actor.name], "") if locks else None
    if own is not None:
        raise Refused(
            f"`{shown(actor.name)}` is locked: {own.reason}", hint="an administrator who is not locked must do it"
        )


def is_party_to(request: Request, actor: Actor, catalog: Catalog) -> bool:
    """Whether the actor asked, would benefit, or is a human behind who did or would."""
    parties = (request.requester, request.beneficiary)
    person = catalog.person_of(actor.name)
    return actor.name in parties or (person is not None and any(person in catalog.humans_behind(p) for p in parties))


def require_party_to(grant: Grant, actor: Actor, catalog: Catalog) -> None:
    """The actor is the beneficiary, a human behind it, or an administrator."""
    if Scope.ADMIN in actor.scopes or actor.name == grant.beneficiary:
        return
    person = catalog.person_of(actor.name)
    if person is None or person not in catalog.humans_behind(grant.beneficiary):
        raise Refused(f"grant {grant.id} is not yours", hint="its beneficiary or an administrator can do this")


def require_control_of(resource: str, actor: Actor, catalog: Catalog) -> None:
    """The actor owns the resource, or is an administrator."""
    if Scope.ADMIN in actor.scopes:
        return
    owners = catalog.persons_in(catalog.resource(resource).owner)
    if catalog.person_of(actor.name) not in owners:
        raise Refused(
            f"`{shown(actor.name)}` neither owns `{resource}` nor administers lapse",
            hint="ask an owner or an administrator",
        )
