"""What `lapse review` prints: progress over the steps, findings worst first, and what could not be assessed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lapse.entrypoints.cli.output import note, plural, print_json, safe, say, table
from lapse.entrypoints.cli.session import Session

STEPS = {
    "collect": "2, audit: collect the whole population",
    "audit": "2, audit: who holds what, until when",
    "validate": "3, validate: purpose and use of each permission",
    "workflows": "4, workflows: approvals re-derived, lateness measured",
    "adjust": "5, adjust: what the policy should be instead",
    "seal": "6, document: report and sealed pack",
}
_SEVERITIES = ("critical", "high", "medium", "low")
_LONGEST_ABOUT = 20
_MOST_REMARKS = 5


@contextmanager
def progress(session: Session) -> Iterator[Callable[[str], None]]:
    """A bar over the six steps on a terminal; nothing where nobody watches or data is wanted."""
    if session.json or not sys.stderr.isatty():
        yield lambda _name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.completed}/{task.total}"), BarColumn(24), TextColumn("{task.description}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(STEPS))

        def advance(name: str) -> None:
            bar.update(task, completed=list(STEPS).index(name), description=STEPS[name])

        yield advance


def print_result(session: Session, review_id: str, result: dict[str, Any], *, report: str, pack: str) -> None:
    """A finished review: counts, the worst findings, where report and pack are, what to do next."""
    rows = findings_of(result)
    if session.json:
        unread = [{"what": what, "records": count, "example": example} for what, count, example in not_read(result)]
        blind = not_assessed(result)
        print_json(
            {
                "review": review_id,
                "report": report,
                "pack": pack,
                "findings": rows,
                "not_assessed": blind,
                "not_read": unread,
            }
        )
        return
    counts = {severity: sum(1 for row in rows if row["severity"] == severity) for severity in _SEVERITIES}
    say(f"review {review_id}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if rows:
        print_findings(rows[:15])
    if len(rows) > 15:  # noqa: PLR2004  as many as fit on a screen
        say(f"{len(rows) - 15} more are in the report")
    say_not_assessed(result)
    say_not_read(result)
    _say_remarks(result)
    say(f"report: {report}")
    say(f"pack:   {pack}")
    say(f"next: open the report, and check the pack with `lapse review verify {pack}`")


def print_findings(rows: list[dict[str, Any]]) -> None:
    """One line a finding."""
    table(
        ("SEVERITY", "ID", "STATE", "ABOUT", "WHAT"),
        ((row["severity"], row["detector"], row["state"], about(row), row["summary"]) for row in rows),
        flexible=4,
    )


def about(row: Mapping[str, Any]) -> str:
    """What a finding is about, short enough to leave room for what it is; the sentence beside it has the whole name."""
    name = str(row["resource"] or row["subject"])
    return name if len(name) <= _LONGEST_ABOUT else name[: _LONGEST_ABOUT - 1] + "…"


def print_diff(found: dict[str, Any]) -> None:
    """What differs between two reviews."""
    for title, name in (
        ("appeared", "appeared"), ("fixed", "fixed"), ("not known any more", "not_known"), ("still there", "still"),
    ):  # fmt: skip
        say(f"{title}: {len(found[name])}")
        if found[name] and name != "still":
            print_findings(found[name])
    if found["no_longer_assessed"]:
        note(f"no longer assessed, for lack of data: {', '.join(found['no_longer_assessed'])}")
    if found["newly_assessed"]:
        say(f"assessed for the first time: {', '.join(found['newly_assessed'])}")


def findings_of(result: dict[str, Any]) -> list[dict[str, Any]]:
    """The findings of all steps, worst first."""
    stages = [result[name] for name in ("audit", "validation", "workflows", "adjustments")]
    rows = [finding for stage in stages for finding in stage["findings"]]
    return sorted(
        rows, key=lambda row: (_SEVERITIES.index(row["severity"]), _in_order(row["detector"]), row["subject"])
    )


def _in_order(detector: str) -> tuple[str, int]:
    """C2 comes before C10."""
    kind = detector.rstrip("0123456789")
    return kind, int(detector.removeprefix(kind) or 0)


def not_assessed(result: dict[str, Any]) -> list[str]:
    """The detectors that could not look, for lack of data."""
    stages = [result[name] for name in ("audit", "validation", "workflows", "adjustments")]
    return sorted({run["detector"] for stage in stages for run in stage["runs"] if run["status"] == "not assessed"})


def say_not_assessed(result: dict[str, Any]) -> None:
    """What could not be looked for is said, so that silence is no pass."""
    blind = not_assessed(result)
    if blind:
        note(f"{plural(len(blind), 'question')} could not be assessed for lack of data: {', '.join(blind)}")


def not_read(result: dict[str, Any]) -> list[tuple[str, int, str]]:
    """What was given of which records could not be read: its name, how many of them, and an example if there is one."""
    manifest = result["snapshot"]["manifest"]
    sources = [(f"{one['kind']} {one['place']}", one["rejected"], *one["examples"][:1]) for one in manifest["sources"]]
    tables = [(f"{one['table']} of {one['source']}", one["rejected"]) for one in manifest["tables"]]
    files = [(one["source"], 0, one["what"], *one["examples"][:1]) for one in manifest["problems"] if _of_a_file(one)]
    found = [one for one in (*sources, *tables) if one[1]] + files
    return [(what, count, ", such as ".join(said)) for what, count, *said in found]


def _say_remarks(result: Mapping[str, Any]) -> None:
    """What else was odd about the records: read otherwise than written, later than now, kept shorter."""
    problems = result["snapshot"]["manifest"]["problems"]
    odd = [one for one in problems if "could not be read" not in one["what"] and not _of_a_file(one)]
    for one in odd[:_MOST_REMARKS]:
        note(f"odd in {safe(one['source'])}: {safe(one['what'])}" + (f" ({one['rows']:,})" if one["rows"] else ""))
    if len(odd) > _MOST_REMARKS:
        note(f"{len(odd) - _MOST_REMARKS} more remarks about what was read are in the report")


def _of_a_file(problem: Mapping[str, Any]) -> bool:
    """Whether it is about a file that was given and that no table counts: not read to its end, or not taken at all."""
    counted = problem["rows"] and problem["table"] != "people"
    return str(problem["source"]).endswith((".csv", ".parquet")) and not counted


def say_not_read(result: dict[str, Any]) -> None:
    """What was given and could not be read, with the first example of each."""
    for what, count, example in not_read(result):
        if count:
            note(f"not read of {what}: {plural(count, 'record')}" + (f", such as {example}" if example else ""))
        else:
            note(f"not all read of {safe(what)}: {safe(example)}")
