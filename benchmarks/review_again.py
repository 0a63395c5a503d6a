"""The detectors again after one more day: what was computed the day before is kept, beside the same without it.

The world of `review_scale`, once as it is and once with a day more: of use alone, and of use, grants, requests and
decisions. Every detector has to find as much in both ways (that each row is the same is tested, day by day, by
`tests/engines/test_kept_engine.py`). Sizes by `LAPSE_BENCH_GRANTS` and `LAPSE_BENCH_USAGE`.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from _bench import AtMost, Row, in_child, report, row
from review_scale import DAYS, GRANTS, ROUNDS, USAGE, make_world, run_all, slowest

from lapse.review.model import Snapshot


def again(before: Snapshot, now: Snapshot, name: str, place: Path) -> list[Row]:
    """Full and repeated reviews of `now` in turns; each repeated one begins with what `before` left."""
    full, repeated = [], []
    kept = place / "kept"
    in_child(run_all, before, kept)
    for _ in range(ROUNDS):
        today = place / "today"
        shutil.copytree(kept, today)
        seconds, _, found = in_child(run_all, now, today)
        repeated.append(seconds)
        seconds, _, expected = in_child(run_all, now)
        full.append(seconds)
        print(f"{name}, slowest:", slowest(found))
        if {key: number for key, (_, number) in found.items()} != {
            key: number for key, (_, number) in expected.items()
        }:
            raise RuntimeError("what was kept changed what was found")
        shutil.rmtree(today)
    size = sum(file.stat().st_size for file in kept.iterdir())
    shutil.rmtree(kept)
    ratios = [one / other for one, other in zip(repeated, full, strict=True)]
    goal = AtMost(0.1)
    return [
        replace(
            row(f"again, {name}", repeated, "s"),
            compared_to=f"full review: {statistics.median(full):.3g} s",
            ratio=statistics.median(ratios),
            spread=(min(ratios), max(ratios)),
            goal=f"ratio {goal}",
            met=goal.met_by(statistics.median(ratios)),
        ),
        row("kept", [size / 1e6], "MB"),
    ]


def main() -> None:
    """Make three worlds and compare."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        before = make_world(place / "before", USAGE)
        grown = make_world(place / "grown", USAGE + USAGE // DAYS, GRANTS + GRANTS // DAYS)
        shutil.copytree(place / "before", place / "used")
        shutil.copyfile(place / "grown" / "usage.parquet", place / "used" / "usage.parquet")
        used = Snapshot(folder=str(place / "used"), manifest=before.manifest)
        rows = again(before, used, "one more day of use", place)
        rows += again(before, grown, "one more day of everything", place)
    report("review_again", rows)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
