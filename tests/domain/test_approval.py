"""Two humans are two humans: votes against a slow, obviously right count, and by example."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.approval import cast, tally
from lapse.domain.approvers import Moment, delegates_of, eligible_persons, interested_persons
from lapse.domain.catalog import Catalog
from lapse.domain.dead_ends import dead_end
from lapse.domain.delegations import Delegation
from lapse.domain.principals import Group, Principal, PrincipalKind
from lapse.domain.requests import Decision, Request, Verdict
from lapse.domain.resources import Resource
from lapse.domain.terms import Escalation, Stage, Terms
from support.domain_values import EVERYONE, GROUPS, IDENTITIES, MACHINES, NOBODY, PEOPLE, organisations
from support.slow_approval import slow_acting, slow_person, slow_tally

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def request(*stages, requester="ann", beneficiary="ann", in_parallel=False):
    return Request(
        id="r1",
        requester=requester,
        beneficiary=beneficiary,
        entitlement="pg/reader",
        requested_duration=HOUR,
        justification="",
        terms=Terms(
            offer="o",
            max_duration=HOUR,
            max_total=HOUR,
            pending_timeout=HOUR,
            stages=stages,
            in_parallel=in_parallel,
        ),
        policy_version="v1",
        created_at=NOON,
        expires_at=NOON + HOUR,
    )


def stage(*approvers, quorum=1, name="one", **more):
    return Stage(name=name, quorum=quorum, approvers=approvers, **more)


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


PARTIES = st.sampled_from(
    ("owner", "manager", *(f"group:{g}" for g in (*GROUPS, "missing")), "oncall:db", "oncall:web", *EVERYONE, *NOBODY)
)
SOME = st.one_of(
    st.lists(PARTIES, min_size=1, max_size=3).map(tuple),
    st.sampled_from((("group:dba",), ("group:night",), ("bob", "cat"), ("cat", "dan", "eve"))),
)
MINUTES = st.integers(0, 6)
ROTAS = st.dictionaries(
    st.sampled_from(("db", "web")), st.lists(st.sampled_from((*EVERYONE, "ghost")), max_size=3).map(tuple)
)
STAGES = st.lists(
    st.builds(
        Stage,
        name=st.sampled_from(("one", "two", "three")),
        quorum=st.integers(1, 3),
        approvers=SOME,
        everyone=st.sampled_from((False, False, True)),
        excluded=st.lists(PARTIES, max_size=1).map(tuple),
        escalations=st.lists(
            st.builds(Escalation, after=MINUTES.map(lambda m: timedelta(minutes=m)), approvers=SOME), max_size=2
        ).map(tuple),
    ),
    max_size=3,
    unique_by=lambda one: one.name,
)
NAMES = st.sampled_from((*EVERYONE, *NOBODY, *PEOPLE * 3))


def at(minute):
    return NOON + timedelta(minutes=minute)


# Where most names lead nowhere most votes are void for that alone: in half of the worlds all is in order.
ORDERLY = Catalog(
    principals={
        one.name: one
        for one in (
            *(Principal(name=name) for name in PEOPLE),
            *(Principal(name=name, alias_of=name.partition("-")[0]) for name in IDENTITIES),
            *(Principal(name=name, kind=PrincipalKind.AGENT, sponsor="eve") for name in MACHINES),
        )
    },
    groups={
        "dba": Group(name="dba", members=("ann", "bob", "cat")),
        "leads": Group(name="leads", members=("cat-admin", "dan")),
        "night": Group(name="night", members=PEOPLE),
        "loop": Group(name="loop", members=("eve",), groups=("loop", "leads")),
    },
)


@st.composite
def ballots(draw):
    minute, who = draw(MINUTES), draw(NAMES)
    acts_for = draw(st.lists(NAMES, max_size=2).map(tuple))
    return Decision(
        id=f"{who}{minute}",
        request_id="r1",
        approver=who,
        person="",
        verdict=draw(st.sampled_from([Verdict.APPROVE] * 5 + [Verdict.DENY])),
        stage=draw(st.sampled_from(("", "one", "two", "three"))),
        decided_at=at(minute),
        on_call=draw(ROTAS),
        acts_for=acts_for,
        on_behalf_of=draw(st.sampled_from(("", "", "ghost", *acts_for))),
    )


@st.composite
def delegations(draw):
    begins = draw(MINUTES)
    return Delegation(
        id=draw(st.sampled_from(("d1", "d2", "d3"))),
        principal=draw(NAMES),
        delegate=draw(NAMES),
        starts_at=at(begins),
        ends_at=at(begins + draw(MINUTES)),
        reason="",
        created_by="",
        created_at=NOON,
        ended_early_at=draw(st.none() | MINUTES.map(at)),
    )


@st.composite
def situations(draw):
    org = draw(st.one_of(organisations(), st.just(ORDERLY)))
    owner = draw(st.sampled_from(("", "bob", "ann-admin", "group:dba", "group:loop", "group:missing", "ghost")))
    org = replace(org, resources={"pg": Resource(name="pg", connector="postgresql", owner=owner)})
    asked = request(*draw(STAGES), requester=draw(NAMES), beneficiary=draw(NAMES), in_parallel=draw(st.booleans()))
    cast_votes = draw(st.lists(ballots(), max_size=12))
    void = draw(st.sampled_from(((), (), *((one.id,) for one in cast_votes))))
    return org, replace(asked, void=void), cast_votes


@st.composite
def moments(draw):
    known = draw(st.lists(delegations(), max_size=4))
    return Moment(at=at(draw(st.integers(9, 12))), on_call=draw(ROTAS), delegations=tuple(known))


def crowded(chance):
    """A situation in which most votes could count: few people, all in order but one or two, and many votes."""
    people = dict(ORDERLY.principals)
    for name in chance.sample(PEOPLE + IDENTITIES, chance.choice((0, 1))):
        people[name] = replace(people[name], active=False)
    org = replace(ORDERLY, principals=people, resources={"pg": Resource(name="pg", connector="x", owner="dan")})
    names = ("one", "two", "three")[: chance.randint(1, 3)]
    asked = request(
        *(crowded_stage(chance, name) for name in names),
        requester=chance.choice(("ann", "bot", "eve")),
        in_parallel=chance.random() < 0.3,
    )
    cast_votes = [crowded_vote(chance, minute) for minute in range(chance.randint(2, 9))]
    void = tuple(one.id for one in cast_votes if chance.random() < 0.05)
    return org, replace(asked, void=void), cast_votes


def crowded_parties(chance, count):
    known = (
        "group:dba",
        "group:night",
        "group:leads",
        "oncall:db",
        "owner",
        "bob",
        "cat",
        "dan",
        "eve",
        "group:missing",
    )
    return tuple(chance.choices(known, weights=(6, 8, 3, 3, 2, 3, 3, 3, 2, 1), k=count))


def crowded_stage(chance, name):
    return Stage(
        name=name,
        quorum=chance.choice((1, 1, 2)),
        approvers=crowded_parties(chance, chance.randint(1, 2)),
        everyone=chance.random() < 0.4,
        excluded=crowded_parties(chance, 1) if chance.random() < 0.3 else (),
        escalations=tuple(
            Escalation(after=timedelta(minutes=chance.randint(0, 5)), approvers=crowded_parties(chance, 1))
            for _ in range(chance.choice((0, 0, 1, 2)))
        ),
    )


def crowded_vote(chance, minute):
    acts_for = tuple(chance.sample(PEOPLE, chance.choice((0, 0, 1, 2))))
    return replace(
        votes(chance.choice((*PEOPLE, *PEOPLE, "cat-admin")))[0],
        id=f"v{minute}",
        decided_at=at(minute),
        verdict=Verdict.DENY if chance.random() < 0.03 else Verdict.APPROVE,
        stage=chance.choice(("one", "two", "three")),
        on_call={"db": tuple(chance.sample(PEOPLE, chance.randint(0, 2)))} if chance.random() < 0.8 else {},
        acts_for=acts_for,
        on_behalf_of=chance.choice(acts_for) if acts_for and chance.random() < 0.8 else "",
    )


def crowded_moment(chance):
    known = [
        Delegation(
            id=f"d{number}",
            principal=chance.choice(PEOPLE),
            delegate=chance.choice(PEOPLE),
            starts_at=at(chance.randint(0, 9)),
            ends_at=at(chance.randint(5, 15)),
            reason="",
            created_by="",
            created_at=NOON,
            ended_early_at=chance.choice((None, None, at(9))),
        )
        for number in range(chance.randint(1, 6))
    ]
    on_call = {"db": tuple(chance.sample(PEOPLE, 2))} if chance.random() < 0.8 else {}
    return Moment(at=at(chance.randint(9, 12)), on_call=on_call, delegations=tuple(known))


RANDOM = st.integers(0, 2**32).map(Random)
EITHER = st.one_of(situations(), *[RANDOM.map(crowded)] * 4)
NEXT = st.one_of(moments(), *[RANDOM.map(crowded_moment)] * 4)


@settings(max_examples=400)
@given(EITHER)
def test_the_count_is_the_obviously_right_one(situation):
    org, asked, votes_cast = situation
    counted = tally(asked, votes_cast, org)

    said, met, denied_by, ids = slow_tally(asked, votes_cast, org)
    assert [list(one.approved_by) for one in counted.stages] == [[who for who, _, _ in one] for one in said]
    assert [one.met_at for one in counted.stages] == met
    assert counted.denied_by == denied_by
    assert set(counted.counted) == set(ids)
    assert counted.approved == (denied_by is None and None not in met)


@settings(max_examples=120)
@given(EITHER)
def test_no_interested_human_ever_counts_and_nobody_counts_twice(situation):
    org, asked, votes_cast = situation
    counted = tally(asked, votes_cast, org)

    heard = [person for one in counted.stages for person in one.approved_by]
    heard += [counted.denied_by] if counted.denied_by else []
    interested = org.humans_behind(asked.requester) | org.humans_behind(asked.beneficiary)
    assert not interested & set(heard)
    assert len(set(heard)) == len(heard)
    assert len(counted.mandates) == sum(len(one.approved_by) for one in counted.stages)
    assert not interested & counted.mandates
    assert all(org.principals[person].kind is PrincipalKind.PERSON for person in heard)
    for one in counted.stages:
        assert not one.may_decide & (interested | set(heard))


@settings(max_examples=80)
@given(EITHER, RANDOM)
def test_the_order_in_which_votes_are_read_does_not_matter(situation, random):
    org, asked, votes_cast = situation
    shuffled = random.sample(votes_cast, len(votes_cast))

    once = {(vote.decided_at, vote.id): vote for vote in votes_cast}.values()
    again = {(vote.decided_at, vote.id): vote for vote in shuffled if vote in once}.values()
    assert tally(asked, again, org) == tally(asked, once, org)


@settings(max_examples=80)
@given(EITHER)
def test_without_enough_different_humans_nothing_is_approved(situation):
    org, asked, votes_cast = situation

    if tally(asked, votes_cast, org).approved:
        humans = {slow_person(org, vote.approver) for vote in votes_cast} - {None}
        assert len(humans) >= sum(one.quorum for one in asked.terms.stages)


@settings(max_examples=250)
@given(EITHER, NEXT)
def test_who_may_decide_is_whose_vote_would_be_taken(situation, moment):
    """For every name there is: it is in `may_decide` if and only if its yes would count, by the slow count as well."""
    org, asked, votes_cast = situation
    before = tally(asked, votes_cast, org, moment)
    may = before.may_decide

    for name in EVERYONE:
        person = slow_person(org, name)
        vote = replace(votes(name)[0], id="zz", decided_at=moment.at)
        taken = cast(asked, votes_cast, vote, org, moment)
        assert (taken is not None) == (person in may)
        assert (person in may) == slow_may(org, asked, votes_cast, vote, moment)
        if taken is not None:
            said = {p for one in before.stages for p in one.approved_by}
            assert {p for one in taken[1].stages for p in one.approved_by} == said | {person}


def slow_may(org, asked, votes_cast, vote, moment):
    """Whether any way of casting the vote counts."""
    person = slow_person(org, vote.approver)
    if person is None:
        return False
    acting = slow_acting(org, person, moment)
    ways = [replace(vote, on_call=moment.on_call, acts_for=tuple(acting), on_behalf_of=n) for n in ("", *acting)]
    return any("zz" in slow_tally(asked, [*votes_cast, way], org)[3] for way in ways)


@settings(max_examples=120)
@given(EITHER, NEXT, st.lists(st.tuples(NAMES, ROTAS), min_size=8, max_size=8))
def test_what_is_called_a_dead_end_is_never_approved(situation, moment, later):
    """After it nobody's yes leads anywhere, whoever votes next and however long the stages have been open."""
    org, asked, votes_cast = situation
    before = tally(asked, votes_cast, org, moment)
    if dead_end(before, asked, org) is None:
        return

    cast_now = list(votes_cast)
    for number, (name, on_call) in enumerate(later):
        then = replace(moment, at=NOON + timedelta(days=1, minutes=number), on_call=on_call)
        vote = replace(votes(name)[0], id=f"zz{number}", decided_at=then.at)
        taken = cast(asked, cast_now, vote, org, then)
        cast_now += [taken[0]] if taken else []
    assert not tally(asked, cast_now, org).approved


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


# ---- all of them, others later, exceptions, delegates, side by side


def vote(who, minute=0, **more):
    return replace(votes(who)[0], id=f"{who} {minute}", decided_at=at(minute), **more)


def as_delegate(who, of, minute=0):
    return vote(who, minute, acts_for=(of,), on_behalf_of=of)


DAN, EVE = Principal(name="dan"), Principal(name="eve")
FIVE = (ANN, BOB, CAT, DAN, EVE)
ALL = stage("bob", "cat", everyone=True)


def test_where_all_must_agree_one_is_not_enough_and_the_quorum_holds_too():
    org = catalog(*FIVE)

    assert not tally(request(ALL), votes("bob"), org).approved
    assert tally(request(ALL), votes("bob", "cat"), org).approved
    assert not tally(request(replace(ALL, quorum=3)), votes("bob", "cat"), org).approved


def test_where_all_must_agree_a_group_that_is_not_known_could_have_said_no():
    org = catalog(*FIVE)
    unknown = stage("bob", "group:dba", everyone=True)

    assert not tally(request(unknown), votes("bob"), org).approved
    assert tally(request(replace(unknown, everyone=False)), votes("bob"), org).approved


def test_where_all_must_agree_one_who_was_asked_later_stands_in_for_one_who_is_silent():
    org = catalog(*FIVE)
    late = replace(ALL, escalations=(Escalation(after=timedelta(minutes=5), approvers=("dan", "eve")),))

    assert not tally(request(late), [vote("bob"), vote("dan", 4)], org).approved
    assert tally(request(late), [vote("bob"), vote("dan", 5)], org).approved
    assert not tally(request(late), [vote("dan", 5)], org).approved
    assert tally(request(late), [vote("dan", 5), vote("eve", 6)], org).approved


def test_where_all_must_agree_who_agreed_in_another_stage_is_not_asked_again():
    org = catalog(*FIVE)

    asked = request(stage("bob", name="one"), replace(ALL, name="two"))
    assert tally(asked, votes("bob", "cat"), org).approved
    assert not tally(request(stage("dan", name="one"), replace(ALL, name="two")), votes("dan", "cat"), org).approved


def test_a_delegate_fills_the_place_of_whom_they_act_for_and_no_second_one():
    org = catalog(*FIVE)
    two = request(stage("bob", "cat", quorum=2))

    assert not tally(two, [vote("bob"), as_delegate("dan", "bob", 1)], org).approved
    assert not tally(two, [as_delegate("cat", "bob"), vote("cat", 1)], org).approved
    assert tally(two, [as_delegate("dan", "bob"), vote("cat", 1)], org).approved
    assert tally(request(ALL), [as_delegate("dan", "bob"), as_delegate("eve", "cat", 1)], org).approved


def test_a_delegate_says_no_even_after_whom_they_act_for_said_yes():
    two = request(stage("bob", "cat", quorum=2))
    no = replace(as_delegate("dan", "bob", 1), verdict=Verdict.DENY)

    assert tally(two, [vote("bob"), no], catalog(*FIVE)).denied_by == "dan"


def test_an_exception_holds_for_every_name_and_for_whom_an_agent_acts():
    people = (*FIVE, replace(BOB, name="bob-admin", alias_of="bob", active=False), BOT)
    for excluded in ("bob", "bob-admin", "bot"):
        asked = request(stage("bob", "cat", excluded=(excluded,)))
        assert not tally(asked, votes("bob"), catalog(*people)).approved
        assert not tally(asked, [as_delegate("bob", "cat")], catalog(*people)).approved
        assert not tally(asked, [as_delegate("dan", "bob")], catalog(*people)).approved
        assert tally(asked, votes("cat"), catalog(*people)).approved


def test_while_it_is_not_known_who_is_excepted_nobody_counts():
    for excluded in ("group:missing", "oncall:db"):
        assert not tally(request(stage("bob", excluded=(excluded,))), votes("bob"), catalog(*FIVE)).approved
    known = vote("bob", on_call={"db": ("cat",)})
    assert tally(request(stage("bob", excluded=("oncall:db",))), [known], catalog(*FIVE)).approved


def test_a_calendar_names_people_and_never_a_group():
    org = catalog(*FIVE, groups=[DBA])
    cast_by = {"on_call": {"db": ("group:dba",)}}

    assert not tally(request(stage("oncall:db")), [vote("bob", **cast_by)], org).approved
    assert tally(request(stage("oncall:db")), [vote("bob", on_call={"db": ("bob",)})], org).approved


def test_side_by_side_a_vote_counts_in_the_stage_it_was_cast_in():
    org = catalog(*FIVE)
    asked = request(stage("bob", "cat", name="one"), stage("bob", "dan", name="two"), in_parallel=True)

    assert tally(asked, [vote("bob", stage="two"), vote("cat", 1)], org).approved
    assert not tally(asked, [vote("bob", stage="one"), vote("cat", 1)], org).approved
    assert tally(asked, [vote("dan"), vote("cat", 1)], org).approved


def test_it_is_known_when_each_stage_opened_and_was_met():
    org = catalog(*FIVE)
    counted = tally(request(stage("bob", name="one"), stage("cat", name="two")), [vote("bob", 7)], org)

    assert [(one.opened_at, one.met_at) for one in counted.stages] == [(NOON, at(7)), (at(7), None)]
    assert [one.needed for one in counted.stages] == [1, 1]


def test_the_delegates_of_a_set_are_those_who_act_for_one_of_it_then():
    def away(number, principal, delegate, **more):
        return Delegation(
            id=f"d{number}",
            principal=principal,
            delegate=delegate,
            starts_at=NOON,
            ends_at=at(60),
            reason="",
            created_by="",
            created_at=NOON,
            **more,
        )

    known = (
        away(1, "bob", "dan"),
        away(2, "cat", "eve"),
        away(3, "bob", "ghost"),
        away(4, "bob", "ann", ended_early_at=at(5)),
    )
    org = catalog(*FIVE)

    assert delegates_of(frozenset({"bob"}), Moment(at=at(5), delegations=known), org) == {"dan"}
    assert delegates_of(frozenset({"bob", "cat"}), Moment(at=at(4), delegations=known), org) == {"ann", "dan", "eve"}
    assert delegates_of(frozenset({"bob", "cat"}), Moment(at=at(60), delegations=known), org) == frozenset()
