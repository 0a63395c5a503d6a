"""`lapse session replay`, `watch` and `export`: what happened in a session, or happens now."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from lapse.domain.errors import Corrupt, InvalidInput
from lapse.entrypoints.cli.commands import Reason, command
from lapse.entrypoints.cli.completing import open_sessions
from lapse.entrypoints.cli.output import note, plural, safe, say
from lapse.entrypoints.cli.session import Session, quoted

_MILLI = 1_000
_SECOND = 1_000_000
_LONGEST = 400

Recorded = Annotated[str, typer.Argument(metavar="SESSION", help="As `lapse session list` shows it.")]
Live = Annotated[str, typer.Argument(metavar="SESSION", autocompletion=open_sessions)]


def add(group: typer.Typer) -> None:
    """Add these commands to `lapse session`."""
    command(group, "replay")(replay)
    command(group, "watch")(watch)
    command(group, "export")(export)


def replay(session: Session, recorded: Recorded, reason: Reason = "") -> None:
    """Show what happened in a session.

    The ledger records who looks at which session. With --json, one JSON value a line.
    """
    _show(session, recorded, reason, follow=False)


def watch(session: Session, live: Live, reason: Reason = "") -> None:
    """Follow a session while it happens, until it is over.

    What it did before comes first. Ctrl-C stops watching; the session goes on.
    """
    _show(session, live, reason, follow=True)


def export(
    session: Session,
    recorded: Recorded,
    to: Annotated[Path, typer.Option("--to", metavar="FILE", help="A file that is not there yet.")],
    reason: Reason = "",
) -> None:
    """Write what happened in a session to a file, as JSON lines.

    Each statement's line stands for itself: when, who, by which grant, where, what, and what became of it. A file that
    ends in `.cast` gets the terminal instead, as players of asciicast take it.
    """
    try:
        with to.open("x", encoding="utf-8") as file:
            write: Callable[[Any], None] = Cast(file) if to.suffix == ".cast" else lambda event: _write(file, event)
            count = _stream(session, recorded, reason, write, follow=False)
    except FileExistsError:
        raise InvalidInput(f"`{to}` exists already", hint="name another file") from None
    except OSError as error:
        raise InvalidInput(f"`{to}` cannot be written: {error.strerror}") from None
    say(f"{plural(count, 'line')} in {to}")


class Cast:
    """Writes the terminal of a session as asciicast, version 2: the first channel that has one."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._began: datetime | None = None
        self._channel: int | None = None

    def __call__(self, event: dict[str, Any]) -> None:
        """One event of the session; what is not of its terminal is left out."""
        at = datetime.fromisoformat(event["at"])
        if event["event"] == "started" and self._began is None and event["terminal"]:
            self._began, self._channel = at, event["channel"]
            size, words = event["terminal"], {"command": event["command"]} if event["command"] else {}
            head = {"version": 2, "width": size["width"], "height": size["height"], "timestamp": int(at.timestamp())}
            _write(self._file, head | {"env": {"TERM": size["type"]}} | words)
        elif self._began is not None and event.get("channel") == self._channel:
            self._line(event, (at - self._began).total_seconds())

    def _line(self, event: dict[str, Any], seconds: float) -> None:
        match event["event"]:
            case "output":
                _write(self._file, [round(seconds, 6), "o", event["text"]])
            case "input":
                _write(self._file, [round(seconds, 6), "i", event["text"]])
            case "resize":
                _write(self._file, [round(seconds, 6), "r", f"{event['width']}x{event['height']}"])


def _show(session: Session, wanted: str, reason: str, *, follow: bool) -> None:
    if session.json:
        _stream(session, wanted, reason, lambda event: _write(sys.stdout, event), follow=follow)
        return
    count = _stream(session, wanted, reason, _print, follow=follow)
    if count == 1:
        note("nothing happened in it" if not follow else "nothing happened in it while it was watched")


def _stream(session: Session, wanted: str, reason: str, on_event: Callable[[Any], None], *, follow: bool) -> int:
    """How many events there were; the first is about the session itself."""
    count = 0

    def each(event: Any) -> None:
        nonlocal count
        if event["event"] == "error":
            raise Corrupt(event["message"], hint=event["hint"])
        count += 1
        on_event(event)

    with session.api() as api:
        api.stream(f"/sessions/{quoted(wanted)}/replay", {"follow": follow, "why": reason}, each)
    return count


def _write(file: Any, event: Any) -> None:
    file.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
    file.flush()


def _print(event: dict[str, Any]) -> None:
    match event["event"]:
        case "session":
            note(f"{event['principal']} on {event['entitlement']} as {event['account']}, by grant {event['grant_id']}")
        case "statement":
            say(_statement(event))
        case "output" | "errors" | "input":
            sys.stdout.write(event["text"])
            sys.stdout.flush()
        case kind:
            known = {"event", "at", "channel"}
            told = ", ".join(f"{name} {safe(value)}" for name, value in event.items() if name not in known and value)
            say(f"{_clock(event['at'])}  {kind}  {told}")


def _statement(event: dict[str, Any]) -> str:
    became = event["error"] or ", ".join(event["tags"]) or ("unanswered" if event["duration_us"] is None else "done")
    text = " ".join(safe(event["statement"], _LONGEST).split())
    values = event["parameters"]
    given = "" if values == [] else "  (redacted)" if values is None else f"  {safe(json.dumps(values), _LONGEST)}"
    return f"{_clock(event['at'])}  {_took(event['duration_us']):>9}  {safe(became):<14}  {text}{given}"


def _clock(text: str) -> str:
    return datetime.fromisoformat(text).astimezone().strftime("%H:%M:%S.%f")[:-3]


def _took(micros: int | None) -> str:
    if micros is None:
        return "-"
    return f"{micros / _MILLI:.1f} ms" if micros < _SECOND else f"{micros / _SECOND:.1f} s"
