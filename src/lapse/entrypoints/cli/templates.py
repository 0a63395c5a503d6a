"""`lapse template`: what is asked often, filled in already."""

from __future__ import annotations

from typing import Annotated

import typer

from lapse.entrypoints.cli.asking import Because, Duration
from lapse.entrypoints.cli.commands import command, group
from lapse.entrypoints.cli.completing import entitlements, templates
from lapse.entrypoints.cli.output import clock, duration, facts, print_json, say, table
from lapse.entrypoints.cli.session import Session, quoted

Name = Annotated[str, typer.Argument(metavar="NAME", autocompletion=templates)]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    template = group("template", "What is asked often, filled in already.")
    app.add_typer(template, name="template")
    command(template, "add")(add)
    command(template, "list")(list_templates)
    command(template, "show")(show)
    command(template, "remove")(remove)


def add(  # noqa: PLR0913, PLR0917  one an option
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    names: Annotated[list[str], typer.Argument(metavar="RESOURCE/ROLE...", autocompletion=entitlements)],
    how_long: Duration,
    because: Because = "",
    ticket_system: Annotated[str, typer.Option(metavar="SYSTEM", help="Then a ticket's number is enough.")] = "",
    description: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    shared: Annotated[bool, typer.Option("--shared", help="For everybody; takes an administrator.")] = False,
) -> None:
    """Keep a template, or change it.

    It gives nothing: the policy answers each request that comes from it.
    """
    body = {
        "entitlements": names,
        "duration": how_long,
        "justification": because,
        "ticket_system": ticket_system,
        "description": description,
        "shared": shared,
    }
    with session.api() as api:
        found = api.put(f"/templates/{quoted(name)}", body)
    if session.json:
        print_json(found)
        return
    say(f"template {found['name']} is kept{'' if found['owner'] else ', for everybody'}")
    say(f"next: `lapse request create --template {found['name']}`")


def list_templates(session: Session) -> None:
    """List your own templates and the shared ones."""
    with session.api() as api:
        rows = api.get("/templates")["items"]
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("there are no templates; `lapse template add NAME RESOURCE/ROLE --for 2h` keeps one")
        return
    table(
        ("TEMPLATE", "ASKS FOR", "FOR", "OF", "WHAT"),
        (
            (t["name"], ", ".join(t["entitlements"]), duration(t["duration"]), t["owner"] or "all", t["description"])
            for t in rows
        ),
        flexible=1,
    )


def show(session: Session, name: Name) -> None:
    """Show a template."""
    with session.api() as api:
        found = api.get(f"/templates/{quoted(name)}")
    if session.json:
        print_json(found)
        return
    facts(
        {
            "template": found["name"],
            "what": found["description"],
            "of": found["owner"] or "everybody",
            "asks for": ", ".join(found["entitlements"]),
            "for": duration(found["duration"]),
            "because": found["justification"],
            "ticket of": found["ticket_system"],
            "kept": f"{clock(found['created_at'])} by {found['created_by']}",
        }
    )


def remove(session: Session, name: Name) -> None:
    """Keep a template no longer. Requests that came from it stay."""
    with session.api() as api:
        found = api.delete(f"/templates/{quoted(name)}")
    print_json(found) if session.json else say(f"template {found['name']} is removed")
