"""kill -9 at every step of a grant's life, against a real PostgreSQL: the next start finishes what was begun."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lapse.domain.catalog import Catalog
from lapse.domain.grants import Grant, GrantState
from lapse.domain.principals import Account, Principal
from lapse.domain.resources import Entitlement, Resource
from lapse.storage.opening import migrate, open_store

TESTS = Path(__file__).parents[1]
STEPS = [
    "activate.looked",
    "activate.begun",
    "activate.applied",
    "activate.recorded",
    "end.decided",
    "end.removed",
    "end.recorded",
]


def catalog_for(target, mode):
    native = {"role": target.role("reader"), "mode": mode}
    entitlement = Entitlement(resource="pg", role="reader", native=native)
    alice = Principal(name="alice", accounts=(Account(resource="pg", login=target.role("alice")),))
    return Catalog(
        principals={"alice": alice},
        resources={"pg": Resource(name="pg", connector="postgresql", entitlements=(entitlement,))},
    )


def short_grant():
    now = datetime.now(UTC)
    return Grant(
        id="gra_1",
        request_id="req_1",
        beneficiary="alice",
        entitlement="pg/reader",
        starts_at=now,
        duration=timedelta(seconds=1),
        policy_version="v",
        created_at=now,
    )


async def run_enforcer(url, target, step=""):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support.enforcer_process", url, "pg", target.lapse_dsn, step,
        cwd=TESTS, env={**os.environ, "PYTHONPATH": str(TESTS)},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate()
    return process.returncode, errors.decode()


@pytest.mark.parametrize("mode", ["membership", "ephemeral"])
@pytest.mark.parametrize("step", STEPS)
async def test_after_a_kill_the_next_start_ends_the_access(tmp_path, postgres_target, mode, step):
    url = f"sqlite:///{tmp_path}/lapse.db"
    await migrate(url)
    store = await open_store(url)
    await store.write(lambda tx: tx.replace_catalog(catalog_for(postgres_target, mode)))
    await store.write(lambda tx: tx.add_grants([short_grant()]))
    await store.close()

    died, _ = await run_enforcer(url, postgres_target, step)
    assert died == -signal.SIGKILL
    finished, errors = await run_enforcer(url, postgres_target)
    assert (finished, errors) == (0, "")

    store = await open_store(url)
    grant = await store.read(lambda reader: reader.grant("gra_1"))
    await store.close()
    assert grant.state is GrantState.ENDED
    assert grant.ended_at >= grant.ends_at
    assert grant.ends_at - grant.starts_at < timedelta(seconds=30)
    if mode == "membership":
        assert not postgres_target.holds(grant.account, postgres_target.role("reader"))
    else:
        assert not postgres_target.exists(grant.account)
