"""The life of a grant: one deadline, one end, whatever is called and in whatever order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import Refused
from lapse.domain.grants import ENDING, GRANT_LIFE, LIVE, EndReason, Grant, GrantState, holders_besides
from support.domain_values import INSTANTS

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
GRANT = Grant(
    id="g1",
    request_id="r1",
    beneficiary="ann",
    entitlement="pg-prod/reader",
    starts_at=NOON,
    duration=HOUR,
    policy_version="v1",
    created_at=NOON - HOUR,
)
BEGUN = GRANT.begun(account="ann", held_before=False, ends_at=NOON + HOUR)
ACTIVE = BEGUN.confirmed(at=NOON)
REVOKING = ACTIVE.ending(EndReason.ELAPSED)

REASONS = st.sampled_from(EndReason)
STEPS = st.one_of(
    st.builds(lambda at: lambda g: g.begun(account="a", held_before=True, ends_at=at), INSTANTS),
    st.builds(lambda at: lambda g: g.confirmed(at=at), INSTANTS),
    st.builds(lambda at: lambda g: g.failed(at=at, error="no"), INSTANTS),
    st.builds(lambda at, reason: lambda g: g.cancelled(reason, at=at), INSTANTS, REASONS),
    st.builds(lambda reason: lambda g: g.ending(reason), REASONS),
    st.builds(lambda at: lambda g: g.ended(at=at), INSTANTS),
    st.builds(lambda at: lambda g: g.end_failed(error="no", next_attempt_at=at), INSTANTS),
    st.builds(lambda at: lambda g: g.postponed(error="no", next_attempt_at=at), INSTANTS),
)


def history(steps):
    """Every value that a grant goes through under `steps`; what is refused changes nothing."""
    grant = GRANT
    yield grant
    for step in steps:
        try:
            grant = step(grant)
        except Refused:
            continue
        yield grant


@given(st.lists(STEPS, max_size=25))
def test_the_deadline_is_set_once_and_never_moves(steps):
    deadlines = [grant.ends_at for grant in history(steps)]

    assert len(set(deadlines) - {None}) <= 1
    assert None not in deadlines[next((i for i, at in enumerate(deadlines) if at), len(deadlines)) :]


@given(st.lists(STEPS, max_size=25))
def test_only_what_is_over_has_ended_and_it_says_when(steps):
    for grant in history(steps):
        assert (grant.ended_at is not None) == (grant.state in GRANT_LIFE.terminal)


@given(st.lists(STEPS, max_size=25), STEPS)
def test_nothing_changes_a_grant_that_is_over(steps, one_more):
    *_, last = history(steps)
    if last.state in GRANT_LIFE.terminal:
        with pytest.raises(Refused):
            one_more(last)


@given(st.lists(STEPS, max_size=25))
def test_each_change_counts_once(steps):
    versions = [grant.version for grant in history(steps)]

    assert versions == list(range(len(versions)))


@given(st.lists(STEPS, max_size=25))
def test_what_may_be_on_the_target_always_has_a_deadline_and_a_next_step(steps):
    for grant in history(steps):
        if grant.state in LIVE | ENDING:
            assert grant.ends_at is not None
        assert (grant.due_at is None) == (grant.state in GRANT_LIFE.terminal)


@given(st.lists(STEPS, max_size=25))
def test_a_reason_is_given_for_every_end_and_stays(steps):
    reasons = [grant.end_reason for grant in history(steps) if grant.state in ENDING | {GrantState.ENDED}]

    assert None not in reasons
    assert len(set(reasons)) <= 1


def test_the_usual_way():
    ended = REVOKING.ended(at=NOON + HOUR + timedelta(milliseconds=40))

    assert [g.state for g in (GRANT, BEGUN, ACTIVE, REVOKING, ended)] == [
        "scheduled",
        "activating",
        "active",
        "revoking",
        "ended",
    ]
    assert (ended.activated_at, ended.ends_at, ended.end_reason) == (NOON, NOON + HOUR, EndReason.ELAPSED)
    assert (ended.resource, ended.role) == ("pg-prod", "reader")


def test_a_revoke_that_fails_is_tried_for_ever_and_then_ends():
    grant = REVOKING
    for attempt in range(1, 50):
        grant = grant.end_failed(error="connection refused", next_attempt_at=NOON + attempt * HOUR)
        assert (grant.state, grant.attempts, grant.last_error) == ("revoke_failed", attempt, "connection refused")

    ended = grant.ended(at=NOON + 50 * HOUR)
    assert (ended.state, ended.last_error, ended.next_attempt_at) == ("ended", "", None)


def test_when_the_enforcer_is_needed_next():
    later = NOON + 5 * HOUR
    assert GRANT.due_at == NOON
    assert GRANT.postponed(error="down", next_attempt_at=later).due_at == later
    assert BEGUN.due_at == GRANT.created_at
    assert BEGUN.postponed(error="down", next_attempt_at=later).due_at == later
    assert ACTIVE.due_at == NOON + HOUR
    assert REVOKING.due_at == GRANT.created_at
    assert REVOKING.end_failed(error="down", next_attempt_at=later).due_at == later
    assert REVOKING.ended(at=later).due_at is None
    assert BEGUN.failed(at=later, error="no such role").due_at is None


def test_activation_that_works_late_keeps_the_deadline():
    late = BEGUN.postponed(error="down", next_attempt_at=NOON + HOUR / 2).confirmed(at=NOON + HOUR / 2)

    assert late.ends_at == NOON + HOUR
    assert (late.attempts, late.next_attempt_at, late.last_error) == (0, None, "")


@pytest.mark.parametrize("grant", [ACTIVE, REVOKING, REVOKING.ended(at=NOON)])
def test_only_an_activation_can_be_postponed(grant):
    with pytest.raises(Refused, match="cannot be activated later"):
        grant.postponed(error="down", next_attempt_at=NOON)


def test_a_grant_cancelled_before_it_starts_never_had_a_deadline():
    cancelled = GRANT.cancelled(EndReason.RELEASED, at=NOON - HOUR / 2)

    assert (cancelled.state, cancelled.ends_at, cancelled.ended_at) == ("ended", None, NOON - HOUR / 2)


def test_overlap_is_a_live_grant_of_the_same_role_to_the_same_account():
    same = replace(ACTIVE, id="g2")
    others = [
        ACTIVE,
        same,
        replace(BEGUN, id="g3"),
        replace(ACTIVE, id="g4", account="bob"),
        replace(ACTIVE, id="g5", entitlement="pg-prod/writer"),
        replace(REVOKING, id="g6"),
        replace(GRANT, id="g7", account="ann"),
        replace(REVOKING.ended(at=NOON), id="g8"),
    ]

    assert [other.id for other in holders_besides(ACTIVE, others)] == ["g2", "g3"]


def test_what_is_suspended_is_due_when_it_lapses_and_goes_on_where_it_was():
    tried = GRANT.postponed(error="the target is away", next_attempt_at=NOON + HOUR / 2)
    held = tried.suspended("l1")
    assert (held.state, held.suspended_by, held.due_at) == (GrantState.SCHEDULED, "l1", NOON + HOUR)
    resumed = held.suspended("")
    assert (resumed.suspended_by, resumed.due_at) == ("", NOON)
    assert resumed.version == GRANT.version + 3
    assert held.cancelled(EndReason.LOCKED, at=NOON).state is GrantState.ENDED


@pytest.mark.parametrize("grant", [BEGUN, ACTIVE, REVOKING])
def test_only_what_did_not_begin_can_wait(grant):
    with pytest.raises(Refused, match="cannot wait"):
        grant.suspended("l1")
