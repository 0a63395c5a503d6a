"""What a person held and asked for, under any name, counts; what one request takes another cannot."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fakes.connector import Fault
from lapse.control.decisions import approve
from lapse.control.grants import release
from lapse.control.questions import NewRequest
from lapse.control.requests import cancel_request, create_bundle, extend_grant
from lapse.domain.errors import Refused
from lapse.domain.grants import GrantState
from lapse.domain.requests import Recurrence, Ticket
from lapse.policy import TicketFacts, TicketStatus
from support.world import POLICY, World

HOUR = timedelta(hours=1)


async def world_with(rule, old="    auto_approve: true\n"):
    return await World.create(policy=POLICY.replace(old, rule, 1))


async def metrics(world, who="alice", hours=0.5, **more):
    request = await world.ask(who=who, what="pg-prod/metrics", hours=hours, **more)
    await world.enforcer.tick()
    return request


async def test_grants_that_touch_are_one_stretch_whether_they_extend_or_not():
    world = await World.create()
    first = await world.ask(hours=4)
    await approve(world.control, world.actor("bob"), first.id)
    await world.enforcer.tick()
    grant = await world.grant_of(first)
    again = await world.ask(hours=4, starts_at=grant.ends_at)
    await approve(world.control, world.actor("carol"), again.id)
    with pytest.raises(Refused, match=r"at most 8h \(asked 12h\)"):
        await world.ask(hours=4, starts_at=grant.ends_at + 4 * HOUR)
    with pytest.raises(Refused, match=r"at most 8h \(asked 9h\)"):
        await world.ask(who="alice-admin", hours=1, starts_at=grant.ends_at + 4 * HOUR)


async def test_an_extension_counts_what_it_continues():
    world = await World.create()
    first = await world.ask(hours=4)
    await approve(world.control, world.actor("bob"), first.id)
    await world.enforcer.tick()
    grant = await world.grant_of(first)
    extension = await extend_grant(world.control, world.actor("alice"), grant.id, 4 * HOUR, "still at it")
    await approve(world.control, world.actor("bob"), extension.id)
    await world.clock.advance(4 * HOUR)
    await world.enforcer.tick()
    longer = await world.grant_of(extension)
    with pytest.raises(Refused, match=r"at most, with extensions, 8h \(asked 9h\)"):
        await extend_grant(world.control, world.actor("alice"), longer.id, HOUR, "and more")


async def test_automatic_approval_is_used_up_by_the_person_under_any_name():
    world = await world_with("    auto_approve: {most: 2, per: 1d}\n")
    await metrics(world)
    await world.clock.advance(HOUR)
    await metrics(world, who="alice-admin")
    await world.clock.advance(HOUR)
    with pytest.raises(Refused, match=r"2 times in any 1d for one person \(2 so far\)"):
        await metrics(world)
    await metrics(world, who="dave")
    await world.clock.advance(23 * HOUR)
    await metrics(world)


async def test_a_budget_counts_time_that_was_really_held():
    world = await world_with("    auto_approve: true\n    budget: {most: 40m, per: 1d}\n")
    request = await metrics(world)
    await world.clock.advance(timedelta(minutes=10))
    await release(world.control, world.actor("alice"), (await world.grant_of(request)).id)
    await world.enforcer.tick()
    await world.clock.advance(HOUR)
    await metrics(world)
    await world.clock.advance(HOUR)
    with pytest.raises(Refused, match=r"40m of `pg-prod/metrics` in any 1d \(50m with this\)"):
        await metrics(world, hours=1 / 6)


async def test_a_cooldown_begins_with_the_real_end():
    world = await world_with("    auto_approve: true\n    cooldown: 2h\n")
    await metrics(world)
    await world.clock.advance(HOUR / 2)
    await world.enforcer.tick()
    await world.clock.advance(HOUR)
    with pytest.raises(Refused, match="2h without `pg-prod/metrics` in between"):
        await metrics(world)
    await world.clock.advance(2 * HOUR)
    await metrics(world)


async def test_a_quota_bounds_what_waits_and_an_approval_does_not_count_itself():
    world = await World.create(policy=POLICY + "limits: [{name: flood, quota: {pending: 2, most: 3, per: 1h}}]\n")
    first = await world.ask()
    await world.ask(what="pg-prod/writer", hours=1)
    with pytest.raises(Refused, match="lets 2 requests of one requester wait at a time"):
        await world.ask(who="alice-admin")
    await approve(world.control, world.actor("bob"), first.id)
    await world.ask(what="pg-prod/metrics", hours=0.5)
    with pytest.raises(Refused, match="accepts 3 requests of one requester in any 1h"):
        await world.ask(what="pg-prod/metrics", hours=0.5)


async def test_a_justification_is_not_the_last_one_again():
    world = await world_with("    auto_approve: true\n    justification: {unlike_last: 1}\n")
    await metrics(world)
    with pytest.raises(Refused, match="differs from your last one"):
        await metrics(world)


class Tickets:
    """A ticket system that says what it is told to."""

    def __init__(self, status):
        self.status = status
        self.asked = []

    async def look_up(self, ticket):
        self.asked.append(ticket)
        return TicketFacts(status=self.status)


async def test_a_checked_ticket_is_looked_up_where_a_rule_wants_it_and_pinned():
    world = await world_with("    auto_approve: true\n    ticket: {checked: true}\n")
    ticket = Ticket(system="jira", number="OPS-7")
    with pytest.raises(Refused, match="nobody looked it up"):
        await metrics(world, ticket=ticket)
    world.use_tickets(Tickets(TicketStatus.OPEN))
    await metrics(world, ticket=ticket)
    pinned = next(e for e in reversed(world.store.recorded) if e.type == "request.created").context["ask"]
    assert pinned["ticket_facts"]["status"] == "open"
    world.use_tickets(Tickets(TicketStatus.CLOSED))
    with pytest.raises(Refused, match="it is closed"):
        await metrics(world, ticket=ticket)
    await world.ask(ticket=ticket)
    pinned = next(e for e in reversed(world.store.recorded) if e.type == "request.created").context["ask"]
    assert pinned["ticket_facts"] is None, "no rule about the reader looks at tickets"


# time that passes does not bring together what was apart


async def approved(world, **more):
    request = await world.ask(**more)
    await approve(world.control, world.actor("bob"), request.id)
    return await world.grant_of(request)


async def test_a_request_that_waited_is_judged_by_when_it_would_begin():
    """Two grants of four hours are planned; a third was asked for long before them and would now touch them."""
    world = await World.create()
    early = await world.ask(hours=4)
    for after in (9, 13):
        await approved(world, hours=4, starts_at=world.clock.now() + after * HOUR)
    await world.clock.advance(5 * HOUR)
    with pytest.raises(Refused, match=r"another answer.*at most 8h \(asked 12h\)"):
        await approve(world.control, world.actor("bob"), early.id)


async def test_the_parts_of_a_bundle_are_judged_once_more_when_it_is_complete():
    world = await World.create()
    wanted = [
        NewRequest(entitlement="pg-prod/reader", duration=4 * HOUR, justification="restore the orders"),
        NewRequest(entitlement="pg-prod/writer", duration=HOUR, justification="restore the orders"),
    ]
    reader, writer = await create_bundle(world.control, world.actor("alice"), wanted)
    await approve(world.control, world.actor("bob"), reader.id)
    for after in (9, 13):
        await approved(world, hours=4, starts_at=world.clock.now() + after * HOUR)
    await approve(world.control, world.actor("bob"), writer.id)
    await world.clock.advance(5 * HOUR)
    with pytest.raises(Refused, match=rf"since request {reader.id} was made.*asked 12h"):
        await approve(world.control, world.actor("olga"), writer.id)
    with pytest.raises(Refused, match=rf"since request {reader.id} was made.*asked 12h"):
        await cancel_request(world.control, world.actor("alice"), writer.id, alone=True)
    assert (await cancel_request(world.control, world.actor("alice"), writer.id)).state == "cancelled"


async def test_what_begins_late_does_not_grow_together_with_what_was_planned_apart_from_it():
    world = await World.create()
    late = await approved(world, hours=4)
    start = world.clock.now()
    for after in (5, 9):
        await approved(world, hours=4, starts_at=start + after * HOUR, who="alice-admin")
    world.target.inject(Fault.UNREACHABLE, on="look", times=1)
    await world.enforcer.tick()
    await world.clock.advance(3 * HOUR)
    await world.enforcer.tick()
    begun = await world.grant(late.id)
    assert (begun.state, begun.ends_at) == (GrantState.ACTIVE, start + 4 * HOUR)


async def test_what_repeats_can_be_approved_until_all_its_times_have_passed():
    world = await World.create()
    at = world.clock.now() + HOUR
    daily = Recurrence(days=(0, 1), at_minute=at.hour * 60, timezone="UTC", until=at + timedelta(days=1))
    first = await world.ask(hours=1, repeats=daily)
    await world.clock.advance(3 * HOUR)
    await approve(world.control, world.actor("bob"), first.id)
    assert [grant.starts_at for grant in await world.grants(request_id=first.id)] == [at + timedelta(days=1)]

    last = await world.ask("dave", hours=1, repeats=daily)
    await world.clock.advance(23 * HOUR)
    with pytest.raises(Refused, match="all times that request"):
        await approve(world.control, world.actor("bob"), last.id)
