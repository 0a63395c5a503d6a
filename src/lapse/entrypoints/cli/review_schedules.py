"""`lapse review schedule`: reviews that recur."""

from __future__ import annotations

from typing import Annotated

import typer

from lapse.entrypoints.cli.commands import command, group
from lapse.entrypoints.cli.output import clock, print_json, safe, say, table, when
from lapse.entrypoints.cli.review_options import (
    ByDefault,
    Canaries,
    Fallback,
    Frameworks,
    Scope,
    Stages,
    Within,
    plan_body,
)
from lapse.entrypoints.cli.session import Session, quoted

Name = Annotated[str, typer.Argument(metavar="NAME")]


def register(review: typer.Typer) -> None:
    """Add these commands to the group `review`."""
    schedule = group("schedule", "Reviews that recur.")
    review.add_typer(schedule, name="schedule")
    command(schedule, "list")(list_schedules)
    command(schedule, "add")(add)
    command(schedule, "remove")(remove)


def list_schedules(session: Session) -> None:
    """List reviews that recur."""
    with session.api() as api:
        rows = api.get("/review-schedules")["items"]
    if session.json:
        print_json(rows)
    elif not rows:
        say("no review recurs; `lapse review schedule add NAME --every 3` reviews the quarter when it is over")
    else:
        table(
            ("NAME", "SCOPE", "EVERY", "NEXT", "LAST"),
            (
                (r["name"], r["scope"], f"{r['every_months']} months", when(r["next_at"]), r["last_review"] or "none")
                for r in rows
            ),
            flexible=1,
        )


def add(  # noqa: PLR0913, PLR0917  one parameter an option
    session: Session,
    name: Name,
    scope: Scope = "all",
    every: Annotated[int, typer.Option(metavar="MONTHS", help="1, 2, 3, 4, 6 or 12.")] = 3,
    title: Annotated[str, typer.Option(metavar="TEXT", help="What the report is called.")] = "",
    framework: Frameworks = None,
    continuous: Annotated[bool, typer.Option("--continuous", help="Look at new evidence every day too.")] = False,
    within: Within = "14d",
    by_default: ByDefault = "none",
    fallback: Fallback = "",
    stages: Stages = 1,
    canaries: Canaries = 0,
) -> None:
    """Review the same again and again, over the months before."""
    plan = plan_body(within, by_default, fallback, stages, canaries)
    body = {
        "name": name, "scope": scope, "every_months": every, "title": title, "frameworks": framework or [],
        "continuous": continuous,
    }  # fmt: skip
    with session.api() as api:
        made = api.post("/review-schedules", body | plan)
    if session.json:
        print_json(made)
        return
    say(f"`{safe(made['name'])}` is reviewed every {made['every_months']} months, next on {clock(made['next_at'])}")


def remove(session: Session, name: Name) -> None:
    """Take a recurring review off the schedule."""
    with session.api() as api:
        api.post(f"/review-schedules/{quoted(name)}/remove", {})
    if session.json:
        print_json({"removed": name})
        return
    say(f"`{safe(name)}` recurs no more; reviews that were started go on")
