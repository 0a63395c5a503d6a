"""`lapse lock`: the red button."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from lapse.domain.errors import InvalidInput
from lapse.entrypoints.cli.commands import Reason, Yes, command, confirm, group
from lapse.entrypoints.cli.following import warn_unserved
from lapse.entrypoints.cli.output import note, plural, print_json, safe, say, table, when
from lapse.entrypoints.cli.session import Session, quoted

_SHOWN = 20
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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")] = False,
    yes: Yes = False,
) -> None:
    """Stop what is named: grants end or wait, new ones are refused.

    Live grants end at once, and their sessions are cut. Scheduled ones wait until it is removed, or lapse.
    """
    if kind not in _KINDS:
        raise InvalidInput(f"`{kind[:60]}` cannot be locked", hint=f"choose from {', '.join(_KINDS)}")
    what = f"{kind} {target}".strip()
    with session.api() as api:
        if dry_run or not yes:
            found = api.post("/locks/preview", {"kind": kind, "target": target})
            if dry_run and session.json:
                print_json(found)
                return
            (say if dry_run else note)(_would(what, found))
            _list_ends(found["ends"], say if dry_run else note)
            if dry_run:
                return
        confirm(f"lock {what}?", yes=yes)
        found = api.post("/locks", {"kind": kind, "target": target, "reason": reason})
        if session.json:
            print_json(found)
            return
        _say_locked(what, found)
        warn_unserved(api, "revoking" if found["grants"] else "ended")


def _would(what: str, found: dict[str, Any]) -> str:
    ends, waits, requests = found["ends"], found["waits"], found["requests"]
    return (
        f"a lock on {what} ends {plural(len(ends), 'grant')} and cuts their sessions, holds back "
        f"{plural(len(waits), 'scheduled grant')}, and leaves {plural(len(requests), 'request')} without approval"
    )


def _list_ends(ends: list[dict[str, Any]], out: Callable[[str], None]) -> None:
    for grant in ends[:_SHOWN]:
        out(f"  ends {grant['id']}: `{safe(grant['beneficiary'])}` on {safe(grant['entitlement'])}")
    if len(ends) > _SHOWN:
        out(f"  and {len(ends) - _SHOWN} more")


def _say_locked(what: str, found: dict[str, Any]) -> None:
    name, ending, waiting = found["lock"]["id"], found["grants"], found["waiting"]
    say(f"lock {name} is in force on {what}; {plural(len(ending), 'grant')} now ending, {len(waiting)} waiting")
    say(f"next: `lapse grant list`; another administrator can `lapse lock remove {name}`")


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
    """Take a lock off that somebody else set.

    Ended grants stay ended; what waited may begin.
    """
    with session.api() as api:
        found = api.post(f"/locks/{quoted(lock)}/remove")
    if session.json:
        print_json(found)
        return
    say(f"lock {found['id']} is removed; what it ended is asked for anew")
    if found["resumed"]:
        say(f"  {plural(len(found['resumed']), 'scheduled grant')} that waited may begin: `lapse grant list`")
