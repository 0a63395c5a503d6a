"""`lapse session` and `lapse hold`: what goes through the gateway, and statements that wait there."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lapse.entrypoints.cli import recordings
from lapse.entrypoints.cli.commands import Limit, Reason, Yes, command, confirm, group
from lapse.entrypoints.cli.completing import open_sessions, resources, waiting_holds
from lapse.entrypoints.cli.output import clock, facts, print_json, safe, say, table, when, words
from lapse.entrypoints.cli.session import Session, quoted

SessionId = Annotated[str, typer.Argument(metavar="SESSION", autocompletion=open_sessions)]
HoldId = Annotated[str, typer.Argument(metavar="HOLD", autocompletion=waiting_holds)]
Comment = Annotated[str, typer.Option("--comment", "-m", metavar="TEXT", help="A word about the decision.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    session = group("session", "What goes through the gateway: see it, end it.")
    app.add_typer(session, name="session")
    command(session, "list")(list_sessions)
    command(session, "show")(show)
    command(session, "kill")(kill)
    recordings.add(session)
    hold = group("hold", "Statements that wait at the gateway for an approver.")
    app.add_typer(hold, name="hold")
    command(hold, "list")(list_holds)
    command(hold, "show")(show_hold)
    command(hold, "allow")(allow)
    command(hold, "refuse")(refuse)


def list_sessions(
    session: Session,
    live: Annotated[bool, typer.Option("--live", help="Only those that are open.")] = False,
    principal: Annotated[str, typer.Option("--who", metavar="NAME", help="Only of this principal.")] = "",
    resource: Annotated[str, typer.Option(metavar="RESOURCE", autocompletion=resources)] = "",
    grant: Annotated[str, typer.Option(metavar="GRANT", help="Only by this grant.")] = "",
    limit: Limit = 50,
) -> None:
    """List sessions, newest first."""
    states = ["open"] if live else []
    with session.api() as api:
        rows = api.pages("/sessions", limit, state=states, principal=principal, resource=resource, grant_id=grant)
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("there are no such sessions; `lapse connect RESOURCE` opens one")
        return
    table(
        ("SESSION", "WHO", "ON", "PROGRAM", "STARTED", "ENDS", "STATE"),
        (
            (s["id"], s["principal"], s["entitlement"], safe(s["program"], 20), when(s["started_at"]),
             when(s["ended_at"] or s["deadline"]), _state(s))
            for s in rows
        ),
        flexible=3,
    )  # fmt: skip


def show(session: Session, session_id: SessionId) -> None:
    """Show one session."""
    with session.api() as api:
        found = api.get(f"/sessions/{quoted(session_id)}")
    if session.json:
        print_json(found)
        return
    use = found["use"]
    facts(
        {
            "session": found["id"],
            "state": _state(found),
            "ended by": found["ended_by"],
            "who": found["principal"],
            "sponsor": found["sponsor"],
            "entitlement": found["entitlement"],
            "account": found["account"],
            "grant": found["grant_id"],
            "protocol": found["protocol"],
            "place": safe(found["place"]),
            "client": found["client"],
            "program": safe(found["program"]),
            "gateway": found["gateway"],
            "started": _both(found["started_at"]),
            "deadline": _both(found["deadline"]),
            "ended": _both(found["ended_at"]),
            "statements": use["statements"] if found["ended_at"] else "",
            "rows": use["rows"] if found["ended_at"] else "",
            "errors": use["errors"] if found["ended_at"] else "",
            "bytes": f"{use['bytes_in']} in, {use['bytes_out']} out" if found["ended_at"] else "",
            "recorded": {True: "whole", False: "not whole", None: ""}[found["recorded"]],
        }
    )


def kill(session: Session, session_id: SessionId, reason: Reason = "", yes: Yes = False) -> None:
    """Cut a session, with a reason.

    Its grant goes on: `lapse grant revoke` ends that, and all of its sessions.
    """
    with session.api() as api:
        before = api.get(f"/sessions/{quoted(session_id)}")
        confirm(f"cut `{before['principal']}`'s session on {before['entitlement']}?", yes=yes)
        found = api.post(f"/sessions/{quoted(session_id)}/kill", {"reason": reason})
        if session.json:
            print_json(found)
            return
    say(f"session {found['id']} is being cut; grant {found['grant_id']} goes on")
    say(f"next: `lapse grant revoke {found['grant_id']}` ends the access itself")


def list_holds(
    session: Session,
    everything: Annotated[bool, typer.Option("--all", help="Decided ones too.")] = False,
    resource: Annotated[str, typer.Option(metavar="RESOURCE", autocompletion=resources)] = "",
    limit: Limit = 50,
) -> None:
    """List statements that wait for an approver."""
    with session.api() as api:
        rows = api.pages("/holds", limit, state=[] if everything else ["waiting"], resource=resource)
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("no statement waits")
        return
    table(
        ("HOLD", "WHO", "ON", "STATEMENT", "EXPIRES", "STATE"),
        (
            (h["id"], h["principal"], h["entitlement"], safe(h["statement"], 60), when(h["expires_at"]), h["state"])
            for h in rows
        ),
        flexible=3,
    )
    say("next: `lapse hold allow HOLD` or `lapse hold refuse HOLD`")


def show_hold(session: Session, hold: HoldId) -> None:
    """Show a statement that waits, or waited."""
    with session.api() as api:
        found = api.get(f"/holds/{quoted(hold)}")
    if session.json:
        print_json(found)
        return
    facts(
        {
            "hold": found["id"],
            "state": found["state"],
            "who": found["principal"],
            "entitlement": found["entitlement"],
            "session": found["session_id"],
            "why it waits": found["why"],
            "statement": safe(found["statement"], 2_000),
            "who may decide": ", ".join(found["approvers"]),
            "asked": _both(found["asked_at"]),
            "expires": _both(found["expires_at"]),
            "decided by": found["decided_by"],
            "comment": found["comment"],
        }
    )


def allow(session: Session, hold: HoldId, comment: Comment = "") -> None:
    """Let a statement run."""
    _decide(session, hold, "allow", comment)


def refuse(session: Session, hold: HoldId, comment: Comment = "") -> None:
    """Refuse a statement; its session goes on."""
    _decide(session, hold, "refuse", comment)


def _decide(session: Session, hold: str, word: str, comment: str) -> None:
    with session.api() as api:
        found = api.post(f"/holds/{quoted(hold)}/{word}", {"comment": comment})
    if session.json:
        print_json(found)
        return
    say(f"the statement of `{found['principal']}` on {found['entitlement']} is {found['state']}")


def _state(found: dict[str, Any]) -> str:
    if found["ended_at"]:
        return f"ended: {words(found['end_reason'] or '')}"
    return "ending" if found["must_end"] else "open"


def _both(text: str | None) -> str:
    return f"{clock(text)} ({when(text)})" if text else ""
