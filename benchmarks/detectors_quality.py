"""How well the detectors find what is planted in made-up worlds, and nothing else: on seeds that nobody looked at.

Detectors of confidence `fact` must find everything that is planted for them and nothing besides, on every world. For
those that only advise: recall by the strength of the anomaly, and what they find for nothing in 1,000 people.
`LAPSE_BENCH_SEEDS` names other seeds, `LAPSE_BENCH_PEOPLE` and `LAPSE_BENCH_DAYS` another size.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from _bench import AtLeast, Row, report, row
from rich.console import Console
from rich.table import Table

from lapse.review.detection.detector import all_detectors
from lapse.review.model import RunStatus
from lapse.review.simulation import Size
from support.simulation import ADVICE, detected

SEEDS = [int(seed) for seed in os.environ.get("LAPSE_BENCH_SEEDS", "70001,70002,70003").split(",")]
PEOPLE, DAYS = int(os.environ.get("LAPSE_BENCH_PEOPLE", "450")), int(os.environ.get("LAPSE_BENCH_DAYS", "120"))
GRADES = (0, 20, 40, 60, 80, 90, 100)
"""Lower ends of the groups in which strengths are counted together; the last one is 100 alone."""


@dataclass
class Score:
    """What was planted for one detector, what it found of that, and what it found besides, in all worlds."""

    planted: int = 0
    found: int = 0
    besides: int = 0
    not_assessed: int = 0
    by_grade: dict[int, list[bool]] = field(default_factory=lambda: defaultdict(list))
    missed: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def precision(self) -> float:
        """Share of what it found that was planted."""
        return self.found / (self.found + self.besides) if self.found + self.besides else 1.0

    @property
    def recall(self) -> float:
        """Share of what was planted that it found."""
        return self.found / self.planted if self.planted else 0.0

    @property
    def perfect(self) -> bool:
        """All of it and nothing else, in every world."""
        return self.found == self.planted > 0 and not self.besides and not self.not_assessed


def grade_of(strength: int) -> int:
    """The group that a strength is counted in."""
    return max(grade for grade in GRADES if grade <= strength)


def try_world(size: Size, scores: dict[str, Score]) -> None:
    """Make one world, run every detector on it, and add up."""
    with tempfile.TemporaryDirectory() as folder:
        world, assessment = detected(size, Path(folder))
    found = {(one.detector, one.subject) for one in assessment.findings}
    planted = {(one.detector, one.subject): one for one in world.planted}
    for (detector, subject), one in sorted(planted.items()):
        score, hit = scores[detector], (detector, subject) in found
        score.planted += 1
        score.found += hit
        if one.strength is not None:
            score.by_grade[grade_of(one.strength)].append(hit)
        if not hit:
            score.missed.append(f"{subject} (seed {size.seed}): {one.what}")
    for detector, subject in sorted(found - planted.keys()):
        scores[detector].besides += 1
        scores[detector].wrong.append(f"{subject} (seed {size.seed})")
    for run in assessment.runs:
        scores[run.detector].not_assessed += run.status is RunStatus.NOT_ASSESSED


def table_of(scores: dict[str, Score]) -> Table:
    """One line a detector."""
    table = Table(title="detectors", title_justify="left", title_style="bold", box=None, pad_edge=False)
    for heading in ("detector", "confidence", "planted", "found", "besides", "precision", "recall", "perfect"):
        table.add_column(heading, justify="left" if heading in {"detector", "confidence"} else "right")
    for name, score in scores.items():
        advice = name in ADVICE
        mark = "" if advice else "[green]yes[/]" if score.perfect else "[red]no[/]"
        figures = (str(score.planted), str(score.found), str(score.besides))
        shares = (f"{score.precision:.3f}", f"{score.recall:.3f}")
        table.add_row(name, "advice" if advice else "fact", *figures, *shares, mark)
    return table


def rows_of(scores: dict[str, Score]) -> list[Row]:
    """The worst of the facts, and the curves of advice."""
    facts = [score for name, score in scores.items() if name not in ADVICE]
    rows = [
        row("facts: precision of the worst detector", [min(s.precision for s in facts)], "", goal=AtLeast(1.0)),
        row("facts: recall of the worst detector", [min(s.recall for s in facts)], "", goal=AtLeast(1.0)),
    ]
    thousands = len(SEEDS) * PEOPLE / 1_000
    for name in sorted(ADVICE):
        for grade, hits in sorted(scores[name].by_grade.items()):
            rows.append(row(f"{name}: recall at strength {_words(grade)} ({len(hits)})", [sum(hits) / len(hits)], ""))
        rows.append(row(f"{name}: found for nothing in 1,000 people", [scores[name].besides / thousands], ""))
    return rows


def _words(grade: int) -> str:
    following = GRADES[GRADES.index(grade) + 1 :]
    return f"{grade} to {following[0] - 1}" if following else str(grade)


def main() -> None:
    """Try every seed; end with 1 if a detector of facts missed something or found something else."""
    scores = {detector.id: Score() for detector in all_detectors()}
    for seed in SEEDS:
        print(f"bench: {PEOPLE} people over {DAYS} days, seed {seed}", flush=True)
        try_world(Size(people=PEOPLE, days=DAYS, seed=seed), scores)
    Console().print(table_of(scores))
    report("detectors_quality", rows_of(scores))
    bad = {name: score for name, score in scores.items() if name not in ADVICE and not score.perfect}
    for name, score in bad.items():
        print(f"bench: {name} missed {score.missed[:3]}, found besides {score.wrong[:3]}")
    if bad:
        sys.exit(1)
