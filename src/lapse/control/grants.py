"""Release, revoke, and get a credential: what people do with a grant. Its end is carried out by `enforcement`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from lapse.control.context import Control
from lapse.control.credentials import active_until, require_beneficiary
from lapse.control.guards import require_control_of, require_party_to
from lapse.domain.access import Assignment
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.grants import ENDING, LIVE, EndReason, Grant, GrantState
from lapse.domain.locks import covering_lock
from lapse.domain.names import check_text
from lapse.domain.recurrence import MOST_OCCURRENCES
from lapse.ledger.entry import Entry, changed
from lapse.ports import Connector, Page, Transaction


async def release(control: Control, actor: Actor, grant_id: str) -> Grant:
    """End an own grant early. Releasing what is over or ending already changes nothing."""
    actor.require(Scope.REQUEST, Scope.ADMIN)

    async def work(tx: Transaction) -> Grant:
        grant = await tx.grant(grant_id)
        require_party_to(grant, actor, await tx.catalog())
        return (await end_grants(tx, [grant], EndReason.RELEASED, at=control.now(), actor=actor.name))[0]

    return _and_wake(control, await control.store.write(work))


async def release_all(control: Control, actor: Actor, request_id: str) -> list[Grant]:
    """End early whatever a request still gives: what it gave already, and all times that are to come."""
    actor.require(Scope.REQUEST, Scope.ADMIN)

    async def work(tx: Transaction) -> list[Grant]:
        request, catalog = await tx.request(request_id), await tx.catalog()
        page = Page(limit=MOST_OCCURRENCES, newest_first=False)
        given = await tx.grants(page, states=LIVE | {GrantState.SCHEDULED}, request_id=request.id)
        for grant in given:
            require_party_to(grant, actor, catalog)
        return await end_grants(tx, given, EndReason.RELEASED, at=control.now(), actor=actor.name)

    ended = await control.store.write(work)
    control.wake()
    return ended


async def revoke(control: Control, actor: Actor, grant_id: str, reason: str) -> Grant:
    """Take a grant away, with a reason: by the resource's owner or an administrator."""
    actor.require(Scope.APPROVE, Scope.REVIEW, Scope.ADMIN)
    reason = check_text(reason, what="reason")
    if not reason:
        raise InvalidInput("a revocation needs a reason", hint="say in a few words why the access must end")

    async def work(tx: Transaction) -> Grant:
        grant = await tx.grant(grant_id)
        require_control_of(grant.resource, actor, await tx.catalog())
        ended = await end_grants(tx, [grant], EndReason.REVOKED, at=control.now(), actor=actor.name, why=reason)
        return ended[0]

    return _and_wake(control, await control.store.write(work))


async def issue_credential(control: Control, actor: Actor, grant_id: str) -> Mapping[str, str]:
    """A fresh secret for an active grant with an account of its own; shown once, kept nowhere.

    The issue is recorded before the target is asked; an earlier secret of the same grant stops working.
    """
    actor.require(Scope.REQUEST)

    async def work(tx: Transaction) -> tuple[Assignment, Connector]:
        grant, catalog = await tx.grant(grant_id), await tx.catalog()
        require_beneficiary(grant, actor, catalog)
        if covering_lock(await tx.locks(), catalog, [actor.name, grant.beneficiary], grant.entitlement):
            raise Refused("a lock is in force", hint="`lapse lock list` shows it")
        if catalog.resource(grant.resource).gateway.only:
            raise Refused(f"`{grant.resource}` is reached through the gateway only", hint="`lapse connect` does that")
        deadline = active_until(grant, control.now())
        entry = Entry(type="credential.issued", at=control.now(), actor=actor.name, subject=grant_id)
        await tx.append([replace(entry, policy_version=grant.policy_version)])
        native = catalog.entitlement(grant.entitlement).native
        assignment = Assignment(grant_id=grant.id, account=grant.account, native=native, ends_at=deadline)
        return assignment, await control.connector_for(tx, grant.resource)

    assignment, connector = await control.store.write(work)
    return await connector.issue_credential(assignment)


async def end_grants(
    tx: Transaction,
    grants: Iterable[Grant],
    reason: EndReason,
    *,
    at: datetime,
    actor: str,
    why: str = "",
) -> list[Grant]:
    """Start the end of every grant that is not over, in the caller's transaction; others come back as they are.

    What has not reached a target ends here; everything else becomes `revoking`, for the enforcer.
    """
    pairs = [(grant, _towards_end(grant, reason, at)) for grant in grants]
    touched = [(before, after) for before, after in pairs if before is not after]
    await tx.save_grants([after for _, after in touched])
    await tx.append(
        [
            replace(
                changed(f"grant.{after.state}", before, after, after.id, at=at, actor=actor, why=why),
                policy_version=after.policy_version,
            )
            for before, after in touched
        ]
    )
    return [after for _, after in pairs]


def _towards_end(grant: Grant, reason: EndReason, at: datetime) -> Grant:
    if grant.state is GrantState.SCHEDULED:
        return grant.cancelled(reason, at=at)
    if grant.state in LIVE:
        return grant.ending(reason)
    return grant


def _and_wake(control: Control, grant: Grant) -> Grant:
    if grant.state in ENDING:
        control.wake()
    return grant
