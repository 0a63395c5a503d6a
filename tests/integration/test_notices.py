"""Notices on real stores: several replicas, processes that die, and a whole emergency."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.notifier import FakeNotifier
from lapse.bootstrap.app import open_app
from lapse.bootstrap.home import Home
from lapse.control.context import Control
from lapse.control.delivery import deliver_due
from lapse.control.notices import post
from lapse.domain.actors import Scope
from lapse.domain.notices import Notice, NoticeKind, PostingState
from lapse.ports import Page
from support.api import open_office
from support.clock import HandClock
from support.program import Program, wait_for
from support.stores import opened
from support.web_server import web_server, web_server_beside
from support.world import POLICY

TESTS = Path(__file__).parents[1]
MANY = 60


def control_on(store, clock, number):
    ids = iter(f"not_{number}{n:04d}" for n in range(10_000))
    return Control(store=store, clock=clock, connector=lambda _: None, new_id=lambda _: next(ids))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_three_replicas_deliver_everything_and_nothing_twice(request, tmp_path, kind):
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else None
    clock = HandClock()
    async with opened(kind, tmp_path, url) as store:
        replicas = [control_on(store, clock, number) for number in range(3)]
        notices = [
            Notice(kind=NoticeKind.DECIDED, subject=f"req_{n}", to=("ann",), text="x", at=clock.now())
            for n in range(MANY)
        ]
        await store.write(lambda tx: post(replicas[0], tx, notices))
        ways = [FakeNotifier() for _ in replicas]

        async def run(control, way):
            while await store.read(lambda reader: reader.postings_due(clock.now(), 1)):
                await deliver_due(control, [way])

        await asyncio.gather(*(run(control, way) for control, way in zip(replicas, ways, strict=True)))
        told = Counter(posting.notice.subject for way in ways for _, posting in way.delivered)
        assert told == Counter(notice.subject for notice in notices)
        sent = await store.read(lambda reader: reader.postings(Page(limit=1000), states=[PostingState.SENT]))
        assert len(sent) == MANY


DYING = """
import asyncio, os, signal, sys
from pathlib import Path
from lapse.bootstrap.app import open_app
from lapse.bootstrap.home import Home
from lapse.control.notices import post
from lapse.domain.notices import Notice, NoticeKind


async def main(home, when):
    async with open_app(Home(Path(home))) as app:
        notice = Notice(kind=NoticeKind.BREAK_GLASS, subject=when, to=("bob",), text=when, at=app.clock.now())

        async def work(tx):
            await post(app.control, tx, [notice])
            if when == "before":
                os.kill(os.getpid(), signal.SIGKILL)

        await app.store.write(work)
        os.kill(os.getpid(), signal.SIGKILL)


asyncio.run(main(*sys.argv[1:]))
"""


def test_a_process_that_dies_right_after_the_change_still_tells_and_right_before_it_does_not(tmp_path):
    program = Program(tmp_path / "home")
    program.run("init")
    with web_server_beside() as server:
        server.always(200)
        settings = f'version: 1\nnotices: [{{kind: webhook, name: siem, url: "{server.url}/"}}]\n'
        (program.home / "integrations.yaml").write_text(settings)
        for when in ("before", "after"):
            done = subprocess.run([sys.executable, "-c", DYING, str(program.home), when], check=False, timeout=60)
            assert done.returncode == -signal.SIGKILL
        assert not server.asked
        with program.serve():
            wait_for(lambda: program.data("notice", "list", "--state", "sent"))
        assert [asked.json["subject"] for asked in server.asked] == ["after"]


EMERGENCY = (
    POLICY
    + """\
  - name: emergency
    entitlements: [pg-prod/writer]
    to: [anyone]
    max_duration: 1h
    break_glass: {review_within: 24h, reviewers: [group:dba]}
"""
)


async def test_break_glass_is_loud_where_people_are(tmp_path):
    async with web_server() as server:
        server.always(200)
        settings = f'version: 1\nnotices: [{{kind: chat, name: chat, url: "{server.url}/", kinds: [break_glass]}}]\n'
        async with open_office(tmp_path, policy=EMERGENCY, integrations=settings) as office:
            body = {
                "entitlement": "pg-prod/writer",
                "duration": "30m",
                "justification": "the database is down <!channel>",
                "break_glass": True,
            }
            (await office.client("alice").post("/requests", json=body)).raise_for_status()
            await office.app.settle()
            (asked,) = server.asked
            text = asked.json["text"]
            assert text.startswith("BREAK-GLASS was used")
            assert "the database is down &lt;!channel&gt;" in text
            assert "for bob, carol" in text
            (notice,) = [one for one in await told(office) if one["notice"]["kind"] == "break_glass"]
            assert (notice["state"], list(notice["sent"])) == ("sent", ["chat"])
            token = await office.token("alice", Scope.REQUEST)
            assert (await office.client(token=token).get("/notices")).status_code == 403


async def told(office):
    return (await office.admin.get("/notices")).raise_for_status().json()["items"]


async def test_while_a_chat_is_down_nothing_else_waits_for_it(tmp_path):
    async with web_server() as server:
        server.always(503)
        settings = f'version: 1\nnotices: [{{kind: chat, name: chat, url: "{server.url}/"}}]\n'
        async with open_office(tmp_path, integrations=settings) as office:
            request = await office.ask()
            await office.app.settle()
            waiting = [one for one in await told(office) if one["state"] == "waiting"]
            assert all("`chat` answers with status 503" in one["error"] for one in waiting)
            await office.approve(request["id"])
            server.always(200)
            await office.clock.advance(timedelta(hours=2))
            await office.app.settle()
            assert {one["state"] for one in await told(office)} <= {"sent"}


async def test_a_home_without_integrations_opens_as_before(tmp_path):
    program = Program(tmp_path / "home")
    await asyncio.to_thread(program.run, "init")
    async with open_app(Home(program.home)) as app:
        assert app.integrations.problems == ()
        assert app.integrations.ways == ()
