"""A simulated world and what a review finds in it, for tests and benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lapse.domain.reviews import Confidence
from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.review.collection.collect import Inputs, collect_imports
from lapse.review.collection.snapshot import register_all
from lapse.review.detection.detector import Assessment, all_detectors, run_detectors
from lapse.review.detection.escalation import with_admin_paths
from lapse.review.model import ReviewResult, Snapshot
from lapse.review.scope import parse_scope
from lapse.review.simulation import Planted, Simulated, Size, simulate
from lapse.review.stages import run_stages
from lapse.review.workflows import derive

ADVICE = frozenset(d.id for d in all_detectors() if d.confidence is Confidence.ADVICE)


@dataclass
class Reviewed:
    """A world with the result of its review."""

    world: Simulated
    result: ReviewResult

    @property
    def found(self) -> set[tuple[str, str]]:
        """What was found: detector and subject."""
        return {(finding.detector, finding.subject) for finding in self.result.findings}

    @property
    def planted(self) -> dict[tuple[str, str], Planted]:
        """What was planted, by detector and subject."""
        return {(one.detector, one.subject): one for one in self.world.planted}


def snapshot_of(world: Simulated, folder: Path) -> Snapshot:
    """The evidence of a world, collected as it was at its end."""
    scope = parse_scope("all", world.size.period)
    return collect_imports(Inputs(imports=world.folder), scope, folder, world.size.end)


def detected(size: Size, folder: Path) -> tuple[Simulated, Assessment]:
    """Make the world of `size` and run every detector on it, and nothing else of a review."""
    world = simulate(size, folder / "world")
    engine, snapshot = DuckDbEngine(threads=2), snapshot_of(world, folder / "snapshot")
    register_all(engine, snapshot)
    snapshot = with_admin_paths(engine, snapshot)
    register_all(engine, snapshot)
    found = run_detectors(engine, derive(engine, snapshot), range(1, 7))
    engine.close()
    return world, found


def reviewed(size: Size, folder: Path) -> Reviewed:
    """Make the world of `size` and review it, all below `folder`."""
    world = simulate(size, folder / "world")
    return Reviewed(world, run_stages(lambda: DuckDbEngine(threads=2), snapshot_of(world, folder / "snapshot")))
