"""Follows a change to where it leads: the grant of an approved request, the end of a revoked one."""

from __future__ import annotations

from typing import Any

from lapse.entrypoints.cli.output import clock, duration, note, print_json, safe, say, when, words
from lapse.entrypoints.cli.session import Api, Session, quoted

PATIENCE = 3.0
STEP = 0.1
_SHOWN = 3
_MOVING = {"scheduled", "activating", "revoking"}


def settled(api: Api, grant: dict[str, Any]) -> dict[str, Any]:
    """The grant once it stopped moving, or as it is after a few seconds; a start that is to come is not waited for."""
    waited = 0.0
    while True:
        latest: dict[str, Any] = api.get(f"/grants/{quoted(grant['id'])}")
        later = latest["state"] == "scheduled" and when(latest["starts_at"]).startswith("in ")
        if latest["state"] not in _MOVING or later or waited >= PATIENCE or not api.served:
            return latest
        api.wait(STEP)
        waited += STEP


def say_grant(session: Session, api: Api, request: dict[str, Any]) -> None:
    """What became of an approved request."""
    if session.json:
        grants = _given(api, request)
        if len(grants) == 1:
            settled(api, grants[0])
        print_json(request | {"grants": [grant["id"] for grant in grants]})
        return
    say_request(api, request)


def say_request(api: Api, request: dict[str, Any]) -> None:
    """What an approved request gave, in sentences."""
    grants = _given(api, request)
    say(f"request {request['id']} is approved")
    if len(grants) > 1:
        say(f"  {len(grants)} grants, each for {duration(request['requested_duration'])}:")
        for grant in grants[:_SHOWN]:
            say(f"  {grant['id']} from {clock(grant['starts_at'])} ({when(grant['starts_at'])})")
        more = f", the last from {clock(grants[-1]['starts_at'])}" if len(grants) > _SHOWN else ""
        say(f"next: `lapse grant list --request {request['id']}` lists them{more}")
        warn_unserved(api, "scheduled")
    for grant in grants if len(grants) == 1 else ():
        now = settled(api, grant)
        say_state(now)
        warn_unserved(api, now["state"])
    if not grants:
        say("  its grant comes when all of its bundle is approved")


def _given(api: Api, request: dict[str, Any]) -> list[dict[str, Any]]:
    """The grants of a request, earliest first."""
    return list(reversed(api.get("/grants", request_id=request["id"], limit=100)["items"]))


def say_state(grant: dict[str, Any]) -> None:
    """One sentence about a grant, and what to do next."""
    name, what = grant["id"], grant["entitlement"]
    match grant["state"]:
        case "active":
            say(f"grant {name} is active: `{safe(grant['account'])}` has {what}")
            say(f"  until {clock(grant['ends_at'])} ({when(grant['ends_at'])})")
            say(
                f"next: `lapse grant release {name}` ends it early, `lapse grant credential {name}` if it needs a login"
            )
        case "scheduled" if grant["suspended_by"]:
            say(f"grant {name} waits while lock {grant['suspended_by']} is in force")
            say("next: `lapse lock list` says why")
        case "scheduled" | "activating":
            trouble = f"; so far: {safe(grant['last_error'])}" if grant["last_error"] else ""
            say(f"grant {name} is {words(grant['state'])}, from {clock(grant['starts_at'])}{trouble}")
            say(f"next: `lapse grant show {name}`")
        case "ended":
            say(f"grant {name} is ended: the target was seen to refuse at {clock(grant['ended_at'])}")
        case "revoke_failed":
            say(f"grant {name} could not be ended yet: {safe(grant['last_error'])}")
            say(f"it is tried again {when(grant['next_attempt_at'])}, for ever; look at the target")
        case "revoking":
            say(f"grant {name} is being ended; `lapse grant show {name}` says when that was seen to be so")
        case _:
            say(f"grant {name} failed: {safe(grant['last_error'])}")


def warn_unserved(api: Api, state: str) -> None:
    """Without a server nothing happens by itself, and a promised end is only kept by one."""
    if not api.served and state not in {"ended", "denied", "cancelled", "expired", "activation_failed"}:
        note("no server runs here: nothing ends on time unless `lapse serve` does")
