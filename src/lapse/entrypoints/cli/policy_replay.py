"""`lapse policy replay`: what other rules would have answered to everything that was asked, and its report in text."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from lapse.domain.errors import Unavailable
from lapse.entrypoints.cli.output import DASH, duration, paragraph, plural, print_json, safe, say, table
from lapse.entrypoints.cli.policy_files import PolicyFiles, read_policy
from lapse.entrypoints.cli.session import Session

Since = Annotated[str, typer.Option("--since", metavar="WHEN", help="How far to look back: `90d`, or a day.")]

_WORDS = {
    "denied": "would be denied",
    "shortened": "would be shorter",
    "more approvals": "would need more approvals",
    "fewer approvals": "would need fewer approvals",
    "other approvers": "would need other approvers",
    "automatic": "would need no approval",
    "break-glass": "would be break-glass",
    "newly allowed": "was refused, would be allowed",
    "cannot be said": "cannot be said: facts are missing",
    "unchanged": "would be the same",
}
"""What became of requests, in the order in which it is told."""

_NO_TIME = "PT0S"


def replay(session: Session, files: PolicyFiles, since: Since = "90d") -> None:
    """Say what files would have answered to the past.

    Everything that was asked since then is asked again, with the facts of that time. Nothing is changed.
    """
    body = {"files": read_policy(files), "since": since}
    found: dict[str, Any] = {}
    with session.api() as api, _bar(session) as advance:

        def on_line(line: Mapping[str, Any]) -> None:
            if "progress" in line:
                advance(line["progress"]["done"], line["progress"]["total"])
            else:
                found.update(line)

        api.stream("/policy/replay", body, on_line)
    if "report" not in found:
        problem = found.get("problem", {"detail": "the server broke off before it was done"})
        raise Unavailable(str(problem["detail"]), hint="try again; the server's log has the details")
    if session.json:
        print_json(found["report"])
        return
    print_report(found["report"])


def print_report(report: Mapping[str, Any]) -> None:
    """What a replay found, for people."""
    if not report["requests"]:
        say(f"nothing was asked {_span(report)}, so there is nothing to compare")
        _say_unreadable(report)
        return
    refused = f", of which {report['refused']:,} were refused" if report["refused"] else ""
    say(f"{report['requests']:,} {'request' if report['requests'] == 1 else 'requests'} {_span(report)}{refused}")
    say()
    table(("WHAT WOULD HAVE BECOME OF THEM", "REQUESTS", "PERSONS", "TIME SAVED"), _rows(report))
    say()
    _say_totals(report)
    _say_unreadable(report)
    _say_examples(report)


def _span(report: Mapping[str, Any]) -> str:
    return f"from {str(report['since'])[:10]} to {str(report['until'])[:10]}"


def _ordered(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    places = list(_WORDS)
    return sorted(report["groups"], key=lambda group: places.index(group["effect"]))


def _rows(report: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for group in _ordered(report):
        persons = f"{group['persons']:,}" if group["persons"] else DASH
        saved = DASH if group["saved"] == _NO_TIME else _long(group["saved"])
        yield _WORDS[group["effect"]], f"{group['requests']:,}", persons, saved


def _say_totals(report: Mapping[str, Any]) -> None:
    affected = plural(report["persons_affected"], "person")
    paragraph(f"{affected} affected; {_long(report['saved'])} of {_long(report['held'])} would not have been held")
    if report["open"]:
        paragraph(f"{plural(report['open'], 'grant')} not over yet: counted for the time that was promised")


def _say_unreadable(report: Mapping[str, Any]) -> None:
    if report["unreadable"]:
        paragraph(
            f"{plural(report['unreadable'], 'entry', 'entries')} of the ledger could not be read and are not in these "
            "figures: `lapse ledger verify` says which"
        )


def _say_examples(report: Mapping[str, Any]) -> None:
    for group in _ordered(report):
        if group["examples"] and group["effect"] != "unchanged":
            say()
            say(f"{_WORDS[group['effect']]}, for example:")
            for example in group["examples"]:
                _say_example(example)


def _say_example(example: Mapping[str, Any]) -> None:
    whom = "" if example["beneficiary"] == example["requester"] else f" for {safe(example['beneficiary'])}"
    asked = f"{safe(example['requester'])}{whom}, {safe(example['entitlement'])} for {duration(example['duration'])}"
    paragraph(f"{asked}, {str(example['asked_at'])[:10]}", first="  ")
    if example["subject"] != example["entitlement"]:
        say(f"    {safe(example['subject'])}")
    paragraph(example["detail"], first="    ")


def _long(text: str) -> str:
    """A duration of any length, to the hour if it is long."""
    from datetime import timedelta

    from lapse.domain.data import from_data
    from lapse.domain.durations import human_duration

    found = from_data(timedelta, text)
    if found >= timedelta(days=2):
        return f"{found.total_seconds() / 3600:,.0f} h"
    return human_duration(found)


@contextmanager
def _bar(session: Session) -> Iterator[Any]:
    """A bar on a terminal; nothing where nobody watches or data is wanted."""
    if session.json or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    words = (TextColumn("replaying"), BarColumn(24), MofNCompleteColumn(), TextColumn("entries"))
    with Progress(*words, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
