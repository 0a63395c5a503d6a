"""Who may decide, as people meet it: rotas, delegates, escalation, all of a set, exceptions, stages side by side."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.rotas import FakeRotas
from fakes.store import FakeStore
from lapse.control.catalogs import apply
from lapse.control.counters import Less, offer_less
from lapse.control.decisions import approve, deny
from lapse.control.delegations import NewDelegation, create_delegation, end_delegation
from lapse.control.locks import lock, unlock
from lapse.control.reminders import remind
from lapse.domain.actors import Actor, Scope
from lapse.domain.catalog import Catalog
from lapse.domain.errors import Refused
from lapse.domain.locks import LockKind
from lapse.domain.notices import NoticeKind
from lapse.domain.principals import Group
from lapse.domain.requests import RequestState
from lapse.review.replay import Replay
from support.clock import START
from support.world import CATALOG, World

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
OPS = Group(name="ops", members=("bob", "carol", "dave"))
KNOWN = replace(CATALOG, groups={**CATALOG.groups, "ops": OPS})


def policy(*stages, more=""):
    lines = "".join(f"      - {stage}\n" for stage in stages)
    return f"""
version: 1
offers:
  - name: readers
    entitlements: [pg-prod/reader]
    to: [anyone]
    max_duration: 4h
{more}    approvals:
{lines}"""


async def world_of(*stages, more=""):
    """A world whose ledger has everything, the catalog too."""
    world = await World.create(FakeStore(), catalog=Catalog(), policy=policy(*stages, more=more))
    await apply(world.control, world.admin(), KNOWN)
    world.rotas = FakeRotas()
    world.control = replace(world.control, rotas=world.rotas)
    return world


async def delegate(world, who, to, **more):
    wanted = NewDelegation(delegate=to, ends_at=more.pop("until", world.clock.now() + DAY), reason="on leave", **more)
    return await create_delegation(world.control, world.actor(who), wanted)


async def say_yes(world, who, request):
    return (await approve(world.control, world.actor(who), request.id)).state


async def check_replay(world, request, state):
    """What was decided comes out again from the ledger alone, and every voter was in the set then."""
    replay = Replay({p.version: p.files for p in await world.read(lambda r: r.policies())})
    for entry in world.store.recorded:
        replay.feed(entry)
    (found,) = replay.results([(request.id, str(state))])
    assert (found.outcome, found.derived, found.differences) == ("same", str(state), ())
    sets = replay.approver_sets(request.id)
    for vote in await world.read(lambda r: r.decisions(request.id)):
        assert vote.person in sets[vote.stage]


# ---- rotas


async def test_who_is_on_call_decides_and_whose_shift_is_over_does_not():
    world = await world_of("{from: oncall:db}")
    world.rotas.add("db", START, START + HOUR, ["bob"])
    world.rotas.add("db", START + HOUR, START + 2 * HOUR, ["carol"])
    request = await world.ask()
    await world.clock.advance(HOUR)

    with pytest.raises(Refused, match="`bob` may not decide"):
        await say_yes(world, "bob", request)
    assert await say_yes(world, "carol", request) is RequestState.APPROVED
    (vote,) = await world.read(lambda r: r.decisions(request.id))
    assert vote.on_call == {"db": ("carol",)}
    await check_replay(world, request, RequestState.APPROVED)


async def test_a_vote_of_a_shift_stays_when_the_shift_is_over():
    world = await world_of("{from: [oncall:db, owner], quorum: 2}")
    world.rotas.add("db", START, START + HOUR, ["bob"])
    request = await world.ask()
    await say_yes(world, "bob", request)
    await world.clock.advance(3 * HOUR)

    assert await say_yes(world, "olga", request) is RequestState.APPROVED
    await check_replay(world, request, RequestState.APPROVED)


@pytest.mark.parametrize("trouble", ["gap", "down", "unknown", "none"])
async def test_a_rota_that_names_nobody_lets_nobody_decide(trouble):
    world = await world_of("{from: oncall:db}")
    if trouble != "unknown":
        world.rotas.add("db", START + HOUR, START + 2 * HOUR, ["bob"])
    if trouble == "down":
        world.rotas.down.add("db")
    if trouble == "none":
        world.control = replace(world.control, rotas=None)
    request = await world.ask()

    with pytest.raises(Refused, match="may not decide"):
        await say_yes(world, "bob", request)


async def test_while_it_is_not_known_who_is_excluded_nobody_decides():
    world = await world_of("{from: group:dba, except: oncall:db}")
    world.rotas.down.add("db")
    request = await world.ask()
    with pytest.raises(Refused):
        await say_yes(world, "carol", request)

    world.rotas.down.clear()
    world.rotas.add("db", START, START + DAY, ["carol"])
    with pytest.raises(Refused):
        await say_yes(world, "carol", request)
    assert await say_yes(world, "bob", request) is RequestState.APPROVED


async def test_who_is_on_call_hears_of_a_new_request():
    world = await world_of("{from: [oncall:db, owner]}")
    world.rotas.add("db", START, START + DAY, ["bob"])
    await world.ask()

    assert [(n.kind, n.to) for n in world.notices] == [
        (NoticeKind.APPROVAL_WANTED, ("olga",)),
        (NoticeKind.APPROVAL_WANTED, ("bob",)),
    ]


# ---- delegates


async def test_a_delegate_decides_in_the_place_of_who_is_away():
    world = await world_of("{from: owner}")
    made = await delegate(world, "olga", "dave")
    request = await world.ask()

    assert await say_yes(world, "dave", request) is RequestState.APPROVED
    (vote,) = await world.read(lambda r: r.decisions(request.id))
    assert (vote.person, vote.on_behalf_of, vote.delegation) == ("dave", "olga", made.id)
    await check_replay(world, request, RequestState.APPROVED)


async def test_a_delegate_and_whom_they_act_for_have_one_vote_between_them():
    world = await world_of("{from: [owner, bob], quorum: 2}")
    await delegate(world, "olga", "dave")
    request = await world.ask()
    await say_yes(world, "dave", request)

    with pytest.raises(Refused, match="as the delegate of `olga`"):
        await say_yes(world, "olga", request)
    assert await say_yes(world, "bob", request) is RequestState.APPROVED
    await check_replay(world, request, RequestState.APPROVED)


async def test_a_person_who_acts_for_another_has_no_second_vote():
    world = await world_of("{from: group:dba, quorum: 2}")
    await delegate(world, "bob", "carol")
    request = await world.ask()
    await say_yes(world, "carol", request)

    with pytest.raises(Refused, match="already"):
        await say_yes(world, "carol", request)
    assert await say_yes(world, "bob", request) is RequestState.APPROVED


async def test_nobody_decides_on_the_request_of_whom_they_act_for():
    world = await world_of("{from: group:dba}")
    await delegate(world, "alice", "bob")
    request = await world.ask("alice")

    with pytest.raises(Refused, match="acts for somebody who has a part"):
        await say_yes(world, "bob", request)
    with pytest.raises(Refused, match="acts for somebody"):
        await deny(world.control, world.actor("bob"), request.id, "no")
    assert await say_yes(world, "carol", request) is RequestState.APPROVED


async def test_nobody_decides_on_an_own_request_as_a_delegate():
    world = await world_of("{from: owner}")
    await delegate(world, "olga", "alice")
    request = await world.ask("alice")

    for name in ("alice", "alice-admin"):
        with pytest.raises(Refused, match="own request"):
            await say_yes(world, name, request)


async def test_delegations_do_not_chain_and_circles_give_nothing():
    world = await world_of("{from: owner}")
    await delegate(world, "olga", "dave")
    await delegate(world, "dave", "carol")
    await delegate(world, "carol", "dave")
    request = await world.ask()

    with pytest.raises(Refused, match="may not decide"):
        await say_yes(world, "carol", request)


async def test_a_delegation_counts_from_its_beginning_to_its_end():
    world = await world_of("{from: owner, quorum: 1}")
    made = await delegate(world, "olga", "dave", starts_at=START + HOUR, until=START + 2 * HOUR)
    request = await world.ask()
    with pytest.raises(Refused):
        await say_yes(world, "dave", request)
    await world.clock.advance(2 * HOUR)
    with pytest.raises(Refused):
        await say_yes(world, "dave", request)

    again = await delegate(world, "olga", "dave")
    await end_delegation(world.control, world.actor("olga"), again.id)
    with pytest.raises(Refused):
        await say_yes(world, "dave", request)
    assert made.ends_at < again.ends_at


async def test_a_vote_that_says_it_was_a_delegates_and_was_not_does_not_re_derive():
    world = await world_of("{from: owner}")
    request = await world.ask()
    await say_yes(world, "olga", request)
    replay = Replay({p.version: p.files for p in await world.read(lambda r: r.policies())})
    for entry in world.store.recorded:
        forged = {"approver": "dave", "person": "dave", "acts_for": ["olga"], "on_behalf_of": "olga"}
        vote = entry.type == "decision.approve"
        replay.feed(replace(entry, after={**entry.after, **forged}) if vote else entry)

    (found,) = replay.results([(request.id, "approved")])
    assert found.outcome == "different"
    assert "acted for olga, the record of delegations says nobody" in found.differences[0]


# ---- all of them, escalation, exceptions, side by side


async def test_all_who_may_must_say_yes():
    world = await world_of("{from: group:ops, quorum: all}")
    request = await world.ask()
    assert await say_yes(world, "bob", request) is RequestState.PENDING
    assert await say_yes(world, "carol", request) is RequestState.PENDING
    assert await say_yes(world, "dave", request) is RequestState.APPROVED
    await check_replay(world, request, RequestState.APPROVED)


async def test_where_all_must_agree_a_delegate_stands_in_for_who_is_away():
    world = await world_of("{from: group:dba, quorum: all}")
    await delegate(world, "bob", "dave")
    request = await world.ask()
    await say_yes(world, "carol", request)
    assert await say_yes(world, "dave", request) is RequestState.APPROVED
    await check_replay(world, request, RequestState.APPROVED)


async def test_when_the_last_who_did_not_answer_is_gone_one_who_did_says_so_again():
    world = await world_of("{from: group:dba, quorum: all}")
    request = await world.ask()
    await say_yes(world, "bob", request)
    without_carol = replace(KNOWN, groups={**KNOWN.groups, "dba": Group(name="dba", members=("bob",))})
    await apply(world.control, world.admin(), without_carol)

    assert await say_yes(world, "bob", request) is RequestState.APPROVED
    assert len(await world.read(lambda r: r.decisions(request.id))) == 1
    await check_replay(world, request, RequestState.APPROVED)


async def test_others_may_decide_as_well_once_a_stage_waited_long_enough():
    world = await world_of("{from: group:dba, escalate: [{after: 30m, to: owner}]}")
    request = await world.ask()
    await world.clock.advance(30 * MINUTE - timedelta(microseconds=1))
    with pytest.raises(Refused):
        await say_yes(world, "olga", request)
    await world.clock.advance(timedelta(microseconds=1))
    assert await say_yes(world, "olga", request) is RequestState.APPROVED
    await check_replay(world, request, RequestState.APPROVED)


async def test_a_later_stage_waits_from_when_the_one_before_was_met():
    world = await world_of("{name: team, from: bob}", "{name: own, from: carol, escalate: [{after: 30m, to: owner}]}")
    request = await world.ask()
    await world.clock.advance(HOUR)
    await say_yes(world, "bob", request)
    with pytest.raises(Refused):
        await say_yes(world, "olga", request)
    await world.clock.advance(30 * MINUTE)
    assert await say_yes(world, "olga", request) is RequestState.APPROVED
    await check_replay(world, request, RequestState.APPROVED)


async def test_who_is_excepted_decides_neither_for_themselves_nor_for_another():
    world = await world_of("{from: group:ops, except: dave}")
    await delegate(world, "bob", "dave")
    request = await world.ask()
    with pytest.raises(Refused):
        await say_yes(world, "dave", request)
    assert await say_yes(world, "carol", request) is RequestState.APPROVED


async def test_stages_side_by_side_are_met_in_any_order_by_different_people():
    world = await world_of(
        "{name: team, from: group:ops}", "{name: dba, from: [bob, carol]}", more="    approvals_in: parallel\n"
    )
    request = await world.ask()
    assert await say_yes(world, "bob", request) is RequestState.PENDING
    (vote,) = await world.read(lambda r: r.decisions(request.id))
    assert vote.stage == "dba"  # where fewest others could
    with pytest.raises(Refused, match="already"):
        await say_yes(world, "bob", request)
    assert await say_yes(world, "dave", request) is RequestState.APPROVED
    await check_replay(world, request, RequestState.APPROVED)


async def test_who_lost_their_standing_before_the_quorum_counts_no_more():
    world = await world_of("{from: group:ops, quorum: 2}")
    request = await world.ask()
    await say_yes(world, "bob", request)
    people = {**KNOWN.principals, "bob": replace(KNOWN.principals["bob"], active=False)}
    await apply(world.control, world.admin(), replace(KNOWN, principals=people))
    assert await say_yes(world, "carol", request) is RequestState.PENDING
    assert await say_yes(world, "dave", request) is RequestState.APPROVED
    await check_replay(world, request, RequestState.APPROVED)


async def test_a_lock_stops_a_delegate_of_who_is_locked_and_what_was_said_before():
    world = await world_of("{from: [owner, bob], quorum: 2}")
    await delegate(world, "olga", "dave")
    request = await world.ask()
    await say_yes(world, "dave", request)
    made, _ = await lock(world.control, world.admin(), LockKind.PRINCIPAL, "olga", "laptop stolen")
    with pytest.raises(Refused, match="`olga` is locked"):
        await say_yes(world, "bob", request)
    with pytest.raises(Refused, match="`olga` is locked"):
        await say_yes(world, "dave", await world.ask())
    await unlock(world.control, world.admin("root2"), made.id)
    assert await say_yes(world, "bob", request) is RequestState.APPROVED


async def test_an_administrator_decides_on_no_own_request_either():
    world = await world_of("{from: [root, group:dba]}")
    everything = Actor(name="root", scopes=frozenset(Scope))
    await delegate(world, "bob", "root")
    request = await world.ask("root")
    for attempt in (
        approve(world.control, everything, request.id),
        deny(world.control, everything, request.id, "no"),
        offer_less(world.control, everything, request.id, Less(duration=HOUR, reason="less")),
    ):
        with pytest.raises(Refused, match="own request"):
            await attempt
    assert await say_yes(world, "bob", request) is RequestState.APPROVED


# ---- what can never be approved


@pytest.mark.parametrize(
    "stages",
    [
        ["{from: group:nobody}"],
        ["{from: alice}"],
        ["{from: alice-admin}"],
        ["{from: group:dba, quorum: 3}"],
        ["{from: bob}", "{from: [bob, carol]}", "{from: [carol, bob, alice]}"],
        ["{from: group:dba, quorum: all, except: [bob, carol]}"],
    ],
)
async def test_what_nobody_could_ever_approve_is_said_at_once(stages):
    world = await world_of(*stages)
    with pytest.raises(Refused, match="nobody could approve this: stage"):
        await world.ask()


@pytest.mark.parametrize("stage", ["{from: group:nobody, escalate: [{after: 1h, to: owner}]}", "{from: oncall:db}"])
async def test_what_somebody_could_approve_later_is_asked(stage):
    world = await world_of(stage)
    assert (await world.ask()).state is RequestState.PENDING


async def test_a_group_in_circles_and_a_group_that_is_called_like_a_person():
    world = await world_of("{from: [group:dave, group:round]}")
    groups = {
        "dave": Group(name="dave", members=("bob",)),
        "round": Group(name="round", members=("carol",), groups=("about",)),
        "about": Group(name="about", groups=("round",)),
    }
    await apply(world.control, world.admin(), replace(KNOWN, groups={**KNOWN.groups, **groups}))
    request = await world.ask()

    with pytest.raises(Refused, match="`dave` may not decide"):
        await say_yes(world, "dave", request)
    assert await say_yes(world, "carol", request) is RequestState.APPROVED


# ---- reminders


def told(world, *kinds):
    return [(n.kind, n.to) for n in world.notices if n.kind in kinds]


async def test_each_stage_reminds_once_and_each_escalation_calls_once():
    world = await world_of("{from: group:dba, remind_after: 10m, escalate: [{after: 30m, to: [owner, bob]}]}")
    request = await world.ask()
    assert told(world, NoticeKind.APPROVAL_WANTED) == [(NoticeKind.APPROVAL_WANTED, ("bob", "carol"))]
    world.store.tables["notice"] = {}

    await world.clock.advance(10 * MINUTE)
    assert [await remind(world.control), await remind(world.control)] == [1, 0]
    assert told(world, NoticeKind.REMINDER) == [(NoticeKind.REMINDER, ("bob", "carol"))]

    await world.clock.advance(20 * MINUTE)
    assert [await remind(world.control), await remind(world.control)] == [1, 0]
    assert told(world, NoticeKind.ESCALATED) == [(NoticeKind.ESCALATED, ("bob", "olga"))]
    kinds = [e.type for e in world.store.recorded if e.subject == request.id]
    assert kinds == ["request.created", "request.reminded", "request.escalated"]

    await say_yes(world, "olga", request)
    assert await remind(world.control) == 0
    await check_replay(world, request, RequestState.APPROVED)


async def test_nobody_is_reminded_of_what_they_have_decided_or_of_a_stage_that_is_not_open():
    world = await world_of(
        "{name: team, from: group:ops, quorum: 2, remind_after: 5m}", "{from: owner, remind_after: 5m}"
    )
    request = await world.ask()
    await say_yes(world, "bob", request)
    await world.clock.advance(HOUR)
    await remind(world.control)
    assert told(world, NoticeKind.REMINDER) == [(NoticeKind.REMINDER, ("carol", "dave"))]

    await say_yes(world, "dave", request)
    assert told(world, NoticeKind.APPROVAL_WANTED)[-1] == (NoticeKind.APPROVAL_WANTED, ("olga",))
    assert await remind(world.control) == 0
    await world.clock.advance(5 * MINUTE)
    assert await remind(world.control) == 1


async def test_who_asked_hears_how_it_ended():
    world = await world_of("{from: group:dba}")
    for verdict in (approve, deny):
        request = await world.ask()
        await verdict(world.control, world.actor("bob"), request.id, "use the replica")
    assert told(world, NoticeKind.DECIDED) == [(NoticeKind.DECIDED, ("alice",))] * 2
    assert "denied: use the replica" in world.notices[-1].text
