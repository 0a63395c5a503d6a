from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from lapse.domain.errors import Unavailable
from lapse.domain.requests import Ticket
from lapse.policy.values import TicketStatus
from lapse.tickets import lookups
from lapse.tickets.found import NOWHERE, Found, MisunderstoodError
from lapse.tickets.lookups import KEEP_CLOSED, KEEP_UNREACHABLE, Lookups
from support.clock import HandClock

OPS_1 = Ticket(system="jira", number="OPS-1")


@dataclass
class Said:
    """A source that says what it is told to."""

    answer: Found | Exception = NOWHERE
    asked: list[str] = field(default_factory=list)
    waits: asyncio.Event | None = None

    async def find(self, number):
        self.asked.append(number)
        if self.waits is not None:
            await self.waits.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def close(self):
        pass


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def jira():
    return Said(Found(status=TicketStatus.OPEN, state="In Progress", title="Disk full", assignee="Ann"))


@pytest.fixture
def tickets(jira, clock):
    return Lookups({"jira": jira}, clock, {"jira": timedelta(minutes=1)}, {"snow": "no password"})


async def test_what_is_found_is_recorded_with_the_time(tickets, clock):
    facts = await tickets.look_up(OPS_1)
    assert (facts.status, facts.detail, facts.looked_up_at) == (TicketStatus.OPEN, "`In Progress`", clock.now())
    assert (facts.title, facts.assignee) == ("Disk full", "Ann")
    assert "Disk full" not in facts.detail, "requesters see the detail"


@pytest.mark.parametrize(
    ("answer", "life"),
    [
        (Found(status=TicketStatus.OPEN), timedelta(minutes=1)),
        (Found(status=TicketStatus.CLOSED), KEEP_CLOSED),
        (NOWHERE, KEEP_CLOSED),
        (Unavailable("it is down"), KEEP_UNREACHABLE),
    ],
)
async def test_an_answer_is_remembered_as_long_as_it_deserves(tickets, jira, clock, answer, life):
    jira.answer = answer
    first = await tickets.look_up(OPS_1)
    await clock.advance(life - timedelta(seconds=1))
    assert await tickets.look_up(OPS_1) == first
    assert len(jira.asked) == 1
    await clock.advance(timedelta(seconds=1))
    await tickets.look_up(OPS_1)
    assert len(jira.asked) == 2


async def test_while_a_system_is_down_nobody_waits_for_it_again(tickets, jira, clock):
    jira.answer = Unavailable("no answer within 5 seconds")
    assert (await tickets.look_up(OPS_1)).detail == "no answer within 5 seconds"
    other = await tickets.look_up(Ticket(system="jira", number="OPS-2"))
    assert other.status is TicketStatus.UNREACHABLE
    assert jira.asked == ["OPS-1"]


async def test_a_number_that_makes_a_system_fail_does_not_make_it_fail_for_others(tickets, jira):
    jira.answer = MisunderstoodError("it answers with status 500")
    assert (await tickets.look_up(OPS_1)).status is TicketStatus.UNREACHABLE
    jira.answer = Found(status=TicketStatus.OPEN)
    assert (await tickets.look_up(Ticket(system="jira", number="OPS-2"))).status is TicketStatus.OPEN


async def test_many_who_ask_at_once_ask_once(tickets, jira):
    jira.waits = asyncio.Event()
    asking = [asyncio.create_task(tickets.look_up(OPS_1)) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    jira.waits.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(answers[0], asyncio.CancelledError)
    assert all(answer.status is TicketStatus.OPEN for answer in answers[1:])
    assert jira.asked == ["OPS-1"]


async def test_what_is_remembered_is_bounded(tickets, jira, monkeypatch):
    monkeypatch.setattr(lookups, "MOST_KEPT", 10)
    for number in range(50):
        await tickets.look_up(Ticket(system="jira", number=str(number)))
    assert len(tickets._kept) == 10


async def test_a_system_that_could_not_be_set_up_is_unreachable(tickets):
    facts = await tickets.look_up(Ticket(system="snow", number="1"))
    assert (facts.status, facts.detail) == (TicketStatus.UNREACHABLE, "no password")


async def test_a_system_nobody_set_up_is_named_with_those_that_are(tickets):
    facts = await tickets.look_up(Ticket(system="bugs", number="1"))
    assert facts.status is TicketStatus.UNKNOWN
    assert facts.detail == "there is no ticket system `bugs`; known: `jira`, `snow`"


async def test_while_it_is_not_known_which_systems_there_are_all_are_unreachable(clock):
    facts = await Lookups({}, clock, trouble="`integrations.yaml` has a mistake").look_up(OPS_1)
    assert facts.status is TicketStatus.UNREACHABLE
