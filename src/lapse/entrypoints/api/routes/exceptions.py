"""The register of exceptions: what was accepted, until when, and who answers for it."""

from __future__ import annotations

from lapse.control.exceptions import NewException, accept, end_exception
from lapse.domain.actors import Scope
from lapse.domain.exceptions import ReviewException
from lapse.domain.times import parse_time
from lapse.entrypoints.api.operations import Body, Call, Listing, Query, Routes

ROUTES = Routes("reviews")


class NewExceptionBody(Body, frozen=True, kw_only=True):
    """What is accepted: a `finding` by its fingerprint, or the access of `account` on `resource`."""

    owner: str
    reason: str
    until: str
    finding: str = ""
    resource: str = ""
    account: str = ""
    role: str = ""


class ExceptionQuery(Query, frozen=True, kw_only=True):
    """`in_force`: only what is accepted now."""

    in_force: bool = True


@ROUTES.get("/api/v1/exceptions", Listing[ReviewException], query=ExceptionQuery)
async def list_exceptions(call: Call) -> Listing[ReviewException]:
    """What is accepted, by its end."""
    call.actor.require(Scope.REVIEW, Scope.AUDIT, Scope.ADMIN)
    found = await call.app.store.read(lambda reader: reader.exceptions())
    now = call.control.now()
    wanted = [one for one in found if one.in_force(now) or not call.query.in_force]
    return Listing(sorted(wanted, key=lambda one: (one.until, one.id)))


@ROUTES.post("/api/v1/exceptions", ReviewException, body=NewExceptionBody, status=201)
async def add_exception(call: Call) -> ReviewException:
    """Accept a finding, or standing access, until a day."""
    body: NewExceptionBody = call.body
    wanted = NewException(
        owner=body.owner,
        reason=body.reason,
        until=parse_time(body.until),
        finding=body.finding,
        resource=body.resource,
        account=body.account,
        role=body.role,
    )
    return await accept(call.control, call.actor, wanted)


@ROUTES.post("/api/v1/exceptions/{exception_id}/end", ReviewException)
async def end_one(call: Call) -> ReviewException:
    """Accept it no longer."""
    return await end_exception(call.control, call.actor, call.path["exception_id"])
