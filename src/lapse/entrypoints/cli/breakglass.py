"""`lapse breakglass`: emergencies, and the reviews that are due after them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lapse.domain.errors import InvalidInput
from lapse.entrypoints.cli.commands import command, group
from lapse.entrypoints.cli.completing import unreviewed
from lapse.entrypoints.cli.output import clock, facts, print_json, say, table, when, words
from lapse.entrypoints.cli.session import Session, quoted

Use = Annotated[str, typer.Argument(metavar="USE", autocompletion=unreviewed)]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    breakglass = group("breakglass", "Emergencies, and their reviews.")
    app.add_typer(breakglass, name="breakglass")
    command(breakglass, "list")(list_uses)
    command(breakglass, "show")(show)
    command(breakglass, "review")(review)


def list_uses(
    session: Session,
    everything: Annotated[bool, typer.Option("--all", help="Reviewed ones too.")] = False,
) -> None:
    """List uses of break-glass that wait for a review."""
    with session.api() as api:
        rows = api.get("/breakglass", all=everything)["items"]
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("no use of break-glass " + ("is known" if everything else "waits for a review"))
        return
    table(
        ("USE", "ENTITLEMENT", "WHO", "REVIEW"),
        ((a["id"], a["entitlement"], a["beneficiary"], _standing(a)) for a in rows),
        flexible=1,
    )


def show(session: Session, use: Use) -> None:
    """Show a use of break-glass: who, what, and why."""
    with session.api() as api:
        found = api.get(f"/breakglass/{quoted(use)}")
    if session.json:
        print_json(found)
        return
    facts(
        {
            "use": found["id"],
            "entitlement": found["entitlement"],
            "requester": found["requester"],
            "beneficiary": found["beneficiary"] if found["beneficiary"] != found["requester"] else "",
            "because": found["justification"],
            "used": f"{clock(found['created_at'])} ({when(found['created_at'])})",
            "review": _standing(found),
            "by one of": ", ".join(found["reviewers"]),
            "note": found["note"],
            "request": found["request_id"],
            "grants": ", ".join(found["grants"]),
        }
    )


def review(
    session: Session,
    use: Use,
    justified: Annotated[
        bool | None, typer.Option("--justified/--not-justified", help="Whether it was an emergency.")
    ] = None,
    remark: Annotated[str, typer.Option("--note", metavar="TEXT", help="What you looked at.")] = "",
) -> None:
    """Say whether a use was justified, once and for all."""
    if justified is None:
        raise InvalidInput("it is not said whether it was justified", hint="add --justified or --not-justified")
    body = {"judgement": "justified" if justified else "not_justified", "note": remark}
    with session.api() as api:
        found = api.post(f"/breakglass/{quoted(use)}/review", body)
    if session.json:
        print_json(found)
        return
    say(f"{found['id']} is judged {words(found['judgement'])}")
    if not justified:
        say(f"next: `lapse grant list --request {found['request_id']}`; an owner can revoke what is still there")


def _standing(found: dict[str, Any]) -> str:
    if found["judgement"]:
        return f"{words(found['judgement'])}, said {found['reviewed_by']}"
    return f"overdue since {clock(found['due_at'])}" if found["is_overdue"] else f"due {when(found['due_at'])}"
