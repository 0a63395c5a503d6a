"""The demo's last acts: the review of the live database, and of a made-up company with planted anomalies."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from rich.table import Table

from lapse.bootstrap.reviewing import Brownfield, review_files
from lapse.domain.reviews import Confidence, Severity
from lapse.entrypoints.demo.stage import Stage
from lapse.review.campaign import Given
from lapse.review.pack import verify_pack
from lapse.review.simulation import Planted, Simulated, Size, simulate

_WORLD = Size(people=50, days=122, seed=7)
_PLAIN = 100
_STYLES = {Severity.CRITICAL: "bold red", Severity.HIGH: "red", Severity.MEDIUM: "yellow", Severity.LOW: "dim"}


def live_review(stage: Stage) -> dict[str, Any]:
    """All six steps on what just happened, and one decision that is carried out."""
    stage.narrator.act(
        "The review of what just happened",
        "Six steps in one go: the real database is read, every approval is decided again under the policy of its time, "
        "the result is sealed with proofs from the ledger.",
    )
    stage.cli("review", "run", "--scope", "tag:env=prod")
    review = stage.api("GET", "/reviews")["items"][0]["id"]
    result = stage.api("GET", f"/reviews/{review}/result")
    stages = [result[name] for name in ("audit", "validation", "workflows", "adjustments")]
    found = Counter(finding["detector"] for one in stages for finding in one["findings"])
    folder = stage.home.reviews / review / "pack"
    return {
        "review": review,
        "findings": dict(sorted(found.items())),
        "report": str(folder / f"review-{review}" / "report.html"),
        "pack": str(folder / f"review-{review}.zip"),
    }


def year_review(stage: Stage) -> dict[str, Any]:
    """Four months of another company's records, with anomalies planted in it: are they found, and nothing else?"""
    stage.narrator.act(
        "The review of four months",
        "A made-up company of fifty (`lapse review simulate`), with anomalies of every detector planted in it. The "
        "review knows nothing of them.",
    )
    world = simulate(_WORLD, stage.out / "world")
    found = review_files(Given(imports=world.folder), _WORLD.period, stage.out / "year", now=_WORLD.end)
    _print_findings(stage, found, world)
    verified = _verify(stage, found)
    missed, besides = _compared(found, world)
    planted = Counter(one.detector for one in world.planted)
    plain = sum(1 for one in world.planted if _is_plain(one))
    stage.narrator.result(
        f"{plain - len(missed)} of {plain} planted anomalies found, {len(besides)} others by detectors of facts",
        good=not missed and not besides,
    )
    return {
        "grants": world.counts["grants"],
        "planted": dict(sorted(planted.items())),
        "findings": dict(sorted(Counter(finding.detector for finding in found.result.findings).items())),
        "missed": missed,
        "besides": besides,
        "report": str(found.pack.folder / "report.html"),
        "pack": str(found.pack.archive),
        "pack_verified": verified,
    }


def _compared(found: Brownfield, world: Simulated) -> tuple[list[str], list[str]]:
    """What was planted and is not found, and what detectors of facts found that nobody planted."""
    planted = {(one.detector, one.subject) for one in world.planted}
    seen = {(one.detector, one.subject): one for one in found.result.findings}
    missed = [one.what for one in world.planted if _is_plain(one) and (one.detector, one.subject) not in seen]
    facts = (key for key, one in seen.items() if one.confidence is Confidence.FACT)
    return missed, [f"{detector} {subject}" for detector, subject in facts if (detector, subject) not in planted]


def _is_plain(one: Planted) -> bool:
    """Whether it must be found: what is planted by degrees only where it is as plain as can be."""
    return one.strength in {None, _PLAIN}


def _verify(stage: Stage, found: Brownfield) -> bool:
    stage.cli("review", "verify", str(found.pack.archive))
    broken = Path(f"{found.pack.archive}.broken")
    data = bytearray(found.pack.archive.read_bytes())
    data[len(data) // 2] ^= 1
    broken.write_bytes(data)
    outcome = verify_pack(str(broken))
    broken.unlink()
    named = outcome.problems[0].file if outcome.problems else "nothing"
    stage.narrator.result(f"one flipped bit in a copy: verification fails and names `{named}`", good=not outcome.ok)
    return verify_pack(str(found.pack.archive)).ok and not outcome.ok


def _print_findings(stage: Stage, found: Brownfield, world: Simulated) -> None:
    """One line a detector, with the worst severity of what it found."""
    order = list(Severity)
    planted = Counter(one.detector for one in world.planted)
    counts = Counter(finding.detector for finding in found.result.findings)
    worst: dict[str, tuple[int, str]] = {}
    for finding in found.result.findings:
        seen = (order.index(finding.severity), finding.title)
        worst[finding.detector] = min(worst.get(finding.detector, seen), seen)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("severity", "detector", "what", "found", "planted"):
        table.add_column(heading, justify="right" if heading in {"found", "planted"} else "left")
    for detector, (rank, title) in sorted(worst.items(), key=lambda one: (one[1][0], one[0])):
        severity = order[rank]
        shown = f"[{_STYLES[severity]}]{severity}[/]"
        table.add_row(shown, detector, title, str(counts[detector]), str(planted[detector] or ""))
    stage.narrator.console.print(table)


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """What the demo measured, for scripts."""
    path.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
