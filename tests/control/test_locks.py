"""The red button: what ends, what waits, whom a lock on one name covers, and who may take it off."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lapse.control.catalogs import apply
from lapse.control.decisions import approve, deny
from lapse.control.grants import release
from lapse.control.locks import lock, preview_lock, unlock
from lapse.control.requests import extend_grant
from lapse.control.targets import add_target
from lapse.control.tokens import issue_token, revoke_token
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import NotFound, Refused
from lapse.domain.grants import EndReason, GrantState
from lapse.domain.locks import LockKind
from lapse.domain.principals import Account, Principal, PrincipalKind
from lapse.domain.requests import RequestState
from support.clock import START
from support.world import CATALOG, World

HOUR = timedelta(hours=1)
ALICE = (LockKind.PRINCIPAL, "alice")
EVERYTHING = (LockKind.EVERYTHING, "")


@pytest.fixture
async def world():
    return await World.create()


async def granted(world, who="alice", **more):
    request = await world.ask(who, **more)
    await approve(world.control, world.actor("carol"), request.id)
    return (await world.grant_of(request)).id


async def active(world, who="alice", **more):
    name = await granted(world, who, **more)
    await world.enforcer.tick()
    return name


async def press(world, kind, target, who="root"):
    return (await lock(world.control, world.admin(who), kind, target, "laptop stolen"))[0]


def recorded(world, subject):
    return [entry.type for entry in world.store.recorded if entry.subject == subject]


# what is live ends, what is scheduled waits


async def test_what_is_scheduled_waits_and_begins_late_with_the_time_that_is_left(world):
    name = await granted(world, starts_at=START + HOUR, hours=2)
    made = await press(world, *ALICE)
    waiting = await world.grant(name)
    assert (waiting.state, waiting.suspended_by) == (GrantState.SCHEDULED, made.id)
    await world.clock.advance(2 * HOUR)
    assert await world.enforcer.tick() == 0

    _, resumed = await unlock(world.control, world.admin("root2"), made.id)
    assert [grant.id for grant in resumed] == [name]
    await world.enforcer.tick()
    begun = await world.grant(name)
    assert (begun.state, begun.ends_at) == (GrantState.ACTIVE, START + 3 * HOUR)
    assert recorded(world, name) == [
        "grant.scheduled",
        "grant.suspended",
        "grant.resumed",
        "grant.activating",
        "grant.active",
    ]


async def test_what_waits_until_its_own_end_lapses_and_is_not_opened_again(world):
    name = await granted(world, starts_at=START + HOUR, hours=2)
    made = await press(world, *ALICE)
    await world.clock.advance(3 * HOUR)
    await world.enforcer.tick()
    lapsed = await world.grant(name)
    assert (lapsed.state, lapsed.end_reason, lapsed.ended_at) == (GrantState.ENDED, EndReason.LOCKED, START + 3 * HOUR)
    _, resumed = await unlock(world.control, world.admin("root2"), made.id)
    assert resumed == []


async def test_what_waits_under_two_locks_waits_until_both_are_gone(world):
    name = await granted(world, starts_at=START + HOUR)
    first, second = await press(world, *ALICE), await press(world, *EVERYTHING)
    _, resumed = await unlock(world.control, world.admin("root2"), first.id)
    assert resumed == []
    assert (await world.grant(name)).suspended_by == second.id
    await unlock(world.control, world.admin("root2"), second.id)
    await world.clock.advance(HOUR)
    await world.enforcer.tick()
    assert (await world.grant(name)).state is GrantState.ACTIVE


async def test_an_extension_ends_with_what_it_extends(world):
    parent = await active(world)
    longer = await extend_grant(world.control, world.actor("alice"), parent, HOUR, "not done yet, sorry")
    await approve(world.control, world.actor("bob"), longer.id)
    await press(world, *ALICE)
    await world.enforcer.tick()
    assert {(await world.grant(name)).end_reason for name in (parent, (await world.grant_of(longer)).id)} == {
        EndReason.LOCKED
    }
    assert not world.target.holds("alice_login", "app_reader")


async def test_what_waits_can_be_given_back(world):
    name = await granted(world, starts_at=START + HOUR)
    await press(world, *ALICE)
    assert (await release(world.control, world.actor("alice"), name)).state is GrantState.ENDED


async def test_nothing_begins_that_was_looked_at_before_the_lock(world):
    """The enforcer has seen no lock and looks at the target; then the button is pressed."""
    name = await granted(world)
    pressed = []

    async def look_and_press(assignments):
        pressed.append(await press(world, *ALICE))
        return await looks(assignments)

    looks, world.target.look = world.target.look, look_and_press
    await world.enforcer.tick()
    assert pressed
    assert (await world.grant(name)).suspended_by == pressed[0].id
    assert not world.target.holds("alice_login", "app_reader")


async def test_a_preview_says_what_a_lock_would_do_and_does_nothing(world):
    live, later = await active(world), await granted(world, starts_at=START + 5 * HOUR)
    pending = await world.ask(hours=1)
    await world.ask("dave")
    effect = await preview_lock(world.control, world.admin(), *ALICE)
    assert [[one.id for one in part] for part in (effect.ends, effect.waits, effect.stops)] == [
        [live],
        [later],
        [pending.id],
    ]
    assert (await world.grant(live)).state is GrantState.ACTIVE
    assert await world.read(lambda r: r.locks()) == []
    with pytest.raises(NotFound):
        await preview_lock(world.control, world.admin(), LockKind.RESOURCE, "nowhere")
    with pytest.raises(Refused, match="`alice` may not do this"):
        await preview_lock(world.control, world.actor("alice"), *ALICE)


# whom it covers


@pytest.mark.parametrize("name", ["alice", "alice-admin"])
@pytest.mark.parametrize("who", ["alice", "alice-admin"])
async def test_a_lock_on_any_name_covers_the_person_under_every_name(world, name, who):
    grant = await active(world, who)
    await press(world, LockKind.PRINCIPAL, name)
    assert (await world.grant(grant)).end_reason is EndReason.LOCKED
    with pytest.raises(Refused, match=f"`{name}` is locked"):
        await world.ask(who)


@pytest.mark.parametrize("name", ["bob", "bob-admin", "bot"])
async def test_a_lock_on_a_sponsor_covers_the_agent_and_not_the_other_way_round(world, name):
    await world.change_catalog(
        principals={
            **CATALOG.principals,
            "bob-admin": Principal(name="bob-admin", alias_of="bob"),
            "bot": replace(CATALOG.principals["bot"], sponsor="bob-admin"),
        }
    )
    agents, own = await active(world, "bot"), await active(world, "bob")
    await press(world, LockKind.PRINCIPAL, name)
    assert (await world.grant(agents)).end_reason is EndReason.LOCKED
    assert (await world.grant(own)).end_reason is (None if name == "bot" else EndReason.LOCKED)
    with pytest.raises(Refused, match=f"`{name}` is locked"):
        await world.ask("bot")


async def test_a_lock_on_an_owner_covers_the_service(world):
    service = Principal(
        name="ci", kind=PrincipalKind.SERVICE, owner="dave", accounts=(Account(resource="pg-prod", login="ci_login"),)
    )
    await world.change_catalog(principals={**CATALOG.principals, "ci": service})
    grant = await active(world, "ci")
    await press(world, LockKind.PRINCIPAL, "dave")
    assert (await world.grant(grant)).end_reason is EndReason.LOCKED


@pytest.mark.parametrize("what", [ALICE, EVERYTHING, (LockKind.ENTITLEMENT, "pg-prod/reader")])
async def test_under_a_lock_a_request_can_be_denied_and_not_approved(world, what):
    request = await world.ask("alice")
    await press(world, *what)
    with pytest.raises(Refused, match="is locked"):
        await approve(world.control, world.actor("carol"), request.id)
    denied = await deny(world.control, world.actor("carol"), request.id, "not while her laptop is gone")
    assert denied.state is RequestState.DENIED


async def test_who_is_locked_neither_approves_nor_denies(world):
    request = await world.ask("alice")
    await press(world, LockKind.PRINCIPAL, "carol")
    for vote in (approve, deny):
        with pytest.raises(Refused, match="`carol` is locked"):
            await vote(world.control, world.actor("carol"), request.id, "with a stolen token")


# who may take it off


@pytest.mark.parametrize(
    ("setter", "remover", "words"),
    [
        ("root", "root", "`root` set lock"),
        ("root", "root-other", "`root-other` set lock"),
        ("root-other", "root", "`root` set lock"),
        ("rootbot", "root", "`root` set lock"),
        ("root", "rootbot", "`rootbot` is no active person of the catalog"),
        ("root", "gone", "`gone` is no active person"),
        ("root", "stranger", "`stranger` is no active person of the catalog"),
        ("stranger", "stranger", "`stranger` set lock"),
    ],
)
async def test_a_lock_is_not_removed_by_who_set_it_under_any_name_nor_by_nobody(world, setter, remover, words):
    await world.change_catalog(
        principals={
            **CATALOG.principals,
            "root-other": Principal(name="root-other", alias_of="root"),
            "rootbot": Principal(name="rootbot", kind=PrincipalKind.AGENT, sponsor="root"),
        }
    )
    made = await press(world, *EVERYTHING, who=setter)
    with pytest.raises(Refused, match=words):
        await unlock(world.control, world.admin(remover), made.id)
    assert (await unlock(world.control, world.admin("root2"), made.id))[0].removed_by == "root2"


async def test_forgetting_who_is_who_does_not_make_one_human_two(world):
    other = Principal(name="root-other", alias_of="root")
    await world.change_catalog(principals={**CATALOG.principals, "root-other": other})
    made = await press(world, *EVERYTHING, who="root-other")
    await world.change_catalog(principals=CATALOG.principals)
    with pytest.raises(Refused, match="`root` set lock"):
        await unlock(world.control, world.admin("root"), made.id)


async def test_who_is_locked_removes_no_lock(world):
    mine, everything = await press(world, LockKind.PRINCIPAL, "root2"), await press(world, *EVERYTHING)
    for one in (mine, everything):
        with pytest.raises(Refused, match="`root2` is locked: laptop stolen"):
            await unlock(world.control, world.admin("root2"), one.id)
    assert (await unlock(world.control, world.admin("olga"), everything.id))[0].removed_at is not None


@pytest.mark.parametrize("what", ["token", "no token", "catalog", "target"])
async def test_who_is_locked_makes_no_second_person_of_themselves(world, what):
    """With the token of a locked administrator nobody makes another administrator who could remove the lock."""
    token, _ = await issue_token(world.control, world.admin("root2"), "dave", [Scope.REQUEST], life=HOUR)
    await press(world, LockKind.PRINCIPAL, "root2")
    acts = {
        "token": lambda w, a: issue_token(w.control, a, "root", [Scope.ADMIN], life=HOUR),
        "no token": lambda w, a: revoke_token(w.control, a, token.id),
        "catalog": lambda w, a: apply(w.control, a, replace(CATALOG, groups={})),
        "target": lambda w, a: add_target(w.control, a, "pg-prod", "env:OTHER"),
    }
    with pytest.raises(Refused, match="`root2` is locked: laptop stolen"):
        await acts[what](world, world.admin("root2"))
    await acts[what](world, world.admin("root"))


async def test_only_administrators_press_and_lift(world):
    with pytest.raises(Refused):
        await lock(world.control, world.actor("alice"), *ALICE, "because")
    made = await press(world, *ALICE)
    with pytest.raises(Refused):
        await unlock(world.control, Actor(name="bob", scopes=frozenset({Scope.APPROVE})), made.id)


async def test_a_request_waits_under_a_lock_and_can_be_approved_after_it(world):
    request = await world.ask()
    made = await press(world, *ALICE)
    with pytest.raises(Refused, match="locked"):
        await approve(world.control, world.actor("bob"), request.id)
    await unlock(world.control, world.admin("root2"), made.id)
    assert (await approve(world.control, world.actor("bob"), request.id)).state is RequestState.APPROVED
