"""What every `ports.TicketSource` does: the fake, an export, and the APIs of Jira and GitHub on a real server."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from fakes.ticket_source import FakeTicketSource
from lapse.domain.requests import Ticket
from lapse.policy.values import TicketStatus
from lapse.tickets import recipes
from lapse.tickets.export import ExportFile, ExportSource
from lapse.tickets.http import HttpSource
from lapse.tickets.lookups import Lookups
from lapse.web.client import Calling, WebClient
from support.clock import HandClock
from support.web_server import Reply, web_server

OPEN, CLOSED, MISSING = "1", "2", "3"
JIRA_STATES = {
    "/rest/api/2/issue/OPS-1?": {"key": "indeterminate", "name": "In Progress"},
    "/rest/api/2/issue/OPS-2?": {"key": "done", "name": "Won't Fix"},
}


def as_jira(asked):
    for start, category in JIRA_STATES.items():
        if asked.target.startswith(start):
            status = {"name": category["name"], "statusCategory": {"id": 4, "key": category["key"], "name": "x"}}
            fields = {"summary": "Disk full", "status": status, "assignee": {"displayName": "Ann Example"}}
            return Reply(200, {"id": "10002", "key": "OPS-1", "fields": fields})
    return Reply(404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."]})


def as_github(asked):
    states = {"/repos/acme/infra/issues/1": "open", "/repos/acme/infra/issues/2": "closed"}
    if asked.target in states:
        return Reply(200, {"number": 1, "state": states[asked.target], "title": "Disk full", "assignee": None})
    return Reply(404, {"message": "Not Found"})


class Fake:
    system = "jira"

    def __init__(self):
        self.source = FakeTicketSource({"jira:OPS-1": TicketStatus.OPEN, "jira:OPS-2": TicketStatus.CLOSED})

    def number(self, which):
        return f"OPS-{which}"

    async def fall_silent(self):
        self.source.down.add("jira")


class Export(Fake):
    def __init__(self, folder):
        self.path = folder / "tickets.csv"
        self.path.write_text("number,state\nOPS-1,In Progress\nOPS-2,Done\n")
        export = ExportFile(path=self.path, open_states=frozenset({"in progress"}))
        self.source = Lookups({"jira": ExportSource(export, HandClock())}, HandClock())

    async def fall_silent(self):
        self.path.unlink()


class Web(Fake):
    def __init__(self, server, mapping, answer, numbers):
        self.server, self.numbers = server, numbers
        server.answer = answer
        client = WebClient(Calling(seconds=20.0))
        self.source = Lookups({"jira": HttpSource(mapping, client)}, HandClock())

    def number(self, which):
        return self.numbers.format(which)

    async def fall_silent(self):
        self.server.always(behaviour="hang_up")


@asynccontextmanager
async def made(kind, folder):
    if kind in {"fake", "export"}:
        yield Fake() if kind == "fake" else Export(folder)
        return
    async with web_server() as server:
        mapping = recipes.jira(server.url) if kind == "jira" else recipes.github("acme/infra", server.url)
        answer, numbers = (as_jira, "OPS-{}") if kind == "jira" else (as_github, "{}")
        web = Web(server, mapping, answer, numbers)
        yield web
        await web.source.close()


@pytest.fixture(params=["fake", "export", "jira", "github"])
async def tickets(request, tmp_path):
    async with made(request.param, tmp_path) as tickets:
        yield tickets


async def status(tickets, which, system="jira"):
    return (await tickets.source.look_up(Ticket(system=system, number=tickets.number(which)))).status


async def test_an_open_ticket_is_open_and_a_closed_one_closed(tickets):
    assert await status(tickets, OPEN) is TicketStatus.OPEN
    assert await status(tickets, CLOSED) is TicketStatus.CLOSED


async def test_a_ticket_that_is_not_there_is_unknown(tickets):
    assert await status(tickets, MISSING) is TicketStatus.UNKNOWN


async def test_a_system_that_is_not_set_up_has_no_tickets(tickets):
    assert await status(tickets, OPEN, system="bugzilla") is TicketStatus.UNKNOWN


async def test_what_a_requester_types_is_never_an_error(tickets):
    for number in ("../../admin", "..", "?x=1", "#", "\x00", " ", "OPS-1/../OPS-1", "٣", "x" * 5_000, "http://evil/"):
        facts = await tickets.source.look_up(Ticket(system="jira", number=number))
        assert facts.status is TicketStatus.UNKNOWN, number


async def test_case_and_space_around_the_system_do_not_matter(tickets):
    number = f" {tickets.number(OPEN)} "
    assert (await tickets.source.look_up(Ticket(system=" Jira ", number=number))).status is TicketStatus.OPEN


async def test_a_system_that_does_not_answer_is_unreachable_and_no_error(tickets):
    await tickets.fall_silent()
    assert await status(tickets, OPEN) is TicketStatus.UNREACHABLE
