"""What follows from an approved request: its grants, and after break-glass the review that is due.

Requests of one bundle are granted together: their grants come with the last approval, or not at all. Called by
`requests` where nobody needs to approve, and by `decisions` with the last vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from lapse.control.context import Control
from lapse.control.notices import post
from lapse.domain.aftermath import Aftermath
from lapse.domain.approvers import interested_persons, persons_of
from lapse.domain.errors import Refused
from lapse.domain.grants import Grant
from lapse.domain.notices import Notice, NoticeKind
from lapse.domain.recurrence import occurrences
from lapse.domain.requests import Request, RequestEvent, RequestState
from lapse.ledger.entry import Entry, changed, created
from lapse.ports import Transaction


async def approve_request(
    control: Control, tx: Transaction, request: Request, *, actor: str, reason: str = ""
) -> Request:
    """Close `request` as approved and schedule what it grants, in the caller's transaction."""
    now = control.now()
    approved = request.after(RequestEvent.APPROVE, at=now, reason=reason)
    await tx.save_request(approved)
    complete = await _complete(tx, approved)
    grants = [grant for one in complete for grant in _grants(control, one)]
    own = [grant.id for grant in grants if grant.request_id == approved.id]
    approval = changed("request.approved", request, approved, request.id, at=now, actor=actor, grants=list(own))
    await tx.append([replace(approval, policy_version=request.policy_version)])
    await tx.add_grants(grants)
    await tx.append([_scheduled(grant, now, actor) for grant in grants])
    if approved.terms.post_review is not None:
        await _after_break_glass(control, tx, approved, actor)
    return approved


async def grant_rest_of_bundle(control: Control, tx: Transaction, left: Sequence[Request], *, actor: str) -> None:
    """Schedule what the approved requests `left` in a bundle grant, from which one was taken out just now."""
    if left[0].expires_at <= control.now():
        raise Refused(f"bundle {left[0].bundle} has expired", hint="ask for what is still needed anew")
    grants = [grant for one in left for grant in _grants(control, one)]
    await tx.add_grants(grants)
    await tx.append([_scheduled(grant, control.now(), actor) for grant in grants])


async def _complete(tx: Transaction, approved: Request) -> Sequence[Request]:
    """The requests whose grants come now: this one, or its whole bundle if it was the last; () while others wait."""
    if not approved.bundle:
        return (approved,)
    bundle = await tx.requests_in_bundle(approved.bundle)
    return bundle if all(one.state is RequestState.APPROVED for one in bundle) else ()


def _grants(control: Control, request: Request) -> list[Grant]:
    now = control.now()
    since = max(request.starts_at or now, now)
    begins = [since] if request.repeats is None else occurrences(request.repeats, since)
    return [_grant(control, request, starts_at, _ends_by(request, starts_at, now)) for starts_at in begins]


def _ends_by(request: Request, starts_at: datetime, now: datetime) -> datetime | None:
    """The end that the policy agreed to, at the latest.

    Where the start was planned that is the planned end. Else the access could have begun until the request expired,
    and lie within all windows. An extension has its end from what it extends.
    """
    if request.extends is not None:
        return None
    planned = request.repeats is not None or starts_at > now
    return (starts_at if planned else max(starts_at, request.expires_at)) + request.requested_duration


def _grant(control: Control, request: Request, starts_at: datetime, ends_by: datetime | None) -> Grant:
    return Grant(
        id=control.new_id("gra"),
        request_id=request.id,
        beneficiary=request.beneficiary,
        entitlement=request.entitlement,
        starts_at=starts_at,
        duration=request.requested_duration,
        policy_version=request.policy_version,
        created_at=control.now(),
        extends=request.extends,
        purpose=request.terms.purpose,
        sponsor=request.sponsor,
        break_glass=request.terms.break_glass,
        ends_by=ends_by,
    )


def _scheduled(grant: Grant, at: datetime, actor: str) -> Entry:
    entry = created("grant.scheduled", grant, grant.id, at=at, actor=actor, request=grant.request_id)
    return replace(entry, policy_version=grant.policy_version)


async def _after_break_glass(control: Control, tx: Transaction, request: Request, actor: str) -> None:
    """Make it loud, and have somebody look at it by a time."""
    review, now = request.terms.post_review, control.now()
    if review is None:
        return
    due = Aftermath(
        id=control.new_id("aft"),
        request_id=request.id,
        beneficiary=request.beneficiary,
        entitlement=request.entitlement,
        reviewers=review.reviewers,
        created_at=now,
        due_at=now + review.within,
    )
    await tx.add_aftermath(due)
    used = created("breakglass.used", due, request.id, at=now, actor=actor, requester=request.requester)
    await tx.append([replace(used, policy_version=request.policy_version)])
    catalog = await tx.catalog()
    told = sorted(persons_of((*review.reviewers, "owner"), request, catalog) - interested_persons(request, catalog))
    text = f"`{request.requester}` used break-glass for `{request.entitlement}`: {request.justification}"
    notice = Notice(kind=NoticeKind.BREAK_GLASS, subject=due.id, to=tuple(told), text=text, at=now)
    await post(control, tx, [notice])
