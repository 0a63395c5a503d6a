"""Other systems that lapse asks and tells: what is set up, whether it works, tickets, rotas, and the outbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lapse.bootstrap.integrations.checking import Checked, Integration, check, listed
from lapse.bootstrap.integrations.secrets import PURPOSE
from lapse.control import notices
from lapse.domain.actors import Scope
from lapse.domain.errors import InvalidInput
from lapse.domain.notices import Posting, PostingState
from lapse.domain.requests import Ticket
from lapse.domain.times import parse_time
from lapse.entrypoints.api.operations import Body, Call, Listing, Paging, Query, Routes, page_of
from lapse.policy.values import TicketStatus

ROUTES = Routes("integrations")
_READERS = (Scope.ADMIN, Scope.AUDIT, Scope.REVIEW)


class CheckBody(Body, frozen=True, kw_only=True):
    """`ticket` (`jira:OPS-7`) is looked up in its system; with `send` the caller gets a test notice by every way."""

    ticket: str = ""
    send: bool = False


class SealBody(Body, frozen=True, kw_only=True):
    """A secret for the file of integrations."""

    secret: str


class TicketQuery(Query, frozen=True, kw_only=True):
    """The ticket's number in its system; there is no ticket without one."""

    number: str = ""


class RotaQuery(Query, frozen=True, kw_only=True):
    """`at`: a time (RFC 3339); now if left out."""

    at: str = ""


class NoticeQuery(Paging, frozen=True, kw_only=True):
    """`state`: only notices in one of these states."""

    state: tuple[PostingState, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A secret as it may stand in the file of integrations, after `sealed:`."""

    sealed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketView:
    """What the ticket system says now."""

    system: str
    number: str
    status: TicketStatus
    detail: str
    title: str
    assignee: str
    looked_up_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RotaView:
    """Who is on call at `at`; `unknown` are names in the rota that nobody in the catalog has."""

    rota: str
    at: datetime
    on_call: tuple[str, ...]
    unknown: tuple[str, ...]


@ROUTES.get("/api/v1/integrations", Listing[Integration])
async def list_integrations(call: Call) -> Listing[Integration]:
    """Everything that `integrations.yaml` sets up, and what of it cannot be used."""
    call.actor.require(*_READERS)
    return Listing(listed(call.app.integrations))


@ROUTES.post("/api/v1/integrations/check", Listing[Checked], body=CheckBody)
async def check_integrations(call: Call) -> Listing[Checked]:
    """Try every integration out now."""
    call.actor.require(Scope.ADMIN)
    ticket = _ticket(call.body.ticket) if call.body.ticket else None
    return Listing(await check(call.app, ticket, send_to=call.actor.name if call.body.send else ""))


@ROUTES.post("/api/v1/integrations/seal", Sealed, body=SealBody, secret=True)
async def seal_secret(call: Call) -> Sealed:
    """Encrypt a secret with the installation's key, for the file of integrations."""
    call.actor.require(Scope.ADMIN)
    secret = call.body.secret.strip()
    if not secret:
        raise InvalidInput("there is nothing to seal", hint="give the secret on standard input")
    return Sealed(sealed=call.app.keyring.seal(secret, purpose=PURPOSE))


@ROUTES.get("/api/v1/tickets/{system}", TicketView, query=TicketQuery)
async def show_ticket(call: Call) -> TicketView:
    """Ask a ticket system about one ticket, now."""
    call.actor.require(*_READERS)
    ticket = _ticket(f"{call.path['system']}:{call.query.number}")
    facts = await call.app.integrations.tickets.ask_now(ticket)
    return TicketView(
        system=ticket.system,
        number=ticket.number,
        status=facts.status,
        detail=facts.detail,
        title=facts.title,
        assignee=facts.assignee,
        looked_up_at=facts.looked_up_at,
    )


@ROUTES.get("/api/v1/rotas/{rota}", RotaView, query=RotaQuery)
async def show_rota(call: Call) -> RotaView:
    """Who is on call, now or at another time. Everybody may see it: it says who can decide."""
    at = parse_time(call.query.at) if call.query.at else call.app.clock.now()
    found = await call.app.integrations.rotas.look(call.path["rota"], at)
    return RotaView(rota=call.path["rota"], at=at, on_call=tuple(sorted(found.principals)), unknown=found.unknown)


@ROUTES.get("/api/v1/notices", Listing[Posting], query=NoticeQuery)
async def list_notices(call: Call) -> Listing[Posting]:
    """What people were told, or could not be."""
    found = await notices.list_notices(call.control, call.actor, call.query.page(), states=call.query.state)
    return page_of(found, call.query)


@ROUTES.post("/api/v1/notices/{notice_id}/retry", Posting)
async def retry_notice(call: Call) -> Posting:
    """Try a notice that was given up once more."""
    return await notices.retry_notice(call.control, call.actor, call.path["notice_id"])


def _ticket(text: str) -> Ticket:
    system, colon, number = text.partition(":")
    if not (colon and system.strip() and number.strip()):
        raise InvalidInput(f"`{text[:60]}` is not a ticket", hint="write it as `jira:OPS-7`")
    return Ticket(system=system.strip(), number=number.strip())
