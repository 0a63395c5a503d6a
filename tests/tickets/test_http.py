"""The generic lookup, on a real server that answers as it likes."""

from __future__ import annotations

import pytest

from lapse.domain.errors import Unavailable
from lapse.policy.values import TicketStatus
from lapse.tickets import recipes
from lapse.tickets.http import HttpSource, Mapping
from lapse.tickets.numbers import NumberForm
from lapse.web.client import Calling, WebClient
from lapse.web.urls import UrlTemplate
from support.web_server import Reply, web_server


@pytest.fixture
async def server():
    async with web_server() as server:
        yield server


@pytest.fixture
async def client():
    client = WebClient(Calling(seconds=20.0, largest=100_000))
    yield client
    await client.close()


@pytest.fixture
def source(server, client):
    mapping = Mapping(
        url=UrlTemplate.parse(server.url + "/incidents/{number}?view=short", frozenset({"number"})),
        state="/result/0/state",
        open_states=frozenset({"1", "in progress"}),
        title="/result/0/short",
    )
    return HttpSource(mapping, client)


@pytest.mark.parametrize(
    ("state", "status"),
    [(1, "open"), ("In Progress", "open"), ("7", "closed"), (6, "closed")],
)
async def test_what_is_not_said_to_be_open_is_closed(server, source, state, status):
    server.always(200, {"result": [{"state": state, "short": "Disk full"}]})
    found = await source.find("INC 1/2")
    assert (found.status, found.state, found.title) == (status, str(state), "Disk full")
    assert server.asked[0].target == "/incidents/INC%201%2F2?view=short"


@pytest.mark.parametrize("status", [400, 404, 410, 414, 422])
async def test_a_ticket_that_is_not_there(server, source, status):
    server.always(status, {"error": "no"})
    assert (await source.find("1")).status is TicketStatus.UNKNOWN


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(200, {"result": []}), "no state at `/result/0/state`"),
        (Reply(200, {"result": [{"state": None}]}), "no state"),
        (Reply(200, {"result": [{"state": True}]}), "no state"),
        (Reply(200, b"<html>login</html>"), "not JSON"),
        (Reply(200, b"[" * 50_000), "not JSON"),
        (Reply(401, {}), "does not accept our credentials"),
        (Reply(403, {}), "does not accept our credentials"),
        (Reply(429, {}), "asked too often"),
        (Reply(500, b"oops"), "status 500"),
        (Reply(302, headers={"Location": "https://login.example/"}), "leads elsewhere"),
        (Reply(behaviour="endless"), "more than 97 KiB"),
        (Reply(behaviour="nonsense"), "cannot be reached"),
    ],
)
async def test_what_cannot_be_understood_is_no_answer(server, source, reply, why):
    server.answer = lambda _asked: reply
    with pytest.raises(Unavailable, match=why):
        await source.find("1")


async def test_a_number_of_another_form_is_not_even_asked_for(server, client):
    source = HttpSource(recipes.github("acme/infra", server.url), client)
    for number in ("OPS-1", "-1", "1.5", "1e3", "٣", "", "9" * 19):
        assert (await source.find(number)).status is TicketStatus.UNKNOWN
    assert not server.asked


async def test_jira_is_asked_for_the_fields_that_matter(server, client):
    status = {"name": "Waiting", "statusCategory": {"key": "indeterminate"}}
    server.always(200, {"key": "OPS-1", "fields": {"status": status, "summary": "Disk full", "assignee": None}})
    found = await HttpSource(recipes.jira(server.url + "/"), client).find("OPS-1")
    assert server.asked[0].target == "/rest/api/2/issue/OPS-1?fields=status,summary,assignee"
    assert (found.status, found.state, found.assignee) == (TicketStatus.OPEN, "Waiting", "")


async def test_a_github_issue_that_was_transferred_is_found_where_it_is(server, client):
    server.answer = lambda asked: (
        Reply(301, headers={"Location": "/repositories/9/issues/4"})
        if asked.target == "/repos/acme/infra/issues/4"
        else Reply(200, {"state": "open", "title": "t", "assignee": {"login": "ann"}})
    )
    found = await HttpSource(recipes.github("acme/infra", server.url), client).find("4")
    assert (found.status, found.assignee) == (TicketStatus.OPEN, "ann")


@pytest.mark.parametrize(
    ("form", "fits"),
    [
        (NumberForm.DIGITS, {"1"}),
        (NumberForm.KEY, {"OPS-1", "a_b-2"}),
        (NumberForm.TEXT, {"1", "OPS-1", "a_b-2", "x y"}),
    ],
)
def test_forms_of_numbers(form, fits):
    assert {text for text in ("1", "OPS-1", "a_b-2", "x y", " ", "") if form.fits(text)} == fits
