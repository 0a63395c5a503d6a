"""What a policy names and a catalog does not have: each with its place and the nearest name."""

from __future__ import annotations

import pytest

from lapse.policy import lint
from support.policy_world import CATALOG, limit, offer, policy


def warnings(text, **more):
    return [str(warning) for warning in lint(policy(text), CATALOG, **more)]


NAMES = [
    (offer().replace("group:developers", "group:developer"), "4:9", "no group `developer`", "`developers`?"),
    (offer().replace("group:developers", "[alice, bobb]"), "4:17", "no principal `bobb`", "`bob`?"),
    (
        offer().replace("group:developers", "dba"),
        "4:9",
        "no principal `dba` in the catalog, but a group",
        "`group:dba`?",
    ),
    (offer().replace("group:developers", "group:lea"), "4:9", "no group `lea` in the catalog, but a person", "`lea`"),
    (offer("asked_by: leah"), "8:15", "no principal `leah`", "did you mean `lea`?"),
    (offer(approved_by="group:lead"), "7:25", "there is no group `lead` in", "did you mean `leads`?"),
    (offer().replace("owner]", "owner], except: tom, escalate: [{after: 1h, to: bop}]"), "7:41", "`tom`", "`tim`?"),
    (offer().replace("pg-*/*", "pg-*/reder"), "5:19", "`pg-*/reder` is about no entitlement", "`pg-dev/reader`?"),
    (offer().replace("pg-*/*", "tag:enf=prod"), "5:19", "nothing in the catalog has the tag `enf`", "`env`?"),
    (offer().replace("pg-*/*", "tag:env=prd"), "5:19", "`tag:env=prd` is about no", "`tag:env=prod`?"),
    (offer("when: '\"dbas\" in principal.groups'"), "8:11", "there is no group `dbas`", "`dba`?"),
    (offer("when: 'principal.groups.exists(g, g == \"lead\")'"), "8:44", "there is no group `lead`", "`leads`?"),
    (offer("when: 'has(resource.tags.enf) && resource.tags.env == \"x\"'"), "8:30", "the tag `enf`", "`env`?"),
    (offer("when: '\"enf\" in entitlement.tags'"), "8:11", "the tag `enf`", "`env`?"),
    (offer('when: \'resource.tags["enf"] == "x"\''), "8:26", "the tag `enf`", "`env`?"),
]


@pytest.mark.parametrize(("text", "place", "message", "hint"), NAMES)
def test_a_name_that_nobody_has_is_shown_where_it_stands(text, place, message, hint):
    found = warnings(text)
    assert found, text
    assert found[0].startswith(f"p.yaml:{place}: `read`: "), found
    assert message in found[0]
    assert hint in found[0]


def test_everybody_who_decides_is_looked_at():
    text = offer().replace("approvals: [{from: [owner]}]", "break_glass: {review_within: 1d, reviewers: [tum]}")
    assert "no principal `tum`" in warnings(text)[0]
    text = offer().replace("owner]", "owner], escalate: [{after: 1h, to: [bop]}]")
    assert "no principal `bop`" in warnings(text)[0]


def test_rotas_are_looked_up_where_they_are_known():
    text = offer(approved_by="oncall:databse")
    assert warnings(text) == []
    assert warnings(text, rotas={"database"}) == [
        "p.yaml:7:25: `read`: there is no rota `databse` (did you mean `database`?)"
    ]
    assert "set it up" in warnings(text, rotas=())[0]


def test_a_quorum_that_cannot_be_met_counts_who_is_excluded():
    text = offer().replace("[owner]", "group:security, quorum: 2, except: sam")
    (warning,) = warnings(text)
    assert warning.startswith("p.yaml:7:24: `read`: stage `security` needs 2 persons, and 1 could decide (add people")


FACTS = [
    ("{disjoint: [group:dba, group:dbaa]}", "there is no group `dbaa`"),
    ("{disjoint: [group:dba, group:developers]}", "`bob` is in `group:dba` and in `group:developers`, which the fact"),
    ("{subset: group:leads, of: group:dba}", "`lea` is in `group:leads` and not in `group:dba`, as the fact says"),
]


@pytest.mark.parametrize(("fact", "message"), FACTS)
def test_facts_that_the_catalog_contradicts_are_seen(fact, message):
    assert message in warnings(offer() + f"facts:\n  - {fact}\n")[0]


CLAIMS = [
    ("{to: group:dbaa}", "there is no group `dbaa`"),
    ("{entitlements: tag:enf=x}", "the tag `enf`"),
    ("{when: '\"dbas\" in principal.groups'}", "there is no group `dbas`"),
]


@pytest.mark.parametrize(("about", "message"), CLAIMS)
def test_a_claim_that_speaks_of_nothing_is_seen(about, message):
    text = offer() + f"claims:\n  - name: one\n    about: {about}\n    never: access\n"
    (warning,) = warnings(text)
    assert warning.startswith("p.yaml:10:"), warning
    assert f"`one`: {message}" in warning or message in warning


def test_nothing_is_said_of_what_is_right():
    facts = "facts:\n  - {subset: group:security, of: group:security}\n"
    text = offer('when: \'"dba" in principal.groups && resource.tags.env == "prod"\'') + limit("max_total: 1h")
    assert warnings(text + facts.replace("of: group:security", "of: group:security")) == []
