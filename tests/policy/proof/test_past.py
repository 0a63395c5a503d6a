"""Looks at the past: which follow from which, and pasts that are as wanted."""

import time
from datetime import timedelta

import pytest

from lapse.policy.proof.diff import compare
from lapse.policy.proof.differences import Kind
from lapse.policy.proof.past import Look, pasts
from lapse.policy.rules import Budget, Quota, Rate
from support.policy_world import HOUR, ask, limit, offer, policy


def look(needs, offer_name=""):
    return Look(needs, holds=True, offer=offer_name)


@pytest.mark.parametrize(
    ("strict", "lax"),
    [
        (Budget(most=HOUR, per=8 * HOUR), Budget(most=2 * HOUR, per=4 * HOUR)),
        (3 * HOUR, HOUR),
        (5, 2),
        (Quota(rate=Rate(most=1, per=HOUR), pending=2), Quota(rate=Rate(most=2, per=HOUR))),
        (Quota(rate=Rate(most=1, per=2 * HOUR), pending=1), Quota(rate=Rate(most=1, per=HOUR), pending=3)),
        (Rate(most=1, per=2 * HOUR), Rate(most=3, per=HOUR)),
    ],
)
def test_what_is_stricter_implies_what_is_laxer_and_not_the_other_way_round(strict, lax):
    assert look(strict).implies(look(lax))
    assert not look(lax).implies(look(strict))


def test_looks_of_different_kinds_and_offers_have_nothing_to_do_with_one_another():
    rate = Rate(most=1, per=HOUR)
    assert not look(rate, "a").implies(look(rate, "b"))
    assert not look(HOUR).implies(look(3))
    assert not look(None).implies(look(None))
    assert not look(Quota(pending=1)).implies(look(Quota(rate=rate)))


def test_the_first_past_is_empty_and_the_only_one_if_all_is_met():
    (only,) = pasts(ask(), {look(HOUR): True})
    assert only.history.grants == ()


AUTO = offer(approved_by="").replace("auto_approve: true", "auto_approve: {most: %s, per: 1h}")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (AUTO % 3, AUTO % 2),
        (
            offer() + limit("quota: {most: 5, per: 1h, pending: 4}"),
            offer() + limit("quota: {most: 5, per: 1h, pending: 2}"),
        ),
        (offer() + limit("quota: {pending: 4}"), offer() + limit("quota: {pending: 2}")),
        (offer("cooldown: 1h"), offer("cooldown: 2h")),
        (offer("budget: {most: 4h, per: 1d}"), offer("budget: {most: 4h, per: 2d}")),
        (offer("justification: {unlike_last: 1}"), offer("justification: {unlike_last: 3}")),
        (offer("budget: {most: 4h, per: 1d}\ncooldown: 1h"), offer("budget: {most: 4h, per: 1d}\ncooldown: 3h")),
    ],
    ids=["rate", "quota", "pending", "cooldown", "stretch", "justifications", "two at once"],
)
def test_a_stricter_rule_about_the_past_denies_and_never_permits(old, new):
    stricter = compare(policy(old), policy(new), clock=time.monotonic)
    assert [one.kind for one in stricter.differences] == [Kind.DENIED]
    assert stricter.unknown == ()
    laxer = compare(policy(new), policy(old), clock=time.monotonic)
    assert [one.kind for one in laxer.differences] == [Kind.PERMITTED]


def test_an_overdue_review_stops_the_next_break_glass():
    glass = "break_glass: {review_within: 24h, reviewers: [group:security]}"
    emergency = offer().replace("approvals: [{from: [owner]}]", glass)
    always = (
        emergency
        + "  - {name: auto, to: group:developers, entitlements: 'pg-*/*', max_duration: 2h, auto_approve: true}\n"
    )
    found = compare(policy(emergency), policy(always), clock=time.monotonic)
    assert [one.kind for one in found.differences] == [Kind.PERMITTED, Kind.AUTOMATIC]
    assert found.differences[0].ask.duration <= timedelta(hours=2)
