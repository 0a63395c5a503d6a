"""Offers that nobody took up in the whole period: access that can be had and that nobody asks for. Called by `adjust`.

Only said of offers that were in force all the time, and of which the review sees everything. Break-glass is meant to
lie unused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from lapse.policy import PolicyErrors, parse
from lapse.policy.editing import remove_offer
from lapse.policy.rules import Offer
from lapse.ports import Engine
from lapse.review.adjust.drafts import Draft, Edit, Found, is_seen_whole
from lapse.review.adjust.model import ProposalKind
from lapse.review.figures.buckets import bounds_of
from lapse.review.in_force import InForce
from lapse.review.model import Coverage, Snapshot
from lapse.review.sql import ask

_TABLES = ("offers", "requests", "eligibilities", "policies")
_SQL = """
SELECT o.offer, string_agg(DISTINCT o.entitlement, ';' ORDER BY o.entitlement) AS entitlements,
    max(COALESCE(e.people, 0)) AS people, max(COALESCE(r.asked, 0)) AS asked, max(r.last_asked) AS last_asked
FROM offers o
LEFT JOIN (
    SELECT offer, count(DISTINCT principal) AS people FROM eligibilities GROUP BY offer
) e ON e.offer = o.offer
LEFT JOIN (
    SELECT offer, sum(CASE WHEN created_at >= $period_start AND created_at < $period_end THEN 1 ELSE 0 END) AS asked,
        max(created_at) AS last_asked
    FROM requests GROUP BY offer
) r ON r.offer = o.offer
GROUP BY o.offer
ORDER BY o.offer
"""
_POLICIES = """
SELECT files, activated_at, lead(activated_at) OVER (ORDER BY activated_at) AS until
FROM policies
WHERE activated_at IS NOT NULL AND activated_at < $period_end
ORDER BY activated_at
"""
_MOST_POLICIES = 200
SHORTEST = timedelta(days=28)
"""In less time than that, that nobody asked says nothing."""


def unused_offers(engine: Engine, snapshot: Snapshot, in_force: InForce | None) -> Found:
    """Drafts without the offers that nobody took up, and why there are none for others."""
    found, kind = Found(), ProposalKind.UNUSED
    requests = snapshot.manifest.table("requests")
    if requests is None or requests.coverage is not Coverage.COMPLETE:
        found.skip(kind, "", "requests are not all on record")
        return found
    if in_force is None:
        found.skip(kind, "", "no policy in force is on record, so nobody knows since when an offer is there")
        return found
    start, end = bounds_of(snapshot.manifest)
    if end - start < SHORTEST:
        found.skip(kind, "", f"less than {SHORTEST.days} days of the period are over")
        return found
    rules = {offer.name: offer for offer in in_force.policy.offers}
    always = _always_in_force(engine, snapshot)
    resources = frozenset(snapshot.manifest.resources)
    for row in ask(engine, snapshot, _SQL, _TABLES):
        rule = rules.get(row["offer"])
        if row["asked"] or rule is None or rule.post_review is not None:
            continue
        if row["offer"] not in always:
            found.skip(kind, row["offer"], "it was not in force for the whole period")
        elif not is_seen_whole(rule, snapshot.manifest.scope, resources):
            found.skip(kind, row["offer"], "the review covers only a part of what it gives")
        else:
            found.drafts.append(_draft(row, rule, "eligibilities" in snapshot.manifest.present))
    return found


def _draft(row: Mapping[str, Any], rule: Offer, people_known: bool) -> Draft:
    name, last = row["offer"], row["last_asked"]
    may = f"; {int(row['people'])} may" if people_known else ""
    before = f", the last time on {last:%Y-%m-%d}" if last else ""
    entitlements = tuple((row["entitlements"] or "").split(";"))
    return Draft(
        kind=ProposalKind.UNUSED,
        subject=name,
        title=f"without the offer `{name}`",
        reason=f"nobody asked for anything under it in the whole period{before}{may}",
        offers=(name,),
        entitlements=entitlements,
        current=rule.needs.max_duration,
        evidence=({"requests": 0, "entitlements": len(entitlements), "may_ask": int(row["people"])},),
        edit=_edit(name),
    )


def _edit(name: str) -> Edit:
    return lambda in_force: remove_offer(in_force.files, name)


def _always_in_force(engine: Engine, snapshot: Snapshot) -> frozenset[str]:
    """The offers that every policy had which was in force at any time of the period; none if that is not known."""
    start = snapshot.manifest.scope.period.start
    rows = [row for row in ask(engine, snapshot, _POLICIES, _TABLES) if row["until"] is None or row["until"] > start]
    if not rows or rows[0]["activated_at"] > start or len(rows) > _MOST_POLICIES:
        return frozenset()
    return frozenset.intersection(*(_offers_of(row["files"]) for row in rows))


def _offers_of(text: str) -> frozenset[str]:
    try:
        return frozenset(offer.name for offer in parse(json.loads(text)).offers)
    except (ValueError, PolicyErrors, TypeError, AttributeError):
        return frozenset()
