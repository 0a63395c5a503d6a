"""What connectors report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from lapse.domain.access import CheckItem, Fence, Observation, TargetCheck

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAY = CheckItem(name="may terminate backends", ok=True, needed_for="cutting sessions")
MISSING = replace(MAY, ok=False, remedy="GRANT pg_signal_backend TO lapse")


def test_a_target_is_ready_when_all_that_is_required_is_there():
    ready = TargetCheck(server="PostgreSQL 15", items=(MAY, replace(MISSING, required=False)), fences=frozenset(Fence))

    assert ready.ok
    assert not replace(ready, items=(MAY, MISSING)).ok


def test_a_read_with_gaps_is_not_the_full_population():
    seen = Observation(resource="pg-prod", observed_at=NOON, server="PostgreSQL 15")

    assert seen.complete
    assert not replace(seen, gaps=("pg_authid cannot be read",)).complete
