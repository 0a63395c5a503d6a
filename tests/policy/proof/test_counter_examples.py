"""Who agrees in a counter-example, and how it reads."""

import time
from datetime import timedelta

import pytest

from lapse.policy.proof.decide import Prover
from lapse.policy.proof.render import lines_of
from support.policy_world import CATALOG, policy

OFFER = """
offers:
  - name: one
    entitlements: tag:env=prod
    to: group:dba
    kinds: [person, service, agent]
    purpose: a test
    max_duration: 30m
    max_total: 366d
    approvals: {approvals}
facts:
  - {{subset: group:seniors, of: group:staff}}
  - {{disjoint: [group:staff, group:guests]}}
claims:
  - {{name: it, about: {about}, never: {never}}}
"""


def proof_of(approvals="[{from: group:leads}]", about="{kinds: person}", never="access", catalog=None):
    rules = policy(OFFER.format(approvals=approvals, about=about, never=never))
    (proof,) = Prover(rules, clock=time.monotonic, timeout=timedelta(seconds=30), catalog=catalog).proofs()
    return proof


def example_of(**given):
    proof = proof_of(**given)
    assert proof.outcome == "refuted", proof.detail
    return proof.counter_example


@pytest.mark.parametrize(
    ("approvals", "count"),
    [
        ("[{from: oncall:database, quorum: 2}]", 2),
        ("[{from: owner}]", 1),
        ("[{from: owner, quorum: 3}]", 3),
        ("[{from: manager}]", 1),
        ("[{from: [tim, tom], quorum: 2}]", 2),
        ("[{from: group:seniors, quorum: 2}, {from: group:staff}]", 3),
        ("[{from: group:leads, quorum: all}, {from: [manager, owner], quorum: 2}]", 3),
        ("[{from: group:leads, except: group:guests}]", 1),
    ],
)
def test_whoever_it_takes_is_made_up_and_nobody_agrees_twice(approvals, count):
    (step,) = example_of(approvals=approvals).steps
    assert len(set(step.persons)) == len(step.persons) == count
    assert step.ask.beneficiary.name not in step.persons


def test_new_members_are_in_all_groups_that_facts_put_them_in():
    example = example_of(approvals="[{from: group:seniors}]")
    (person,) = example.steps[0].persons
    assert example.catalog.groups_of(person) >= {"seniors", "staff"}


def test_somebody_on_call_may_be_anybody_of_the_directory():
    example = example_of(approvals="[{from: oncall:database}]", catalog=CATALOG)
    assert example.steps[0].persons[0] in CATALOG.principals


def test_an_owner_and_a_manager_that_conditions_look_at_stay_as_they_are():
    owned = "{kinds: person, when: \"resource.owner == ''\"}"
    assert proof_of(approvals="[{from: owner}]", about=owned).outcome == "unknown"
    managed = "{kinds: person, when: \"principal.manager == ''\"}"
    assert proof_of(approvals="[{from: manager}]", about=managed).outcome == "unknown"


def test_a_chain_that_would_take_too_many_requests_is_not_looked_for():
    assert proof_of(never="{total_longer_than: 300d}").outcome == "unknown"


def test_people_and_things_are_told_with_what_matters_of_them():
    agent = lines_of(example_of(about="{kinds: agent}"))
    assert agent[0].startswith("`ann` is an agent, sponsor `sue`, in `group:dba`")
    assert agent[1].startswith("`sue` is a person")
    titled = "{kinds: person, when: \"principal.title == 'boss' && resource.owner == 'olga'\"}"
    lines = lines_of(example_of(about=titled))
    assert "title `boss`" in lines[0]
    assert "owned by `olga`" in lines[1]


def test_tags_of_the_role_and_later_access_are_told():
    role = '{kinds: person, when: "!has(resource.tags.env) && request.starts_at > request.at"}'
    lines = lines_of(example_of(about=role))
    assert "its role `use` with tag `env=prod`" in lines[1]
    assert ", 30m from " in lines[2]


def test_a_long_chain_shows_its_ends():
    lines = lines_of(example_of(never="{total_longer_than: 5h}"))
    assert lines[-3] == "… 8 more such requests …"
    assert lines[-1] == "together 5h30m without a gap, and 1 person in all agrees to it"


def test_who_asks_for_whom_is_told():
    text = OFFER.replace("max_duration: 30m", "asked_by: group:helpdesk\n    max_duration: 30m")
    about = '{kinds: person, when: "!request.for_self && !(requester.person in principal.humans)"}'
    rules = policy(text.format(approvals="[{from: group:leads, quorum: 6}]", about=about, never="access"))
    (proof,) = Prover(rules, clock=time.monotonic, timeout=timedelta(seconds=30)).proofs()
    lines = lines_of(proof.counter_example)
    assert " on behalf of `bea`" in lines[-1]
    assert " and 2 more agree" in lines[-1]
