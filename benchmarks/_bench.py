"""What every benchmark uses: alternating rounds, medians, spreads, peak memory, and one way to report.

A figure alone says more about the machine than about lapse, so benchmarks give ratios: the things compared
take turns within one run, a ratio is taken in every round, and the median is reported with the smallest and
the largest ratio beside it.

    rounds = alternate(7, ours=insert_with_ledger, plain=insert_bytes)
    report("ledger", [rounds.row("append", "ours", "plain", goal=AtMost(2.0))])
"""

from __future__ import annotations

import json
import math
import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

OUT = Path("bench-out")


@dataclass(frozen=True, slots=True)
class AtMost:
    """A goal: the figure that is judged must not be larger."""

    limit: float

    def met_by(self, figure: float) -> bool:
        """Whether `figure` meets the goal."""
        return figure <= self.limit

    def __str__(self) -> str:
        return f"at most {_short(self.limit)}"


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A goal: the figure that is judged must not be smaller."""

    limit: float

    def met_by(self, figure: float) -> bool:
        """Whether `figure` meets the goal."""
        return figure >= self.limit

    def __str__(self) -> str:
        return f"at least {_short(self.limit)}"


Goal = AtMost | AtLeast


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One result. `value` is in `unit`; `ratio` is value over that of `compared_to`, median of the rounds.

    `spread` is the smallest and the largest ratio of a round (of the value, where nothing is compared).
    `goal` is text for people, about the ratio if there is one, else about the value; `met` says whether it is.
    """

    name: str
    value: float
    unit: str
    compared_to: str | None = None
    ratio: float | None = None
    spread: tuple[float, float] | None = None
    goal: str | None = None
    met: bool | None = None


def row(name: str, values: Sequence[float], unit: str, *, goal: Goal | None = None) -> Row:
    """The median of `values` as a row of its own, judged as it is."""
    value = statistics.median(values)
    return Row(
        name=name,
        value=value,
        unit=unit,
        spread=(min(values), max(values)) if len(values) > 1 else None,
        goal=str(goal) if goal else None,
        met=goal.met_by(value) if goal else None,
    )


@dataclass(frozen=True, slots=True)
class Rounds:
    """What each side measured, round by round."""

    measured: Mapping[str, Sequence[float]]

    def median(self, side: str) -> float:
        """The median of one side over all rounds."""
        return statistics.median(self.measured[side])

    def ratios(self, side: str, to: str) -> list[float]:
        """`side` over `to` in each round."""
        pairs = zip(self.measured[side], self.measured[to], strict=True)
        return [ours / theirs if theirs else math.inf for ours, theirs in pairs]

    def row(self, name: str, side: str, to: str, *, unit: str = "s", goal: Goal | None = None) -> Row:
        """`side` beside `to`; the goal is about the ratio."""
        ratios = self.ratios(side, to)
        ratio = statistics.median(ratios)
        return Row(
            name=name,
            value=self.median(side),
            unit=unit,
            compared_to=f"{to}: {_short(self.median(to))} {unit}",
            ratio=ratio,
            spread=(min(ratios), max(ratios)),
            goal=f"ratio {goal}" if goal else None,
            met=goal.met_by(ratio) if goal else None,
        )


def alternate(count: int, **sides: Callable[[], float | None]) -> Rounds:
    """Let all `sides` take turns for `count` rounds, every other round in reverse order.

    A side returns what it measured; one that returns None is timed, in seconds.
    """
    measured: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides.items())
    for turn in range(count):
        for name, side in order if turn % 2 == 0 else reversed(order):
            seconds, result = timed(side)
            measured[name].append(seconds if result is None else result)
    return Rounds(measured)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that `work` took, and what it returned."""
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of `values` do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def peak_memory() -> int:
    """The most memory (bytes, resident) that this process has used so far."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status names no peak")


def in_child(work: Callable[..., Any], *args: Any) -> tuple[float, int, Any]:
    """Run `work(*args)` in a fresh process: seconds, its peak memory in bytes, and its result.

    `work` must be a function of a module, and its arguments and result picklable.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measured, work, args).result()


def _measured(work: Callable[..., Any], args: tuple[Any, ...]) -> tuple[float, int, Any]:
    seconds, result = timed(lambda: work(*args))
    return seconds, peak_memory(), result


def report(name: str, rows: Sequence[Row]) -> None:
    """Print `rows` as a table and write them to `bench-out/NAME.json`."""
    OUT.mkdir(exist_ok=True)
    data = [asdict(one) for one in rows]
    (OUT / f"{name}.json").write_text(json.dumps(data, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    Console().print(_table(name, rows))


def _table(name: str, rows: Sequence[Row]) -> Table:
    table = Table(title=name, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in ("what", "value", "ratio", "spread", "compared to", "goal", "met"):
        table.add_column(heading, justify="right" if heading in {"value", "ratio", "spread"} else "left")
    for one in rows:
        table.add_row(
            one.name,
            f"{_short(one.value)} {one.unit}",
            "" if one.ratio is None else _short(one.ratio),
            "" if one.spread is None else f"{_short(one.spread[0])}-{_short(one.spread[1])}",
            one.compared_to or "",
            one.goal or "",
            {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[one.met],
        )
    return table


def _short(figure: float) -> str:
    if not math.isfinite(figure):
        return str(figure)
    if figure == 0 or abs(figure) >= 100:
        return f"{figure:,.0f}"
    return f"{figure:.3g}"
