"""`lapse lock`: the red button."""

from __future__ import annotations

from typing import Annotated

import typer

from lapse.domain.errors import InvalidInput
from lapse.entrypoints.cli.commands import Reason, Yes, command, confirm, group
from lapse.entrypoints.cli.following import warn_unserved
from lapse.entrypoints.cli.output import plural, print_json, say, table, when
from lapse.entrypoints.cli.session import Session, quoted

_KINDS = ("principal", "resource", "entitlement", "everything")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    lock = group("lock", "The red button: stop people, resources, roles.")
    app.add_typer(lock, name="lock")
    command(lock, "add")(add)
    command(lock, "list")(list_locks)
    command(lock, "remove")(remove)


def add(
    session: Session,
    kind: Annotated[str, typer.Argument(metavar="KIND", help=" | ".join(_KINDS), autocompletion=lambda: list(_KINDS))],
    target: Annotated[str, typer.Argument(metavar="[NAME]", help="Which; nothing for everything.")] = "",
    reason: Reason = "",
    yes: Yes = False,
) -> None:
    """Stop what is named: grants end, new ones are refused."""
    if kind not in _KINDS:
        raise InvalidInput(f"`{kind[:60]}` cannot be locked", hint=f"choose from {', '.join(_KINDS)}")
    what = f"{kind} {target}".strip()
    confirm(f"lock {what}, end every grant it covers and cut its sessions?", yes=yes)
    with session.api() as api:
        found = api.post("/locks", {"kind": kind, "target": target, "reason": reason})
        if session.json:
            print_json(found)
            return
        say(f"lock {found['lock']['id']} is in force on {what}; {plural(len(found['grants']), 'grant')} now ending")
        say(f"next: `lapse grant list`; another administrator can `lapse lock remove {found['lock']['id']}`")
        warn_unserved(api, "revoking" if found["grants"] else "ended")


def list_locks(
    session: Session,
    everything: Annotated[bool, typer.Option("--all", help="Removed ones too.")] = False,
) -> None:
    """List locks in force."""
    with session.api() as api:
        rows = api.get("/locks", all=everything)["items"]
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("nothing is locked")
        return
    table(
        ("LOCK", "ON", "BY", "SINCE", "REASON"),
        (
            (one["id"], f"{one['kind']} {one['target']}".strip(), one["created_by"], when(one["created_at"]),
             one["reason"] + (f" (removed by {one['removed_by']})" if one["removed_at"] else ""))
            for one in rows
        ),
        flexible=4,
    )  # fmt: skip


def remove(session: Session, lock: Annotated[str, typer.Argument(metavar="LOCK")]) -> None:
    """Take a lock off that somebody else set. Ended grants stay ended."""
    with session.api() as api:
        found = api.post(f"/locks/{quoted(lock)}/remove")
    print_json(found) if session.json else say(f"lock {found['id']} is removed; access is asked for anew")
