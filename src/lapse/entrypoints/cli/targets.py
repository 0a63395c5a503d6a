"""`lapse target`, `reconcile`, `drift`: reaching resources, and what is there that nobody granted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from lapse.domain.errors import InvalidInput
from lapse.entrypoints.cli.commands import Yes, command, confirm, group
from lapse.entrypoints.cli.completing import resources
from lapse.entrypoints.cli.output import facts, plural, print_json, safe, say, table, when, words
from lapse.entrypoints.cli.session import Session, quoted

ResourceName = Annotated[str, typer.Argument(metavar="RESOURCE", autocompletion=resources)]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    target = group("target", "How lapse reaches resources.")
    app.add_typer(target, name="target")
    command(target, "add")(add)
    command(target, "check")(check)
    command(target, "ca")(ca)
    command(target, "list")(list_targets)
    reconcile = group("reconcile", "Compare a target with what should be there.")
    app.add_typer(reconcile, name="reconcile")
    command(reconcile, "plan")(plan)
    command(reconcile, "apply")(apply)
    drift = group("drift", "Access that no grant explains.")
    app.add_typer(drift, name="drift")
    command(drift, "list")(list_drift)


def add(
    session: Session,
    resource: ResourceName,
    dsn: Annotated[str, typer.Option(metavar="DSN", help="The connection; `-` or nothing: it is asked for.")] = "",
    dsn_env: Annotated[str, typer.Option(metavar="NAME", help="The server reads it from this variable.")] = "",
    dsn_file: Annotated[Path | None, typer.Option(metavar="FILE", help="The server reads it from this file.")] = None,
) -> None:
    """Say how a resource of the catalog is reached.

    A DSN that is given or asked for is encrypted with the installation's key at once. It is better not to write it
    on the command line, where others on the machine can see it.
    """
    if not dsn_env and dsn_file is None and dsn in {"", "-"}:
        dsn = _asked_for()
    given = {"dsn": dsn, "dsn_env": dsn_env, "dsn_file": str(dsn_file.absolute()) if dsn_file else ""}
    body = {name: value for name, value in given.items() if value}
    with session.api() as api:
        found = api.put(f"/targets/{quoted(resource)}", body)
    if session.json:
        print_json(found)
        return
    kept = "encrypted in the store" if found["dsn"] == "sealed" else f"read from {found['dsn']}"
    say(f"the target of {found['resource']} is set ({found['connector']}, DSN {kept})")
    say(f"next: `lapse target check {found['resource']}` proves that lapse may do there what it must")


def check(session: Session, resource: ResourceName) -> None:
    """Prove that lapse's rights on a target suffice."""
    with session.api() as api:
        found = api.post(f"/targets/{quoted(resource)}/check")
    if session.json:
        print_json(found)
    else:
        _print_check(resource, found["check"], ok=found["ok"])
    if not found["ok"]:
        raise typer.Exit(1)


def list_targets(session: Session) -> None:
    """List targets."""
    with session.api() as api:
        rows = api.get("/targets")["items"]
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("there are no targets; `lapse target add RESOURCE` adds one")
        return
    table(
        ("RESOURCE", "CONNECTOR", "DSN", "ADDED", "BY"),
        ((t["resource"], t["connector"], t["dsn"], when(t["added_at"]), t["added_by"]) for t in rows),
    )


def plan(session: Session, resource: ResourceName) -> None:
    """Read a target, and say what differs."""
    with session.api() as api:
        found = api.get(f"/targets/{quoted(resource)}/reconciliation")
    if session.json:
        print_json(found)
        return
    _print_reconciliation(found)
    if found["found"] or found["missing"]:
        say(f"next: `lapse reconcile apply {resource}` records this" + _removal_hint(found))


def apply(session: Session, resource: ResourceName, yes: Yes = False) -> None:
    """Read a target, and record what differs.

    Removes what nobody granted where the resource says `on_drift: remove`.
    """
    with session.api() as api:
        if not yes:
            planned = api.get(f"/targets/{quoted(resource)}/reconciliation")
            if planned["to_remove"]:
                confirm(f"remove {plural(len(planned['to_remove']), 'right')} from {resource}?", yes=yes)
        found = api.post(f"/targets/{quoted(resource)}/reconciliation")
    if session.json:
        print_json(found)
    else:
        _print_reconciliation(found)
        say("recorded")
    if any(one["error"] for one in found["removed"]):
        raise typer.Exit(1)


def list_drift(
    session: Session,
    resource: Annotated[str, typer.Option(metavar="RESOURCE", autocompletion=resources)] = "",
    everything: Annotated[bool, typer.Option("--all", help="What was cleared too.")] = False,
) -> None:
    """List access that no grant explains."""
    with session.api() as api:
        rows = api.get("/drift", resource=resource, all=everything)["items"]
    if session.json:
        print_json(rows)
    elif rows:
        _print_drift(rows)
    else:
        say("no drift is known; `lapse reconcile plan RESOURCE` looks now")


def _asked_for() -> str:
    if not sys.stdin.isatty():
        text = sys.stdin.readline().strip()
    else:
        import getpass

        text = getpass.getpass("DSN (not shown): ").strip()
    if not text:
        raise InvalidInput("no DSN was given", hint="use --dsn-env, --dsn-file, or write it to standard input")
    return text


def _print_check(resource: str, found: dict[str, Any], *, ok: bool) -> None:
    say(f"{safe(found['server'])}; ways in which access ends there: {', '.join(found['fences'])}")
    table(
        ("", "RIGHT", "NEEDED FOR"),
        (("ok" if i["ok"] else "no" if i["required"] else "-", i["name"], i["needed_for"]) for i in found["items"]),
        flexible=2,
    )
    for item in found["items"]:
        if not item["ok"] and item["remedy"]:
            say(f"run there:  {safe(item['remedy'], longest=1000)}" + ("" if item["required"] else "   (optional)"))
    if ok:
        say(f"{resource} is ready; next: `lapse request create {resource}/ROLE --for 2h`")
    else:
        say(f"{resource} is not ready: run the statements above there, then check again")


def _print_reconciliation(found: dict[str, Any]) -> None:
    facts({"target": found["resource"], "server": found["server"], "read": when(found["observed_at"])})
    for gap in found["gaps"]:
        say(f"could not be read: {safe(gap)}")
    if found["found"]:
        _print_drift(found["found"], found["new"])
    for grant in found["missing"]:
        say(f"grant {grant} has lost its access on the target")
    for one in found["removed"]:
        say(f"{one['drift']}: " + (f"not removed: {safe(one['error'])}" if one["error"] else "removed, and seen to be"))
    if not found["found"] and not found["missing"]:
        say("no drift: everything that was read is explained" + ("" if found["complete"] else ", with gaps"))


def _print_drift(rows: list[dict[str, Any]], new: list[str] | None = None) -> None:
    table(
        ("ACCOUNT", "ROLE", "WHAT", "SINCE", "ON"),
        (
            (d["account"], d["role"], words(d["kind"]), when(d["first_seen"]),
             "new" if new and d["id"] in new else "cleared" if d["cleared_at"] else d["resource"])
            for d in rows
        ),
        flexible=2,
    )  # fmt: skip


def _removal_hint(found: dict[str, Any]) -> str:
    return f" and removes {plural(len(found['to_remove']), 'right')}" if found["to_remove"] else ""


def ca(session: Session) -> None:
    """Print the key of lapse's CA for SSH users.

    A host takes lapse's certificates once the line is in the file that its `TrustedUserCAKeys` names.
    """
    with session.api() as api:
        found = api.get("/ssh/user-ca")
    if session.json:
        print_json(found)
        return
    say(found["public_key"])
