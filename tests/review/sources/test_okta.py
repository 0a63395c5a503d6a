"""Okta's System Log as evidence: people who come and go, what they were given and lost, and when they signed in."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.review.model import Coverage
from support.aws_files import problems, write
from support.okta_events import (
    MISSING,
    admin,
    app,
    at,
    day,
    event,
    group,
    joins,
    leaves,
    periods,
    read,
    read_events,
    user,
)

# Groups and apps


def test_a_membership_is_held_from_when_it_was_added_until_it_was_removed(tmp_path):
    result = read_events(
        tmp_path,
        leaves("ann", group("ops"), "03T10:00:00"),
        joins("ann", group("ops")),
        joins("ann", app("Salesforce"), "02T10:00:00"),
    )
    assert periods(result) == [
        ("ann", "app/Salesforce", day(2), None),
        ("ann", "group/ops", day(1), day(3)),
    ]
    assert result.access_periods[0] == {
        "resource": "okta-acme",
        "account": "ann@example.com",
        "role": "group/ops",
        "from_at": day(1),
        "to_at": day(3),
        "principal": "ann",
        "grant_id": None,
        "changed_by": "boss@example.com",
        "source": "okta log.json",
    }


def test_what_is_held_at_the_end_is_access_that_was_observed(tmp_path):
    result = read_events(tmp_path, joins("ann", group("ops")), joins("bob", group("ops")), leaves("bob", group("ops")))
    (row,) = result.access_observed
    assert {key: row[key] for key in row if row[key] is not None} == {
        "resource": "okta-acme",
        "account": "ann@example.com",
        "role": "group/ops",
        "holding": "direct",
        "depth": 0,
        "observed_at": day(2),
        "since": day(1),
        "principal": "ann",
        "grantor": "boss@example.com",
    }
    assert result.manifest.table("access_observed").coverage is Coverage.PARTIAL
    assert MISSING in " ".join(result.manifest.table("access_observed").gaps)


def test_what_was_taken_away_was_held_since_the_log_began_at_least(tmp_path):
    result = read_events(tmp_path, joins("bob", group("x")), leaves("ann", group("ops"), "05T10:00:00"))
    assert ("ann", "group/ops", day(1), day(5)) in periods(result)
    what = "access was taken away that the log does not show given: it is listed since the log begins"
    assert problems(result) == {what: 1}


def test_groups_of_one_name_are_told_apart_and_a_renamed_user_is_one(tmp_path):
    result = read_events(
        tmp_path,
        joins("ann", group("ops", "1")),
        joins("ann", group("ops", "2")),
        event(
            "group.user_membership.remove",
            "03T10:00:00",
            user("ann", alternateId="anna@example.com"),
            group("ops", "1"),
        ),
    )
    assert periods(result) == [
        ("anna", "group/ops", day(1), day(3)),
        ("anna", "group/ops (00g-ops-2)", day(1), None),
    ]
    assert [row["account"] for row in result.accounts if "boss" not in row["account"]] == ["anna@example.com"]


def test_a_group_or_user_that_is_deleted_ends_what_was_held(tmp_path):
    result = read_events(
        tmp_path,
        joins("ann", group("ops")),
        joins("bob", group("dev")),
        joins("bob", app("crm")),
        event("group.lifecycle.delete", "02T10:00:00", group("ops")),
        event("user.lifecycle.delete.completed", "03T10:00:00", user("bob")),
    )
    assert periods(result) == [
        ("ann", "group/ops", day(1), day(2)),
        ("bob", "app/crm", day(1), day(3)),
        ("bob", "group/dev", day(1), day(3)),
    ]


# Roles of administrators


def test_a_grant_says_all_roles_of_administrators_that_are_left(tmp_path):
    result = read_events(
        tmp_path,
        admin("user.account.privilege.grant", "01T10:00:00", user("ann"), "Super administrator, Report administrator"),
        admin("user.account.privilege.grant", "02T10:00:00", user("ann"), ["Report administrator"]),
        admin("user.account.privilege.grant", "02T10:00:00", user("bob"), "Super administrator"),
        event("user.account.privilege.revoke", "03T10:00:00", user("ann")),
    )
    assert periods(result) == [
        ("ann", "admin/Report administrator", day(1), day(3)),
        ("ann", "admin/Super administrator", day(1), day(2)),
        ("bob", "admin/Super administrator", day(2), None),
    ]
    assert [(row["account"], row["powers"]) for row in result.access_observed] == [("bob@example.com", "administrator")]


def test_groups_can_be_administrators_too(tmp_path):
    result = read_events(
        tmp_path,
        admin("group.privilege.grant", "01T10:00:00", group("ops"), "Application administrator (all)"),
        event("group.privilege.revoke", "02T10:00:00", group("ops")),
    )
    assert periods(result) == [("group/ops", "admin/Application administrator (all)", day(1), day(2))]
    assert result.access_periods[0]["principal"] is None


def test_a_grant_that_does_not_say_which_role_is_reported(tmp_path):
    result = read_events(tmp_path, event("user.account.privilege.grant", "01T10:00:00", user("ann")))
    assert problems(result) == {"roles of administrators were given, and the event does not say which": 1}


# People and accounts


def test_people_join_leave_and_move_and_accounts_follow(tmp_path):
    changed = {"debugData": {"changedAttributes": "login,title,department"}}
    result = read_events(
        tmp_path,
        event("user.lifecycle.create", "01T10:00:00", user("ann")),
        event("user.lifecycle.activate", "02T10:00:00", user("ann")),
        event("user.account.update_profile", "03T10:00:00", user("ann"), debugContext=changed),
        event("user.lifecycle.deactivate", "05T10:00:00", user("ann")),
        event("user.lifecycle.activate", "04T10:00:00", user("bob")),
        event("user.lifecycle.deactivate", "04T11:00:00", user("nobody-known")),
    )
    rows = [(row["principal"], row["event"], row["field"], row["happened_at"]) for row in result.people_events]
    assert rows == [
        ("ann", "joined", None, day(2)),
        ("ann", "moved", "department", day(3)),
        ("ann", "moved", "title", day(3)),
        ("ann", "left", None, day(5)),
    ]
    accounts = {row["account"]: (row["can_login"], row["created_at"], row["principal"]) for row in result.accounts}
    assert accounts["ann@example.com"] == (False, day(1), "ann")
    assert accounts["bob@example.com"] == (True, None, None)
    what = "what happened to users who are nobody known is not listed as what happened to people"
    assert problems(result) == {what: 2}


def test_who_is_deactivated_keeps_memberships_that_give_nothing(tmp_path):
    result = read_events(
        tmp_path, joins("ann", group("ops")), event("user.lifecycle.deactivate", "02T10:00:00", user("ann"))
    )
    assert (result.access_observed, periods(result)) == ([], [("ann", "group/ops", day(1), None)])


def test_the_latest_state_counts_whatever_the_order(tmp_path):
    result = read_events(
        tmp_path,
        event("user.lifecycle.unsuspend", "03T10:00:00", user("ann")),
        event("user.lifecycle.suspend", "02T10:00:00", user("ann")),
    )
    assert [row["can_login"] for row in result.accounts if row["principal"] == "ann"] == [True]


# Use


def test_signing_in_is_use_of_okta_and_opening_an_app_of_that_app(tmp_path):
    result = read_events(
        tmp_path,
        event("user.session.start", "01T10:00:00", by="ann"),
        event("user.authentication.sso", "01T11:00:00", app("crm"), user("ann", "AppUser"), by="ann"),
    )
    assert result.usage[0] == {
        "resource": "okta-acme",
        "account": "ann@example.com",
        "started_at": day(1),
        "ended_at": None,
        "grant_id": None,
        "role": None,
        "action": "user.session.start",
        "source": "okta log.json",
        "object": None,
        "principal": "ann",
        "address": "198.51.100.7",
        "device": "Mozilla/5.0",
        "session_id": "102nZHzd",
    }
    assert (result.usage[1]["role"], result.usage[1]["object"]) == ("app/crm", "app/crm")
    assert [(row["account"], row["can_login"], row["last_activity"]) for row in result.accounts] == [
        ("ann@example.com", True, at("01T11:00:00.123000"))
    ]


def test_what_failed_and_what_is_not_read_is_skipped_with_the_reason(tmp_path):
    result = read_events(
        tmp_path,
        event("user.session.start", result="FAILURE"),
        event("user.authentication.sso", result="DENY"),
        event("user.session.start", result="CHALLENGE"),
        event("user.session.start", outcome=None),
        event("policy.evaluate_sign_on", result="ALLOW"),
        event("user.session.start", actor={"id": "x", "type": "PublicClientApp"}),
    )
    assert result.usage == []
    assert result.report.skipped == {
        "it failed": 2,
        "its outcome is not said to be a success": 2,
        "an event of a type that is not read": 1,
        "done by no user": 1,
    }


def test_pages_overlap_and_an_event_counts_once(tmp_path):
    one, two = event("user.session.start", by="ann"), event("user.session.start", "01T11:00:00", by="ann")
    write(tmp_path, in_S_1__json=json.dumps([one, two], indent=2).encode(), in_S_2__jsonl=json.dumps(two).encode())
    result = read(tmp_path / "in", tmp_path)
    assert len(result.usage) == 2
    assert result.report.skipped == {"seen already": 1}


def test_an_event_hook_s_deliveries_are_read(tmp_path):
    hook = {"eventType": "com.okta.event_hook", "data": {"events": [event("user.session.start", by="ann")]}}
    assert len(read_events(tmp_path, hook).usage) == 1


def test_the_log_covers_the_org(tmp_path):
    result = read_events(
        tmp_path, event("user.session.start", by="ann"), event("x", "01T10:30:00"), complete="yes", gap="PT2H"
    )
    assert [(row["resource"], row["from_at"], row["to_at"], row["complete"]) for row in result.coverage] == [
        ("okta-acme", day(1), at("01T10:30:00.123000"), True)
    ]


def test_events_later_than_now_are_used_and_reported(tmp_path):
    result = read_events(tmp_path, event("user.session.start", "20T10:00:00"), taken_at="2026-07-02T00:00:00Z")
    assert (len(result.usage), result.coverage) == (1, [])
    assert problems(result) == {"events are later than now: a clock is wrong, or they were made up": 1}


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"a": 1}, "it is no event"),
        (event("user.session.start", published="today"), "Invalid RFC3339"),
        (event("user.session.start", published="0001-01-01T00:00:00+14:00"), "outside of the calendar"),
        (event("group.user_membership.add", "01T10:00:00", user("ann")), "no group is named in it"),
        (event("group.user_membership.add", "01T10:00:00", group("ops")), "no user is named in it"),
        (event("user.lifecycle.create"), "no user is named in it"),
        (event("user.lifecycle.create", target="ann"), "Expected `array | null`"),
        (event("user.lifecycle.create", target=[{"id": 7}]), "Expected `str | null`"),
        ({"eventType": "x", "data": {"events": 1}}, "Expected `array`"),
    ],
)
def test_an_event_that_cannot_be_read_is_rejected_and_the_next_is_read(tmp_path, found, why):
    result = read_events(tmp_path, found, event("user.session.start"))
    assert why in result.report.examples[0]
    assert (result.report.rejected, len(result.usage)) == (1, 1)


def test_a_page_that_is_cut_off_gives_what_there_is(tmp_path):
    data = json.dumps([event("user.session.start", by="ann"), event("user.session.start", by="bob")], indent=1).encode()
    write(tmp_path, log__json=data[:-200])
    result = read(tmp_path / "log.json", tmp_path, complete="yes")
    assert (len(result.usage), result.report.rejected) == (1, 1)
    assert not result.coverage[-1]["complete"]


def test_names_are_kept_as_they_are(tmp_path):
    result = read_events(tmp_path, joins("ann", group("=cmd()|'/c calc'!A1")), joins("ann", app("<script>\x00")))
    assert sorted(row["role"] for row in result.access_periods) == ["app/<script>\ufffd", "group/=cmd()|'/c calc'!A1"]


@pytest.mark.parametrize(
    ("options", "words"), [({"org": ""}, "of which org"), ({"complete": "maybe"}, "`yes` or `no`")]
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, words):
    with pytest.raises(InvalidInput) as refused:
        read_events(tmp_path, event("x"), **options)
    assert words in f"{refused.value.message} {refused.value.hint}"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
bases = [
    joins("ann", group("ops")),
    event("user.session.start"),
    event("user.lifecycle.create", "01T10:00:00", user("ann")),
]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=80, deadline=None
)
@given(st.lists(st.tuples(st.sampled_from(bases), st.sampled_from(sorted(bases[0])), json_values), max_size=6))
def test_any_events_are_used_skipped_or_rejected(tmp_path, changed):
    result = read_events(tmp_path, *(base | {key: value} for base, key, value in changed))
    assert result.report.records >= len(changed) - sum(key == "data" for _, key, _ in changed)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=30, deadline=None
)
@given(
    st.permutations(
        [
            joins("ann", group("ops"), "01T10:00:00"),
            leaves("ann", group("ops"), "02T10:00:00"),
            joins("ann", group("ops"), "03T10:00:00"),
            admin("user.account.privilege.grant", "01T10:00:00", user("ann"), "Super administrator"),
            event("user.account.privilege.revoke", "04T10:00:00", user("ann")),
        ]
    )
)
def test_the_order_of_events_makes_no_difference(tmp_path, events):
    assert periods(read_events(tmp_path, *events)) == [
        ("ann", "admin/Super administrator", day(1), day(4)),
        ("ann", "group/ops", day(1), day(2)),
        ("ann", "group/ops", day(3), None),
    ]
