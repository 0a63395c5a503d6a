"""For every write: failed and not applied, and reported as failed but applied; and targets that are no help at all."""

from __future__ import annotations

import asyncio
import time

import pytest

from lapse.connectors.postgresql import Limits
from lapse.domain.access import Applied, Failed, Removed
from lapse.domain.errors import Unavailable
from support.ports import free_port
from support.proxy import proxy_to, speaks_nonsense

MEMBERSHIP_STEPS = ["FROM unnest", "REVOKE", "pg_stat_get_activity"]
LOGIN_STEPS = ["FROM unnest", "NOLOGIN", "pg_auth_members", "pg_stat_get_activity", "pg_shdepend", "DROP ROLE"]
CUTS = ["cut_after", "cut_before"]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("kind", ["membership", "login"])
async def test_an_apply_that_is_cut_off_is_unknown_and_then_converges(
    asked, connect_as, postgres_target, through, cut, kind
):
    a = getattr(asked, kind)()
    async with proxy_to(postgres_target.server.port) as proxy:
        connector = connect_as(through(postgres_target.lapse_dsn, proxy.port))
        getattr(proxy, cut)("GRANT")
        (failed,) = await connector.apply([a])
        assert isinstance(failed, Failed)
        assert failed.maybe_applied
        assert postgres_target.holds(a.account, a.native["role"]) == (cut == "cut_after")
        (applied,) = await connector.apply([a])
        assert isinstance(applied, Applied)
        assert proxy.cuts == 1


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    ("kind", "step"),
    [*(("membership", step) for step in MEMBERSHIP_STEPS), *(("login", step) for step in LOGIN_STEPS)],
)
async def test_a_removal_that_is_cut_off_anywhere_is_unknown_and_then_converges(
    asked, connect_as, connector, postgres_target, through, cut, kind, step
):
    a = getattr(asked, kind)()
    assert isinstance((await connector.apply([a]))[0], Applied)
    async with proxy_to(postgres_target.server.port) as proxy:
        shaky = connect_as(through(postgres_target.lapse_dsn, proxy.port))
        getattr(proxy, cut)(step)
        (failed,) = await shaky.remove([a])
        assert isinstance(failed, Failed)
        assert failed.maybe_applied
        assert proxy.cuts == 1
        (removed,) = await shaky.remove([a])
        assert isinstance(removed, Removed)
    assert not postgres_target.holds(a.account, a.native["role"])


@pytest.mark.parametrize(
    "answer",
    [None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 64, b"R\x00\x00\x00\x08\x00\x00\x00\x00" * 3, b"\xff" * 4096],
    ids=["silence", "http", "zeros", "half a login", "noise"],
)
async def test_a_target_that_answers_nonsense_or_never_fails_in_bounded_time(asked, connect_as, answer):
    a = asked.membership()
    async with speaks_nonsense(answer) as port:
        connector = connect_as(f"postgresql://lapse:secret-word@127.0.0.1:{port}/db", Limits(connect=2, call=3))
        started = time.monotonic()
        (failed,) = await connector.remove([a])
        with pytest.raises(Unavailable):
            await connector.observe()
        assert time.monotonic() - started < 20
    assert isinstance(failed, Failed)
    assert failed.maybe_applied
    assert "secret-word" not in failed.error


async def test_a_target_that_is_down_is_one_clear_sentence(asked, connect_as):
    connector = connect_as(f"postgresql://lapse:secret-word@127.0.0.1:{free_port()}/db")
    with pytest.raises(Unavailable, match=r"the target `pg-test` failed: .*refused") as caught:
        await connector.check([])
    assert "secret-word" not in str(caught.value)


async def test_work_goes_on_after_a_restart_and_after_a_kill(asked, connector, postgres_target):
    a = asked.membership()
    for outage in (postgres_target.server.stop, postgres_target.server.kill9):
        assert isinstance((await connector.apply([a]))[0], Applied)
        outage()
        (failed,) = await connector.remove([a])
        assert isinstance(failed, Failed)
        postgres_target.server.start()
        assert isinstance((await connector.remove([a]))[0], Removed)


async def test_a_server_killed_while_it_works_leaves_nothing_half_done(asked, connector, postgres_target):
    a = asked.membership()
    await connector.apply([a])
    table_lock = "BEGIN; LOCK TABLE pg_auth_members IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(30)"
    held = asyncio.create_task(asyncio.to_thread(_run_and_ignore, postgres_target, table_lock))
    await _until(postgres_target, "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%%'")
    removal = asyncio.create_task(connector.remove([a]))
    await _until(postgres_target, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted")
    postgres_target.server.kill9()
    (failed,) = await removal
    await held
    postgres_target.server.start()
    assert isinstance(failed, Failed)
    assert failed.maybe_applied
    assert postgres_target.holds(a.account, a.native["role"])
    assert isinstance((await connector.remove([a]))[0], Removed)


async def test_a_lock_that_is_held_too_long_is_a_failure_and_not_a_hang(asked, connect_as, postgres_target):
    connector = connect_as(postgres_target.lapse_dsn, Limits(lock=0.2, call=10))
    a = asked.membership()
    await connector.apply([a])
    table_lock = "BEGIN; LOCK TABLE pg_auth_members IN SHARE MODE; SELECT pg_sleep(1.5)"
    held = asyncio.create_task(asyncio.to_thread(_run_and_ignore, postgres_target, table_lock))
    await _until(postgres_target, "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%%'")
    (failed,) = await connector.remove([a])
    assert isinstance(failed, Failed)
    assert "lock timeout" in failed.error
    await held
    assert isinstance((await connector.remove([a]))[0], Removed)


def _run_and_ignore(target, statement):
    try:
        target.admin(statement)
    except Exception as error:  # noqa: BLE001  the server is killed under it on purpose
        return str(error)
    return ""


async def _until(target, question):
    while not target.admin(question)[0][0]:
        await asyncio.sleep(0.01)
