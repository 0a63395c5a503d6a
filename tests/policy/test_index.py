"""The index of rules finds every rule that may concern a question; the rules one by one are the judge."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.policy import Status, decide, evaluate, needed_facts, parse
from support.policy_world import CATALOG, HOUR, ask, policy

PARTIES = st.lists(
    st.sampled_from(
        ["anyone", "group:developers", "group:dba", "group:contractors", "group:alice", "alice", "carl", "lea", "ci"]
    ),
    min_size=1,
    max_size=3,
    unique=True,
).map(lambda parties: f"[{', '.join(parties)}]")
PATTERNS = st.lists(
    st.one_of(
        st.sampled_from(["*/*", "pg-*/*", "*-prod/reader", "pg-prod/admin", "?iki/*", "*p*/w*r", "pg-????/*r"]),
        st.sampled_from(["tag:env=prod", "tag:env=*", "tag:data=p*", "tag:data=?", "tag:env=*d*", "tag:no=*"]),
        st.builds(
            "{}/{}".format,
            st.sampled_from(["pg-prod", "pg-people", "pg-dev", "mysql-shop", "wiki"]),
            st.sampled_from(["reader", "writer", "admin"]),
        ),
    ),
    min_size=1,
    max_size=3,
    unique=True,
).map(lambda patterns: "[{}]".format(", ".join(f'"{pattern}"' for pattern in patterns)))
KINDS = st.sampled_from(["person", "agent", "[person, service]", "[agent, service]"])
CONDITIONS = st.sampled_from(['principal.department == "payments"', 'resource.tags.env == "prod"', "context.x == 1"])
OFFERS = st.lists(
    st.fixed_dictionaries(
        {"to": PARTIES, "entitlements": PATTERNS, "max_duration": st.sampled_from(["1h", "4h"])},
        optional={"kinds": KINDS, "when": CONDITIONS, "asked_by": PARTIES},
    ),
    max_size=12,
)
LIMITS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "to": PARTIES,
            "entitlements": PATTERNS,
            "kinds": KINDS,
            "when": CONDITIONS,
            "max_duration": st.sampled_from(["1h", "2h"]),
            "cooldown": st.just("1h"),
            "approvals": st.just("[{from: group:leads}]"),
        },
    ).map(lambda rule: {"max_total": "12h", **rule}),
    max_size=8,
)
EVERYBODY = sorted(CATALOG.principals)
EVERYTHING = [entitlement.name for entitlement in CATALOG.entitlements()]


def rules(offers, limits):
    text = "version: 1\n"
    offers = [{"auto_approve": "true", "purpose": "work", **rule} for rule in offers]
    for kind, found in (("offers", offers), ("limits", limits)):
        named = [{"name": f"{kind}-{n}", **rule} for n, rule in enumerate(found)]
        if named:
            text += f"{kind}:\n" + "".join(f"  - {{{', '.join(map(key_and_value, rule.items()))}}}\n" for rule in named)
    return parse({"p.yaml": text})


def key_and_value(item):
    return f"{item[0]}: {item[1]}" if item[0] != "when" else f"when: '{item[1]}'"


def concerned(results):
    return [result for result in results if result.status is not Status.NOT_APPLICABLE]


def without_rules(evaluation):
    return replace(evaluation, offers=(), limits=())


@settings(max_examples=300, deadline=None)
@given(
    OFFERS,
    LIMITS,
    st.sampled_from(EVERYBODY),
    st.sampled_from(["", *EVERYBODY]),
    st.sampled_from(EVERYTHING),
    st.sampled_from([1, 3]),
)
def test_the_quick_answer_is_the_answer_and_leaves_out_only_rules_about_something_else(
    offers, limits, requester, beneficiary, entitlement, hours
):
    if not (offers or limits):
        return
    found = rules(offers, limits)
    question = ask(requester, entitlement, hours, beneficiary=beneficiary)
    whole, quick = evaluate(found, question), decide(found, question)
    assert without_rules(quick) == without_rules(whole)
    for all_results, some in ((whole.offers, quick.offers), (whole.limits, quick.limits)):
        assert concerned(some) == concerned(all_results)
        assert [result for result in all_results if result in some] == list(some)


def test_rules_about_something_else_are_not_looked_at():
    found = rules(
        [{"to": "alice", "entitlements": f'"other-{n}-*/reader"', "max_duration": "1h"} for n in range(50)]
        + [{"to": "alice", "entitlements": '"pg-*/reader"', "max_duration": "1h"}]
        + [{"to": "bob", "entitlements": '"pg-*/reader"', "max_duration": "1h"}],
        [{"to": "group:contractors", "max_total": "1h"}, {"kinds": "agent", "max_total": "1h"}, {"max_total": "9h"}],
    )
    answer = decide(found, ask("alice"))
    assert [offer.name for offer in answer.offers] == ["offers-50"]
    assert [limit.name for limit in answer.limits] == ["limits-2"]
    assert len(evaluate(found, ask("alice")).offers) == 52


@pytest.mark.parametrize("who", ["carl-admin", "carlbot", "carl"])
def test_a_limit_on_a_person_is_found_for_every_name_of_theirs(who):
    found = rules([], [{"to": "carl", "max_total": "1h"}, {"to": "group:contractors", "max_total": "1h"}])
    assert [limit.name for limit in decide(found, ask(who)).limits] == ["limits-0", "limits-1"]


def test_a_group_named_like_a_person_is_somebody_else():
    found = policy("""
        offers:
          - {name: group, to: "group:alice", entitlements: "*/*", max_duration: 1h, auto_approve: true}
          - {name: person, to: alice, entitlements: "*/*", max_duration: 1h, auto_approve: true}
    """)
    alice = ask("alice", hours=0.5)
    assert decide(found, alice).chosen == "person"
    bob = replace(alice.beneficiary, name="bob", person="bob", groups=("alice",), humans=("bob",))
    assert decide(found, replace(alice, requester=bob, beneficiary=bob)).chosen == "group"


def test_an_unsound_question_is_refused_as_before():
    found = rules([{"to": "anyone", "entitlements": '"*/*"', "max_duration": "1h"}], [])
    for question in (ask("gone"), ask(hours=0), ask(hours=10_000)):
        assert decide(found, question) == evaluate(found, question)
        assert not decide(found, question).allowed


def test_the_facts_that_are_needed_are_those_of_the_rules_about_the_entitlement():
    found = rules(
        [{"to": "alice", "entitlements": '"pg-prod/*"', "max_duration": "4h"}],
        [
            {"entitlements": "tag:env=prod", "to": "bob", "cooldown": "1h"},
            {"entitlements": '"wiki/*"', "cooldown": "9h"},
        ],
    )
    assert needed_facts(found, ask("alice", "pg-prod/reader")).lookback == HOUR
    assert needed_facts(found, ask("alice", "pg-prod/reader")).stretch == 4 * HOUR
    assert needed_facts(found, ask("alice", "pg-dev/reader")).lookback is None


def test_rates_and_quotas_look_back_as_far_as_they_count():
    found = rules(
        [{"to": "alice", "entitlements": '"wiki/*"', "max_duration": "1h", "auto_approve": "{most: 3, per: 3h}"}],
        [{"entitlements": '"pg-dev/*"', "quota": "{most: 5, per: 5h, pending: 2}"}],
    )
    assert needed_facts(found, ask("alice", "wiki/reader")).lookback == 3 * HOUR
    assert needed_facts(found, ask("alice", "pg-dev/reader")).lookback == 5 * HOUR
    assert needed_facts(found, ask("alice", "pg-dev/reader")).pending
    assert not needed_facts(found, ask("alice", "pg-prod/reader")).history
