"""The register of exceptions: accept a finding or standing access, and end that. Called by the API.

Nobody accepts what is about themselves, and the one who answers for it is an active person.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lapse.control.context import Control
from lapse.control.guards import acting_principal
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.errors import NotFound, Refused
from lapse.domain.exceptions import ReviewException, check_exception
from lapse.domain.names import check_text, shown
from lapse.ledger.entry import changed, created
from lapse.policy.problems import nearest
from lapse.ports import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class NewException:
    """What is to be accepted: a finding by its fingerprint, or an account's access (all of it without `role`)."""

    owner: str
    reason: str
    until: datetime
    finding: str = ""
    resource: str = ""
    account: str = ""
    role: str = ""


async def accept(control: Control, actor: Actor, wanted: NewException) -> ReviewException:
    """Put it on the register.

    Raises:
        InvalidInput: it is about nothing or two things, has no reason, or no end within a year.
        NotFound: the owner is no active person, or there is no such resource.
        Refused: the actor would accept their own access.
    """
    actor.require(Scope.REVIEW, Scope.ADMIN)

    async def work(tx: Transaction) -> ReviewException:
        catalog, now = await tx.catalog(), control.now()
        owner = catalog.person_of(wanted.owner)
        if owner is None:
            raise NotFound(f"`{shown(wanted.owner)}` is no active person", hint=_near(wanted.owner, catalog))
        if wanted.resource:
            catalog.resource(wanted.resource)
        _refuse_own(actor, wanted, catalog)
        made = check_exception(
            ReviewException(
                id=control.new_id("exc"),
                owner=owner,
                reason=check_text(wanted.reason, what="reason"),
                until=wanted.until,
                given_by=actor.name,
                given_at=now,
                finding=check_text(wanted.finding, what="fingerprint"),
                resource=wanted.resource,
                account=check_text(wanted.account, what="account"),
                role=check_text(wanted.role, what="role"),
            )
        )
        await tx.add_exception(made)
        await tx.append([created("exception.accepted", made, made.id, at=now, actor=actor.name)])
        return made

    return await control.store.write(work)


async def end_exception(control: Control, actor: Actor, exception_id: str) -> ReviewException:
    """Accept it no longer."""
    actor.require(Scope.REVIEW, Scope.ADMIN)

    async def work(tx: Transaction) -> ReviewException:
        before, now = await tx.exception(exception_id), control.now()
        after = before.ended(by=actor.name, at=now)
        await tx.save_exception(after)
        await tx.append([changed("exception.ended", before, after, after.id, at=now, actor=actor.name)])
        return after

    return await control.store.write(work)


def _near(name: str, catalog: Catalog) -> str:
    hint = nearest(name, catalog.principals)
    return hint if hint.startswith("did you mean") else "somebody must answer for it"


def _refuse_own(actor: Actor, wanted: NewException, catalog: Catalog) -> None:
    accepting = acting_principal(actor, catalog)
    holder = catalog.account_owner(wanted.resource, wanted.account) if wanted.resource else None
    if holder and catalog.humans_behind(holder) & catalog.humans_behind(accepting.name):
        raise Refused(
            f"`{shown(wanted.account)}` on `{shown(wanted.resource)}` is your own access",
            hint="another reviewer must accept it",
        )
