"""`lapse ledger`: verify the record, look into it, keep its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lapse.entrypoints.cli.commands import Limit, command, group
from lapse.entrypoints.cli.output import note, plural, print_json, say, table, when
from lapse.entrypoints.cli.session import Session


def register(app: typer.Typer) -> None:
    """Add these commands."""
    ledger = group("ledger", "The record of every change, and its proof.")
    app.add_typer(ledger, name="ledger")
    command(ledger, "verify")(verify)
    command(ledger, "show")(show)
    command(ledger, "checkpoint")(checkpoint)


def verify(
    session: Session,
    kept: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", metavar="FILE", help="One that was kept elsewhere; may be repeated."),
    ] = None,
) -> None:
    """Verify every entry, and name the first that is broken.

    Checks sequence, hashes, signatures, and that the ledger continues checkpoints kept elsewhere.
    """
    from lapse.entrypoints.cli.files import read_files

    notes = list(read_files(kept).values()) if kept else []
    with session.api() as api:
        found = api.post("/ledger/verify", {"checkpoints": notes})
    if session.json:
        print_json(found)
    elif found["ok"]:
        continues = f", and continue {plural(len(notes), 'kept checkpoint')}" if notes else ""
        verb = "is" if found["size"] == 1 else "are"
        say(f"ok: {plural(found['size'], 'entry', 'entries')} {verb} in order, unchanged and signed{continues}")
        say(f"  root {found['root']}")
        say(f"  key  {found['key']}")
        if not notes:
            say("next: `lapse ledger checkpoint` prints what to keep elsewhere, to verify against later")
    else:
        where = f"entry {found['first_broken']}: " if found["first_broken"] is not None else ""
        say(f"broken: {where}{found['problem']}")
        note("lapse: the ledger is not what was sealed")
        note("  hint: keep this store as evidence, and find out who could write to it")
    if not found["ok"]:
        raise typer.Exit(1)


def show(
    session: Session,
    subject: Annotated[str, typer.Option(metavar="ID", help="About one thing, e.g. a grant.")] = "",
    kind: Annotated[str, typer.Option("--type", metavar="TYPE", help="Types that begin so, e.g. grant.")] = "",
    limit: Limit = 30,
) -> None:
    """Show sealed entries, newest first."""
    with session.api() as api:
        rows = api.pages("/ledger/entries", limit, subject=subject, type=kind)
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("there are no such entries; what just happened is sealed within a second or two")
        return
    table(
        ("SEQ", "WHEN", "WHAT", "WHO", "ABOUT"),
        ((row["seq"], *_columns(row["entry"])) for row in rows),
        flexible=4,
    )


def checkpoint(session: Session) -> None:
    """Print the newest signed checkpoint.

    Keep it where the operators of lapse cannot change it, and verify against it later.
    """
    with session.api() as api:
        found = api.get("/ledger/checkpoint")
    if session.json:
        print_json(found)
        return
    typer.echo(found["note"], nl=False)
    note(f"key: {found['key']}")


def _columns(entry: dict[str, Any]) -> tuple[str, ...]:
    return when(entry["at"]), entry["type"], entry["actor"], entry["subject"]
