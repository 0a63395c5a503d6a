"""`lapse approvals`: what waits for one's decision; and the lines that say where a request stands."""

from __future__ import annotations

from typing import Any

import typer

from lapse.domain.data import from_data
from lapse.domain.durations import human_duration, parse_duration
from lapse.domain.errors import InvalidInput
from lapse.domain.recurrence import recurrence_words
from lapse.domain.requests import Recurrence
from lapse.entrypoints.cli.commands import command
from lapse.entrypoints.cli.output import clock, duration, facts, plural, print_json, safe, say, when
from lapse.entrypoints.cli.session import Session

_NAMED = 8


def register(app: typer.Typer) -> None:
    """Add this command."""
    command(app, "approvals")(approvals)


def approvals(session: Session) -> None:
    """What waits for your decision."""
    with session.api() as api:
        rows = api.get("/approvals")["items"]
    if session.json:
        print_json(rows)
        return
    if not rows:
        say("nothing waits for your decision")
        return
    for number, one in enumerate(rows):
        say() if number else None
        facts(_waiting(one))
    first = rows[0]["request"]["id"]
    say()
    say(f"next: `lapse approve {first}`")
    say(f"  or no: `lapse deny {first} --reason TEXT`")
    say(f"  or less: `lapse request offer {first} --for 1h`")


def _waiting(one: dict[str, Any]) -> dict[str, Any]:
    request = one["request"]
    whom = request["beneficiary"] if request["beneficiary"] != request["requester"] else ""
    return {
        "request": request["id"],
        "who": request["requester"] + (f" for {whom}" if whom else ""),
        "acts for": request["sponsor"],
        "what": request["entitlement"],
        "purpose": request["terms"]["purpose"],
        "together with": f"the others of {request['bundle']}" if request["bundle"] else "",
        "why": request["justification"],
        "ticket": f"{request['ticket']['system']}:{request['ticket']['number']}" if request["ticket"] else "",
        "for": duration(request["requested_duration"]),
        "starts": clock(request["starts_at"]) if request["starts_at"] else "",
        "repeats": repeats_words(request),
        "extends": request["extends"],
        "rule": request["terms"]["offer"],
        "stage": f"{one['stage']}, {plural(one['missing'], 'more vote')} needed, open {when(one['since'])}",
        "approved by": ", ".join(one["approved_by"]),
        "as delegate of": one["on_behalf_of"],
        "until": f"{clock(request['expires_at'])} ({when(request['expires_at'])})",
    }


def repeats_words(request: dict[str, Any]) -> str:
    """When a request begins again and again; empty if it does not."""
    return recurrence_words(from_data(Recurrence, request["repeats"])) if request["repeats"] else ""


def say_stages(found: dict[str, Any], *, waiting: bool) -> None:
    """The stages of a request, with who may decide now."""
    for stage in found["stages"]:
        say(_stage(stage, waiting=waiting))
        for step in stage["escalations"] if waiting and stage["state"] != "met" else ():
            after = human_duration(parse_duration(step["after"]))
            say(f"    once it is open for {after}: {', '.join(step['approvers'])} too")
    if found["dead_end"]:
        say(f"  it can no longer be approved: {found['dead_end']}")


def say_votes(found: dict[str, Any]) -> None:
    """The votes on a request, with whose delegate cast them and which count no more."""
    for vote in found["decisions"]:
        whose = f" as the delegate of {vote['on_behalf_of']}" if vote["on_behalf_of"] else ""
        reason = f": {safe(vote['reason'])}" if vote["reason"] else ""
        gone = "" if vote["id"] in found["counted"] else " (does not count any more)"
        say(f"  {vote['approver']}{whose} said {vote['verdict']} {when(vote['decided_at'])}{gone}{reason}")


def say_offer(found: dict[str, Any]) -> None:
    """What an approver offers instead."""
    offer = found["counter"]
    if offer:
        what = f"{offer['entitlement']} for {duration(offer['duration'])}"
        say(f"  {offer['approver']} offers {what}: {safe(offer['reason'])}")
        say(f"next: `lapse request accept {found['id']}`")
        say(f"  or not at all: `lapse request cancel {found['id']}`")


def less(how_long: str, entitlement: str, reason: str) -> dict[str, str]:
    """An offer in the API's words."""
    if not how_long and not entitlement:
        raise InvalidInput("this offers nothing less", hint="give --for 1h, --entitlement RESOURCE/ROLE, or both")
    return {"duration": how_long, "entitlement": entitlement, "reason": reason}


def _stage(stage: dict[str, Any], *, waiting: bool) -> str:
    parties = ", ".join(stage["approvers"])
    but = f" but {', '.join(stage['excluded'])}" if stage["excluded"] else ""
    line = f"  stage {stage['name']}: {len(stage['approved_by'])} of {stage['needed']} from {parties}{but}"
    if stage["met"] or not waiting:
        return line + (f" (approved by {', '.join(stage['approved_by'])})" if stage["approved_by"] else "")
    if stage["state"] == "later":
        return f"{line}; opens later"
    people = [_named(who, stage["through"]) for who in stage["may_decide"]]
    few = ", ".join(people[:_NAMED]) + (f" and {plural(len(people) - _NAMED, 'other')}" if len(people) > _NAMED else "")
    return f"{line}; may decide: {few or 'nobody'}"


def _named(who: str, through: dict[str, str]) -> str:
    return f"{who} (for {through[who]})" if who in through else who
