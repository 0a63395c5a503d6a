"""Whether those who may ask could ever get enough approvals, counted in a directory."""

from hypothesis import given
from hypothesis import strategies as st

from lapse.policy.quorums import most_votes, quorum_reaches, too_few_names
from support.policy_world import CATALOG, limit, policy


def reaches(rest, to="anyone", what="wiki/admin", more=""):
    text = f"offers:\n  - {{name: a, to: {to}, entitlements: '{what}', max_duration: 1h, {rest}}}\n{more}"
    return list(quorum_reaches(policy(text), CATALOG))


def stuck(*args, **more):
    return [(one.candidates, one.stuck) for one in reaches(*args, **more)]


def test_an_offer_that_takes_no_approval_has_no_quorum():
    assert reaches("auto_approve: true") == []


def test_who_asks_does_not_count_among_those_who_approve():
    (one,) = reaches("approvals: [{from: group:security, quorum: 2}]", to="group:security")
    assert (one.candidates, one.stuck, one.example, one.needed, one.possible) == (2, 2, "sam", 2, 1)
    assert stuck("approvals: [{from: group:security, quorum: 2}]", to="group:dba") == [(3, 0)]


def test_a_resource_that_nobody_owns():
    assert stuck("approvals: [{from: owner}]", to="group:dba") == [(3, 3)]
    assert stuck("approvals: [{from: owner}]", to="group:dba", what="pg-prod/admin") == [(3, 0)]


def test_those_without_a_manager():
    assert stuck("approvals: [{from: manager}]", to="group:developers") == [(3, 0)]
    assert stuck("approvals: [{from: manager}]", to="group:dba") == [(3, 2)]


def test_one_person_does_not_fill_two_stages():
    assert stuck("approvals: [{from: [lea]}, {from: [lea, tim]}]", to="dora") == [(1, 0)]
    assert stuck("approvals: [{from: [lea]}, {from: [lea, tim], quorum: 2}]", to="dora") == [(1, 1)]


def test_agents_cannot_be_approved_by_their_sponsor():
    rest = "approvals: [{from: [alice]}], kinds: [agent], purpose: tests"
    assert stuck(rest, to="group:developers") == [(2, 1)]


def test_limits_that_always_bind_count_and_others_do_not():
    more = limit("approvals: [{from: [lea, tim], quorum: 3}]\nentitlements: 'wiki/*'")
    assert stuck("approvals: [{from: group:leads}]", to="dora", more=more) == [(1, 1)]
    sometimes = more + "    to: group:contractors\n"
    assert stuck("approvals: [{from: group:leads}]", to="dora", more=sometimes) == [(1, 0)]


def test_those_who_are_asked_later_count():
    late = "approvals: [{from: [lea], quorum: 2, escalate: [{after: 1h, to: [tim]}]}]"
    assert stuck(late, to="dora") == [(1, 0)]


def test_a_rota_may_have_anybody():
    assert stuck("approvals: [{from: 'oncall:db'}]", to="dora") == [(1, None)]


def test_names_alone_can_be_too_few():
    text = "offers:\n  - {name: a, to: anyone, entitlements: 'wiki/*', max_duration: 1h, approvals: [{from: %s}]}\n"
    told = [[named for _, _, named in too_few_names(policy(text % f"{who}, quorum: 3"))] for who in ("[a, b]", "owner")]
    assert told == [[2], []]


@given(st.lists(st.tuples(st.integers(1, 2), st.frozensets(st.sampled_from("abcd"))), min_size=1, max_size=3))
def test_as_many_votes_as_trying_everybody_everywhere_gives(stages):
    def best(seats, left):
        if not seats:
            return 0
        without = best(seats[1:], left)
        return max([without, *(1 + best(seats[1:], left - {who}) for who in left & seats[0])])

    quorums, able = [quorum for quorum, _ in stages], [who for _, who in stages]
    seats = [who for quorum, who in stages for _ in range(quorum)]
    assert most_votes(quorums, able) == best(seats, frozenset("abcd"))
