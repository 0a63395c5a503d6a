"""`lapse exception`: what was accepted, until when, and who answers for it."""

from __future__ import annotations

from typing import Annotated

import typer

from lapse.domain.errors import InvalidInput
from lapse.entrypoints.cli.commands import Reason, command, group
from lapse.entrypoints.cli.output import print_json, safe, say, table, when
from lapse.entrypoints.cli.review_findings import finding_named
from lapse.entrypoints.cli.session import Session, quoted

Ident = Annotated[str, typer.Argument(metavar="EXCEPTION")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    exception = group("exception", "What is accepted, until when, by whom.")
    app.add_typer(exception, name="exception")
    command(exception, "list")(list_exceptions)
    command(exception, "add")(add)
    command(exception, "end")(end)


def list_exceptions(
    session: Session, everything: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False
) -> None:
    """List what is accepted, by its end."""
    with session.api() as api:
        rows = api.get("/exceptions", in_force=not everything)["items"]
    if session.json:
        print_json(rows)
    elif not rows:
        say("nothing is accepted; `lapse exception add` accepts a finding, or standing access, until a day")
    else:
        table(
            ("EXCEPTION", "ABOUT", "OWNER", "UNTIL", "WHY"),
            ((r["id"], _about(r), r["owner"], when(r["until"]), r["reason"]) for r in rows),
            flexible=4,
        )


def add(  # noqa: PLR0913, PLR0917  one parameter an option
    session: Session,
    owner: Annotated[str, typer.Option(metavar="PERSON", help="Who answers for it.")],
    until: Annotated[str, typer.Option(metavar="DAY", help="When it ends, within a year (2027-06-30).")],
    reason: Reason = "",
    finding: Annotated[str, typer.Option(metavar="FINDING", help="Accept this finding (or how its name begins).")] = "",
    access: Annotated[str, typer.Option(metavar="RESOURCE/ACCOUNT", help="Accept this account's access.")] = "",
    role: Annotated[str, typer.Option(metavar="ROLE", help="With --access: only this role.")] = "",
) -> None:
    """Accept a finding, or standing access, until a day."""
    resource, slash, account = access.partition("/")
    if access and not (resource and slash and account):
        raise InvalidInput(f"`{safe(access)}` names no account", hint="write it as RESOURCE/ACCOUNT")
    body = {"owner": owner, "until": f"{until}T00:00:00Z" if "T" not in until else until, "reason": reason}
    about = {"finding": finding, "resource": resource, "account": account, "role": role}
    with session.api() as api:
        if finding:
            about["finding"] = finding_named(api, finding)["fingerprint"]
        made = api.post("/exceptions", body | about)
    if session.json:
        print_json(made)
        return
    say(f"{made['id']}: {_about(made)} is accepted until {made['until'][:10]}, {safe(made['owner'])} answers for it")


def end(session: Session, exception: Ident) -> None:
    """Accept it no longer."""
    with session.api() as api:
        ended = api.post(f"/exceptions/{quoted(exception)}/end", {})
    if session.json:
        print_json(ended)
        return
    say(f"{ended['id']} is ended: {_about(ended)} counts again")


def _about(one: dict[str, str]) -> str:
    if one["finding"]:
        return f"finding {one['finding'][:12]}"
    return safe("/".join(part for part in (one["resource"], one["account"], one["role"]) if part))
