from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.access import Observation, ObservedAccount, ObservedMembership
from lapse.domain.grants import Grant, GrantState
from lapse.domain.resources import Entitlement
from lapse.domain.targets import DriftKind
from lapse.enforcement.drift import plan_drift
from support.clock import START

READER = Entitlement(resource="pg", role="reader", native={"role": "app_reader", "mode": "membership"})


def seen(*pairs, at=START, **facts):
    memberships = tuple(ObservedMembership(member=member, role=role) for member, role in pairs)
    return Observation(resource="pg", observed_at=at, server="x", memberships=memberships, own_account="lapse", **facts)


def grant(account, state=GrantState.ACTIVE, **facts):
    return Grant(
        id=f"g-{account}",
        request_id="r",
        beneficiary=account,
        entitlement="pg/reader",
        starts_at=START,
        duration=timedelta(hours=1),
        policy_version="v",
        created_at=START,
        state=state,
        account=account,
        ends_at=START + timedelta(hours=1),
        **facts,
    )


def plan(observation, grants=(), known=(), *, first_read=False):
    return plan_drift(observation, [READER], grants, known, first_read=first_read)


def test_access_that_a_grant_explains_is_no_drift():
    result = plan(seen(("alice", "app_reader")), [grant("alice")])
    assert (result.found, result.missing, result.cleared) == ((), (), ())


def test_access_that_nothing_explains_is_reported_and_never_adopted():
    (drift,) = plan(seen(("mallory", "app_reader"))).found
    assert (drift.account, drift.role, drift.kind) == ("mallory", "app_reader", DriftKind.UNKNOWN_ACCESS)


def test_what_the_first_read_finds_is_standing():
    assert plan(seen(("old", "app_reader")), first_read=True).found[0].kind is DriftKind.STANDING


def test_access_from_before_a_grant_stays_standing_while_the_grant_lives():
    (drift,) = plan(seen(("alice", "app_reader")), [grant("alice", held_before=True)]).found
    assert drift.kind is DriftKind.STANDING


def test_a_grant_whose_access_is_gone_is_missing_unless_the_read_was_incomplete():
    assert [g.account for g in plan(seen(), [grant("alice")]).missing] == ["alice"]
    assert plan(seen(memberships_complete=False), [grant("alice")]).missing == ()


def test_a_database_that_cannot_be_read_hides_no_membership():
    known = plan(seen(("mallory", "app_reader"))).found
    result = plan(seen(gaps=("database x",)), [grant("alice")], known)
    assert [g.account for g in result.missing] == ["alice"]
    assert [d.account for d in result.cleared] == ["mallory"]


def test_access_held_before_is_missing_only_when_no_way_to_it_is_left():
    before = [grant("alice", held_before=True)]
    nested = replace(seen(), memberships=(ObservedMembership(member="alice", role="app_reader", via=("team",)),))
    superuser = replace(seen(), accounts=(ObservedAccount(name="alice", can_login=True, powers=("superuser",)),))
    assert plan(nested, before).missing == ()
    assert plan(superuser, before).missing == ()
    assert [g.account for g in plan(seen(), before).missing] == ["alice"]


def test_every_grant_of_an_access_that_is_gone_is_missing():
    overlapping = [replace(grant("alice"), id=name) for name in ("g1", "g2")]
    ending = replace(grant("alice", GrantState.REVOKING), id="g3")
    assert [g.id for g in plan(seen(), [*overlapping, ending]).missing] == ["g1", "g2"]


def test_a_grant_that_began_after_the_read_is_not_missing():
    late = grant("alice", activated_at=START + timedelta(seconds=1))
    assert plan(seen(), [late]).missing == ()


def test_a_grant_that_is_ending_or_starting_is_not_missing():
    grants = [grant("a", GrantState.REVOKING), grant("b", GrantState.ACTIVATING)]
    assert plan(seen(), grants).missing == ()


def test_access_that_waits_for_removal_is_not_new_drift():
    assert plan(seen(("alice", "app_reader")), [grant("alice", GrantState.REVOKE_FAILED)]).found == ()


def test_known_drift_keeps_its_first_sight_and_clears_when_it_is_gone():
    first = plan(seen(("mallory", "app_reader"))).found
    later = START + timedelta(hours=5)
    (again,) = plan(seen(("mallory", "app_reader"), at=later), known=first).found
    assert (again.id, again.first_seen, again.last_seen) == (first[0].id, START, later)
    (cleared,) = plan(seen(at=later), known=first).cleared
    assert cleared.cleared_at == later


def test_an_incomplete_read_clears_nothing():
    known = plan(seen(("mallory", "app_reader"))).found
    assert plan(seen(memberships_complete=False), known=known).cleared == ()


def test_roles_lapse_does_not_govern_and_its_own_account_are_left_alone():
    nested = replace(seen(), memberships=(ObservedMembership(member="x", role="app_reader", via=("team",)),))
    assert plan(nested).found == ()
    assert plan(seen(("x", "other"), ("lapse", "app_reader"))).found == ()


ACCOUNTS = st.sampled_from(["a", "b", "c", "d"])


@given(on_target=st.sets(ACCOUNTS), granted=st.sets(ACCOUNTS))
def test_desired_and_observed_split_into_explained_drift_and_missing(on_target, granted):
    result = plan(seen(*((a, "app_reader") for a in on_target)), [grant(a) for a in granted])
    assert {d.account for d in result.found} == on_target - granted
    assert {g.account for g in result.missing} == granted - on_target
