"""Letting somebody else decide: who may arrange it, for whom, and until when."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lapse.control.delegations import NewDelegation, create_delegation, end_delegation, list_delegations
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import InvalidInput, NotFound, Refused
from support.clock import START
from support.world import World

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
async def world():
    return await World.create()


async def delegate(world, actor, to, **more):
    wanted = {"ends_at": world.clock.now() + DAY, "reason": "on leave", **more}
    return await create_delegation(world.control, actor, NewDelegation(delegate=to, **wanted))


async def test_a_delegation_is_recorded_with_its_end(world):
    made = await delegate(world, world.actor("bob"), "dave")
    entry = world.store.recorded[-1]

    assert (made.principal, made.delegate, made.starts_at, made.ends_at) == ("bob", "dave", START, START + DAY)
    assert (entry.type, entry.subject, entry.actor) == ("delegation.created", made.id, "bob")
    assert [one.id for one in await list_delegations(world.control, world.actor("dave"))] == [made.id]


async def test_only_who_is_away_or_an_administrator_arranges_it(world):
    with pytest.raises(Refused, match="only `bob` or an administrator"):
        await delegate(world, world.actor("carol"), "dave", principal="bob")
    made = await delegate(world, world.admin(), "dave", principal="bob")
    assert (made.principal, made.created_by) == ("bob", "root")


async def test_an_administrator_does_not_make_themselves_a_delegate(world):
    with pytest.raises(Refused, match="cannot make themselves the delegate"):
        await delegate(world, world.admin(), "root", principal="bob")


async def test_who_only_asks_arranges_nothing(world):
    with pytest.raises(Refused, match="may not do this"):
        await delegate(world, Actor(name="alice", scopes=frozenset({Scope.REQUEST})), "dave")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"to": "nobody"}, NotFound, "no principal `nobody`"),
        ({"to": "bot"}, InvalidInput, "`bot` is not an active person"),
        ({"to": "gone"}, InvalidInput, "`gone` is not an active person"),
        ({"to": "alice-admin", "who": "alice"}, InvalidInput, "are one person"),
        ({"to": "bob"}, InvalidInput, "are one person"),
        ({"ends_at": START}, InvalidInput, "later than it begins"),
        ({"ends_at": START + timedelta(days=90, seconds=1)}, InvalidInput, "90 days at most"),
        ({"starts_at": START - HOUR}, InvalidInput, "in the past"),
        ({"starts_at": START + 91 * DAY, "ends_at": START + 92 * DAY}, InvalidInput, "days away"),
        ({"reason": "  "}, InvalidInput, "needs a reason"),
        ({"reason": "x" * 501}, InvalidInput, "501 characters"),
    ],
)
async def test_what_cannot_be_right_is_one_clear_sentence(world, change, error, words):
    who, to = change.pop("who", "bob"), change.pop("to", "dave")
    with pytest.raises(error) as caught:
        await delegate(world, world.actor(who), to, **change)
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert await list_delegations(world.control, world.admin(), everything=True) == []


async def test_nobody_has_a_crowd_of_delegates(world):
    for _ in range(20):
        await delegate(world, world.actor("bob"), "dave")
    for later in ({}, {"starts_at": START + DAY, "ends_at": START + 2 * DAY}):
        with pytest.raises(Refused, match="20 at most"):
            await delegate(world, world.actor("bob"), "dave", **later)


async def test_it_is_ended_early_by_whose_it_is_once(world):
    made = await delegate(world, world.actor("bob"), "dave")
    for who in ("dave", "carol"):
        with pytest.raises(Refused, match="not yours"):
            await end_delegation(world.control, world.actor(who), made.id)
    ended = await end_delegation(world.control, world.actor("bob"), made.id)

    assert ended.ended_early_at == START
    assert world.store.recorded[-1].type == "delegation.ended"
    with pytest.raises(Refused, match="over already"):
        await end_delegation(world.control, world.admin(), made.id)
    assert await list_delegations(world.control, world.admin()) == []


async def test_it_is_over_at_its_end(world):
    made = await delegate(world, world.actor("bob"), "dave")
    await world.clock.advance(DAY)
    with pytest.raises(Refused, match="over already"):
        await end_delegation(world.control, world.actor("bob"), made.id)


async def test_people_see_those_they_have_a_part_in_and_auditors_all(world):
    await delegate(world, world.actor("bob"), "dave")
    mine = await delegate(world, world.actor("olga"), "carol")

    assert [one.id for one in await list_delegations(world.control, world.actor("carol"))] == [mine.id]
    assert await list_delegations(world.control, world.actor("alice")) == []
    assert len(await list_delegations(world.control, world.admin())) == 2
