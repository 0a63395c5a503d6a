"""`lapse delegation`: let somebody else decide while one is away."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from lapse.domain.durations import parse_duration
from lapse.domain.errors import InvalidInput
from lapse.domain.times import format_time, parse_time
from lapse.entrypoints.cli.commands import Reason, command, group
from lapse.entrypoints.cli.output import clock, print_json, say, table, when
from lapse.entrypoints.cli.session import Session, quoted

HowLong = Annotated[str, typer.Option("--for", metavar="DURATION", help="For how long, e.g. 5d; 90d at most.")]
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="Until when, e.g. 2026-03-09T08:00:00Z.")]
From = Annotated[str, typer.Option("--from", metavar="TIME", help="From when; now if left out.")]
Principal = Annotated[str, typer.Option("--principal", metavar="NAME", help="Of somebody else: for administrators.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    delegation = group("delegation", "Let somebody else decide while one is away.")
    app.add_typer(delegation, name="delegation")
    command(delegation, "add")(add)
    command(delegation, "list")(list_delegations)
    command(delegation, "end")(end)


def add(  # noqa: PLR0913, PLR0917  one an option
    session: Session,
    delegate: Annotated[str, typer.Argument(metavar="DELEGATE", help="Who decides meanwhile.")],
    how_long: HowLong = "",
    until: Until = "",
    starts_at: From = "",
    reason: Reason = "",
    principal: Principal = "",
) -> None:
    """Let somebody decide where you may, until an end."""
    body = {"delegate": delegate, "reason": reason, "ends_at": _end(how_long, until, starts_at)}
    body |= {name: value for name, value in (("starts_at", starts_at), ("principal", principal)) if value}
    with session.api() as api:
        found = api.post("/delegations", body)
    if session.json:
        print_json(found)
        return
    since = "" if parse_time(found["starts_at"]) <= datetime.now(UTC) else f" from {clock(found['starts_at'])}"
    say(f"`{found['delegate']}` decides for `{found['principal']}`{since} until {clock(found['ends_at'])}")
    say(f"next: `lapse delegation end {found['id']}` ends it earlier")


def list_delegations(
    session: Session,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
) -> None:
    """List who decides for whom."""
    with session.api() as api:
        rows = api.get("/delegations", all=everything)["items"]
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("nobody decides for anybody else; `lapse delegation add NAME --for 5d --reason TEXT` arranges it")
        return
    table(
        ("DELEGATION", "OF", "TO", "FROM", "UNTIL", "WHY"),
        (
            (one["id"], one["principal"], one["delegate"], when(one["starts_at"]),
             when(one["ended_early_at"] or one["ends_at"]), one["reason"])
            for one in rows
        ),
        flexible=5,
    )  # fmt: skip


def end(session: Session, delegation: Annotated[str, typer.Argument(metavar="DELEGATION")]) -> None:
    """End a delegation early. What the delegate has decided stays decided."""
    with session.api() as api:
        found = api.post(f"/delegations/{quoted(delegation)}/end")
    print_json(found) if session.json else say(f"`{found['delegate']}` decides for `{found['principal']}` no longer")


def _end(how_long: str, until: str, starts_at: str) -> str:
    """The end, said as a time or as a length."""
    if bool(how_long) == bool(until):
        raise InvalidInput("a delegation needs an end", hint="give either --for 5d or --until TIME")
    if until:
        return format_time(parse_time(until))
    return format_time((parse_time(starts_at) if starts_at else datetime.now(UTC)) + parse_duration(how_long))
