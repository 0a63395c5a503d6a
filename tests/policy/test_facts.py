from datetime import timedelta

from lapse.policy import Reach, lint, offer_facts, reaches
from support.policy_world import CATALOG, HOUR, limit, offer, policy


def test_the_facts_of_an_offer():
    extra = """
    max_total: 6h
    ticket: required
    when: request.for_self
    windows: [{from: '00:00', to: '12:00', timezone: UTC}]
    """
    (facts,) = offer_facts(policy(offer(extra, approved_by="owner]}, {quorum: 2, from: [lea")))
    assert (facts.name, facts.file, facts.line) == ("read", "p.yaml", 3)
    assert (facts.max_duration, facts.max_total, facts.approvals) == (2 * HOUR, 6 * HOUR, 3)
    assert (facts.has_windows, facts.needs_ticket, facts.needs_justification) == (True, True, False)
    assert facts.condition == "request.for_self"
    assert (facts.entitlements, facts.to, facts.auto_approve) == (("pg-*/*",), ("group:developers",), False)


def test_what_an_offer_comes_to_with_the_limits_that_always_bind():
    limits = limit("entitlements: '*/admin'\napprovals: [{quorum: 2, from: owner}, {from: lea}]", name="a")
    limits += "  - {name: b, entitlements: 'tag:env=prod', max_total: 1h}\n"
    limits += "  - {name: c, to: group:dba, max_duration: 1m}\n"
    limits += "  - {name: d, when: request.for_self, max_duration: 1m}\n"
    found = {reach.entitlement: reach for reach in reaches(policy(offer() + limits), CATALOG)}
    assert len(found) == 9
    assert found["pg-dev/reader"] == Reach(
        offer="read", entitlement="pg-dev/reader", max_duration=2 * HOUR, max_total=2 * HOUR, approvals=1
    )
    assert found["pg-prod/admin"].approvals == 3
    assert found["pg-prod/admin"].max_duration == timedelta(hours=1)


def test_an_offer_by_condition_alone_may_reach_everything():
    text = offer("when: request.for_self").replace('entitlements: "pg-*/*"', "description: any")
    assert len(reaches(policy(text), CATALOG)) == 15


def test_a_quorum_that_nobody_can_reach_is_warned_about():
    text = offer(approved_by="group:leads, lea").replace("from:", "quorum: 2, from:")
    (warning,) = lint(policy(text), CATALOG)
    assert warning.message == "`read`: stage `leads-or-lea` needs 2 persons, and 1 could decide"
    assert lint(policy(offer() + limit("entitlements: tag:env=prod\nmax_duration: 1h")), CATALOG) == ()
