"""What looks between reviews know: `lapse review findings --now` and `lapse review schedule look`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lapse.entrypoints.cli.output import DASH, clock, note, plural, print_json, say, table, when
from lapse.entrypoints.cli.session import Api, Session, quoted

STATES = ("new", "back again", "open", "accepted", "not known", "fixed")
SHOWN = 12
"""Digits of a fingerprint that listings show."""
_MOST_NAMES = 12
_GONE = frozenset({"not known", "fixed"})


def print_current(session: Session, schedule: str, limit: int, *, fixed: bool) -> None:
    """Current findings of one schedule, or of all that were looked at."""
    with session.api() as api:
        names = [schedule] if schedule else [one["name"] for one in api.get("/review-schedules")["items"]]
        found = [(api.get(f"/review-schedules/{quoted(name)}"), _known(api, name, fixed=fixed)) for name in names]
    if session.json:
        print_json([row for _, rows in found for row in rows][:limit])
        return
    if not found:
        say("no review recurs; `lapse review schedule add NAME --continuous` looks at new evidence every day")
    for number, (one, rows) in enumerate(found):
        if number:
            say()
        _print_schedule(one, rows, limit)


def print_look(session: Session, looked: Mapping[str, Any]) -> None:
    """One look that was just made: how many findings are how, which of them changed, and what to do next."""
    if session.json:
        print_json(looked)
        return
    schedule, changed = looked["schedule"], looked["changed"]
    name, look = schedule["name"], schedule["look"]
    say(f"looked at `{name}`: {spelled_counts(look['counts']) or 'nothing was found'}")
    if changed:
        say()
        print_known(changed[:30], look["at"])
        if len(changed) > 30:  # noqa: PLR2004  as many as fit on a screen
            say(f"{len(changed) - 30} more changed")
        say()
    else:
        say("nothing changed since the look before")
    say_limits(look)
    say(f"next: {_next(name, look)}")


def known_by_looks(api: Api) -> dict[str, dict[str, Any]]:
    """Findings that looks know, by fingerprint; `looks` says of each which schedule's, how, since when, seen when."""
    found: dict[str, dict[str, Any]] = {}
    for schedule in api.get("/review-schedules")["items"]:
        for row in _known(api, schedule["name"], fixed=False) if schedule["look"] else ():
            looks = {name: row[name] for name in ("schedule", "since", "last_seen")}
            finding = row["finding"]
            found.setdefault(finding["fingerprint"], finding | {"looks": looks | {"state": finding["state"]}})
    return found


def print_known(rows: Sequence[Mapping[str, Any]], at: str) -> None:
    """One line a finding; when it was seen last is said where not all of them were seen by the look at `at`."""
    all_seen = all(row["last_seen"] == at for row in rows)
    table(
        ("FINDING", "SEVERITY", "ID", "STATE", "SINCE", *(() if all_seen else ("SEEN",)), "WHAT"),
        (
            (
                row["finding"]["fingerprint"][:SHOWN], row["finding"]["severity"], row["finding"]["detector"],
                row["finding"]["state"], when(row["since"]),
                *(() if all_seen else ("now" if row["last_seen"] == at else when(row["last_seen"]),)),
                row["finding"]["summary"],
            )
            for row in rows
        ),
        flexible=5 if all_seen else 6,
    )  # fmt: skip


def spelled_counts(counts: Mapping[str, int]) -> str:
    """`2 new, 3 open, 1 fixed`."""
    return ", ".join(f"{counts[state]} {state}" for state in STATES if counts.get(state))


def say_limits(look: Mapping[str, Any]) -> None:
    """What could not be looked for is said, so that silence is no pass."""
    for resource, why in look["unread"].items():
        note(f"`{resource}` could not be read, so nothing on it is taken for fixed: {why}")
    blind = look["not_assessed"]
    if blind:
        more = f" and {len(blind) - _MOST_NAMES} more" if len(blind) > _MOST_NAMES else ""
        names = f"{', '.join(blind[:_MOST_NAMES])}{more}"
        note(f"{plural(len(blind), 'question')} could not be assessed for lack of data: {names}")


def looked_when(schedule: Mapping[str, Any]) -> str:
    """When it was looked at last, or that it fails."""
    if schedule["failure"]:
        return f"failed {when(schedule['failure']['at'])}"
    return when(schedule["look"]["at"]) if schedule["look"] else DASH


def say_failure(schedule: Mapping[str, Any]) -> None:
    """That the last look failed, why, and when it is tried again."""
    failure = schedule["failure"]
    if not failure:
        return
    again = f"it is tried again {when(failure['again_at'])}" if schedule["continuous"] else "nothing tries it again"
    times = f", for the {failure['tries']}th time" if failure["tries"] > 3 else ""  # noqa: PLR2004  1st to 3rd read badly
    note(f"the last look at `{schedule['name']}` failed {when(failure['at'])}{times}: {failure['reason']}")
    note(f"{again}; `lapse review schedule look {schedule['name']}` tries it now")


def _known(api: Api, name: str, *, fixed: bool) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = api.get(f"/review-schedules/{quoted(name)}/findings", fixed=fixed)["items"]
    return rows


def _print_schedule(schedule: Mapping[str, Any], rows: list[dict[str, Any]], limit: int) -> None:
    name, look = schedule["name"], schedule["look"]
    if look is None:
        say(f"`{name}` was not looked at yet; `lapse review schedule look {name}` does it now")
        say_failure(schedule)
        return
    say(f"`{name}`, as of {clock(look['at'])} ({when(look['at'])}): {spelled_counts(look['counts']) or 'no findings'}")
    if rows:
        print_known(rows[:limit], look["at"])
    if len(rows) > limit:
        say(f"{len(rows) - limit} more; `--limit {len(rows)}` shows all")
    say_limits(look)
    say_failure(schedule)
    if rows:
        say("next: `lapse review finding FINDING` says what to do about one")


def _next(name: str, look: Mapping[str, Any]) -> str:
    if any(state not in _GONE for state in look["counts"]):
        return (
            f"`lapse review findings --schedule {name}` lists what is there, `lapse review finding FINDING` shows one"
        )
    return f"`lapse review schedule show {name}`"
