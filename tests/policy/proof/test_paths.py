"""Which entitlements somebody in a real directory can get with nobody deciding."""

import time

from lapse.policy.proof.paths import approval_paths
from support.policy_world import CATALOG, limit, offer, policy

AUTO = "  - {name: auto, to: %s, entitlements: 'tag:env=prod', max_duration: 1h, auto_approve: true}\n"


def paths(text, **more):
    return {one.entitlement: one for one in approval_paths(policy(text), CATALOG, clock=time.monotonic, **more)}


def test_every_entitlement_is_answered():
    found = paths(offer() + AUTO % "group:dba" + limit("entitlements: '*/admin'\napprovals: [{from: group:leads}]"))
    assert set(found) == {entitlement.name for entitlement in CATALOG.entitlements()}
    unattended = {name for name, one in found.items() if one.unattended}
    assert unattended == {
        f"{on}/{role}" for on in ("pg-prod", "pg-people", "mysql-shop") for role in ("reader", "writer")
    }
    assert found["pg-prod/reader"].offer == "auto"


def test_only_those_who_are_there_count():
    assert not any(one.unattended for one in paths(offer() + AUTO % "group:nobody").values())


def test_break_glass_is_looked_at_afterwards_by_somebody():
    glass = AUTO.replace("auto_approve: true", "break_glass: {review_within: 1h, reviewers: [group:security]}")
    assert not any(one.unattended for one in paths(offer() + glass % "anyone").values())


def test_what_is_not_decided_is_said():
    late = paths(offer() + AUTO % "group:dba", timeout=0)
    assert {one.unattended for one in late.values()} == {None}
    doubtful = paths(offer() + (AUTO % "group:dba").replace("1h,", "1h, when: 'context.risk < 5',"))
    assert doubtful["pg-prod/reader"].unattended is None
    assert "not modelled" in doubtful["pg-prod/reader"].detail
