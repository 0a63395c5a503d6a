"""Ticket systems are asked before a transaction begins, and only if a rule needs it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fakes.ticket_source import FakeTicketSource
from lapse.control.decisions import approve
from lapse.control.questions import NewRequest
from lapse.control.requests import create_request, preview_request
from lapse.domain.errors import Refused
from lapse.domain.requests import Ticket
from lapse.policy.values import TicketStatus
from support.world import POLICY, World

CHECKED = POLICY.replace(
    "    max_total: 8h\n", "    max_total: 8h\n    ticket: {checked: true, if_unreachable: deny}\n", 1
)
WANTED = NewRequest(
    entitlement="pg-prod/reader", duration=timedelta(hours=1), ticket=Ticket(system="jira", number="OPS-1")
)


class Watching(FakeTicketSource):
    """Notes whether it was asked inside a write transaction first."""

    def __init__(self, world):
        super().__init__({"jira:OPS-1": TicketStatus.OPEN})
        self.inside, self.first_inside = False, []
        write = world.store.write

        async def watched(work):
            self.inside = True
            try:
                return await write(work)
            finally:
                self.inside = False

        world.store.write = watched

    async def look_up(self, ticket):
        if not self.asked:
            self.first_inside.append(self.inside)
        return await super().look_up(ticket)


@pytest.fixture
async def world():
    world = await World.create(policy=CHECKED)
    world.use_tickets(Watching(world))
    return world


async def test_a_request_and_a_decision_ask_before_their_transaction(world):
    request = await create_request(world.control, world.actor("alice"), WANTED)
    assert world.control.tickets.first_inside == [False]
    world.control.tickets.asked.clear()
    await approve(world.control, world.actor("bob"), request.id)
    assert world.control.tickets.first_inside == [False, False]


async def test_what_was_found_is_recorded_with_the_request(world):
    await preview_request(world.control, world.actor("alice"), WANTED)
    request = await create_request(world.control, world.actor("alice"), WANTED)
    (entry,) = [one for one in world.store.recorded if one.type == "request.created"]
    assert entry.subject == request.id
    assert entry.context["ask"]["ticket_facts"]["status"] == "open"


async def test_a_system_that_does_not_answer_denies_where_the_rule_says_so(world):
    world.control.tickets.down.add("jira")
    with pytest.raises(Refused, match="does not answer"):
        await create_request(world.control, world.actor("alice"), WANTED)


async def test_a_system_that_does_not_answer_allows_where_the_rule_says_so():
    world = await World.create(policy=CHECKED.replace("if_unreachable: deny", "if_unreachable: allow"))
    world.use_tickets(FakeTicketSource(down={"jira"}))
    await create_request(world.control, world.actor("alice"), WANTED)
    (entry,) = [one for one in world.store.recorded if one.type == "request.created"]
    assert entry.context["ask"]["ticket_facts"]["status"] == "unreachable"


async def test_a_ticket_that_was_closed_meanwhile_stops_the_approval(world):
    request = await create_request(world.control, world.actor("alice"), WANTED)
    world.control.tickets.tickets["jira:OPS-1"] = TicketStatus.CLOSED
    with pytest.raises(Refused):
        await approve(world.control, world.actor("bob"), request.id)


async def test_where_no_rule_checks_tickets_nobody_is_asked():
    world = await World.create()
    tickets = FakeTicketSource()
    world.use_tickets(tickets)
    await create_request(world.control, world.actor("alice"), WANTED)
    assert not tickets.asked
