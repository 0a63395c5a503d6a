"""The life of a grant: scheduled, active, used, and gone from the target at its end.

Times of the ledger are the enforcer's; a grant's row is written once nothing changes any more. Called by `asking` once
a request is approved, and by `run` for what is still in force at the end.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from lapse.domain.grants import EndReason, Grant, GrantState
from lapse.domain.requests import Request
from lapse.ledger.entry import changed, created
from lapse.review.collection import rows
from lapse.review.simulation.areas import EMERGENCY
from lapse.review.simulation.chance import lognormal
from lapse.review.simulation.usage import use_grant
from lapse.review.simulation.wishes import GRANTED, Case
from lapse.review.simulation.world import BREAK, World

LAG_MEDIAN, LAG_SIGMA, LAG_MOST = 38.0, 0.7, 4_000.0
"""Milliseconds from the promised end to when the target is seen to refuse."""

_SECOND = timedelta(seconds=1)
_KEPT = 3


@dataclass(slots=True, kw_only=True)
class Live:
    """A grant in force, with what its row will say besides. `ordered_at` is when its holder gave it back."""

    grant: Grant
    native_role: str
    terms_sha256: str
    outliving: timedelta
    approvers: tuple[str, ...]
    ordered_at: datetime | None = None


def schedule_grant(world: World, case: Case) -> None:
    """The grant that follows from an approved request: now, at its start, or at the end of the one it continues."""
    begins = _begins(world, case)
    grant = _grant(world, case, begins)
    world.books.record(
        created("grant.scheduled", grant, grant.id, at=world.now, actor="system:policy", request=grant.request_id)
    )
    case.grant = grant
    stale = (case.twist.grant or GRANTED).stale
    world.agenda.at(begins + stale, lambda: _activate(world, case))


def terms_hash(request: Request) -> str:
    """What is approved when a request is: who gets what, for how long, on which terms."""
    parts = (request.beneficiary, request.entitlement, request.requested_duration, request.terms)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def grant_rows(world: World) -> None:
    """The rows of what is still in force when the targets are read."""
    for live in world.live.values():
        _write(world, live, live.grant)


def _begins(world: World, case: Case) -> datetime:
    wanted = case.request.starts_at or world.now
    if case.wish.extends is not None and case.wish.extends.ends_at is not None:
        wanted = case.wish.extends.ends_at
    return max(world.now, wanted)


def _grant(world: World, case: Case, begins: datetime) -> Grant:
    twist, request = case.twist.grant or GRANTED, case.request
    return Grant(
        id=world.books.new_id("gra"),
        request_id=request.id,
        beneficiary=twist.beneficiary or request.beneficiary,
        entitlement=twist.entitlement or request.entitlement,
        starts_at=begins,
        duration=request.requested_duration + twist.longer,
        policy_version=request.policy_version,
        created_at=world.now,
        extends=request.extends,
        purpose=request.terms.purpose,
        sponsor=request.sponsor,
        break_glass=request.terms.break_glass,
    )


def _activate(world: World, case: Case) -> None:
    """The target has it now; its end is fixed, and what it is used for is decided."""
    grant, twist = case.grant, case.twist.grant or GRANTED
    if grant is None:
        return
    stream = world.chance.stream("enforcement")
    seen = world.now + timedelta(milliseconds=stream.randrange(40, 400))
    account = EMERGENCY if grant.break_glass else grant.beneficiary
    active = replace(
        grant,
        state=GrantState.ACTIVE,
        account=account,
        held_before=False,
        activated_at=seen - twist.active_early,
        ends_at=world.now + grant.duration,
        version=grant.version + 2,
    )
    world.books.record(changed("grant.active", grant, active, grant.id, at=world.now, actor="system:enforcer"))
    case.grant = active
    world.hold((active.beneficiary, active.entitlement), _until(active) + BREAK)
    live = _live(world, case, active)
    world.live[active.id] = live
    case.facts["released_at"] = use_grant(world, case)
    _plan_end(world, case, live)
    case.over()


def _live(world: World, case: Case, grant: Grant) -> Live:
    twist = case.twist.grant or GRANTED
    native = world.catalog.entitlement(grant.entitlement).native["role"]
    terms = "0" * 64 if twist.other_terms else terms_hash(case.request)
    return Live(
        grant=grant, native_role=native, terms_sha256=terms, outliving=twist.outliving, approvers=tuple(case.voted)
    )


def _until(grant: Grant) -> datetime:
    return grant.ends_at or grant.created_at


def _plan_end(world: World, case: Case, live: Live) -> None:
    twist, grant = case.twist.grant or GRANTED, live.grant
    released = case.facts["released_at"]
    if twist.never_ends:
        world.agenda.at(_until(grant) + 2 * _SECOND, lambda: _fail_to_end(world, live))
        return
    due = _until(grant) if released is None else released
    world.hold((grant.beneficiary, grant.entitlement), due + twist.late + BREAK)
    if released is not None:
        world.agenda.at(released, lambda: _release(world, live))
    lag = twist.late or timedelta(
        milliseconds=min(LAG_MOST, lognormal(world.chance.stream("lag"), LAG_MEDIAN, LAG_SIGMA))
    )
    world.agenda.at(due + lag, lambda: _end(world, live, twist.ends_early))


def _release(world: World, live: Live) -> None:
    """The holder gives it back."""
    after = replace(
        live.grant, state=GrantState.REVOKING, end_reason=EndReason.RELEASED, version=live.grant.version + 1
    )
    actor = live.grant.beneficiary
    world.books.record(changed("grant.revoking", live.grant, after, after.id, at=world.now, actor=actor))
    live.grant, live.ordered_at = after, world.now


def _end(world: World, live: Live, early: timedelta) -> None:
    """The target was seen to refuse."""
    before = live.grant
    ended = replace(
        before,
        state=GrantState.ENDED,
        end_reason=before.end_reason or EndReason.ELAPSED,
        ended_at=world.now if not early else (before.activated_at or world.now) - early,
        version=before.version + 1,
    )
    world.books.record(changed("grant.ended", before, ended, ended.id, at=world.now, actor="system:enforcer"))
    world.live.pop(ended.id, None)
    live.grant = ended
    _write(world, live, ended)
    kept = world.recent[ended.resource]
    kept.append(live)
    del kept[:-_KEPT]


def _fail_to_end(world: World, live: Live) -> None:
    """The target cannot be reached; it is tried again, for ever."""
    before = live.grant
    failed = replace(
        before,
        state=GrantState.REVOKE_FAILED,
        end_reason=EndReason.ELAPSED,
        attempts=412,
        last_error="connection refused",
        version=before.version + 2,
    )
    world.books.record(changed("grant.revoke_failed", before, failed, failed.id, at=world.now, actor="system:enforcer"))
    live.grant = failed


def _write(world: World, live: Live, grant: Grant) -> None:
    """The grant as evidence, and the credential that was made for it."""
    row = rows.grant_row(grant, live.native_role, live.ordered_at)
    world.books.add("grants", row | {"terms_sha256": live.terms_sha256})
    if not grant.break_glass:
        _write_credential(world, live, grant)


def _write_credential(world: World, live: Live, grant: Grant) -> None:
    early = grant.ended_at is not None and grant.ended_at < _until(grant)
    openssh = world.catalog.resources[grant.resource].connector == "openssh"
    world.books.add(
        "credentials",
        {
            "credential_id": grant.id.replace("gra_", "cre_"),
            "resource": grant.resource,
            "kind": "certificate" if openssh else "password",
            "account": grant.account,
            "principal": grant.beneficiary,
            "grant_id": grant.id,
            "issued_at": grant.activated_at,
            "valid_until": _until(grant) + live.outliving,
            "revoked_at": grant.ended_at if early and not live.outliving else None,
        },
    )
