"""The catalog: look-ups that fail closed, and the plan from one catalog to another."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.catalog import Catalog, CatalogChange, Change, plan_catalog
from lapse.domain.errors import InvalidInput, NotFound
from lapse.domain.principals import Account, Group, Principal, PrincipalKind
from lapse.domain.resources import Entitlement, OnDrift, Resource
from support.domain_values import EVERYONE, GROUPS, organisations

PG = Resource(
    name="pg-prod",
    connector="postgresql",
    entitlements=(Entitlement(resource="pg-prod", role="reader"), Entitlement(resource="pg-prod", role="writer")),
)
ORG = Catalog(
    principals={
        "ann": Principal(name="ann", accounts=(Account(resource="pg-prod", login="ann_a"),)),
        "ann-admin": Principal(name="ann-admin", alias_of="ann"),
        "bot": Principal(name="bot", kind=PrincipalKind.AGENT, sponsor="ann-admin"),
        "cron": Principal(name="cron", kind=PrincipalKind.SERVICE, owner="bot"),
    },
    groups={
        "dba": Group(name="dba", members=("ann",), groups=("night",)),
        "night": Group(name="night", members=("cron", "ghost"), groups=("dba",)),
    },
    resources={"pg-prod": PG},
)


def test_what_is_known_is_found():
    assert ORG.principal("ann").name == "ann"
    assert ORG.resource("pg-prod") is PG
    assert ORG.entitlement("pg-prod/writer").name == "pg-prod/writer"
    assert [e.name for e in ORG.entitlements()] == ["pg-prod/reader", "pg-prod/writer"]


@pytest.mark.parametrize(
    ("look_up", "message"),
    [
        (lambda: ORG.principal("zoe"), "there is no principal `zoe`"),
        (lambda: ORG.resource("\x1b[31m"), r"there is no resource `\\x1b\[31m`"),
        (lambda: ORG.entitlement("redis/reader"), "there is no resource `redis`"),
        (lambda: ORG.entitlement("pg-prod/owner"), "there is no entitlement `pg-prod/owner`"),
    ],
)
def test_what_is_not_known_is_not_found_with_a_hint(look_up, message):
    with pytest.raises(NotFound, match=message) as missing:
        look_up()
    assert missing.value.hint


def test_a_missing_role_names_those_that_are_there():
    with pytest.raises(NotFound) as missing:
        ORG.entitlement("pg-prod/owner")
    assert missing.value.hint == "entitlements there: `pg-prod/reader`, `pg-prod/writer`"

    empty = Catalog(resources={"pg": Resource(name="pg", connector="postgresql")})
    with pytest.raises(NotFound) as missing:
        empty.entitlement("pg/reader")
    assert missing.value.hint == "entitlements there: none yet"


def test_an_entitlement_without_a_role_is_no_entitlement():
    with pytest.raises(InvalidInput, match="`pg-prod` is not an entitlement"):
        ORG.entitlement("pg-prod")


def test_who_is_behind_whom():
    assert ORG.person_of("ann-admin") == "ann"
    assert ORG.person_of("bot") is None
    assert ORG.humans_behind("cron") == {"ann"}
    assert ORG.answerable("cron")
    assert not ORG.answerable("ghost")


def test_groups_that_contain_each_other_have_the_same_members():
    assert ORG.members_of("dba") == ORG.members_of("night") == {"ann", "cron", "ghost"}
    assert ORG.groups_of("cron") == {"dba", "night"}
    assert ORG.groups_of("zoe") == frozenset()
    assert ORG.members_of("missing") == frozenset()


def test_a_party_is_a_group_or_a_name_and_only_persons_count():
    assert ORG.persons_in("group:dba") == {"ann"}
    assert ORG.persons_in("ann-admin") == {"ann"}
    for nobody in ("", "dba", "group:", "group:missing", "groups:dba", "role:dba", "bot", "ghost"):
        assert ORG.persons_in(nobody) == frozenset()


def test_accounts_belong_to_whom_they_are_linked():
    assert ORG.account_owner("pg-prod", "ann_a") == "ann"
    assert ORG.account_owner("pg-prod", "ann") is None
    assert ORG.principal("ann").account_on("pg-prod") == "ann_a"
    assert ORG.principal("ann").account_on("redis") is None


def test_an_account_that_two_principals_claim_belongs_to_neither():
    claimed = (Account(resource="pg", login="app"),)
    org = Catalog(
        principals={n: Principal(name=n, accounts=claimed) for n in ("ann", "bob")},
    )

    assert org.account_owner("pg", "app") is None


@given(organisations(), st.sampled_from((*EVERYONE, "ghost", "")))
def test_a_person_is_always_an_active_person_that_exists(org, name):
    person = org.person_of(name)
    if person is not None:
        assert org.principals[person].kind is PrincipalKind.PERSON
        assert org.principals[person].active
        assert org.person_of(person) == person
        assert org.humans_behind(name) == {person} | org.humans_behind(person)


@given(organisations(), st.sampled_from((*EVERYONE, "ghost", "")))
def test_everyone_behind_has_all_names_of_all_humans_behind(org, name):
    """In any organisation, also where sponsors and aliases go round in circles."""
    behind = org.everyone_behind(name)
    assert org.names_of(name) <= behind
    for other in behind:
        assert org.names_of(other) <= behind
        assert org.humans_behind(other) <= behind


@given(organisations(), st.sampled_from((*EVERYONE, "ghost", "")))
def test_all_names_of_a_principal_have_the_same_root(org, name):
    root = org.root_of(name)
    others = {other for other in org.principals if root and org.root_of(other) == root}
    assert org.names_of(name) == others | {name}


def test_look_ups_do_not_grow_with_the_directory_however_deep_its_groups_are_nested():
    count = 20_000
    people = tuple(f"p{number}" for number in range(count))
    nested = {f"g{n}": Group(name=f"g{n}", groups=(f"g{n + 1}",)) for n in range(1_000)}
    org = Catalog(
        principals={name: Principal(name=name) for name in people},
        groups={**nested, "g1000": Group(name="g1000", members=people, groups=("g500",))},
    )
    before = time.thread_time()
    assert len(org.groups_of("p7")) == 1_001
    assert org.names_of("p7") == {"p7"}
    assert len(org.members_of("g0")) == count
    assert org.persons_in("group:g0") is org.persons_in("group:g0")
    built = time.thread_time()
    assert built - before < 2, "building the look-ups grows with persons plus groups, not with their product"
    for name in people[:200]:
        org.names_of(name), org.humans_behind(name), org.may_hold(name), org.person_of(name)
    assert time.thread_time() - built < 0.1


def test_parties_are_looked_up_anew_when_there_are_very_many():
    people = {f"p{number}": Principal(name=f"p{number}") for number in range(600)}
    org = Catalog(principals=people)
    assert all(org.persons_in(name) == {name} for name in (*people, *people))


@given(organisations(), st.sampled_from(GROUPS))
def test_groups_of_and_members_of_agree(org, group):
    for name in (*EVERYONE, "ghost"):
        assert (group in org.groups_of(name)) == (name in org.members_of(group))


@given(organisations(), st.sampled_from(GROUPS))
def test_nested_members_are_members(org, group):
    for nested in org.groups[group].groups:
        assert org.members_of(nested) <= org.members_of(group)


def test_a_chain_of_ten_thousand_aliases_is_followed():
    names = [f"p{i}" for i in range(10_000)]
    principals = {n: Principal(name=n, alias_of=after) for n, after in zip(names, [*names[1:], ""], strict=True)}

    assert Catalog(principals=principals).person_of("p0") == "p9999"


# ---- plans


def follow(current, wanted, plan):
    """`current` with every change of `plan` made, taken from `wanted`."""
    kinds = {
        "principal": (dict(current.principals), wanted.principals),
        "group": (dict(current.groups), wanted.groups),
        "resource": (dict(current.resources), wanted.resources),
    }
    for step in plan:
        mine, theirs = kinds[step.kind]
        if step.change is Change.REMOVE:
            del mine[step.name]
        elif step.change is Change.ADD:
            assert step.name not in mine
            mine[step.name] = theirs[step.name]
        else:
            values = {field: getattr(theirs[step.name], field) for field in step.fields}
            mine[step.name] = replace(mine[step.name], **values)
    return Catalog(principals=kinds["principal"][0], groups=kinds["group"][0], resources=kinds["resource"][0])


@st.composite
def partial_catalogs(draw):
    org = draw(organisations())
    gone = draw(st.sets(st.sampled_from((*EVERYONE, *GROUPS))))
    resources = draw(
        st.dictionaries(
            st.sampled_from(("pg", "redis")),
            st.builds(Resource, name=st.just("pg"), connector=st.just("postgresql"), on_drift=st.sampled_from(OnDrift)),
        )
    )
    return Catalog(
        principals={n: p for n, p in org.principals.items() if n not in gone},
        groups={n: g for n, g in org.groups.items() if n not in gone},
        resources=resources,
    )


@settings(max_examples=50)
@given(partial_catalogs(), partial_catalogs())
def test_following_the_plan_gives_what_is_wanted(current, wanted):
    plan = plan_catalog(current, wanted)

    assert follow(current, wanted, plan) == wanted
    assert (plan == ()) == (current == wanted)


@settings(max_examples=50)
@given(partial_catalogs())
def test_a_second_apply_changes_nothing(catalog):
    assert plan_catalog(catalog, catalog) == ()


@settings(max_examples=50)
@given(partial_catalogs(), partial_catalogs())
def test_a_plan_is_in_order_of_kind_and_name(current, wanted):
    order = [(("principal", "group", "resource").index(c.kind), c.name) for c in plan_catalog(current, wanted)]

    assert order == sorted(order)


def test_a_plan_says_which_fields_change():
    wanted = replace(ORG, resources={"pg-prod": replace(PG, owner="ann", on_drift=OnDrift.REMOVE)}, groups={})

    assert plan_catalog(ORG, wanted) == (
        CatalogChange(change=Change.REMOVE, kind="group", name="dba"),
        CatalogChange(change=Change.REMOVE, kind="group", name="night"),
        CatalogChange(change=Change.CHANGE, kind="resource", name="pg-prod", fields=("owner", "on_drift")),
    )
