"""`lapse detector`: what a review looks for. Needs neither a home folder nor a server."""

from __future__ import annotations

from typing import Annotated

import typer

from lapse.domain.errors import NotFound
from lapse.entrypoints.cli.commands import command, group
from lapse.entrypoints.cli.output import facts, print_json, safe, say, table
from lapse.entrypoints.cli.session import Session


def register(app: typer.Typer) -> None:
    """Add these commands."""
    detector = group("detector", "What a review looks for.")
    app.add_typer(detector, name="detector")
    command(detector, "list")(list_detectors)
    command(detector, "show")(show_detector)


def list_detectors(session: Session) -> None:
    """List what a review looks for."""
    from lapse.domain.data import to_data
    from lapse.review.detector import all_detectors

    found = all_detectors()
    if session.json:
        print_json([to_data(detector) for detector in found])
        return
    table(
        ("ID", "DETECTOR", "SEVERITY", "CONFIDENCE", "STEP"),
        ((d.id, d.title, d.severity, d.confidence, d.step) for d in found),
        flexible=1,
    )
    say("next: `lapse detector show ID`")


def show_detector(session: Session, name: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show one detector: its question, what it needs, and its SQL."""
    from lapse.domain.data import to_data
    from lapse.review.detector import all_detectors

    found = next((d for d in all_detectors() if d.id == name.upper()), None)
    if found is None:
        raise NotFound(f"there is no detector `{safe(name)}`", hint="`lapse detector list` shows them")
    if session.json:
        print_json(to_data(found))
        return
    facts(
        {
            "detector": f"{found.id}, version {found.version}", "title": found.title, "question": found.question,
            "severity": found.severity, "confidence": found.confidence, "needs": ", ".join(found.needs),
            "remediation": found.remediation, "would clear if": found.would_clear,
            "clauses": ", ".join(found.clauses),
        }
    )  # fmt: skip
    say()
    say(found.sql.strip())
