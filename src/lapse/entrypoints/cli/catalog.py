"""`lapse catalog`, `principal`, `resource`: who works here, and what is protected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lapse.entrypoints.cli.commands import Yes, command, confirm, group
from lapse.entrypoints.cli.output import facts, plural, print_json, say, table
from lapse.entrypoints.cli.session import Session, quoted

_SIGNS = {"add": "+", "change": "~", "remove": "-"}
_SHOWN_CHANGES = 60


def register(app: typer.Typer) -> None:
    """Add these commands."""
    catalog = group("catalog", "Who works here, and what is protected.")
    app.add_typer(catalog, name="catalog")
    command(catalog, "apply")(apply)
    command(catalog, "show")(show)
    principal = group("principal", "People, services and agents.")
    app.add_typer(principal, name="principal")
    command(principal, "list")(list_principals)
    command(principal, "show")(show_principal)
    resource = group("resource", "What is protected, and the roles there.")
    app.add_typer(resource, name="resource")
    command(resource, "list")(list_resources)


def apply(
    session: Session,
    files: Annotated[list[Path], typer.Argument(metavar="FILE…", help="YAML files, or folders of them.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Yes = False,
) -> None:
    """Make the catalog what the files say.

    Shows a plan first, then applies it atomically.
    """
    from lapse.entrypoints.cli.files import read_files

    body = {"files": read_files(files)}
    with session.api() as api:
        plan = api.put("/catalog", body, dry_run=True)
        changes = plan["changes"]
        if not session.json:
            _print_plan(changes)
        if changes and not dry_run:
            confirm(f"apply {plural(len(changes), 'change')}?", yes=yes)
            plan = api.put("/catalog", body)
    if session.json:
        print_json(plan)
    elif changes and not dry_run:
        say(f"applied {plural(len(plan['changes']), 'change')}")
        say("next: lapse policy apply FILE…, or lapse target add RESOURCE for a new resource")


def show(session: Session) -> None:
    """Count what is in the catalog, and list its groups."""
    with session.api() as api:
        catalog = api.get("/catalog")
    if session.json:
        print_json(catalog)
        return
    facts({kind: len(catalog[kind]) for kind in ("principals", "groups", "resources")})
    if not catalog["principals"] and not catalog["resources"]:
        say("the catalog is empty; fill it with `lapse catalog apply FILE…`")


def list_principals(session: Session) -> None:
    """List people, services and agents."""
    with session.api() as api:
        items = api.get("/principals")["items"]
    if session.json:
        print_json(items)
        return
    if not items:
        say("there are no principals; `lapse catalog apply FILE…` adds them")
        return
    table(
        ("NAME", "KIND", "ACTIVE", "ANSWERS TO", "DEPARTMENT", "ACCOUNTS"),
        (
            (p["name"], p["kind"], "yes" if p["active"] else "no", _human(p), p["department"], _accounts(p))
            for p in items
        ),
        flexible=5,
    )


def show_principal(session: Session, name: Annotated[str, typer.Argument(metavar="NAME")]) -> None:
    """Show one person, service or agent."""
    with session.api() as api:
        principal = api.get(f"/principals/{quoted(name)}")
    if session.json:
        print_json(principal)
        return
    shown = {"active": "yes" if principal["active"] else "no", "accounts": _accounts(principal)}
    facts({key.replace("_", " "): value for key, value in (principal | shown).items()})


def list_resources(session: Session) -> None:
    """List what is protected, and the roles there."""
    with session.api() as api:
        items = api.get("/resources")["items"]
    if session.json:
        print_json(items)
        return
    rows = [
        (f"{r['name']}/{e['role']}", r["connector"], r["owner"], _tags(r["tags"] | e["tags"]), e["title"])
        for r in items
        for e in r["entitlements"] or [{"role": "-", "tags": {}, "title": "no roles yet"}]
    ]
    if not rows:
        say("there are no resources; `lapse catalog apply FILE…` adds them")
        return
    table(("ENTITLEMENT", "CONNECTOR", "OWNER", "TAGS", "TITLE"), rows, flexible=4)


def _print_plan(changes: list[dict[str, Any]]) -> None:
    if not changes:
        say("nothing to change: the catalog is what the files say")
        return
    for change in changes[:_SHOWN_CHANGES]:
        what = f": {', '.join(change['fields'])}" if change["fields"] else ""
        say(f"{_SIGNS[change['change']]} {change['kind']} {change['name']}{what}")
    if len(changes) > _SHOWN_CHANGES:
        say(f"… and {len(changes) - _SHOWN_CHANGES} more")


def _human(principal: dict[str, Any]) -> str:
    return str(principal["alias_of"] or principal["sponsor"] or principal["owner"] or principal["manager"])


def _accounts(principal: dict[str, Any]) -> str:
    return ", ".join(f"{a['login']}@{a['resource']}" for a in principal["accounts"])


def _tags(tags: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in tags.items())
