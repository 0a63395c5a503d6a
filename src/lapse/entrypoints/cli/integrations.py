"""`lapse integration`, `lapse rota`, `lapse ticket` and `lapse notice`: other systems that lapse asks and tells."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated, Any

import typer

from lapse.domain.errors import Unavailable
from lapse.entrypoints.cli.commands import Limit, command, group
from lapse.entrypoints.cli.output import clock, facts, plural, print_json, say, table, when, words
from lapse.entrypoints.cli.session import Session, quoted

_STATES = ("waiting", "sent", "failed")
_EMPTY = "nothing is set up; `integrations.yaml` in the home folder says what lapse asks and tells"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    integration = group("integration", "Other systems that lapse asks and tells.")
    command(integration, "list")(list_integrations)
    command(integration, "check")(check)
    command(integration, "seal")(seal)
    rota = group("rota", "Who is on call.")
    command(rota, "show")(show_rota)
    ticket = group("ticket", "Tickets, as their systems know them.")
    command(ticket, "show")(show_ticket)
    notice = group("notice", "What people were told.")
    command(notice, "list")(list_notices)
    command(notice, "retry")(retry)
    for name, one in (("integration", integration), ("rota", rota), ("ticket", ticket), ("notice", notice)):
        app.add_typer(one, name=name)


def list_integrations(session: Session) -> None:
    """List what is set up."""
    with session.api() as api:
        rows = api.get("/integrations")["items"]
    if session.json:
        print_json(rows)
    elif not rows:
        say(_EMPTY)
    else:
        lines = ((one["name"], one["part"], one["kind"], one["problem"] or "ok") for one in rows)
        table(("NAME", "FOR", "KIND", "STATE"), lines, flexible=3)


def check(
    session: Session,
    ticket: Annotated[str, typer.Option("--ticket", metavar="SYSTEM:NUMBER", help="Look this ticket up.")] = "",
    send: Annotated[bool, typer.Option("--send", help="Send a test notice to yourself, by every way.")] = False,
) -> None:
    """Try out whether all of it works."""
    with session.api() as api:
        rows = api.post("/integrations/check", {"ticket": ticket, "send": send})["items"]
    if session.json:
        print_json(rows)
    elif not rows:
        say(_EMPTY)
    else:
        lines = ((one["name"], one["part"], "yes" if one["ok"] else "no", one["detail"]) for one in rows)
        table(("NAME", "FOR", "WORKS", "DETAIL"), lines, flexible=3)
    broken = [one for one in rows if not one["ok"]]
    if broken:
        verb = "does" if len(broken) == 1 else "do"
        raise Unavailable(f"{len(broken)} of {plural(len(rows), 'integration')} {verb} not work")


def seal(session: Session) -> None:
    """Encrypt a secret for `integrations.yaml`. Reads it from standard input."""
    secret = getpass.getpass("secret: ") if sys.stdin.isatty() else sys.stdin.read(8_192)
    with session.api() as api:
        found = api.post("/integrations/seal", {"secret": secret})
    print_json(found) if session.json else say(found["sealed"])


def show_rota(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    at: Annotated[str, typer.Option("--at", metavar="TIME", help="At this time (RFC 3339); now if left out.")] = "",
) -> None:
    """Say who is on call."""
    with session.api() as api:
        found = api.get(f"/rotas/{quoted(name)}", at=at)
    if session.json:
        print_json(found)
        return
    people = ", ".join(found["on_call"]) or "nobody"
    say(f"on call by `{found['rota']}` at {clock(found['at'])}: {people}")
    if found["unknown"]:
        say(f"in the rota, but not in the catalog: {', '.join(found['unknown'])}")


def show_ticket(
    session: Session,
    system: Annotated[str, typer.Argument(metavar="SYSTEM")],
    number: Annotated[str, typer.Argument(metavar="NUMBER")],
) -> None:
    """Ask a ticket system about one ticket, now."""
    with session.api() as api:
        found = api.get(f"/tickets/{quoted(system)}", number=number)
    if session.json:
        print_json(found)
        return
    facts(
        {
            "ticket": f"{found['system']}:{found['number']}",
            "status": found["status"],
            "said": found["detail"],
            "title": found["title"],
            "assignee": found["assignee"],
        }
    )


def list_notices(
    session: Session,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", metavar="STATE", help=" | ".join(_STATES), autocompletion=lambda: list(_STATES)),
    ] = None,
    limit: Limit = 20,
) -> None:
    """List what people were told, newest first."""
    with session.api() as api:
        rows = api.pages("/notices", limit, state=tuple(state or ()))
    if session.json:
        print_json(rows)
    elif not rows:
        say("there are no such notices" if state else "nobody was told anything yet")
    else:
        table(("NOTICE", "STATE", "WHEN", "WHAT", "TO", "HOW IT WENT"), map(_notice_line, rows), flexible=5)


def retry(session: Session, notice: Annotated[str, typer.Argument(metavar="NOTICE")]) -> None:
    """Try a notice that was given up once more."""
    with session.api() as api:
        found = api.post(f"/notices/{quoted(notice)}/retry")
    print_json(found) if session.json else say(f"notice {found['id']} is tried again")


def _notice_line(one: dict[str, Any]) -> tuple[str, ...]:
    notice = one["notice"]
    tried = plural(one["attempts"], "try", "tries") if one["state"] == "waiting" else ""
    how = "; ".join(part for part in (", ".join(one["sent"]), one["error"], tried) if part)
    to = ", ".join(notice["to"]) or "all ways"
    return one["id"], one["state"], when(notice["at"]), words(notice["kind"]), to, how
