"""People in the browser: how a sign-in begins, what it is good for, and everything that ends it."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from lapse.control.sign_ins import NewSignIn, sign_in, sign_ins_of, sign_out, signed_in, step_up
from lapse.control.tokens import actor_of, issue_token, revoke_token
from lapse.domain.actors import Scope
from lapse.domain.errors import NotFound, Refused
from lapse.domain.sign_ins import IDLE, LONGEST, STEPPED_UP, How
from support.clock import START
from support.world import World

HOUR = timedelta(hours=1)
REQUEST = frozenset({Scope.REQUEST})


@pytest.fixture
async def world():
    return await World.create()


async def begun(world, who="alice", scopes=REQUEST, how=How.OIDC, **more):
    return await sign_in(world.control, NewSignIn(principal=who, scopes=scopes, how=how, **more))


async def over(world, secret):
    with pytest.raises(Refused, match="you are not signed in") as refused:
        await signed_in(world.control, secret)
    return refused.value.hint == "sign in again"


async def test_the_secret_is_kept_by_the_browser_alone(world):
    made, secret = await begun(world, agent="Firefox\n 140")

    found, actor = await signed_in(world.control, secret)

    assert (actor.name, actor.scopes, actor.via) == ("alice", REQUEST, "web")
    assert found == made
    assert made.agent == "Firefox 140"
    assert made.digest == hashlib.sha256(secret.encode()).hexdigest()
    entry = world.store.recorded[-1]
    assert (entry.type, entry.actor, entry.subject) == ("sign_in.begun", "alice", made.id)
    assert secret not in repr(world.store.recorded)
    assert made.digest not in repr(world.store.recorded)
    assert await over(world, secret[:-1])


async def test_it_ends_when_nobody_was_there_for_long_enough(world):
    _, secret = await begun(world)
    for _ in range(3):
        await world.clock.advance(IDLE - timedelta(seconds=1))
        await signed_in(world.control, secret)
    await world.clock.advance(IDLE)
    assert await over(world, secret)


async def test_it_ends_however_busy_somebody_is(world):
    _, secret = await begun(world)
    while world.clock.now() + HOUR < START + LONGEST:
        await world.clock.advance(HOUR)
        await signed_in(world.control, secret)
    await world.clock.advance(HOUR)
    assert await over(world, secret)


async def test_being_there_is_noted_once_a_minute(world):
    made, secret = await begun(world)
    await world.clock.advance(timedelta(seconds=59))
    assert (await signed_in(world.control, secret))[0].version == made.version
    await world.clock.advance(timedelta(seconds=1))
    assert (await signed_in(world.control, secret))[0].seen_at == world.clock.now()


async def test_with_a_token_it_lives_no_longer_than_the_token(world):
    token, of_token = await issue_token(world.control, world.admin(), "alice", REQUEST, life=HOUR)
    assert (await actor_of(world.control, of_token, via="web")).name == "alice"
    made, secret = await begun(world, how=How.TOKEN, token=token)
    assert made.expires_at == token.expires_at

    await signed_in(world.control, secret)
    await revoke_token(world.control, world.admin(), token.id)

    assert await over(world, secret)


async def test_who_leaves_is_signed_out_and_does_not_come_in(world):
    with pytest.raises(Refused, match="`gone` is not active"):
        await begun(world, who="gone")


async def test_signing_out_is_for_ever_and_on_record(world):
    made, secret = await begun(world)

    await sign_out(world.control, world.actor("alice"), made.id)
    await sign_out(world.control, world.actor("alice"), made.id)

    assert await over(world, secret)
    assert [e.type for e in world.store.recorded if e.subject == made.id] == ["sign_in.begun", "sign_in.ended"]


async def test_others_are_signed_out_by_administrators_only(world):
    made, secret = await begun(world)
    with pytest.raises(NotFound, match="there is no sign-in"):
        await sign_out(world.control, world.actor("bob"), made.id)
    await signed_in(world.control, secret)

    await sign_out(world.control, world.admin(), made.id)

    assert await over(world, secret)


async def test_own_sign_ins_are_listed_while_they_live(world):
    first, _ = await begun(world)
    await world.clock.advance(HOUR)
    second, _ = await begun(world)
    await begun(world, who="bob")
    assert [one.id for one in await sign_ins_of(world.control, "alice")] == [second.id, first.id]
    await world.clock.advance(HOUR)
    assert [one.id for one in await sign_ins_of(world.control, "alice")] == [second.id]


async def test_a_second_proof_counts_for_a_while(world):
    made, secret = await begun(world)
    assert not made.is_stepped_up(world.clock.now())

    await step_up(world.control, made.id)

    found, _ = await signed_in(world.control, secret)
    assert found.is_stepped_up(world.clock.now())
    assert not found.is_stepped_up(world.clock.now() + STEPPED_UP)
