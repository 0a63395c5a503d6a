"""What a simulated policy is said to come to is what the solver proves and the policy itself says."""

from __future__ import annotations

import time
from collections import defaultdict
from datetime import timedelta

import pytest

from lapse.policy import parse, version_of
from lapse.policy.proof.outcomes import installed
from lapse.ports import PolicyVersion
from lapse.review.collection.policy_evidence import policy_evidence
from lapse.review.simulation import Size
from lapse.review.simulation.books import Books
from lapse.review.simulation.policy_tables import effect_rows, path_rows, quorum_rows
from lapse.review.simulation.rules import FIRST, TIGHTER, WIDER, WIDEST, policy_files
from lapse.review.simulation.run import found_company

pytestmark = pytest.mark.skipif(not installed(), reason="the solver is not installed")


class Kept:
    """Keeps the rows in memory."""

    def __init__(self):
        self.rows = defaultdict(list)

    def add(self, table, row):
        """Take a row."""
        self.rows[table].append(row)


@pytest.fixture(scope="module")
def parts():
    """The company on its first day, under the last policy, with the rules of one area and all that were planted."""
    made = found_company(Size(people=50, days=92, seed=8), Books(sink=Kept()))
    world = made.world
    planted = {rule.name.partition("-")[0] for rule in made.rules}
    offerings = [one for one in world.offerings if one.name.partition("-")[0] in planted]
    files = policy_files(offerings, WIDEST, made.rules, made.limits)
    world.policy = parse(files)
    world.version = PolicyVersion(version=version_of(files), files=files, activated_at=world.now, activated_by="root")
    return made


@pytest.fixture(scope="module")
def proved(parts):
    return policy_evidence(parts.world.version, parts.world.catalog, time.monotonic)


def by(rows, key, value):
    return {row[key]: row[value] for row in rows}


def test_rules_said_to_be_dead_are_those_that_decide_nothing(parts, proved):
    said = by(effect_rows(parts.world, frozenset(parts.dead)), "rule", "decisive")
    assert said == by(proved.tables["rule_effects"], "rule", "decisive")
    assert {rule for rule, decisive in said.items() if not decisive} == parts.dead


def test_what_is_said_to_be_had_with_nobody_deciding_is_so(parts, proved):
    said = by(path_rows(parts.world), "entitlement", "unattended")
    assert said == by(proved.tables["approval_paths"], "entitlement", "unattended")


def test_quorums_are_counted_by_the_code_of_a_review(parts, proved):
    assert list(quorum_rows(parts.world)) == list(proved.tables["quorums"])


def test_versions_are_tighter_and_wider_as_they_are_said_to_be():
    assert all(TIGHTER[level][0] <= FIRST[level][0] and TIGHTER[level][1] <= FIRST[level][1] for level in FIRST)
    for less, more in ((TIGHTER, WIDER), (WIDER, WIDEST)):
        assert all(more[level][0] >= less[level][0] and more[level][1] >= less[level][1] for level in less)
        assert more != less
    assert max(longest for longest, _ in WIDEST.values()) <= timedelta(hours=24)
