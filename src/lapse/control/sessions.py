"""Sessions: opened for a credential whose grant is active, told to end, and over; each on record before and after.

Every condition is looked at in the transaction that opens the session, so that what ends at the same time either
prevents it or finds it open and cuts it. Called by the gateways' control plane and by entry points.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lapse.control.context import Control
from lapse.control.credentials import active_until
from lapse.control.guards import refuse_leaver, refuse_locked, require_control_of
from lapse.domain.actors import Actor, Scope, system_actor
from lapse.domain.catalog import Catalog
from lapse.domain.credentials import Credential
from lapse.domain.data import Json, to_data
from lapse.domain.errors import Conflict, InvalidInput, NotFound, Refused
from lapse.domain.gateways import LOST_AFTER, PROTOCOL_OF
from lapse.domain.grants import EndReason, Grant, GrantState
from lapse.domain.guards import GatewayRules
from lapse.domain.names import check_text, shown
from lapse.domain.recordings import Segment
from lapse.domain.resources import Entitlement
from lapse.domain.sessions import Session, SessionEnd, SessionState, SessionUse
from lapse.ledger.entry import Entry
from lapse.ports import Attempt, Cut, Reader, Transaction

GATEWAY = system_actor("gateway").name
LONGEST_TEXT = 200
_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a credential leads to while its grant is active."""

    credential: Credential
    grant: Grant
    deadline: datetime
    entitlement: Entitlement
    rules: GatewayRules


async def claim_of(control: Control, reader: Reader, credential_id: str, protocol: str) -> Claim:
    """Who holds this credential may have a session now, as far as limits allow.

    Raises:
        Refused: it is not usable, its grant is not active, its holder may hold nothing, or a lock is in force.
    """
    try:
        credential = await reader.credential(credential_id)
    except NotFound:
        raise Refused("there is no such credential") from None
    if credential.direct:
        raise Refused("the certificate is for the host itself", hint="leave --direct out to go through the gateway")
    if not credential.usable(control.now()):
        raise Refused("the credential is not valid any more", hint="get a new one, or ask for access again")
    grant, catalog = await reader.grant(credential.grant_id), await reader.catalog()
    deadline = active_until(grant, control.now())
    refuse_leaver(catalog, grant.beneficiary)
    refuse_locked(await reader.locks(), catalog, [grant.beneficiary], grant.entitlement)
    resource = catalog.resource(grant.resource)
    if PROTOCOL_OF.get(resource.connector) != protocol:
        raise Refused(f"`{shown(resource.name)}` does not speak {shown(protocol)}")
    return Claim(
        credential=credential,
        grant=grant,
        deadline=deadline,
        entitlement=catalog.entitlement(grant.entitlement),
        rules=resource.gateway,
    )


async def open_session(control: Control, gateway: str, attempt: Attempt) -> tuple[Session, Claim]:
    """Put a session on record as open, if nothing speaks against it.

    Raises:
        Refused: see `claim_of`; or a limit is reached.
        Conflict: there is a session with this id already.
    """

    async def work(tx: Transaction) -> tuple[Session, Claim]:
        claim = await claim_of(control, tx, attempt.credential_id, attempt.protocol)
        if attempt.session_id and await tx.sessions_by_id([attempt.session_id]):
            raise Conflict("there is a session with this id already")
        await _refuse_too_many(tx, claim, await tx.catalog())
        session = _session(control, gateway, attempt, claim)
        await tx.add_session(session)
        if claim.credential.single_use:
            used = replace(claim.credential, used_at=session.started_at, version=claim.credential.version + 1)
            await tx.save_credentials([used])
        await tx.append([_opened(session, claim.grant)])
        return session, claim

    return await control.store.write(work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """The end of a session as its gateway saw it. `recorded`: its recording is whole."""

    reason: SessionEnd
    at: datetime
    use: SessionUse = field(default_factory=SessionUse)
    recorded: bool = False
    by: str = ""


async def finish_session(control: Control, session_id: str, over: Over) -> None:
    """Record a session's end. One that is over already, or never was, stays as it is; of a lost one the end is found.

    A gateway that could not reach lapse for long keeps the ends of its sessions and tells them when it can: meanwhile
    they were lost, and what it says is better than that.
    """

    async def work(tx: Transaction) -> None:
        for session in await tx.sessions_by_id([session_id]):
            at, now = max(over.at, session.started_at), control.now()
            if session.state is SessionState.OPEN:
                why = await _reason(tx, session, over)
                ended = session.ended(why.reason, at=at, use=over.use, recorded=over.recorded, by=why.by)
                await _save_ended(tx, [ended], at=now)
            elif session.end_reason is SessionEnd.LOST and over.reason is not SessionEnd.LOST:
                why = await _reason(tx, session, over)
                found = session.found(why.reason, at=at, use=over.use, recorded=over.recorded, by=why.by)
                await tx.save_sessions([found])
                await tx.append([_over(found, now, kind="session.found")])

    await control.store.write(work)


async def _reason(tx: Transaction, session: Session, over: Over) -> Cut:
    """Why it ended. A target that hangs up on a session that must end carries that end out before its gateway."""
    if over.reason is SessionEnd.SERVER:
        grants = await tx.grants_by_id([session.grant_id])
        if session.must_end is not None or not any(grant.state is GrantState.ACTIVE for grant in grants):
            return _cut(session, grants[0] if grants else None)
    return Cut(session_id=session.id, reason=over.reason, by=over.by)


async def lose_sessions(tx: Transaction, gateways: Iterable[str], now: datetime) -> list[Session]:
    """Sessions of gateways that are gone are lost: when they ended nobody knows, not after their deadline."""
    names = frozenset(gateways)
    return await _lose(tx, await tx.open_sessions(gateways=names), now) if names else []


async def lose_overdue_sessions(control: Control) -> list[Session]:
    """Sessions that are open on record long after their deadline, of which no gateway told the end, are lost."""
    before = control.now() - LOST_AFTER

    async def work(tx: Transaction) -> list[Session]:
        return await _lose(tx, await tx.sessions_due(before, _AT_ONCE), control.now())

    if not await control.store.read(lambda reader: reader.sessions_due(before, 1)):
        return []
    return await control.store.write(work)


async def _lose(tx: Transaction, sessions: Sequence[Session], now: datetime) -> list[Session]:
    lost = [one.ended(SessionEnd.LOST, at=max(one.started_at, min(now, one.deadline))) for one in sessions]
    if lost:
        await _save_ended(tx, lost, at=now)
    return lost


async def kill_session(control: Control, actor: Actor, session_id: str, reason: str) -> Session:
    """Tell a session's gateway to cut it: by the resource's owner or an administrator. Its grant goes on.

    Raises:
        InvalidInput: no reason is given.
        Refused: the actor neither owns the resource nor is an administrator, or the session is over.
    """
    actor.require(Scope.APPROVE, Scope.REVIEW, Scope.ADMIN)
    why = check_text(reason, what="reason")
    if not why:
        raise InvalidInput("a session is killed for a reason", hint="say in a few words why it must end")

    async def work(tx: Transaction) -> Session:
        session = await tx.session(session_id)
        require_control_of(session.resource, actor, await tx.catalog())
        if session.state is not SessionState.OPEN:
            raise Refused(f"session {session_id} is over already")
        if session.must_end is not None:
            return session
        told = session.told_to_end(SessionEnd.KILLED, actor.name)
        await tx.save_sessions([told])
        context: dict[str, Json] = {"why": why, "grant": session.grant_id}
        at = control.now()
        await tx.append([Entry(type="session.killed", at=at, actor=actor.name, subject=session_id, context=context)])
        return told

    told = await control.store.write(work)
    control.wake()
    return told


async def record_segment(control: Control, segment: Segment) -> None:
    """Put the hash of a sealed piece of a recording on record; a second time changes nothing.

    Raises:
        Conflict: another piece has this number.
        NotFound: there is no such session.
    """

    async def work(tx: Transaction) -> None:
        session = await tx.session(segment.session_id)
        there = next((one for one in await tx.segments(session.id) if one.number == segment.number), None)
        if there is not None:
            if there.sha256 != segment.sha256:
                raise Conflict(
                    f"piece {segment.number} of the recording of {session.id} is on record with another hash"
                )
            return
        kept = (await tx.catalog()).resources.get(session.resource)
        rules = kept.gateway if kept is not None else GatewayRules()
        await tx.add_segment(
            replace(segment, resource=session.resource, keep_until=segment.sealed_at + rules.keep_for, removed_at=None)
        )
        await tx.append([_sealed(segment, control.now())])

    await control.store.write(work)


async def cuts_for(reader: Reader, gateway: str) -> list[Cut]:
    """What `gateway` must cut now: sessions told to end, and those whose grant is not active (any more)."""
    sessions = await reader.sessions_to_cut(gateway)
    if not sessions:
        return []
    grants = {grant.id: grant for grant in await reader.grants_by_id({one.grant_id for one in sessions})}
    return [_cut(session, grants.get(session.grant_id)) for session in sessions]


async def cuts_of_lost(reader: Reader, gateway: str, now: datetime) -> list[Cut]:
    """What `gateway`, back after it was taken for gone, must cut if it still holds it: its sessions of before.

    They are over on record, so that neither limits nor cuts count them; none may run on.
    """
    return [Cut(session_id=one.id, reason=SessionEnd.LOST) for one in await reader.sessions_lost(gateway, now)]


_REASONS: dict[EndReason | None, SessionEnd] = {
    EndReason.ELAPSED: SessionEnd.ELAPSED,
    EndReason.RELEASED: SessionEnd.RELEASED,
    EndReason.REVOKED: SessionEnd.REVOKED,
    EndReason.LOCKED: SessionEnd.LOCKED,
    EndReason.POLICY_CHANGED: SessionEnd.POLICY_CHANGED,
    EndReason.DRIFT: SessionEnd.DRIFT,
}


def _cut(session: Session, grant: Grant | None) -> Cut:
    if session.must_end is not None:
        return Cut(session_id=session.id, reason=session.must_end, by=session.must_end_by)
    why = grant.end_reason if grant is not None else None
    return Cut(session_id=session.id, reason=_REASONS.get(why, SessionEnd.REVOKED))


async def _refuse_too_many(tx: Transaction, claim: Claim, catalog: Catalog) -> None:
    """Limits count under whatever name a person comes."""
    names = catalog.names_of(claim.grant.beneficiary) | {claim.grant.beneficiary}
    everybodys, theirs = await tx.count_sessions(claim.grant.resource, names)
    if everybodys >= claim.rules.sessions:
        raise Refused(f"`{claim.grant.resource}` has {everybodys} sessions, and may have no more", hint="try later")
    if theirs >= claim.rules.sessions_per_principal:
        raise Refused(
            f"`{shown(claim.grant.beneficiary)}` has {theirs} sessions there, the most it may have",
            hint="close one, then try again",
        )


def _session(control: Control, gateway: str, attempt: Attempt, claim: Claim) -> Session:
    grant = claim.grant
    return Session(
        id=attempt.session_id or control.new_id("ses"),
        grant_id=grant.id,
        credential_id=claim.credential.id,
        resource=grant.resource,
        entitlement=grant.entitlement,
        principal=grant.beneficiary,
        account=grant.account,
        protocol=attempt.protocol,
        gateway=gateway,
        client=attempt.client[:LONGEST_TEXT],
        started_at=control.now(),
        deadline=claim.deadline,
        program=_printable(attempt.program),
        place=_printable(attempt.place),
        sponsor=grant.sponsor,
    )


def _printable(text: str) -> str:
    """What a client said about itself, fit for a terminal."""
    return "".join(one if one.isprintable() else "?" for one in text[:LONGEST_TEXT])


def _opened(session: Session, grant: Grant) -> Entry:
    after: dict[str, Json] = {
        name: to_data(getattr(session, name))
        for name in ("grant_id", "credential_id", "principal", "account", "protocol", "gateway", "client", "deadline")
    }
    more = {name: value for name in ("program", "place", "sponsor") if (value := getattr(session, name))}
    return Entry(
        type="session.opened",
        at=session.started_at,
        actor=session.principal,
        subject=session.id,
        after=after | more,
        policy_version=grant.policy_version,
    )


async def _save_ended(tx: Transaction, ended: Sequence[Session], *, at: datetime) -> None:
    await tx.save_sessions(ended)
    await tx.append([_over(session, at) for session in ended])


def _over(session: Session, at: datetime, *, kind: str = "session.ended") -> Entry:
    after: dict[str, Json] = {
        "state": str(session.state),
        "ended_at": to_data(session.ended_at),
        "end_reason": to_data(session.end_reason),
        "ended_by": session.ended_by,
        "recorded": session.recorded,
        "use": to_data(session.use),
    }
    context: dict[str, Json] = {"grant": session.grant_id}
    return Entry(type=kind, at=at, actor=GATEWAY, subject=session.id, after=after, context=context)


def _sealed(segment: Segment, at: datetime) -> Entry:
    after: dict[str, Json] = {
        "number": segment.number,
        "sha256": segment.sha256,
        "bytes": segment.bytes,
        "frames": segment.frames,
        "last": segment.last,
        "torn": segment.torn,
    }
    return Entry(type="recording.sealed", at=at, actor=GATEWAY, subject=segment.session_id, after=after)
