"""`lapse review simulate`: a made-up organization to try a review on. Needs neither a home folder nor a server."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.entrypoints.cli.commands import command
from lapse.entrypoints.cli.output import plural, print_json, safe, say
from lapse.entrypoints.cli.session import Session

if TYPE_CHECKING:
    from lapse.review.simulation import Simulated


def register(review: typer.Typer) -> None:
    """Add this command to the group `review`."""
    command(review, "simulate")(simulate)


def simulate(
    session: Session,
    people: Annotated[int, typer.Option(metavar="N", help="How many people work there.")] = 200,
    days: Annotated[int, typer.Option(metavar="D", help="How many days are told.")] = 184,
    seed: Annotated[int, typer.Option(metavar="S", help="Another number gives another world.")] = 1,
    until: Annotated[str, typer.Option(metavar="DAY", help="The last day; 2026-09-30 if left out.")] = "",
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the evidence files go.")] = Path("lapse-world"),
) -> None:
    """Make up an organization with known flaws, to review.

    Writes evidence files for `lapse review run --files`, and planted.csv and planted.json: what is wrong in them, for
    each detector. The same options give the same bytes.
    """
    from lapse.review.simulation import Size, simulate
    from lapse.review.simulation.size import LAST_DAY

    size = Size(people=people, days=days, seed=seed, last_day=_day(until) if until else LAST_DAY).checked()
    with _progress(session, days) as advance:
        made = simulate(size, out, advance)
    if session.json:
        print_json(_data(made))
        return
    where, grants = safe(out), made.counts["grants"]
    anomalies, kinds = plural(len(made.planted), "anomaly", "anomalies"), {one.detector for one in made.planted}
    say(f"made {where}: {people:,} people over {days} days, {grants:,} grants, {plural(len(made.files), 'file')}")
    say(f"planted: {anomalies} of {len(kinds)} detectors, listed in {where}/planted.csv")
    say(f"next: `lapse review run --files {where} --period {size.period} --as-of {size.end:%Y-%m-%d}`")


def _data(made: Simulated) -> dict[str, Any]:
    """What was made, for scripts."""
    size = made.size
    return {
        "folder": str(made.folder), "people": size.people, "days": size.days, "seed": size.seed,
        "period": size.period, "as_of": f"{size.end:%Y-%m-%d}", "files": list(made.files), "rows": made.counts,
        "planted": dict(sorted(Counter(one.detector for one in made.planted).items())),
    }  # fmt: skip


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"`{shown(text)}` is not a day", hint="write it as 2026-09-30") from None


@contextmanager
def _progress(session: Session, days: int) -> Iterator[Callable[[int], None]]:
    """A bar over the days on a terminal; nothing where nobody watches or data is wanted."""
    if session.json or not sys.stderr.isatty():
        yield lambda _day: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("day {task.completed} of {task.total}"), BarColumn(24), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=days)
        yield lambda day: bar.update(task, completed=day)
