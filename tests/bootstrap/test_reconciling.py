"""What a read of a target finds is acted upon at once, on a server where nothing else happens."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from fakes.connector import FakeConnector
from lapse.bootstrap.app import open_app
from lapse.bootstrap.home import Home, Settings
from lapse.bootstrap.running import reconcile
from lapse.bootstrap.setup import set_up
from lapse.control.catalogs import apply
from lapse.control.decisions import approve
from lapse.control.policies import activate_policy
from lapse.control.questions import NewRequest
from lapse.control.requests import create_request
from lapse.control.targets import add_target
from lapse.domain.actors import Actor, Scope
from lapse.domain.grants import EndReason, GrantState
from support.world import CATALOG, PEOPLE, POLICY

ADMIN = Actor(name="root", scopes=frozenset(Scope))
PATIENCE = 20


class _Quiet(logging.Logger):
    def info(self, *_: object, **__: object) -> None: ...


@pytest.fixture
async def at_work(tmp_path):
    """A server's app whose enforcer runs, with one active grant of alice; its target is in memory."""
    home, fake = Home(tmp_path / "home"), FakeConnector()
    await set_up(home, Settings())
    fake.target.add_login("alice_login")
    async with open_app(home, connect=lambda *_: fake) as app:
        await apply(app.control, ADMIN, CATALOG)
        await activate_policy(app.control, ADMIN, {"policy.yaml": POLICY})
        (tmp_path / "dsn").write_text("postgresql://x")
        await add_target(app.control, ADMIN, "pg-prod", f"file:{tmp_path}/dsn")
        await app.targets.refresh(app.store)
        wanted = NewRequest(entitlement="pg-prod/reader", duration=timedelta(hours=2), justification="incident 4711")
        request = await create_request(app.control, Actor(name="alice", scopes=PEOPLE), wanted)
        await approve(app.control, Actor(name="bob", scopes=PEOPLE), request.id)
        await app.settle()
        stop = asyncio.Event()
        running = asyncio.create_task(app.enforcer.run(stop))
        yield app, fake
        stop.set()
        await running


async def _ended(app, grant_id):
    while (grant := await app.store.read(lambda reader: reader.grant(grant_id))).state is not GrantState.ENDED:
        await asyncio.sleep(0.01)
    return grant


async def test_a_grant_whose_access_somebody_took_away_ends_without_waiting_for_anything_else(at_work):
    app, fake = at_work
    (grant,) = await app.store.read(lambda reader: reader.grants_of_accounts("pg-prod", {"alice_login"}))
    assert grant.state is GrantState.ACTIVE
    fake.target.revoke("alice_login", "app_reader")
    await reconcile(app, "pg-prod", _Quiet("quiet"))
    ended = await asyncio.wait_for(_ended(app, grant.id), PATIENCE)
    assert ended.end_reason is EndReason.DRIFT
