"""How requests were decided."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.review.figures.approvals import approval_figures
from support.evidence_rows import evidence

START = datetime(2026, 7, 6, 9, tzinfo=UTC)


def at(minutes):
    return START + timedelta(minutes=minutes)


def request(number, state, **more):
    closed = more.pop("closed", None)
    return {
        "request_id": f"r{number}",
        "state": state,
        "created_at": at(0),
        "closed_at": None if closed is None else at(closed),
        **more,
    }


def stage(number, approvers="group:dba", *, position=0, quorum=1, name="team"):
    return {
        "request_id": f"r{number}",
        "stage": name,
        "position": position,
        "quorum": quorum,
        "approvers": approvers,
    }


def vote(number, minutes, verdict="approve", *, name="team", **more):
    return {
        "decision_id": f"d{number}{minutes}{name}",
        "request_id": f"r{number}",
        "verdict": verdict,
        "stage": name,
        "decided_at": at(minutes),
        **more,
    }


def figures(tmp_path, requests, stages=(), decisions=(), **more):
    tables = {"requests": requests, "stages": stages, "decisions": decisions, **more}
    with evidence(tmp_path / "s", tables) as (engine, snapshot):
        return approval_figures(engine, snapshot, {"same": 2})


def by_set(found):
    return {one.approvers: one for one in found.sets}


def test_times_rates_and_outcomes_of_one_set(tmp_path):
    found = figures(
        tmp_path,
        [request(1, "approved", closed=10), request(2, "denied", closed=30), request(3, "expired", closed=600)],
        [stage(1), stage(2), stage(3)],
        [vote(1, 10), vote(2, 30, "deny")],
    )
    [team] = found.sets
    assert (team.asked, team.approved, team.denied, team.expired, team.votes) == (3, 1, 1, 1, 2)
    assert (team.approval_rate, team.p50_ms, team.p95_ms) == (0.5, 600_000, 1_800_000)
    assert (found.p50_ms, found.p95_ms) == (600_000, 1_800_000)
    assert found.overall.asked == 3
    assert found.requests == {"approved": 1, "denied": 1, "expired": 1}
    assert found.rederived == {"same": 2}


def test_a_later_stage_waits_only_since_the_one_before_is_done(tmp_path):
    found = figures(
        tmp_path,
        [request(1, "approved", closed=50)],
        [stage(1), stage(1, "group:security", position=1, name="sec")],
        [vote(1, 40), vote(1, 50, name="sec")],
    )
    sets = by_set(found)
    assert sets["group:dba"].p50_ms == 40 * 60_000
    assert sets["group:security"].p50_ms == 10 * 60_000


def test_stages_side_by_side_both_wait_since_the_request(tmp_path):
    found = figures(
        tmp_path,
        [request(1, "approved", closed=50)],
        [stage(1), stage(1, "group:security", position=1, name="sec")],
        [vote(1, 40), vote(1, 5, name="sec")],
    )
    assert by_set(found)["group:security"].p50_ms == 5 * 60_000


def test_who_was_never_asked_neither_expired_nor_said_yes(tmp_path):
    found = figures(
        tmp_path,
        [request(1, "denied", closed=5), request(2, "expired", closed=600), request(3, "cancelled", closed=1)],
        [
            *(stage(n) for n in (1, 2, 3)),
            *(stage(n, "group:security", position=1, name="sec") for n in (1, 2, 3)),
        ],
        [vote(1, 5, "deny")],
    )
    assert by_set(found).keys() == {"group:dba"}
    team = by_set(found)["group:dba"]
    assert (team.asked, team.denied, team.expired) == (3, 1, 1)


def test_half_a_quorum_is_no_approval(tmp_path):
    found = figures(tmp_path, [request(1, "expired", closed=600)], [stage(1, quorum=2)], [vote(1, 10)])
    [team] = found.sets
    assert (team.approved, team.expired, team.votes, team.p50_ms) == (0, 1, 1, None)


def test_automatic_break_glass_escalated_and_delegated_are_told_apart(tmp_path):
    escalated = {"type": "request.escalated", "subject": "r4", "seq": 1, "body": "{}"}
    found = figures(
        tmp_path,
        [
            request(1, "approved"),
            request(2, "approved", break_glass=True),
            request(3, "approved", closed=3),
            request(4, "approved", closed=4),
        ],
        [stage(3), stage(4)],
        [vote(3, 3, on_behalf_of="ann"), vote(4, 4)],
        ledger_entries=[escalated],
    )
    assert (found.total, found.automatic, found.break_glass) == (4, 1, 1)
    assert (found.escalated, found.by_delegation) == (1, 1)


def test_without_a_ledger_nobody_knows_what_was_escalated(tmp_path):
    assert figures(tmp_path, [request(1, "approved")]).escalated is None


def test_without_requests_on_record_there_are_no_figures(tmp_path):
    with evidence(tmp_path / "s", {"grants": []}) as (engine, snapshot):
        assert approval_figures(engine, snapshot, {}) is None


def test_requests_of_another_period_do_not_count(tmp_path):
    early = request(1, "approved", closed=3) | {"created_at": START - timedelta(days=30)}
    found = figures(tmp_path, [early], [stage(1)], [vote(1, 3)])
    assert (found.total, found.overall.asked, found.overall.approval_rate) == (0, 0, None)


OUTCOMES = st.lists(
    st.tuples(
        st.sampled_from(["group:dba", "owner", "group:dba;owner"]),
        st.sampled_from(["approve", "deny", None]),
        st.integers(0, 5_000),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(OUTCOMES)
def test_sets_add_up_to_the_whole_and_rates_are_shares(outcomes):
    import tempfile
    from pathlib import Path

    states = {"approve": "approved", "deny": "denied", None: "expired"}
    requests = [request(n, states[v], closed=m) for n, (_, v, m) in enumerate(outcomes)]
    stages = [stage(n, who) for n, (who, _, _) in enumerate(outcomes)]
    votes = [vote(n, m, v) for n, (_, v, m) in enumerate(outcomes) if v is not None]
    with tempfile.TemporaryDirectory() as folder:
        found = figures(Path(folder), requests, stages, votes)
    for name in ("asked", "approved", "denied", "expired", "votes"):
        assert getattr(found.overall, name) == sum(getattr(one, name) for one in found.sets)
    for one in (found.overall, *found.sets):
        assert one.approved + one.denied + one.expired <= one.asked
        assert one.approval_rate is None or 0 <= one.approval_rate <= 1
        assert one.p50_ms is None or one.p50_ms <= one.p95_ms
    waits = sorted(m * 60_000 for _, v, m in outcomes if v is not None)
    assert found.p95_ms == (waits[-(-len(waits) * 95 // 100) - 1] if waits else None)
    assert found.total == pytest.approx(len(outcomes))
