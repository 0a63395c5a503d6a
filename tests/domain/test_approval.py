"""Two humans are two humans: votes against a slow, obviously right count, and by example."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.approval import eligible_persons, interested_persons, tally
from lapse.domain.catalog import Catalog
from lapse.domain.principals import Group, Principal, PrincipalKind
from lapse.domain.requests import Decision, Request, Verdict
from lapse.domain.resources import Resource
from lapse.domain.terms import Stage, Terms
from support.domain_values import EVERYONE, GROUPS, NOBODY, organisations

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def request(*stages, requester="ann", beneficiary="ann"):
    return Request(
        id="r1",
        requester=requester,
        beneficiary=beneficiary,
        entitlement="pg/reader",
        requested_duration=HOUR,
        justification="",
        terms=Terms(offer="o", max_duration=HOUR, max_total=HOUR, pending_timeout=HOUR, stages=stages),
        policy_version="v1",
        created_at=NOON,
        expires_at=NOON + HOUR,
    )


def stage(*approvers, quorum=1, name="one"):
    return Stage(name=name, quorum=quorum, approvers=approvers)


def votes(*cast):
    return [
        Decision(
            id=f"d{minute:03}",
            request_id="r1",
            approver=who.removeprefix("not "),
            person="",
            verdict=Verdict.DENY if who.startswith("not ") else Verdict.APPROVE,
            stage="",
            decided_at=NOON + timedelta(minutes=minute),
        )
        for minute, who in enumerate(cast)
    ]


def catalog(*principals, groups=(), owner=""):
    return Catalog(
        principals={p.name: p for p in principals},
        groups={g.name: g for g in groups},
        resources={"pg": Resource(name="pg", connector="postgresql", owner=owner)},
    )


# ---- the slow count: sets, fixed points and plain loops, nothing shared with the code it judges


def slow_chain(org, name):
    chain = []
    while name in org.principals and len(chain) <= len(org.principals):
        chain.append(org.principals[name])
        name = chain[-1].alias_of
        if name == "":
            return chain
    return None


def slow_person(org, name):
    chain = slow_chain(org, name)
    if chain is None or any(one.kind != "person" or not one.active for one in chain):
        return None
    return chain[-1].name


def slow_behind(org, name):
    """All names reached over aliases, sponsors and owners, and the real persons among them (None: one is missing)."""
    reached = {name}
    for _ in range(len(org.principals) + 1):
        for known in [org.principals[one] for one in reached if one in org.principals]:
            reached |= {known.alias_of, known.sponsor, known.owner} - {""}
    if any(slow_chain(org, one) is None for one in reached):
        return None
    roots = {slow_chain(org, one)[-1] for one in reached}
    return {one.name for one in roots if one.kind == "person"} or None


def slow_members(org, group):
    groups = {group}
    for _ in range(len(org.groups) + 1):
        for one in groups & set(org.groups):
            groups = groups | set(org.groups[one].groups)
    return {member for one in groups & set(org.groups) for member in org.groups[one].members}


def slow_party(org, party, asked):
    if party == "owner":
        party = org.resources["pg"].owner
    elif party == "manager":
        party = org.principals[asked.beneficiary].manager if asked.beneficiary in org.principals else ""
    names = slow_members(org, party.removeprefix("group:")) if party.startswith("group:") else {party}
    return {slow_person(org, name) for name in names} - {None}


def slow_tally(asked, cast, org):
    behind = [slow_behind(org, asked.requester), slow_behind(org, asked.beneficiary)]
    may = []
    for one in asked.terms.stages:
        able = set().union(*(slow_party(org, party, asked) for party in one.approvers))
        may.append(set() if None in behind else able - behind[0] - behind[1])
    yes = [[] for _ in may]
    heard = set()
    for vote in sorted(cast, key=lambda vote: (vote.decided_at, vote.id)):
        still_open = [i for i, one in enumerate(asked.terms.stages) if len(yes[i]) < one.quorum]
        person = slow_person(org, vote.approver)
        if not still_open or person in heard or person not in may[still_open[0]]:
            continue
        heard.add(person)
        if vote.verdict == "deny":
            return yes, person
        yes[still_open[0]].append(person)
    return yes, None


PARTIES = st.sampled_from(("owner", "manager", *(f"group:{g}" for g in (*GROUPS, "missing")), *EVERYONE, *NOBODY))
STAGES = st.lists(
    st.builds(
        Stage,
        name=st.just("s"),
        quorum=st.integers(1, 3),
        approvers=st.lists(PARTIES, min_size=1, max_size=3).map(tuple),
    ),
    max_size=3,
)


@st.composite
def situations(draw):
    org = draw(organisations())
    owner = draw(st.sampled_from(("", "bob", "ann-admin", "group:dba", "group:loop", "group:missing", "ghost")))
    org = replace(org, resources={"pg": Resource(name="pg", connector="postgresql", owner=owner)})
    asked = request(
        *draw(STAGES),
        requester=draw(st.sampled_from((*EVERYONE, *NOBODY))),
        beneficiary=draw(st.sampled_from((*EVERYONE, *NOBODY))),
    )
    cast = draw(
        st.lists(
            st.builds(
                lambda who, minute, verdict: replace(
                    votes(who)[0], id=f"{who}{minute}", decided_at=NOON + timedelta(minutes=minute), verdict=verdict
                ),
                st.sampled_from((*EVERYONE, *NOBODY)),
                st.integers(0, 5),
                st.sampled_from([Verdict.APPROVE] * 5 + [Verdict.DENY]),
            ),
            max_size=12,
        )
    )
    return org, asked, cast


@settings(max_examples=200)
@given(situations())
def test_the_count_is_the_obviously_right_one(situation):
    org, asked, cast = situation
    counted = tally(asked, cast, org)

    yes, denied_by = slow_tally(asked, cast, org)
    assert [list(one.approved_by) for one in counted.stages] == yes
    assert counted.denied_by == denied_by


@settings(max_examples=150)
@given(situations())
def test_no_interested_human_ever_counts_and_nobody_counts_twice(situation):
    org, asked, cast = situation
    counted = tally(asked, cast, org)

    heard = [person for one in counted.stages for person in one.approved_by]
    heard += [counted.denied_by] if counted.denied_by else []
    interested = org.humans_behind(asked.requester) | org.humans_behind(asked.beneficiary)
    assert not interested & set(heard)
    assert len(set(heard)) == len(heard)
    assert all(org.principals[person].kind is PrincipalKind.PERSON for person in heard)
    for one in counted.stages:
        assert not one.may_decide & (interested | set(heard))


@settings(max_examples=100)
@given(situations(), st.randoms(use_true_random=False))
def test_the_order_in_which_votes_are_read_does_not_matter(situation, random):
    org, asked, cast = situation
    shuffled = random.sample(cast, len(cast))

    once = {(vote.decided_at, vote.id): vote for vote in cast}.values()
    again = {(vote.decided_at, vote.id): vote for vote in shuffled if vote in once}.values()
    assert tally(asked, again, org) == tally(asked, once, org)


@settings(max_examples=100)
@given(situations())
def test_without_enough_different_humans_nothing_is_approved(situation):
    org, asked, cast = situation

    if tally(asked, cast, org).approved:
        humans = {slow_person(org, vote.approver) for vote in cast} - {None}
        assert len(humans) >= sum(one.quorum for one in asked.terms.stages)


# ---- by example


ANN, BOB, CAT = Principal(name="ann"), Principal(name="bob"), Principal(name="cat")
ANN_ADMIN = Principal(name="ann-admin", alias_of="ann")
BOT = Principal(name="bot", kind=PrincipalKind.AGENT, sponsor="bob")
DBA = Group(name="dba", members=("ann", "ann-admin", "bob", "cat"))


def test_a_second_person_approves():
    counted = tally(request(stage("group:dba")), votes("bob"), catalog(ANN, BOB, CAT, groups=[DBA]))

    assert counted.approved
    assert counted.open_stage is None
    assert counted.stages[0].approved_by == ("bob",)


@pytest.mark.parametrize("voter", ["ann", "ann-admin"])
def test_nobody_approves_for_themselves_under_any_name(voter):
    org = catalog(ANN, ANN_ADMIN, BOB, groups=[DBA])

    assert not tally(request(stage("group:dba", voter)), votes(voter), org).approved
    assert not tally(request(stage("group:dba", voter), requester="bob"), votes(voter), org).approved


def test_a_sponsor_does_not_approve_for_the_agent():
    org = catalog(ANN, BOB, CAT, BOT, groups=[DBA])
    asked = request(stage("group:dba"), requester="bot", beneficiary="bot")

    assert interested_persons(asked, org) == {"bob"}
    assert not tally(asked, votes("bob"), org).approved
    assert tally(asked, votes("bob", "cat"), org).approved


def test_an_agent_approves_nothing_even_as_the_alias_of_a_person():
    org = catalog(ANN, BOB, BOT, replace(BOT, name="bob-bot", alias_of="bob"))

    assert not tally(request(stage("bot", "bob-bot")), votes("bot", "bob-bot"), org).approved


def test_two_identities_of_one_person_are_one_vote():
    org = catalog(replace(ANN, name="eve"), ANN, ANN_ADMIN, BOB, groups=[DBA])
    asked = request(stage("group:dba", quorum=2), requester="eve", beneficiary="eve")

    assert not tally(asked, votes("ann", "ann-admin"), org).approved
    assert tally(asked, votes("ann", "ann-admin", "bob"), org).approved


def test_one_person_in_the_approvers_of_two_stages_votes_in_one():
    org = catalog(ANN, BOB, CAT, groups=[DBA])
    asked = request(stage("group:dba", name="one"), stage("bob", "cat", name="two"))

    after_bob = tally(asked, votes("bob", "bob"), org)
    assert (after_bob.approved, after_bob.open_stage.stage.name) == (False, "two")
    assert after_bob.open_stage.may_decide == {"cat"}
    assert tally(asked, votes("bob", "cat"), org).approved


def test_a_vote_before_its_stage_is_open_does_not_count():
    org = catalog(ANN, BOB, CAT)
    asked = request(stage("bob", name="first"), stage("cat", name="second"))

    assert not tally(asked, votes("cat", "bob"), org).approved
    assert tally(asked, votes("bob", "cat"), org).approved


def test_one_no_ends_it():
    counted = tally(request(stage("bob", "cat", quorum=2)), votes("bob", "not cat"), catalog(ANN, BOB, CAT))

    assert (counted.denied_by, counted.approved, counted.open_stage) == ("cat", False, None)


def test_a_no_of_somebody_who_may_not_vote_is_not_heard():
    assert tally(request(stage("bob")), votes("not cat", "bob"), catalog(ANN, BOB, CAT)).approved


def test_votes_after_the_last_quorum_change_nothing():
    assert tally(request(stage("bob", "cat")), votes("bob", "not cat"), catalog(ANN, BOB, CAT)).approved


def test_no_stages_need_no_votes():
    assert tally(request(), [], catalog(ANN)).approved


def test_the_owner_and_the_manager_are_found_through_their_names():
    org = catalog(replace(ANN, manager="cat"), BOB, CAT, owner="bob")

    assert eligible_persons(stage("owner", "manager"), request(), org) == {"bob", "cat"}
    by_group = catalog(ANN, BOB, CAT, groups=[DBA], owner="group:dba")
    assert eligible_persons(stage("owner"), request(), by_group) == {"bob", "cat"}


def test_an_owner_or_manager_who_is_not_there_is_nobody():
    org = catalog(ANN, BOB)
    elsewhere = replace(request(), entitlement="redis/reader")

    assert eligible_persons(stage("owner", "manager"), request(), org) == frozenset()
    assert eligible_persons(stage("owner"), elsewhere, org) == frozenset()


def test_a_person_who_left_or_an_identity_that_is_off_has_no_vote():
    bob_off = replace(BOB, name="bob-admin", alias_of="bob", active=False)
    org = catalog(ANN, BOB, bob_off, replace(CAT, active=False))

    assert not tally(request(stage("bob", "cat")), votes("cat", "bob-admin"), org).approved


@pytest.mark.parametrize(
    "who",
    [
        Principal(name="x", kind=PrincipalKind.AGENT),
        Principal(name="x", kind=PrincipalKind.AGENT, sponsor="ghost"),
        Principal(name="x", kind=PrincipalKind.SERVICE, owner="cat", sponsor="ghost"),
        Principal(name="x", alias_of="ghost"),
        Principal(name="x", alias_of="x"),
        Principal(name="y"),
    ],
)
def test_while_it_is_not_known_who_asks_nobody_can_say_yes(who):
    org = catalog(ANN, BOB, CAT, who)

    assert not tally(request(stage("bob"), requester="x", beneficiary="x"), votes("bob"), org).approved
    assert not tally(request(stage("bob"), requester="x"), votes("bob"), org).approved
    assert not tally(request(stage("bob"), beneficiary="x"), votes("bob"), org).approved
