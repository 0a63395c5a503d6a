"""`lapse review schedule`: reviews that recur, and looks at new evidence in between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from lapse.entrypoints.cli.commands import command, group
from lapse.entrypoints.cli.output import DASH, clock, facts, note, plural, print_json, safe, say, table, when
from lapse.entrypoints.cli.review_looks import (
    looked_when,
    print_look,
    say_failure,
    say_limits,
    spelled_counts,
)
from lapse.entrypoints.cli.review_options import (
    ByDefault,
    Canaries,
    Conflicts,
    Fallback,
    Frameworks,
    Imports,
    OwnDetectors,
    People,
    Scope,
    Sources,
    SourcesFile,
    Stages,
    Within,
    given_body,
    plan_body,
)
from lapse.entrypoints.cli.session import Session, quoted

Name = Annotated[str, typer.Argument(metavar="NAME")]
_OPEN = ("new", "back again", "open")


def register(review: typer.Typer) -> None:
    """Add these commands to the group `review`."""
    schedule = group("schedule", "Reviews that recur, and looks in between.")
    review.add_typer(schedule, name="schedule")
    command(schedule, "list")(list_schedules)
    command(schedule, "show")(show)
    command(schedule, "add")(add)
    command(schedule, "change")(change)
    command(schedule, "look")(look)
    command(schedule, "start")(start)
    command(schedule, "remove")(remove)


def list_schedules(session: Session) -> None:
    """List reviews that recur."""
    with session.api() as api:
        rows = api.get("/review-schedules")["items"]
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("no review recurs; `lapse review schedule add NAME --every 3` reviews the quarter when it is over")
        return
    table(
        ("NAME", "SCOPE", "EVERY", "NEXT", "LOOKED", "OPEN"),
        (
            (
                r["name"], r["scope"], plural(r["every_months"], "month"), when(r["next_at"]), looked_when(r),
                _open(r["look"]),
            )
            for r in rows
        ),
        flexible=1,
    )  # fmt: skip
    for row in rows:
        _say_missed(row)
        say_failure(row)


def show(session: Session, name: Name) -> None:
    """Show one: when it is due, what it missed, how it looked last."""
    with session.api() as api:
        found = api.get(f"/review-schedules/{quoted(name)}")
    if session.json:
        print_json(found)
        return
    look = found["look"]
    facts(
        {
            "schedule": found["name"], "title": found["title"], "scope": found["scope"],
            "every": plural(found["every_months"], "month"),
            "next review": f"{clock(found['next_at'])}, of the {plural(found['every_months'], 'month')} before",
            "last review": found["last_review"] or "none",
            "besides": _besides(found["given"]),
            "looks": "every day" if found["continuous"] else "when somebody asks for one",
        }
        | (_look_facts(look) if look else {"looked": "never"})
    )  # fmt: skip
    if look:
        say_limits(look)
    _say_missed(found)
    say_failure(found)
    if look:
        say(f"next: `lapse review findings --schedule {safe(name)}` lists what is there")
    elif not found["failure"]:
        say(f"next: `lapse review schedule look {safe(name)}` looks at the evidence now")


def change(
    session: Session,
    name: Name,
    continuous: Annotated[
        bool, typer.Option("--continuous/--not-continuous", help="Look at new evidence every day, or no more.")
    ],
) -> None:
    """Have new evidence looked at every day, or no more.

    What is known of findings stays.
    """
    with session.api() as api:
        made = api.post(f"/review-schedules/{quoted(name)}/continuous", {"continuous": continuous})
    if session.json:
        print_json(made)
    elif made["continuous"]:
        say(f"a server looks at new evidence of `{safe(name)}` every day")
    else:
        say(
            f"new evidence of `{safe(name)}` is looked at when somebody asks: `lapse review schedule look {safe(name)}`"
        )


def look(session: Session, name: Name) -> None:
    """Look at new evidence now.

    Every detector runs, and findings are brought up to date; nobody is asked, and nothing is taken away.
    """
    with session.api() as api:
        looked = api.post(f"/review-schedules/{quoted(name)}/looks", {})
    print_look(session, looked)


def start(
    session: Session,
    name: Name,
    period: Annotated[str, typer.Argument(metavar="PERIOD", help="One that was missed, as `show` names it.")],
) -> None:
    """Start the review of a period that was missed."""
    with session.api() as api:
        made = api.post(f"/review-schedules/{quoted(name)}/missed", {"period": period})
    if session.json:
        print_json(made)
        return
    say(f"review {made['id']} of {made['period']} is started; a server takes it to where people decide")
    say(f"next: `lapse review show {made['id']}`")


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
    imports: Imports = None,
    people: People = None,
    source: Sources = None,
    sources: SourcesFile = None,
    conflicts: Conflicts = None,
    detectors: OwnDetectors = None,
) -> None:
    """Review the same again and again, over the months before.

    Files and folders are on the server's machine, and read anew each time.
    """
    plan = plan_body(within, by_default, fallback, stages, canaries)
    body = {
        "name": name, "scope": scope, "every_months": every, "title": title, "frameworks": framework or [],
        "continuous": continuous,
    }  # fmt: skip
    files = {"imports": imports, "people": people, "conflicts": conflicts, "detectors": detectors}
    given = given_body(files, source, sources)
    with session.api() as api:
        made = api.post("/review-schedules", body | plan | given)
    if session.json:
        print_json(made)
        return
    months = plural(made["every_months"], "month")
    say(f"`{safe(made['name'])}` is reviewed every {months}, next on {clock(made['next_at'])}")
    if made["continuous"]:
        say("a server looks at new evidence every day, for the first time within a minute")
        say(f"next: `lapse review schedule look {safe(made['name'])}` looks now")


def remove(session: Session, name: Name) -> None:
    """Take a recurring review off the schedule."""
    with session.api() as api:
        api.post(f"/review-schedules/{quoted(name)}/remove", {})
    if session.json:
        print_json({"removed": name})
        return
    say(f"`{safe(name)}` recurs no more, and nothing looks in between; reviews that were started go on")


def _open(look: Mapping[str, Any] | None) -> str:
    return str(sum(look["counts"].get(state, 0) for state in _OPEN)) if look else DASH


def _look_facts(look: Mapping[str, Any]) -> dict[str, str]:
    asked = look["assessed"] + len(look["not_assessed"])
    return {
        "looked": f"{clock(look['at'])} ({when(look['at'])})",
        "findings": spelled_counts(look["counts"]) or "none",
        "assessed": f"{look['assessed']} of {plural(asked, 'question')}",
        "evidence": look["snapshot"],
    }


def _besides(given: Mapping[str, Any]) -> str:
    """What is read besides the targets."""
    files = [f"{name} {given[name]}" for name in ("imports", "people", "conflicts", "detectors") if given[name]]
    return ", ".join([*files, *given["sources"]])


def _say_missed(schedule: Mapping[str, Any]) -> None:
    missed = schedule["missed"]
    if not missed:
        return
    name = schedule["name"]
    note(f"`{name}` missed {plural(len(missed), 'period')} while no server ran: {', '.join(missed)}")
    note(f"`lapse review schedule start {name} {missed[-1]}` reviews one after all")
