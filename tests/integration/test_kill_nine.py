"""kill -9 at every step of a grant's life, against a real PostgreSQL: the next start finishes what was begun."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from lapse.domain.catalog import Catalog
from lapse.domain.grants import EndReason, GrantState
from lapse.domain.principals import Account, Principal
from lapse.domain.resources import Entitlement, Resource
from lapse.ports import Page
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


def catalog_for(target, login, mode):
    native = {"role": target.role("reader"), "mode": mode}
    entitlement = Entitlement(resource="pg", role="reader", native=native)
    alice = Principal(name="alice", accounts=(Account(resource="pg", login=login),))
    return Catalog(
        principals={"alice": alice},
        resources={"pg": Resource(name="pg", connector="postgresql", entitlements=(entitlement,))},
    )


async def run_enforcer(url, target, step=""):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "support.enforcer_process", url, "pg", target.lapse_dsn, step,
        cwd=TESTS, env={**os.environ, "PYTHONPATH": str(TESTS)},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate()
    return process.returncode, errors.decode()


async def new_store(url, catalog):
    await migrate(url)
    store = await open_store(url)
    await store.write(lambda tx: tx.replace_catalog(catalog))
    await store.close()


async def live_through_a_kill(url, target, step):
    """A grant whose enforcer is killed at `step` and started again; returns what became of it."""
    died, errors = await run_enforcer(url, target, step)
    assert died == -signal.SIGKILL, f"{step}: {errors}"
    finished, errors = await run_enforcer(url, target)
    assert (finished, errors) == (0, ""), step

    store = await open_store(url)
    (grant,) = await store.read(lambda reader: reader.grants(Page(limit=2)))
    await store.close()
    return grant


@pytest.mark.parametrize("mode", ["membership", "ephemeral"])
async def test_after_a_kill_at_any_step_the_next_start_ends_the_access(tmp_path, postgres_target, mode):
    urls = [f"sqlite:///{tmp_path}/{number}.db" for number in range(len(STEPS))]
    for number, url in enumerate(urls):
        await new_store(url, catalog_for(postgres_target, postgres_target.add_login(f"person{number}"), mode))
    lives = (live_through_a_kill(url, postgres_target, step) for url, step in zip(urls, STEPS, strict=True))
    for step, grant in zip(STEPS, await asyncio.gather(*lives), strict=True):
        assert (grant.state, grant.end_reason) == (GrantState.ENDED, EndReason.ELAPSED), step
        if step != "activate.looked":
            assert grant.ends_at is not None, f"{step}: the deadline was lost"
            assert grant.ended_at >= grant.ends_at, step
        if mode == "membership":
            assert not postgres_target.holds(grant.account, postgres_target.role("reader")), step
        else:
            assert not postgres_target.exists(grant.account), step
