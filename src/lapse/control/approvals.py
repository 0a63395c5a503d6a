"""What follows from an approved request: its grant."""

from __future__ import annotations

from dataclasses import replace

from lapse.control.context import Control
from lapse.domain.grants import Grant
from lapse.domain.requests import Request, RequestEvent
from lapse.ledger.entry import changed, created
from lapse.ports import Transaction


async def approve_request(
    control: Control, tx: Transaction, request: Request, *, actor: str, reason: str = ""
) -> Request:
    """Close `request` as approved and schedule its grant, in the caller's transaction."""
    now = control.now()
    approved = request.after(RequestEvent.APPROVE, at=now, reason=reason)
    grant = _grant(control, approved)
    await tx.save_request(approved)
    await tx.add_grants([grant])
    approval = changed("request.approved", request, approved, request.id, at=now, actor=actor, grant=grant.id)
    schedule = created("grant.scheduled", grant, grant.id, at=now, actor=actor, request=request.id)
    await tx.append([replace(entry, policy_version=request.policy_version) for entry in (approval, schedule)])
    return approved


def _grant(control: Control, request: Request) -> Grant:
    now = control.now()
    return Grant(
        id=control.new_id("gra"),
        request_id=request.id,
        beneficiary=request.beneficiary,
        entitlement=request.entitlement,
        starts_at=max(request.starts_at or now, now),
        duration=request.requested_duration,
        policy_version=request.policy_version,
        created_at=now,
        extends=request.extends,
    )
