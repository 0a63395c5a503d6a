"""Templates: whose they are, and asking from one or as before."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lapse.control.decisions import approve
from lapse.control.grants import release_all
from lapse.control.prepared import Filling, ask_again, ask_from_template
from lapse.control.templates import MOST_OWN, NewTemplate, list_templates, put_template, remove_template
from lapse.domain.errors import InvalidInput, NotFound, Refused
from lapse.domain.grants import EndReason, GrantState
from lapse.domain.requests import Recurrence, RequestState, Ticket
from support.clock import START
from support.world import POLICY, World

HOUR = timedelta(hours=1)
ORDERS = NewTemplate(
    name="orders", entitlements=("pg-prod/reader", "pg-prod/metrics"), duration=HOUR / 2, justification="monthly report"
)
WITH_TICKET = POLICY.replace("    max_total: 8h\n", "    ticket: {systems: jira}\n", 1)


@pytest.fixture
async def world():
    return await World.create()


def keep(world, who="alice", **changes):
    return put_template(world.control, world.actor(who), replace(ORDERS, **changes))


async def names(world, actor):
    return [one.name for one in await list_templates(world.control, actor)]


def recorded(world):
    return [entry.type for entry in world.store.recorded]


# whose they are


async def test_a_template_is_kept_changed_and_removed_on_record(world):
    await keep(world)
    changed = await keep(world, duration=HOUR)
    assert (changed.owner, changed.duration, changed.created_at) == ("alice", HOUR, START)
    await remove_template(world.control, world.actor("alice"), "orders")
    assert recorded(world)[-3:] == ["template.added", "template.changed", "template.removed"]
    assert await names(world, world.admin()) == []


async def test_own_templates_are_seen_by_their_person_under_any_name_and_by_nobody_else(world):
    await keep(world)
    assert await names(world, world.actor("alice")) == await names(world, world.actor("alice-admin")) == ["orders"]
    assert await names(world, world.actor("dave")) == []
    assert await names(world, world.admin()) == ["orders"]
    for use in (
        remove_template(world.control, world.actor("dave"), "orders"),
        ask_from_template(world.control, world.actor("dave"), "orders", Filling()),
    ):
        with pytest.raises(NotFound, match="there is no template `orders`"):
            await use
    with pytest.raises(Refused, match="the name `orders` is taken"):
        await keep(world, "dave")


async def test_shared_templates_are_for_all_and_kept_by_administrators(world):
    with pytest.raises(Refused, match="`alice` may not do this"):
        await keep(world, shared=True)
    shared = await put_template(world.control, world.admin(), replace(ORDERS, shared=True))
    assert shared.owner == ""
    assert await names(world, world.actor("dave")) == ["orders"]
    with pytest.raises(Refused, match="the name `orders` is taken"):
        await keep(world, "dave")
    with pytest.raises(Refused, match="is shared"):
        await remove_template(world.control, world.actor("dave"), "orders")
    await remove_template(world.control, world.admin(), "orders")


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"name": "Orders!"}, InvalidInput, "`Orders!` is not a template name"),
        ({"entitlements": ()}, InvalidInput, "nothing is asked for"),
        ({"entitlements": ("pg-prod/reader",) * 2}, InvalidInput, "asked for twice"),
        ({"entitlements": ("pg-prod/nothing",)}, NotFound, "there is no entitlement `pg-prod/nothing`"),
        ({"entitlements": ("pg-prod",)}, InvalidInput, "`pg-prod` is not an entitlement"),
        ({"duration": timedelta(days=400)}, InvalidInput, "longer than 366 days"),
        ({"justification": "x" * 5000}, InvalidInput, "5000 characters, 4000 at most"),
        ({"description": "a\x1b[2J"}, InvalidInput, "the description contains a control character"),
    ],
)
async def test_what_is_no_template(world, changes, error, words):
    with pytest.raises(error, match=words):
        await keep(world, **changes)
    assert await names(world, world.admin()) == []


async def test_nobody_keeps_templates_without_end(world):
    for number in range(MOST_OWN):
        await keep(world, name=f"t{number}")
    with pytest.raises(Refused, match="you keep 100 templates already"):
        await keep(world, "alice-admin")
    await keep(world, name="t0", duration=HOUR)
    await keep(world, "dave")


# asking from one


async def test_everything_a_template_names_is_asked_for_as_a_bundle_on_todays_terms(world):
    await keep(world)
    reader, metrics = await ask_from_template(world.control, world.actor("alice"), "orders", Filling())
    assert reader.bundle == metrics.bundle != ""
    assert (reader.justification, reader.requested_duration) == ("monthly report", HOUR / 2)
    await world.change_policy(POLICY.replace("max_duration: 30m", "max_duration: 10m"))
    with pytest.raises(Refused, match="`pg-prod/metrics`: no offer fits"):
        await ask_from_template(world.control, world.actor("alice"), "orders", Filling())


async def test_what_is_said_this_time_counts(world):
    await keep(world, entitlements=("pg-prod/reader",))
    said = Filling(duration=2 * HOUR, justification="quarterly report", starts_at=START + HOUR)
    (request,) = await ask_from_template(world.control, world.actor("alice"), "orders", said)
    assert (request.requested_duration, request.justification, request.starts_at, request.bundle) == (
        2 * HOUR,
        "quarterly report",
        START + HOUR,
        "",
    )


async def test_the_number_of_a_ticket_is_enough_where_the_template_names_the_system():
    world = await World.create(policy=WITH_TICKET)
    await keep(world, entitlements=("pg-prod/reader",), ticket_system="jira")
    said = Filling(ticket=Ticket(system="", number="OPS-7"))
    (request,) = await ask_from_template(world.control, world.actor("alice"), "orders", said)
    assert request.ticket == Ticket(system="jira", number="OPS-7")
    (again,) = await ask_again(world.control, world.actor("alice"), request.id, Filling())
    assert again.ticket == request.ticket
    (other,) = await ask_again(
        world.control, world.actor("alice"), request.id, Filling(ticket=Ticket(system="", number="OPS-8"))
    )
    assert other.ticket == Ticket(system="jira", number="OPS-8")
    await keep(world, name="bare", entitlements=("pg-prod/reader",))
    with pytest.raises(InvalidInput, match="a ticket has a system and a number"):
        await ask_from_template(world.control, world.actor("alice"), "bare", said)


# asking again


async def test_the_same_is_asked_again_as_a_new_request(world):
    first = await world.ask(starts_at=START + HOUR)
    await world.clock.advance(2 * HOUR)
    (again,) = await ask_again(world.control, world.actor("alice"), first.id, Filling())
    assert again.id != first.id
    assert (again.entitlement, again.requested_duration, again.justification) == (
        first.entitlement,
        first.requested_duration,
        first.justification,
    )
    assert again.starts_at is None
    assert (await world.read(lambda r: r.request(first.id))).state is RequestState.PENDING


async def test_asking_again_is_answered_by_todays_policy_and_may_need_other_words():
    fresh = POLICY.replace("    max_total: 8h\n", "    justification: {unlike_last: 1}\n", 1)
    world = await World.create(policy=fresh)
    first = await world.ask()
    with pytest.raises(Refused, match="differs from your last one"):
        await ask_again(world.control, world.actor("alice"), first.id, Filling())
    (again,) = await ask_again(world.control, world.actor("alice"), first.id, Filling(justification="it is back"))
    assert again.justification == "it is back"


async def test_a_whole_bundle_is_asked_again(world):
    await keep(world)
    reader, _ = await ask_from_template(world.control, world.actor("alice"), "orders", Filling())
    again = await ask_again(world.control, world.actor("alice"), reader.id, Filling())
    assert [request.entitlement for request in again] == ["pg-prod/reader", "pg-prod/metrics"]
    assert {request.bundle for request in again} not in ({""}, {reader.bundle})


async def test_more_time_that_was_asked_for_becomes_a_request_of_its_own(world):
    request = await world.ask()
    await approve(world.control, world.actor("bob"), request.id)
    (grant,) = await release_all(world.control, world.actor("alice"), request.id)
    assert grant.end_reason is EndReason.RELEASED
    (again,) = await ask_again(world.control, world.actor("alice"), request.id, Filling())
    assert again.extends is None


@pytest.mark.parametrize(("who", "may"), [("bob", True), ("bot", True), ("alice", False), ("carol", False)])
async def test_only_its_people_ask_for_it_again(world, who, may):
    """An agent's request is its own and its sponsor's."""
    first = await world.ask("bot")
    asking = ask_again(world.control, world.actor(who), first.id, Filling())
    if may:
        (again,) = await asking
        assert (again.requester, again.beneficiary, again.sponsor) == (who, "bot", "bob")
    else:
        with pytest.raises(Refused, match="is not yours"):
            await asking


async def test_an_emergency_is_one_again_only_if_it_is_said_to_be(world):
    emergency = "\n  - {name: e, entitlements: pg-prod/writer, to: anyone, max_duration: 1h, break_glass: {review_within: 1d, reviewers: olga}}\n"  # noqa: E501  one offer
    world = await World.create(policy=POLICY + emergency)
    first = await world.ask(what="pg-prod/writer", hours=1, break_glass=True)
    (again,) = await ask_again(world.control, world.actor("alice"), first.id, Filling())
    assert (first.terms.break_glass, again.terms.break_glass) == (True, False)
    (second,) = await ask_again(world.control, world.actor("alice"), first.id, Filling(break_glass=True))
    assert second.terms.break_glass


# giving back


async def test_one_time_of_what_repeats_is_given_back_or_all_that_are_to_come(world):
    repeats = Recurrence(days=(0, 1, 2), at_minute=22 * 60, timezone="UTC", until=START + timedelta(days=3))
    request = await world.ask(hours=1, repeats=repeats)
    await approve(world.control, world.actor("bob"), request.id)
    await world.clock.advance(13 * HOUR)
    await world.enforcer.tick()
    first, *later = await world.grants(request_id=request.id)
    assert first.state is GrantState.ACTIVE

    ended = await release_all(world.control, world.actor("alice"), request.id)
    assert [grant.id for grant in ended] == [first.id, *(grant.id for grant in later)]
    await world.enforcer.tick()
    assert {grant.state for grant in await world.grants(request_id=request.id)} == {GrantState.ENDED}
    assert await release_all(world.control, world.actor("alice"), request.id) == []
    await world.clock.advance(timedelta(days=5))
    with pytest.raises(InvalidInput, match="no such day before the end"):
        await ask_again(world.control, world.actor("alice"), request.id, Filling())


async def test_nobody_gives_back_for_others(world):
    request = await world.ask()
    await approve(world.control, world.actor("bob"), request.id)
    with pytest.raises(Refused, match="is not yours"):
        await release_all(world.control, world.actor("dave"), request.id)
    assert (await world.grant_of(request)).state is GrantState.SCHEDULED
