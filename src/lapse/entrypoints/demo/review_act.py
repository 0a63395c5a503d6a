"""The demo's last acts: the review of the live database, and of a made-up year with planted problems."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from rich.table import Table

from lapse.bootstrap.reviewing import Brownfield, review_files
from lapse.domain.reviews import Severity
from lapse.entrypoints.demo.history import History, write_history
from lapse.entrypoints.demo.stage import Stage
from lapse.review.campaign import Given
from lapse.review.pack import verify_pack

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
    """A year of another company's records, with problems planted in it: are they found, and nothing else?"""
    stage.narrator.act(
        "The review of a whole year",
        "A generated year of a small company, with problems planted in it. The review knows nothing of them.",
    )
    history = write_history(stage.out / "history", year=2025)
    found = review_files(Given(imports=history.folder), history.period, stage.out / "year", now=history.now)
    _print_findings(stage, found, history)
    verified = _verify(stage, found)
    planted = Counter(one.detector for one in history.planted)
    detected = Counter(finding.detector for finding in found.result.findings)
    missed = [one.what for one in history.planted if not _is_found(one.detector, one.subject, found)]
    stage.narrator.result(
        f"{len(history.planted) - len(missed)} of {len(history.planted)} planted problems found", good=not missed
    )
    return {
        "grants": history.grants,
        "planted": dict(sorted(planted.items())),
        "findings": dict(sorted(detected.items())),
        "missed": missed,
        "report": str(found.pack.folder / "report.html"),
        "pack": str(found.pack.archive),
        "pack_verified": verified,
    }


def _is_found(detector: str, subject: str, found: Brownfield) -> bool:
    return any((finding.detector, finding.subject) == (detector, subject) for finding in found.result.findings)


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


def _print_findings(stage: Stage, found: Brownfield, history: History) -> None:
    counts = Counter((f.severity, f.detector, f.title) for f in found.result.findings)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("severity", "detector", "what", "found", "planted"):
        table.add_column(heading, justify="right" if heading in {"found", "planted"} else "left")
    planted = Counter(one.detector for one in history.planted)
    order = list(Severity)
    for (severity, detector, title), count in sorted(
        counts.items(), key=lambda row: (order.index(row[0][0]), row[0][1])
    ):
        row = (f"[{_STYLES[severity]}]{severity}[/]", detector, title, str(count), str(planted[detector] or ""))
        table.add_row(*row)
    stage.narrator.console.print(table)


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """What the demo measured, for scripts."""
    path.write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
