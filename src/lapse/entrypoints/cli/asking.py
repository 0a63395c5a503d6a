"""`lapse request create` and `again`: one role or several, once or repeatedly, from a template, in an emergency."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lapse.domain.errors import InvalidInput
from lapse.entrypoints.cli.approvals import say_stages
from lapse.entrypoints.cli.completing import entitlements, requests, templates
from lapse.entrypoints.cli.following import say_grant, say_request, warn_unserved
from lapse.entrypoints.cli.output import clock, note, print_json, safe, say, when
from lapse.entrypoints.cli.session import Api, Session, quoted

Duration = Annotated[str, typer.Option("--for", metavar="DURATION", help="How long, e.g. 2h30m or PT2H30M.")]
Because = Annotated[str, typer.Option("--because", "-m", metavar="TEXT", help="What for.")]
Ticket = Annotated[str, typer.Option("--ticket", metavar="SYSTEM:NUMBER", help="E.g. jira:OPS-1234.")]
BreakGlass = Annotated[bool, typer.Option("--break-glass", help="An emergency: at once, and reviewed afterwards.")]
Beneficiary = Annotated[
    str,
    typer.Option("--beneficiary", "--on-behalf-of", metavar="NAME", help="For somebody else, or an agent of yours."),
]
StartsAt = Annotated[str, typer.Option("--starts-at", metavar="TIME", help="Not before, e.g. 2026-03-01T14:00:00Z.")]
Days = Annotated[str, typer.Option("--days", metavar="DAYS", help="Again on these days: mon-fri, sat,sun, daily.")]
At = Annotated[str, typer.Option("--at", metavar="HH:MM", help="With --days: the time of day it begins.")]
Zone = Annotated[str, typer.Option("--timezone", metavar="ZONE", help="With --days: whose clock, e.g. Europe/Berlin.")]
Until = Annotated[str, typer.Option("--until", metavar="DAY", help="With --days: the last day.")]
FromTemplate = Annotated[
    str, typer.Option("--template", metavar="NAME", help="As this template says.", autocompletion=templates)
]
EntitlementName = Annotated[str, typer.Argument(metavar="RESOURCE/ROLE", autocompletion=entitlements)]
Names = Annotated[list[str] | None, typer.Argument(metavar="[RESOURCE/ROLE]...", autocompletion=entitlements)]
AnyRequest = Annotated[str, typer.Argument(metavar="REQUEST", autocompletion=requests)]


def create(  # noqa: PLR0913, PLR0917  one an option
    session: Session,
    names: Names = None,
    how_long: Duration = "",
    because: Because = "",
    ticket: Ticket = "",
    beneficiary: Beneficiary = "",
    starts_at: StartsAt = "",
    days: Days = "",
    at: At = "",
    timezone: Zone = "",
    until: Until = "",
    break_glass: BreakGlass = False,
    template: FromTemplate = "",
) -> None:
    """Ask for roles on resources, for a time.

    Several roles are granted together or not at all. With --days the same access begins again on each of them.
    """
    said = _said(because, ticket, template=bool(template)) | _filled(
        {"duration": how_long, "beneficiary": beneficiary, "starts_at": starts_at}
    )
    said |= repetition(days, at, timezone, until) | ({"break_glass": True} if break_glass else {})
    path, body = _call(list(names or ()), template, said)
    with session.api() as api:
        _answered(session, api, api.post(path, body))


def again(  # noqa: PLR0913, PLR0917  one an option
    session: Session,
    request: AnyRequest,
    how_long: Duration = "",
    because: Because = "",
    ticket: Ticket = "",
    starts_at: StartsAt = "",
    break_glass: BreakGlass = False,
) -> None:
    """Ask for the same once more, under today's policy.

    What is not given is as it was. All of a bundle is asked for again.
    """
    said = _said(because, ticket, template=True) | _filled({"duration": how_long, "starts_at": starts_at})
    said |= {"break_glass": True} if break_glass else {}
    with session.api() as api:
        _answered(session, api, api.post(f"/requests/{quoted(request)}/again", said))


def request_body(entitlement: str, how_long: str, because: str, ticket: str) -> dict[str, Any]:
    """One request in the API's words."""
    body: dict[str, Any] = {"entitlement": entitlement, "duration": how_long, "justification": because}
    return body | ({"ticket": ticket_body(ticket)} if ticket else {})


def ticket_body(ticket: str, *, system_known: bool = False) -> dict[str, str]:
    """`jira:OPS-1234` in the API's words; where the system is known a number is enough."""
    system, colon, number = ticket.rpartition(":") if system_known else ticket.partition(":")
    if not number or (not system_known and (not colon or not system)):
        raise InvalidInput(f"`{ticket[:60]}` is not a ticket", hint="write it as `system:number`, e.g. jira:OPS-1234")
    return {"system": system, "number": number} if system else {"number": number}


def repetition(days: str, at: str, timezone: str, until: str) -> dict[str, Any]:
    """The options that say when it begins again."""
    given = {"days": days, "at": at, "timezone": timezone, "until": until}
    if not any(given.values()):
        return {}
    missing = [f"--{name}" for name in ("days", "at", "until") if not given[name]]
    if missing:
        raise InvalidInput(
            f"what repeats needs {' and '.join(missing)} too",
            hint="e.g. --days mon-fri --at 22:00 --timezone Europe/Berlin --until 2026-03-31",
        )
    return {"repeats": _filled(given)}


def _said(because: str, ticket: str, *, template: bool) -> dict[str, Any]:
    said: dict[str, Any] = _filled({"justification": because})
    return said | ({"ticket": ticket_body(ticket, system_known=template)} if ticket else {})


def _filled(given: dict[str, str]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value}


def _call(names: list[str], template: str, said: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The operation that asks for this."""
    if template and names:
        raise InvalidInput("a template names its entitlements itself", hint="leave out the entitlements, or --template")
    if template:
        return f"/templates/{quoted(template)}/requests", said
    if not names or "duration" not in said:
        raise InvalidInput(
            "it is not said what to ask for, and how long", hint="e.g. `lapse request create pg-prod/reader --for 2h`"
        )
    if len(names) == 1:
        return "/requests", {"entitlement": names[0], **said}
    return "/bundles", {"entitlements": names, **said}


def _answered(session: Session, api: Api, found: dict[str, Any]) -> None:
    asked = found.get("requests", [found])
    if session.json and len(asked) > 1:
        print_json(found)
    elif len(asked) > 1:
        _say_bundle(api, found["id"], asked)
    else:
        say_asked(session, api, asked[0])
    for request in asked:
        _warn_emergency(request)


def say_asked(session: Session, api: Api, found: dict[str, Any]) -> None:
    """What became of one request, or who may decide on it."""
    if found["state"] == "approved":
        say_grant(session, api, found)
    elif session.json:
        print_json(found)
    else:
        say(f"request {found['id']} waits for a decision until {clock(found['expires_at'])}")
        _say_stages(api, found)
        say(f"next: one of them runs `lapse approve {found['id']}`")
        warn_unserved(api, found["state"])


def _say_bundle(api: Api, bundle: str, asked: list[dict[str, Any]]) -> None:
    waiting = [request for request in asked if request["state"] == "pending"]
    say(f"bundle {bundle}: {len(asked)} requests that are granted together or not at all")
    for request in asked:
        if waiting:
            say(f"request {request['id']} for {safe(request['entitlement'])} is {request['state']}")
            if request["state"] == "pending":
                _say_stages(api, request)
        else:
            say_request(api, request)
    if waiting:
        say(f"next: `lapse approve {waiting[0]['id']}` and the others, until {clock(waiting[0]['expires_at'])}")
        warn_unserved(api, "pending")


def _say_stages(api: Api, request: dict[str, Any]) -> None:
    say_stages(api.get(f"/requests/{quoted(request['id'])}"), waiting=True)


def _warn_emergency(request: dict[str, Any]) -> None:
    review = request["terms"]["post_review"]
    if review is None:
        return
    who = ", ".join(safe(party) for party in review["reviewers"])
    note(f"break-glass: {who} are told now, and one of them must review this")
    note(f"  `lapse breakglass list` shows what is due; asked {when(request['created_at'])}")
