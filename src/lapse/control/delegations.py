"""Let somebody else decide while one is away: make a delegation, end it early, see who acts for whom.

A delegation has an end, is made by whom it is of (or by an administrator, never to themselves), and is recorded. What a
delegate may not decide on is in `domain.approval`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lapse.control.context import Control
from lapse.control.guards import acting_principal, refuse_locked_actor
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.delegations import Delegation
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.names import check_text, shown
from lapse.domain.times import format_time
from lapse.ledger.entry import changed, created
from lapse.ports import Reader, Transaction

LONGEST = timedelta(days=90)
"""No delegation may last longer, nor begin later: beyond this a person is not away, and the policy should say so."""

MOST_AT_A_TIME = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelegation:
    """What is wanted: `delegate` decides for `principal` (the actor if empty) from `starts_at` (now) to `ends_at`."""

    delegate: str
    ends_at: datetime
    principal: str = ""
    starts_at: datetime | None = None
    reason: str = ""


async def create_delegation(control: Control, actor: Actor, wanted: NewDelegation) -> Delegation:
    """Record a delegation.

    Raises:
        Refused: it is of somebody else and the actor is no administrator, or makes the administrator the delegate.
        InvalidInput: one of the two is no active person, they are one person, or the times cannot be right.
    """
    actor.require(Scope.APPROVE, Scope.ADMIN)
    reason = check_text(wanted.reason, what="reason", longest=500)
    if not reason:
        raise InvalidInput("a delegation needs a reason", hint="say in a few words why, e.g. `on leave`")

    async def work(tx: Transaction) -> Delegation:
        now, catalog = control.now(), await tx.catalog()
        acting_principal(actor, catalog)
        await refuse_locked_actor(tx, actor)
        principal = wanted.principal or actor.name
        _refuse_others(actor, principal, wanted.delegate, catalog)
        _check_persons(principal, wanted.delegate, catalog)
        starts_at = _checked_start(wanted, now)
        await _refuse_too_many(tx, principal, now)
        made = Delegation(
            id=control.new_id("del"),
            principal=principal,
            delegate=wanted.delegate,
            starts_at=starts_at,
            ends_at=wanted.ends_at,
            reason=reason,
            created_by=actor.name,
            created_at=now,
        )
        await tx.add_delegation(made)
        await tx.append([created("delegation.created", made, made.id, at=now, actor=actor.name, via=actor.via)])
        return made

    return await control.store.write(work)


async def end_delegation(control: Control, actor: Actor, delegation_id: str) -> Delegation:
    """End a delegation early: by whom it is of, or an administrator. What the delegate said until now stays said."""
    actor.require(Scope.APPROVE, Scope.ADMIN)

    async def work(tx: Transaction) -> Delegation:
        now, catalog = control.now(), await tx.catalog()
        found = await tx.delegation(delegation_id)
        if Scope.ADMIN not in actor.scopes and not _is(actor, found.principal, catalog):
            raise Refused(
                f"delegation {found.id} is not yours", hint=f"`{found.principal}` or an administrator can end it"
            )
        if found.ended_early_at is not None or found.ends_at <= now:
            raise Refused(f"delegation {found.id} is over already")
        ended = replace(found, ended_early_at=now, version=found.version + 1)
        await tx.save_delegation(ended)
        await tx.append([changed("delegation.ended", found, ended, found.id, at=now, actor=actor.name, via=actor.via)])
        return ended

    return await control.store.write(work)


async def list_delegations(control: Control, actor: Actor, *, everything: bool = False) -> Sequence[Delegation]:
    """Delegations that are not over, or all. Who neither audits nor administers sees those they have a part in."""
    actor.require(Scope.REQUEST, Scope.APPROVE, Scope.AUDIT, Scope.ADMIN)

    async def work(reader: Reader) -> Sequence[Delegation]:
        now, catalog = control.now(), await reader.catalog()
        found = [one for one in await reader.delegations() if everything or not _over(one, now)]
        if actor.scopes & {Scope.AUDIT, Scope.ADMIN}:
            return found
        return [one for one in found if any(_is(actor, name, catalog) for name in (one.principal, one.delegate))]

    return await control.store.read(work)


def _over(one: Delegation, now: datetime) -> bool:
    return one.ends_at <= now or one.ended_early_at is not None


def _is(actor: Actor, name: str, catalog: Catalog) -> bool:
    """Whether the actor is `name`, under any of its names."""
    person = catalog.person_of(actor.name)
    return actor.name == name or (person is not None and person == catalog.root_of(name))


def _refuse_others(actor: Actor, principal: str, delegate: str, catalog: Catalog) -> None:
    if _is(actor, principal, catalog):
        return
    if Scope.ADMIN not in actor.scopes:
        raise Refused(f"only `{shown(principal)}` or an administrator can let somebody decide for `{shown(principal)}`")
    if _is(actor, delegate, catalog):
        raise Refused(
            f"`{shown(actor.name)}` cannot make themselves the delegate of `{shown(principal)}`",
            hint=f"`{shown(principal)}` or another administrator can",
        )


def _check_persons(principal: str, delegate: str, catalog: Catalog) -> None:
    for name in (principal, delegate):
        if catalog.person_of(catalog.principal(name).name) is None:
            raise InvalidInput(
                f"`{shown(name)}` is not an active person", hint="only persons decide, for themselves or others"
            )
    if catalog.person_of(principal) == catalog.person_of(delegate):
        raise InvalidInput(f"`{shown(principal)}` and `{shown(delegate)}` are one person", hint="name somebody else")


def _checked_start(wanted: NewDelegation, now: datetime) -> datetime:
    starts_at = wanted.starts_at or now
    if starts_at < now - timedelta(minutes=1):
        raise InvalidInput(f"the start {format_time(starts_at)} is in the past", hint="leave it out to begin now")
    starts_at = max(starts_at, now)
    if starts_at > now + LONGEST:
        raise InvalidInput(f"the start {format_time(starts_at)} is more than {LONGEST.days} days away")
    if not starts_at < wanted.ends_at <= starts_at + LONGEST:
        raise InvalidInput(
            f"a delegation from {format_time(starts_at)} cannot end at {format_time(wanted.ends_at)}",
            hint=f"it ends later than it begins, and lasts {LONGEST.days} days at most",
        )
    return starts_at


async def _refuse_too_many(reader: Reader, principal: str, now: datetime) -> None:
    found = [one for one in await reader.delegations() if one.principal == principal and not _over(one, now)]
    if len(found) >= MOST_AT_A_TIME:
        raise Refused(
            f"`{shown(principal)}` has {len(found)} delegates, {MOST_AT_A_TIME} at most",
            hint="end one that is not needed",
        )
