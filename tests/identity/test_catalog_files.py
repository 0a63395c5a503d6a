"""Catalog files: what they say, and everything that can be wrong with them, with its place."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput
from lapse.domain.principals import Account, Group, Principal, PrincipalKind
from lapse.domain.resources import Entitlement, OnDrift, Resource
from lapse.identity.catalog_files import CatalogErrors, catalog_from_files
from support.tools import ROOT

WHOLE = """
version: 1
principals:
  - name: alice
    display_name: Alice Ämter
    email: alice@example.com
    department: payments
    title: engineer
    manager: olga
    accounts: [{resource: pg-prod, login: "Alice O'Hara"}]
  - {name: alice-admin, alias_of: alice}
  - {name: olga, active: false, left_at: 2026-03-01T00:00:00Z}
  - {name: bot, kind: agent, sponsor: alice}
  - {name: backup, kind: service, owner: olga}
groups:
  - {name: dba, description: who looks after databases, members: [alice], groups: [oncall]}
  - {name: oncall, members: []}
resources:
  - name: pg-prod
    connector: postgresql
    title: production
    owner: group:dba
    tags: {env: prod, tier: "1"}
    on_drift: remove
    entitlements:
      - role: reader
        title: read everything
        tags: {level: read}
        native: {role: App Reader, mode: membership}
"""


def problems(text, name="c.yaml"):
    with pytest.raises(CatalogErrors) as caught:
        catalog_from_files({name: text})
    return [str(problem) for problem in caught.value.problems]


def test_everything_that_a_catalog_can_say():
    catalog = catalog_from_files({"c.yaml": WHOLE})

    assert catalog.principals["alice"] == Principal(
        name="alice",
        display_name="Alice Ämter",
        email="alice@example.com",
        department="payments",
        title="engineer",
        manager="olga",
        accounts=(Account(resource="pg-prod", login="Alice O'Hara"),),
    )
    assert not catalog.principals["olga"].active
    assert catalog.principals["bot"].kind is PrincipalKind.AGENT
    assert catalog.humans_behind("backup") == {"olga"}
    assert catalog.groups["dba"] == Group(
        name="dba", description="who looks after databases", members=("alice",), groups=("oncall",)
    )
    assert catalog.resources["pg-prod"] == Resource(
        name="pg-prod",
        connector="postgresql",
        title="production",
        owner="group:dba",
        tags={"env": "prod", "tier": "1"},
        on_drift=OnDrift.REMOVE,
        entitlements=(
            Entitlement(
                resource="pg-prod",
                role="reader",
                title="read everything",
                tags={"level": "read"},
                native={"role": "App Reader", "mode": "membership"},
            ),
        ),
    )


def test_several_files_are_one_catalog():
    catalog = catalog_from_files(
        {"people.yaml": "principals: [{name: alice}]", "groups.yaml": "groups: [{name: dba, members: [alice]}]"}
    )

    assert catalog.members_of("dba") == {"alice"}


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "principals:\n", "principals: []\ngroups: []\n"])
def test_a_file_may_say_nothing(text):
    assert catalog_from_files({"c.yaml": text}) == Catalog()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("principles: []", "c.yaml:1:1: a catalog has no `principles` (did you mean `principals`?)"),
        ("principals: [{name: alice, emial: x}]", "c.yaml:1:28: a principal has no `emial` (did you mean `email`?)"),
        ("principals: [{email: x}]", "c.yaml:1:14: this principal has no `name` (add `name: …`)"),
        ("principals: alice", "c.yaml:1:13: `principals` is a list (write `[a, b]`, or a line with `- ` for each)"),
        ("principals: [alice]", "c.yaml:1:14: a principal is written as `key: value` lines"),
        ("principals: [{name: a, kind: robot}]", "c.yaml:1:30: `robot` is not possible here"),
        ("principals: [{name: a, active: maybe}]", "c.yaml:1:32: this is true or false"),
        ("principals: [{name: a, title: true}]", "c.yaml:1:31: `true` is true or false, not text"),
        ("principals: [{name: a, title: }]", "c.yaml:1:24: the value is missing"),
        ("principals: [{name: a, title: [b]}]", "c.yaml:1:31: a single value belongs here"),
        ("principals: [{name: a, left_at: yesterday}]", "c.yaml:1:33: `yesterday` is not a time"),
        ("principals: [{name: a, manager: b}]", "c.yaml:1:33: `manager` names the principal `b`"),
        ("principals: [{name: a}, {name: a}]", "c.yaml:1:25: the principal `a` is here twice"),
        ("principals: [{name: a, alias_of: a}]", "c.yaml:1:14: the principals a → a form a circle"),
        ("principals: [{name: a, kind: agent}]", "c.yaml:1:14: the agent `a` has no sponsor"),
        ("groups: [{name: g, members: [nobody]}]", "c.yaml:1:30: `members` names the principal `nobody`"),
        ("groups: [{name: a, groups: [b]}, {name: b, groups: [a]}]", "the groups a → b → a form a circle"),
        ("resources: [{name: r}]", "c.yaml:1:13: this resource has no `connector`"),
        ("resources: [{name: r, connector: x, owner: group:g}]", "`owner` names the group `g`"),
        ("resources: [{name: r, connector: x, on_drift: adopt}]", "c.yaml:1:47: `adopt` is not possible here"),
        ("resources: [{name: r, connector: x, tags: prod}]", "c.yaml:1:43: tags are written as `key: value`"),
        ("resources: [{name: r, connector: x, entitlements: [{role: a}, {role: a}]}]", "`r/a` is here twice"),
        ("version: 2", "c.yaml:1:10: this version of the catalog format is not known (write `version: 1`)"),
        ("principals: [{name: a, name: b}]", "c.yaml:1:24: the key `name` is here twice"),
        ("principals: &a [*a]", "c.yaml:1:"),
        ("a: [b", "c.yaml:1:6: this is not YAML"),
        ("{" * 100, "c.yaml:1:"),
    ],
)  # fmt: skip
def test_each_problem_is_said_with_its_place(text, said):
    assert any(said in problem for problem in problems(text)), problems(text)


def test_all_problems_are_said_at_once():
    text = "principals:\n  - {name: Alice}\n  - {name: bob, manager: carl}\n  - {name: carol}\n  - {kind: x}\n"

    assert len(problems(text)) == 4


def test_one_login_belongs_to_one_principal():
    text = """
principals:
  - {name: alice, accounts: [{resource: r, login: app}]}
  - {name: bob, accounts: [{resource: r, login: app}]}
resources: [{name: r, connector: postgresql}]
"""
    (problem,) = problems(text)
    assert problem.startswith("c.yaml:4:28: the login `app` on `r` is claimed twice (it is claimed at c.yaml:3 ")


def test_what_is_incomplete_is_still_known_by_name():
    text = "principals: [{name: a, accounts: [{resource: r, login: x}]}]\nresources: [{name: r}]\n"

    assert problems(text) == ["c.yaml:2:13: this resource has no `connector` (add `connector: …`)"]


@pytest.mark.parametrize("name", ["Alice", "al ice", "alice'; DROP", "", "a" * 129, "\u202ealice", "-a", "../etc"])
def test_a_name_is_checked_where_it_enters(name):
    import json

    assert any(
        "is not a principal name" in problem for problem in problems(f"principals: [{{name: {json.dumps(name)}}}]")
    )


def test_names_on_targets_may_hold_quotes_but_nothing_unprintable():
    text = 'resources: [{name: r, connector: x, entitlements: [{role: a, native: {role: "a\\u0007b"}}]}]'

    assert "is not a name on the target" in problems(text)[0]


def test_a_bomb_does_not_go_off():
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(8)
    )
    assert "anchors and aliases are not used" in problems(bomb)[0]


def test_no_files_are_no_catalog():
    with pytest.raises(InvalidInput, match="1 to 200 files"):
        catalog_from_files({})


@given(st.text(max_size=300))
def test_any_text_is_a_catalog_or_says_what_is_wrong(text):
    with suppress(CatalogErrors):
        catalog_from_files({"c.yaml": text})


def test_the_examples_are_a_catalog():
    files = {path.name: path.read_text() for path in (ROOT / "examples" / "catalog").glob("*.yaml")}

    catalog = catalog_from_files(files)
    assert catalog.principals
    assert catalog.resources
