"""Step 5, adjust: policy changes that the record supports, with what they rest on. Nothing is applied here.

For each entitlement: the shortest `max_duration` that would have covered 99 of 100 real uses. Use is only taken
from grants whose whole time is covered by complete telemetry; without enough of them nothing is proposed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from lapse.domain.durations import human_duration
from lapse.ports import Engine
from lapse.review.detector import run_detectors
from lapse.review.model import Adjustments, PolicyProposal, Snapshot
from lapse.review.sql import ISLANDS, ask

STEPS = (5, 6)
COVERED_SHARE = 0.99
FEWEST_SAMPLES = 20
"""With fewer grants in use, one more would move the 99th percentile by more than the proposal saves."""

_STEPS = tuple(timedelta(minutes=m) for m in (15, 30, 60, 120, 180, 240, 360, 480, 720, 1_440, 2_880, 4_320, 10_080))
_NEEDED = ("grants", "usage", "coverage", "offers")

_USED = f"""
WITH {ISLANDS.strip()},
over AS (
    SELECT g.grant_id, g.entitlement, g.resource, g.activated_at, g.ended_at,
        date_diff('second', g.activated_at, g.ended_at) AS held_s
    FROM grants g
    JOIN islands i ON i.resource = g.resource AND i.from_at <= g.activated_at AND i.to_at >= g.ended_at
    WHERE g.activated_at IS NOT NULL AND g.ended_at >= $period_start AND g.ended_at < $period_end
),
lasts AS (
    SELECT u.grant_id, max(COALESCE(u.ended_at, u.started_at)) AS last_used FROM usage u
    WHERE u.grant_id IS NOT NULL GROUP BY u.grant_id
)
SELECT o.entitlement, o.held_s,
    GREATEST(1, date_diff('second', o.activated_at, LEAST(l.last_used, o.ended_at))) AS needed_s
FROM over o JOIN lasts l ON l.grant_id = o.grant_id
WHERE l.last_used >= o.activated_at
ORDER BY o.entitlement, needed_s
"""  # noqa: S608  a constant of our own is put in

_OFFERS = """
SELECT entitlement, max(max_duration_s) AS max_duration_s, string_agg(DISTINCT offer, ';' ORDER BY offer) AS offers
FROM offers GROUP BY entitlement ORDER BY entitlement
"""


def adjust(engine: Engine, snapshot: Snapshot) -> Adjustments:
    """Step 5 on a snapshot that is registered in `engine`."""
    assessment = run_detectors(engine, snapshot, STEPS)
    proposals, reasons = propose(engine, snapshot)
    return Adjustments(proposals=proposals, not_proposed=reasons, findings=assessment.findings, runs=assessment.runs)


def propose(engine: Engine, snapshot: Snapshot) -> tuple[tuple[PolicyProposal, ...], dict[str, str]]:
    """Shorter maxima, most hours saved first; and for every other offered entitlement, why there is none."""
    missing = [table for table in _NEEDED if table not in snapshot.manifest.present]
    if missing:
        return (), {"": f"there is no evidence in {', '.join(missing)}"}
    uses: dict[str, list[dict[str, Any]]] = {}
    for row in ask(engine, snapshot, _USED, _NEEDED):
        uses.setdefault(row["entitlement"], []).append(row)
    proposals, reasons = [], dict[str, str]()
    for offer in ask(engine, snapshot, _OFFERS, _NEEDED):
        found = _proposal(offer, uses.get(offer["entitlement"], []))
        if isinstance(found, str):
            reasons[offer["entitlement"]] = found
        else:
            proposals.append(found)
    return tuple(sorted(proposals, key=lambda p: (-p.saved_hours, p.entitlement))), reasons


def _proposal(offer: dict[str, Any], uses: Sequence[dict[str, Any]]) -> PolicyProposal | str:
    if len(uses) < FEWEST_SAMPLES:
        return f"{len(uses)} grants with known use, at least {FEWEST_SAMPLES} are needed"
    needed = sorted(int(row["needed_s"]) for row in uses)
    # The smallest value that at least 99 % of the uses do not exceed: rank ceil(0.99 n), counted from 1.
    enough = timedelta(seconds=needed[-(-len(needed) * 99 // 100) - 1])
    proposed = next((step for step in _STEPS if step >= enough), enough)
    current = None if offer["max_duration_s"] is None else timedelta(seconds=int(offer["max_duration_s"]))
    if current is not None and proposed >= current:
        return f"the maximum of {human_duration(current)} is needed as it is"
    return _made(offer, uses, needed, current, proposed)


def _made(
    offer: dict[str, Any],
    uses: Sequence[dict[str, Any]],
    needed: Sequence[int],
    current: timedelta | None,
    proposed: timedelta,
) -> PolicyProposal:
    limit = proposed.total_seconds()
    saved = sum(max(0.0, float(row["held_s"]) - limit) for row in uses) / 3600
    covers = sum(1 for seconds in needed if seconds <= limit) / len(needed)
    entitlement = offer["entitlement"]
    was = human_duration(current) if current else "no maximum"
    return PolicyProposal(
        id=f"adj_{hashlib.sha256(f'max_duration {entitlement}'.encode()).hexdigest()[:12]}",
        entitlement=entitlement,
        offers=tuple((offer["offers"] or "").split(";")),
        setting="max_duration",
        current=current,
        proposed=proposed,
        covers=round(covers, 4),
        samples=len(needed),
        saved_hours=round(saved, 1),
        reason=(
            f"{human_duration(proposed)} would have been enough for {covers:.1%} of {len(needed)} grants in use; "
            f"today it is {was}"
        ),
        evidence=(
            {
                "samples": len(needed),
                "needed_p50_s": needed[(len(needed) - 1) // 2],
                "needed_p99_s": needed[-(-len(needed) * 99 // 100) - 1],
                "needed_longest_s": needed[-1],
            },
        ),
    )
