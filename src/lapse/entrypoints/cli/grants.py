"""`lapse grant`: what one has, for how long, and its end."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lapse.entrypoints.cli.asking import Because, BreakGlass, Duration, Ticket, ticket_body
from lapse.entrypoints.cli.commands import Limit, Reason, Yes, command, confirm, group
from lapse.entrypoints.cli.completing import live_grants, requests, resources
from lapse.entrypoints.cli.following import say_grant, say_state, settled, warn_unserved
from lapse.entrypoints.cli.output import clock, duration, facts, marked, note, print_json, say, table, when, who, words
from lapse.entrypoints.cli.session import Session, quoted

GrantId = Annotated[str, typer.Argument(metavar="GRANT", autocompletion=live_grants)]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    grant = group("grant", "What is granted: see it, extend it, end it.")
    app.add_typer(grant, name="grant")
    command(grant, "list")(list_grants)
    command(grant, "show")(show)
    command(grant, "extend")(extend)
    command(grant, "release")(release)
    command(grant, "revoke")(revoke)
    command(grant, "credential")(credential)


def list_grants(
    session: Session,
    state: Annotated[
        list[str] | None, typer.Option(metavar="STATE", help="Only in this state, e.g. active or revoke_failed.")
    ] = None,
    beneficiary: Annotated[str, typer.Option("--who", metavar="NAME", help="Only of this beneficiary.")] = "",
    resource: Annotated[str, typer.Option(metavar="RESOURCE", autocompletion=resources)] = "",
    request: Annotated[
        str, typer.Option(metavar="REQUEST", help="Only of this request.", autocompletion=requests)
    ] = "",
    limit: Limit = 50,
) -> None:
    """List grants, newest first."""
    with session.api() as api:
        rows = api.pages(
            "/grants", limit, state=state or [], beneficiary=beneficiary, resource=resource, request_id=request
        )
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("there are no such grants; `lapse request create RESOURCE/ROLE --for 2h` asks for one")
        return
    table(
        ("GRANT", "ENTITLEMENT", "WHO", "STATE", "ENDS"),
        (
            (g["id"], _marked(g), who(g), words(g["state"]), when(g["ended_at"] or g["ends_at"] or g["ends_by"]))
            for g in rows
        ),
        flexible=1,
    )


def show(session: Session, grant: GrantId) -> None:
    """Show one grant."""
    with session.api() as api:
        found = api.get(f"/grants/{quoted(grant)}")
    if session.json:
        print_json(found)
        return
    facts(
        {
            "grant": found["id"],
            "state": words(found["state"]),
            "why it ended": words(found["end_reason"] or ""),
            "entitlement": found["entitlement"],
            "beneficiary": found["beneficiary"],
            "sponsor": found["sponsor"],
            "purpose": found["purpose"],
            "break-glass": "yes: nobody was asked" if found["break_glass"] else "",
            "account": found["account"],
            "for": duration(found["duration"]),
            "starts": _both(found["starts_at"]),
            "waits for": f"lock {found['suspended_by']}" if found["suspended_by"] else "",
            "at the latest until": "" if found["ends_at"] else _both(found["ends_by"]),
            "promised end": _both(found["ends_at"]),
            "seen to be gone": _both(found["ended_at"]),
            "held before": "yes: it is left as it was found" if found["held_before"] else "",
            "extends": found["extends"],
            "request": found["request_id"],
            "last error": found["last_error"],
            "next attempt": _both(found["next_attempt_at"]),
        }
    )


def extend(
    session: Session,
    grant: GrantId,
    how_long: Duration,
    because: Because = "",
    ticket: Ticket = "",
    break_glass: BreakGlass = False,
) -> None:
    """Ask for more time.

    That is a new request, under today's policy, which continues the grant without a gap.
    """
    body = {"duration": how_long, "justification": because, "break_glass": break_glass}
    with session.api() as api:
        more = {"ticket": ticket_body(ticket)} if ticket else {}
        found = api.post(f"/grants/{quoted(grant)}/extend", body | more)
        if found["state"] == "approved":
            say_grant(session, api, found)
        elif session.json:
            print_json(found)
        else:
            say(f"request {found['id']} for {duration(found['requested_duration'])} more waits for a decision")
            say(f"next: `lapse request show {found['id']}` says who may approve it")


def release(session: Session, grant: GrantId) -> None:
    """End your own grant early."""
    with session.api() as api:
        found = settled(api, api.post(f"/grants/{quoted(grant)}/release"))
        print_json(found) if session.json else say_state(found)
        warn_unserved(api, found["state"])


def revoke(session: Session, grant: GrantId, reason: Reason = "", yes: Yes = False) -> None:
    """Take a grant away from somebody, with a reason."""
    with session.api() as api:
        before = api.get(f"/grants/{quoted(grant)}")
        confirm(f"end `{before['beneficiary']}`'s access to {before['entitlement']} and cut its sessions?", yes=yes)
        found = settled(api, api.post(f"/grants/{quoted(grant)}/revoke", {"reason": reason}))
        print_json(found) if session.json else say_state(found)
        warn_unserved(api, found["state"])


def credential(session: Session, grant: GrantId) -> None:
    """Get a fresh secret for a grant that has a login of its own.

    It is shown once and kept nowhere; the one before stops working.
    """
    with session.api() as api:
        secret = api.post(f"/grants/{quoted(grant)}/credential")
    if session.json:
        print_json(secret)
        return
    facts(secret)
    note("this is shown once and kept nowhere; getting another one stops this one")


def _marked(grant: dict[str, Any]) -> str:
    marks = {"break-glass": grant["break_glass"], "locked": grant["suspended_by"], "extends": grant["extends"]}
    return marked(grant, marks)


def _both(text: str | None) -> str:
    return f"{clock(text)} ({when(text)})" if text else ""
