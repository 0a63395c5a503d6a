"""`lapse request`, `approve`, `deny`: asking for access, and deciding on it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lapse.entrypoints.cli.approvals import less, repeats_words, say_offer, say_stages, say_votes
from lapse.entrypoints.cli.asking import AnyRequest, again, create, say_asked
from lapse.entrypoints.cli.commands import Limit, Reason, command, group
from lapse.entrypoints.cli.completing import entitlements, pending_requests
from lapse.entrypoints.cli.following import say_grant, say_state
from lapse.entrypoints.cli.output import clock, duration, facts, marked, print_json, say, table, when, who, words
from lapse.entrypoints.cli.session import Session, quoted

_SHOWN = 5
RequestId = Annotated[str, typer.Argument(metavar="REQUEST", autocompletion=pending_requests)]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    request = group("request", "Ask for access, and see what was asked.")
    app.add_typer(request, name="request")
    command(request, "create")(create)
    command(request, "again")(again)
    command(request, "list")(list_requests)
    command(request, "show")(show)
    command(request, "cancel")(cancel)
    command(request, "release")(release)
    command(request, "offer")(offer)
    command(request, "accept")(accept)
    command(app, "approve")(approve)
    command(app, "deny")(deny)


def list_requests(
    session: Session,
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="Only pending, approved, denied, cancelled or expired ones."),
    ] = None,
    requester: Annotated[str, typer.Option(metavar="NAME", help="By or for somebody.")] = "",
    entitlement: Annotated[str, typer.Option(metavar="RESOURCE/ROLE", autocompletion=entitlements)] = "",
    bundle: Annotated[str, typer.Option(metavar="BUNDLE", help="Only those of this bundle.")] = "",
    limit: Limit = 50,
) -> None:
    """List requests, newest first."""
    with session.api() as api:
        if bundle:
            rows = api.get(f"/bundles/{quoted(bundle)}")["requests"]
        else:
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
            (r["id"], _marked(r), who(r), duration(r["requested_duration"]), r["state"], when(r["created_at"]))
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
            "sponsor": found["sponsor"],
            "break-glass": "yes: nobody was asked, and somebody must review it" if _emergency(found) else "",
            "bundle": found["bundle"],
            "for": duration(found["requested_duration"]),
            "because": found["justification"],
            "ticket": f"{found['ticket']['system']}:{found['ticket']['number']}" if found["ticket"] else "",
            "starts": clock(found["starts_at"]) if found["starts_at"] else "",
            "repeats": repeats_words(found),
            "asked": f"{clock(found['created_at'])} ({when(found['created_at'])})",
            "expires": f"{clock(found['expires_at'])} ({when(found['expires_at'])})" if _pending(found) else "",
            "offer": found["terms"]["offer"],
            "purpose": found["terms"]["purpose"],
            "policy": found["policy_version"][:12],
            "extends": found["extends"],
            "grants": ", ".join(found["grants"][:_SHOWN]) + _more(found["grants"]),
        }
    )
    say_stages(found, waiting=_pending(found) and not found["counter"])
    say_votes(found)
    say_offer(found)


def cancel(
    session: Session,
    request: RequestId,
    reason: Reason = "",
    alone: Annotated[bool, typer.Option("--alone", help="The others of its bundle go on without it.")] = False,
) -> None:
    """Withdraw a pending request.

    What waits with it in a bundle is cancelled too, unless --alone takes this one out.
    """
    with session.api() as api:
        found = api.post(f"/requests/{quoted(request)}/cancel", {"reason": reason, "alone": alone})
    if session.json:
        print_json(found)
        return
    say(f"request {found['id']} is cancelled" + (", and with it what waited in its bundle" if found["bundle"] else ""))


def release(session: Session, request: AnyRequest) -> None:
    """End early all that a request gave, and what is to come.

    One time of what repeats is ended with `lapse grant release`.
    """
    with session.api() as api:
        ended = api.post(f"/requests/{quoted(request)}/release")["items"]
        if session.json:
            print_json(ended)
            return
        if not ended:
            say(f"request {request} gives nothing now; `lapse request show {request}` says what became of it")
        for grant in ended:
            say_state(grant)


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
        say_asked(session, api, api.post(f"/requests/{quoted(request)}/accept"))


def approve(session: Session, request: RequestId, reason: Reason = "") -> None:
    """Say yes to a request."""
    _decide(session, request, "approve", reason)


def deny(session: Session, request: RequestId, reason: Reason = "") -> None:
    """Say no to a request, with a reason."""
    _decide(session, request, "deny", reason)


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


def _marked(request: dict[str, Any]) -> str:
    marks = {
        "break-glass": _emergency(request),
        "repeats": request["repeats"],
        "bundle": request["bundle"],
        "extends": request["extends"],
    }
    return marked(request, marks)


def _emergency(request: dict[str, Any]) -> bool:
    return request["terms"]["post_review"] is not None


def _more(grants: list[str]) -> str:
    return f" and {len(grants) - _SHOWN} more" if len(grants) > _SHOWN else ""
