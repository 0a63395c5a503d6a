"""Any history of requests, votes, offers, delegations, shifts, leavers and waiting keeps what approvals promise.

The histories, and who judges them, are in `support.approval_story`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.approval_story import steps, tell


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32).map(Random), st.integers(10, 60))
def test_any_history_keeps_what_approvals_promise(chance, count):
    asyncio.run(tell(steps(chance, count)))


def test_histories_have_everything_in_them():
    """What never happens is not tested by the histories above."""
    happened = Counter()
    for seed in range(24):
        story = asyncio.run(tell(steps(Random(seed), 60)))  # noqa: S311  a story, not a secret
        happened.update(entry.type for entry in story.world.store.recorded)
        votes = [entry.after for entry in story.world.store.recorded if entry.type == "decision.approve"]
        happened["as a delegate"] += sum(bool(vote["on_behalf_of"]) for vote in votes)
        happened["by a rota"] += sum(bool(vote["on_call"]) for vote in votes)
    wanted = {
        "request.approved", "request.denied", "request.expired", "request.countered", "request.reduced",
        "request.reminded", "request.escalated", "delegation.ended", "as a delegate", "by a rota",
    }  # fmt: skip
    assert wanted <= {name for name, times in happened.items() if times}
