"""`lapse request`, `approve`, `deny`: asking for access, and deciding on it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lapse.domain.errors import InvalidInput
from lapse.entrypoints.cli.approvals import less, say_offer, say_stages, say_votes
from lapse.entrypoints.cli.commands import Limit, Reason, command, group
from lapse.entrypoints.cli.completing import entitlements, pending_requests
from lapse.entrypoints.cli.following import say_grant, warn_unserved
from lapse.entrypoints.cli.output import clock, duration, facts, print_json, say, table, when, words
from lapse.entrypoints.cli.session import Api, Session, quoted

RequestId = Annotated[str, typer.Argument(metavar="REQUEST", autocompletion=pending_requests)]
EntitlementName = Annotated[str, typer.Argument(metavar="RESOURCE/ROLE", autocompletion=entitlements)]
Duration = Annotated[str, typer.Option("--for", metavar="DURATION", help="How long, e.g. 2h30m or PT2H30M.")]
Because = Annotated[str, typer.Option("--because", "-m", metavar="TEXT", help="What for.")]
Ticket = Annotated[str, typer.Option("--ticket", metavar="SYSTEM:NUMBER", help="E.g. jira:OPS-1234.")]
Beneficiary = Annotated[str, typer.Option("--beneficiary", metavar="NAME", help="For an agent or service of yours.")]
StartsAt = Annotated[str, typer.Option("--starts-at", metavar="TIME", help="Not before, e.g. 2026-03-01T14:00:00Z.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    request = group("request", "Ask for access, and see what was asked.")
    app.add_typer(request, name="request")
    command(request, "create")(create)
    command(request, "list")(list_requests)
    command(request, "show")(show)
    command(request, "cancel")(cancel)
    command(request, "offer")(offer)
    command(request, "accept")(accept)
    command(app, "approve")(approve)
    command(app, "deny")(deny)


def create(  # noqa: PLR0913, PLR0917  one an option
    session: Session,
    entitlement: EntitlementName,
    how_long: Duration,
    because: Because = "",
    ticket: Ticket = "",
    beneficiary: Beneficiary = "",
    starts_at: StartsAt = "",
) -> None:
    """Ask for a role on a resource, for a time."""
    body = request_body(entitlement, how_long, because, ticket) | {
        name: value for name, value in (("beneficiary", beneficiary), ("starts_at", starts_at)) if value
    }
    with session.api() as api:
        _asked(session, api, api.post("/requests", body))


def list_requests(
    session: Session,
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="Only pending, approved, denied, cancelled or expired ones."),
    ] = None,
    requester: Annotated[str, typer.Option(metavar="NAME", help="By or for somebody.")] = "",
    entitlement: Annotated[str, typer.Option(metavar="RESOURCE/ROLE", autocompletion=entitlements)] = "",
    limit: Limit = 50,
) -> None:
    """List requests, newest first."""
    with session.api() as api:
        rows = api.pages("/requests", limit, state=state or [], requester=requester, entitlement=entitlement)
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("there are no such requests; `lapse request create RESOURCE/ROLE --for 2h` makes one")
        return
    table(
        ("REQUEST", "ENTITLEMENT", "WHO", "FOR", "STATE", "ASKED"),
        (
            (r["id"], r["entitlement"], r["beneficiary"], duration(r["requested_duration"]), r["state"],
             when(r["created_at"]))
            for r in rows
        ),
        flexible=1,
    )  # fmt: skip


def show(session: Session, request: RequestId) -> None:
    """Show a request: who may still decide, and what followed."""
    with session.api() as api:
        found = api.get(f"/requests/{quoted(request)}")
    if session.json:
        print_json(found)
        return
    facts(
        {
            "request": found["id"],
            "state": found["state"] + (f": {found['close_reason']}" if found["close_reason"] else ""),
            "entitlement": found["entitlement"],
            "requester": found["requester"],
            "beneficiary": found["beneficiary"] if found["beneficiary"] != found["requester"] else "",
            "for": duration(found["requested_duration"]),
            "because": found["justification"],
            "ticket": f"{found['ticket']['system']}:{found['ticket']['number']}" if found["ticket"] else "",
            "starts": clock(found["starts_at"]) if found["starts_at"] else "",
            "asked": f"{clock(found['created_at'])} ({when(found['created_at'])})",
            "expires": f"{clock(found['expires_at'])} ({when(found['expires_at'])})" if _pending(found) else "",
            "offer": found["terms"]["offer"],
            "policy": found["policy_version"][:12],
            "extends": found["extends"],
            "grants": ", ".join(found["grants"]),
        }
    )
    say_stages(found, waiting=_pending(found))
    say_votes(found)
    say_offer(found)


def cancel(session: Session, request: RequestId, reason: Reason = "") -> None:
    """Withdraw a pending request."""
    with session.api() as api:
        found = api.post(f"/requests/{quoted(request)}/cancel", {"reason": reason})
    print_json(found) if session.json else say(f"request {found['id']} is cancelled")


def offer(
    session: Session,
    request: RequestId,
    how_long: Annotated[str, typer.Option("--for", metavar="DURATION", help="A shorter time, e.g. 1h.")] = "",
    entitlement: Annotated[
        str,
        typer.Option(metavar="RESOURCE/ROLE", help="Another role on the same resource.", autocompletion=entitlements),
    ] = "",
    reason: Reason = "",
) -> None:
    """Offer less than was asked, instead of yes or no."""
    body = less(how_long, entitlement, reason)
    with session.api() as api:
        found = api.post(f"/requests/{quoted(request)}/offer", body)
    if session.json:
        print_json(found)
        return
    what = f"{found['counter']['entitlement']} for {duration(found['counter']['duration'])}"
    say(f"`{found['requester']}` is offered {what}; your yes counts once they accept")
    say("until they do, or cancel, nobody can approve")
    say(f"next: they run `lapse request accept {found['id']}`")


def accept(session: Session, request: RequestId) -> None:
    """Accept what an approver offered instead."""
    with session.api() as api:
        _asked(session, api, api.post(f"/requests/{quoted(request)}/accept"))


def approve(session: Session, request: RequestId, reason: Reason = "") -> None:
    """Say yes to a request."""
    _decide(session, request, "approve", reason)


def deny(session: Session, request: RequestId, reason: Reason = "") -> None:
    """Say no to a request, with a reason."""
    _decide(session, request, "deny", reason)


def request_body(entitlement: str, how_long: str, because: str, ticket: str) -> dict[str, Any]:
    """A request in the API's words."""
    body: dict[str, Any] = {"entitlement": entitlement, "duration": how_long, "justification": because}
    if ticket:
        system, colon, number = ticket.partition(":")
        if not colon or not system or not number:
            raise InvalidInput(
                f"`{ticket[:60]}` is not a ticket", hint="write it as `system:number`, e.g. jira:OPS-1234"
            )
        body["ticket"] = {"system": system, "number": number}
    return body


def _asked(session: Session, api: Api, found: dict[str, Any]) -> None:
    if found["state"] == "approved":
        say_grant(session, api, found)
    elif session.json:
        print_json(found)
    else:
        detail = api.get(f"/requests/{quoted(found['id'])}")
        say(f"request {found['id']} waits for a decision until {clock(found['expires_at'])}")
        say_stages(detail, waiting=True)
        say(f"next: one of them runs `lapse approve {found['id']}`")
        warn_unserved(api, found["state"])


def _decide(session: Session, request: str, verdict: str, reason: str) -> None:
    with session.api() as api:
        found = api.post(f"/requests/{quoted(request)}/decisions", {"verdict": verdict, "reason": reason})
        if found["state"] == "approved":
            say_grant(session, api, found)
            return
        if session.json:
            print_json(found)
            return
        if found["state"] == "denied":
            say(f"request {found['id']} is denied; `{found['requester']}` sees the reason")
            return
        detail = api.get(f"/requests/{quoted(found['id'])}")
        say(f"your vote on request {found['id']} is counted; more are needed:")
        say_stages(detail, waiting=True)


def _pending(found: dict[str, Any]) -> bool:
    return words(found["state"]) == "pending"
