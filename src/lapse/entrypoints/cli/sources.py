"""`lapse source`: the kinds of other systems' records that a review reads. Needs neither a home folder nor a server."""

from __future__ import annotations

from typing import Annotated

import typer

from lapse.entrypoints.cli.commands import command, group
from lapse.entrypoints.cli.output import facts, print_json, say, table
from lapse.entrypoints.cli.session import Session


def register(app: typer.Typer) -> None:
    """Add these commands."""
    source = group("source", "Records of other systems that a review reads.")
    app.add_typer(source, name="source")
    command(source, "list")(list_sources)
    command(source, "show")(show)


def list_sources(session: Session) -> None:
    """List the kinds of sources there are."""
    from lapse.review.sources.registry import all_sources

    found = list(all_sources().values())
    if session.json:
        print_json(
            [{"kind": s.kind, "title": s.title, "tables": list(s.tables), "options": dict(s.options)} for s in found]
        )
        return
    table(("KIND", "WHAT IT READS"), ((source.kind, source.title) for source in found), flexible=1)
    say("next: `lapse source show KIND`")


def show(session: Session, kind: Annotated[str, typer.Argument(metavar="KIND")]) -> None:
    """Show one kind of source: its tables, its options, how to name it."""
    from lapse.review.sources.registry import source_of

    found = source_of(kind)
    if session.json:
        print_json(
            {"kind": found.kind, "title": found.title, "tables": list(found.tables), "options": dict(found.options)}
        )
        return
    facts({"source": found.kind, "reads": found.title, "fills": ", ".join(found.tables)})
    if found.options:
        say()
        table(("OPTION", "MEANING"), found.options.items(), flexible=1)
    needed = "".join(f",{name}=…" for name, meaning in found.options.items() if meaning.endswith("required"))
    say(f"next: `lapse review run --alone --source {found.kind}=PATH{needed}`")
