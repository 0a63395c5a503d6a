"""Shorter maxima: for each offer the shortest `max_duration` that would have covered 99 of 100 real uses.

Use is only taken from grants whose whole time is covered by complete telemetry; without enough of them nothing is
proposed. What was longer is still possible: the contiguous time with extensions stays as it is. Called by `adjust`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from lapse.domain.durations import human_duration
from lapse.policy.editing import set_value
from lapse.policy.rules import Offer
from lapse.ports import Engine
from lapse.review.adjust.drafts import Draft, Edit, Found, is_seen_whole
from lapse.review.adjust.model import ProposalKind
from lapse.review.in_force import InForce
from lapse.review.model import Snapshot
from lapse.review.sql import ISLANDS, ask

COVERED_SHARE = 0.99
FEWEST_SAMPLES = 20
"""With fewer grants in use, one more would move the 99th percentile by more than the proposal saves."""

STEPS = tuple(timedelta(minutes=m) for m in (15, 30, 60, 120, 180, 240, 360, 480, 720, 1_440, 2_880, 4_320, 10_080))
"""Durations that people write; a proposal is the next of them."""

_NEEDED = ("grants", "usage", "coverage", "offers")
_TABLES = (*_NEEDED, "requests")

_USED = f"""
WITH {ISLANDS.strip()},
sole AS (
    SELECT entitlement, min(offer) AS offer FROM offers GROUP BY entitlement HAVING count(DISTINCT offer) = 1
),
over AS (
    SELECT g.grant_id, COALESCE(r.offer, s.offer) AS offer, g.activated_at, g.ended_at,
        date_diff('second', g.activated_at, g.ended_at) AS held_s
    FROM grants g
    JOIN islands i ON i.resource = g.resource AND i.from_at <= g.activated_at AND i.to_at >= g.ended_at
    LEFT JOIN requests r ON r.request_id = g.request_id
    LEFT JOIN sole s ON s.entitlement = g.entitlement
    WHERE g.activated_at IS NOT NULL AND g.ended_at >= $period_start AND g.ended_at < $period_end
        AND NOT COALESCE(g.break_glass, FALSE) AND NOT COALESCE(r.break_glass, FALSE)
),
lasts AS (
    SELECT u.grant_id, max(u.last_used_at) AS last_used FROM usage_totals u
    WHERE u.grant_id IS NOT NULL GROUP BY u.grant_id
)
SELECT o.offer, o.held_s,
    GREATEST(1, date_diff('second', o.activated_at, LEAST(l.last_used, o.ended_at))) AS needed_s
FROM over o JOIN lasts l ON l.grant_id = o.grant_id
WHERE l.last_used >= o.activated_at AND o.offer IS NOT NULL
ORDER BY o.offer, needed_s
"""  # noqa: S608  a constant of our own is put in

_OFFERS = """
SELECT offer, max(max_duration_s) AS max_duration_s, string_agg(DISTINCT entitlement, ';' ORDER BY entitlement)
    AS entitlements
FROM offers GROUP BY offer ORDER BY offer
"""


def shorter_maxima(engine: Engine, snapshot: Snapshot, in_force: InForce | None) -> Found:
    """Drafts of shorter maxima; and for every other offer, why there is none."""
    found = Found()
    missing = [table for table in _NEEDED if table not in snapshot.manifest.present]
    if missing:
        found.skip(ProposalKind.DURATION, "", f"there is no evidence in {', '.join(missing)}")
        return found
    uses: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in ask(engine, snapshot, _USED, _TABLES):
        uses[row["offer"]].append(row)
    resources = frozenset(snapshot.manifest.resources)
    rules = {} if in_force is None else {offer.name: offer for offer in in_force.policy.offers}
    for row in ask(engine, snapshot, _OFFERS, _TABLES):
        rule = rules.get(row["offer"])
        if not is_seen_whole(rule, snapshot.manifest.scope, resources):
            found.skip(ProposalKind.DURATION, row["offer"], "the review covers only a part of what it gives")
            continue
        draft = _draft(row, uses[row["offer"]], rule)
        if isinstance(draft, str):
            found.skip(ProposalKind.DURATION, row["offer"], draft)
        else:
            found.drafts.append(draft)
    return found


def enough(seconds: Sequence[int]) -> timedelta:
    """The smallest of `STEPS` that at least 99 % of the (sorted) uses do not exceed; longer ones to the second."""
    longest = timedelta(seconds=seconds[rank(len(seconds))])
    return next((step for step in STEPS if step >= longest), longest)


def rank(count: int) -> int:
    """The place, counted from 0, of the smallest value that 99 % of `count` sorted ones do not exceed."""
    return -(-count * 99 // 100) - 1


def _draft(offer: Mapping[str, Any], uses: Sequence[Mapping[str, Any]], rule: Offer | None) -> Draft | str:
    if rule is not None and rule.post_review is not None:
        return "it is for emergencies, which are as long as they are"
    if len(uses) < FEWEST_SAMPLES:
        return f"{len(uses)} grants with known use, at least {FEWEST_SAMPLES} are needed"
    needed = sorted(int(row["needed_s"]) for row in uses)
    proposed = enough(needed)
    current = None if offer["max_duration_s"] is None else timedelta(seconds=int(offer["max_duration_s"]))
    if current is not None and proposed >= current:
        return f"the maximum of {human_duration(current)} is needed as it is"
    limit = proposed.total_seconds()
    covers = sum(1 for seconds in needed if seconds <= limit) / len(needed)
    was = human_duration(current) if current else "no maximum"
    name = offer["offer"]
    return Draft(
        kind=ProposalKind.DURATION,
        subject=name,
        title=f"`{name}`: at most {human_duration(proposed)} instead of {was}",
        reason=f"{human_duration(proposed)} would have been enough for {covers:.1%} of {len(needed)} grants in use",
        offers=(name,),
        entitlements=tuple((offer["entitlements"] or "").split(";")),
        current=current,
        proposed=proposed,
        covers=round(covers, 4),
        samples=len(needed),
        saved_hours=sum(max(0.0, float(row["held_s"]) - limit) for row in uses) / 3600,
        evidence=(
            {
                "samples": len(needed),
                "needed_p50_s": needed[(len(needed) - 1) // 2],
                "needed_p99_s": needed[rank(len(needed))],
                "needed_longest_s": needed[-1],
            },
        ),
        edit=_edit(name, proposed, rule),
    )


def _edit(name: str, proposed: timedelta, rule: Offer | None) -> Edit:
    def edit(in_force: InForce) -> Mapping[str, str]:
        text, total = in_force.offer(name), rule.needs.max_total if rule is not None else None
        below = None
        if text is not None and total is not None and "max_total" not in text.keys:
            # What is left out is as long as one grant: without it, shorter grants would mean less time in all.
            below = ("max_total", human_duration(total))
        return set_value(in_force.files, name, "max_duration", human_duration(proposed), below=below)

    return edit
