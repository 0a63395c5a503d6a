"""Holds: a statement waits at the gateway while an approver decides; nobody decides for themselves.

Who may decide is fixed when the hold is made: the guard's approvers (or the resource's owner), less everybody behind
the session. Called by the gateways' control plane and by entry points.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from hashlib import sha256

from lapse.control.context import Control
from lapse.control.guards import refuse_leaver, refuse_locked_actor
from lapse.control.notices import post
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.data import Json
from lapse.domain.errors import NotFound, Refused
from lapse.domain.holds import HOLD_LIFE, Hold, HoldEvent, HoldState
from lapse.domain.names import check_text
from lapse.domain.notices import Notice, NoticeKind
from lapse.domain.sessions import Session, SessionState
from lapse.ledger.entry import Entry
from lapse.ports import Transaction

SHOWN = 2_000
"""Characters of a statement that are kept with its hold; its recording has it whole."""
_AT_ONCE = 100


async def hold_statement(control: Control, session_id: str, statement: str, why: str) -> Hold:
    """Ask the approvers about one statement of an open session, and tell them that it waits.

    Raises:
        Refused: the session is over, or nobody may decide.
    """

    async def work(tx: Transaction) -> Hold:
        session, catalog, now = await tx.session(session_id), await tx.catalog(), control.now()
        if session.state is not SessionState.OPEN:
            raise Refused(f"session {session_id} is over")
        guard = catalog.entitlement(session.entitlement).guard
        hold = Hold(
            id=control.new_id("hol"),
            session_id=session.id,
            grant_id=session.grant_id,
            resource=session.resource,
            entitlement=session.entitlement,
            principal=session.principal,
            statement=statement[:SHOWN],
            sha256=sha256(statement.encode(errors="surrogateescape")).hexdigest(),
            why=why,
            approvers=_approvers(session, guard.approvers, catalog),
            asked_at=now,
            expires_at=min(now + guard.approval_timeout, session.deadline),
        )
        await tx.add_hold(hold)
        await tx.append([_entry("hold.asked", hold, session.principal, control)])
        await post(control, tx, [_wanted(hold)])
        return hold

    held = await control.store.write(work)
    control.wake()
    return held


async def decide_hold(control: Control, actor: Actor, hold_id: str, *, allow: bool, comment: str = "") -> Hold:
    """Let a held statement run, or not. The first answer stands; to say it again changes nothing.

    Raises:
        Refused: the actor is none of its approvers, is locked, or the hold waits no more.
    """
    actor.require(Scope.APPROVE, Scope.ADMIN)
    comment = check_text(comment, what="comment")

    async def work(tx: Transaction) -> Hold:
        await refuse_locked_actor(tx, actor)
        hold, catalog = await tx.hold(hold_id), await tx.catalog()
        refuse_leaver(catalog, actor.name)
        if not may_decide(hold, actor.name, catalog):
            raise Refused(f"`{actor.name}` may not decide about {hold_id}", hint=f"ask {', '.join(hold.approvers)}")
        event = HoldEvent.ALLOW if allow else HoldEvent.REFUSE
        if hold.state is not HoldState.WAITING:
            if hold.decided_by == actor.name and HOLD_LIFE.step(HoldState.WAITING, event) is hold.state:
                return hold
            raise Refused(f"{hold_id} waits no more: it is {hold.state}")
        if hold.expires_at <= control.now():
            raise Refused(f"{hold_id} has waited too long", hint="the statement must be sent again")
        return await _settled(tx, hold, event, control, by=actor.name, comment=comment)

    decided = await control.store.write(work)
    control.wake()
    return decided


async def drop_hold(control: Control, hold_id: str) -> None:
    """Nobody waits for it any more. What is decided, or is not there, stays as it is."""

    async def work(tx: Transaction) -> None:
        try:
            hold = await tx.hold(hold_id)
        except NotFound:
            return
        if hold.state is HoldState.WAITING:
            await _settled(tx, hold, HoldEvent.DROP, control, by="system:gateway")

    await control.store.write(work)


async def expire_holds(control: Control) -> Sequence[Hold]:
    """Holds that waited too long expire: their statements are refused."""
    now = control.now()

    async def work(tx: Transaction) -> list[Hold]:
        due = await tx.holds_due(now, _AT_ONCE)
        return [await _settled(tx, hold, HoldEvent.EXPIRE, control, by="system:gateway") for hold in due]

    if not await control.store.read(lambda reader: reader.holds_due(now, 1)):
        return []
    expired = await control.store.write(work)
    control.wake()
    return expired


def may_decide(hold: Hold, name: str, catalog: Catalog) -> bool:
    """Whether `name` is one of the hold's approvers, under whatever name, and not behind the session."""
    person = catalog.person_of(name)
    return person is not None and person in hold.approvers and person not in catalog.humans_behind(hold.principal)


def _approvers(session: Session, named: Sequence[str], catalog: Catalog) -> tuple[str, ...]:
    parties = named or (catalog.resource(session.resource).owner,)
    persons = frozenset[str]().union(*(catalog.persons_in(party) for party in parties if party))
    behind = catalog.humans_behind(session.principal) | catalog.humans_behind(session.sponsor or session.principal)
    left = persons - behind
    if not left:
        raise Refused(
            "this statement needs an approval, and nobody may give it",
            hint="name `approvers` in the entitlement's guard, or give the resource an owner",
        )
    return tuple(sorted(left))


async def _settled(
    tx: Transaction, hold: Hold, event: HoldEvent, control: Control, *, by: str, comment: str = ""
) -> Hold:
    after = hold.after(event, at=control.now(), by=by, comment=comment)
    await tx.save_holds([after])
    await tx.append([_entry(f"hold.{after.state}", after, by, control)])
    return after


def _wanted(hold: Hold) -> Notice:
    """The statement is not in it: what people write into statements belongs into no mail."""
    until = hold.expires_at.astimezone(UTC).strftime("%H:%M:%S UTC")
    text = f"a statement of `{hold.principal}` on `{hold.resource}` waits for your decision until {until}: {hold.why}"
    return Notice(kind=NoticeKind.HOLD_ASKED, subject=hold.id, to=hold.approvers, text=text, at=hold.asked_at)


def _entry(kind: str, hold: Hold, actor: str, control: Control) -> Entry:
    """The statement itself is in the session's recording; the ledger has its hash."""
    after: dict[str, Json] = {
        "state": str(hold.state),
        "session": hold.session_id,
        "grant": hold.grant_id,
        "sha256": hold.sha256,
        "why": hold.why,
        "approvers": list(hold.approvers),
    }
    context: dict[str, Json] = {"comment": hold.comment} if hold.comment else {}
    return Entry(type=kind, at=control.now(), actor=actor, subject=hold.id, after=after, context=context)
