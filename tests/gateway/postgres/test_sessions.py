"""Sessions through the gateway on a real PostgreSQL: what works, what is told, and how they end."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from lapse.domain.guards import GatewayRules, RecordParameters
from lapse.domain.sessions import SessionEnd
from lapse.gateway.live import Ending
from lapse.gateway.postgres import session as session_module
from lapse.gateway.recording import FrameKind
from lapse.ports import Cut
from lapse.protocols.pieces import unpacked


def kept(front):
    """What the recording of the only session has, both directions joined."""
    (recording,) = front.gateway.recorder.recordings.values()
    return b"".join(piece.data for piece in unpacked(recording.data(FrameKind.PIECES)))


async def test_a_query_goes_to_the_target_and_its_answer_comes_back(front):
    async with await front.connect() as connection:
        cursor = await connection.execute("SELECT item FROM orders ORDER BY id")
        assert await cursor.fetchall() == [("lamp",), ("chair",)]
    (session,) = await front.over()
    assert session.end_reason is SessionEnd.CLIENT
    assert session.use.statements >= 1
    assert session.use.rows == 2
    assert session.recorded
    assert b"SELECT item FROM orders" in kept(front)


async def test_the_target_sees_whose_session_it_is_and_by_which_grant(front):
    async with await front.connect(application_name="psql") as connection:
        cursor = await connection.execute("SELECT current_setting('application_name'), session_user")
        name, user = await cursor.fetchone()
        told = connection.info.parameter_status("application_name")
    assert name == "lapse:alice:grt_1:psql"
    assert user.endswith("_alice")
    assert told == "psql"  # as the driver expects


async def test_a_wrong_password_and_an_unknown_login_are_told_alike(front):
    told = []
    for login, password in (("alice.pg-prod.x7k2m9", "wrong"), ("mallory.pg-prod.aaaaaa", "wrong")):
        with pytest.raises(psycopg.OperationalError) as failed:
            await front.connect(login=login, password=password)
        told.append(str(failed.value).rpartition("FATAL:")[2].replace(login, "LOGIN").strip())
    assert told[0] == told[1] == 'password authentication failed for user "LOGIN"'
    assert front.plane.sessions == {}


async def test_without_a_session_nothing_is_opened_on_the_target(front, target):
    front.plane.allowed["alice.pg-prod.x7k2m9"].refused = "`alice` has 50 sessions there, the most it may have"
    with pytest.raises(psycopg.OperationalError, match="the most it may have"):
        await front.connect()
    (number,) = target.admin("SELECT count(*) FROM pg_stat_activity WHERE usename = %s", target.role("alice"))[0]
    assert number == 0


async def test_while_lapse_is_away_nothing_is_opened_and_why_is_told(front):
    front.plane.away = True
    with pytest.raises(psycopg.OperationalError, match="cannot be reached"):
        await front.connect()


async def test_a_target_that_is_away_is_told_and_the_session_failed(front, target):
    allowed = front.allow(target, "alice.pg-prod.away22")
    allowed.upstream = type(allowed.upstream)(host="127.0.0.1", port=1, user="x", parameters={"sslmode": "disable"})
    with pytest.raises(psycopg.OperationalError, match="is not reached"):
        await front.connect(login="alice.pg-prod.away22")
    (session,) = await front.over()
    assert session.end_reason is SessionEnd.FAILED


async def test_a_revoked_session_is_cut_in_the_middle_of_a_query_and_told_why(front, target):
    async with await front.connect() as connection:
        waiting = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
        await until_running(target, "pg_sleep")
        (session,) = front.plane.open
        front.gateway.follow(cut_of(session, SessionEnd.REVOKED))
        with pytest.raises(psycopg.OperationalError, match="your access was revoked by bob"):
            await waiting
    (ended,) = await front.over()
    assert ended.end_reason is SessionEnd.REVOKED
    await until_gone(target)


async def test_the_target_is_asked_to_cancel_only_where_it_still_works(front, target, monkeypatch):
    asked = []

    async def cancel(upstream, request):
        asked.append(request)
        await real(upstream, request)

    real = session_module.cancel
    monkeypatch.setattr(session_module, "cancel", cancel)
    async with await front.connect() as idle, await front.connect() as busy:
        await idle.execute("SELECT 1")
        waiting = asyncio.create_task(busy.execute("SELECT pg_sleep(60)"))
        await until_running(target, "pg_sleep")
        for session in list(front.plane.open):
            front.gateway.follow(cut_of(session, SessionEnd.REVOKED))
        with pytest.raises(psycopg.OperationalError):
            await waiting
    await until_gone(target)
    await front.over()
    assert len(asked) == 1


async def test_at_the_deadline_the_session_is_cut_and_not_before(front, target):
    allowed = front.allow(target, "alice.pg-prod.short2", life=timedelta(seconds=1.5))
    async with await front.connect(login="alice.pg-prod.short2") as connection:
        with pytest.raises(psycopg.OperationalError, match="your access has reached its end"):
            await connection.execute("SELECT pg_sleep(60)")
        assert datetime.now(UTC) >= allowed.credential.expires_at
    (ended,) = await front.over()
    assert ended.end_reason is SessionEnd.ELAPSED
    await until_gone(target)


async def test_the_user_is_warned_before_the_cut(front):
    notices = []
    async with await front.connect() as connection:
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        await connection.execute("SELECT 1")
        (session,) = front.gateway.live
        session.on_warning(Ending(timedelta(minutes=2)))
        await connection.execute("SELECT 1")
    assert notices == ["lapse: your access ends in 2m"]


async def test_an_entitlement_that_names_a_database_leads_to_no_other(front, target):
    front.allow(target, "alice.pg-prod.named2", native={"database": target.dbname})
    async with await front.connect(login="alice.pg-prod.named2"):
        pass
    with pytest.raises(psycopg.OperationalError, match="this access is to the database"):
        await front.connect(login="alice.pg-prod.named2", dbname="postgres")


async def test_replication_is_refused(front):
    with pytest.raises(psycopg.OperationalError, match="replication is not possible"):
        await front.connect(replication="database")


async def test_parameters_are_kept_out_of_the_recording_where_the_resource_says_so(front, target):
    front.allow(target, "alice.pg-prod.redact", rules=GatewayRules(parameters=RecordParameters.REDACT))
    async with await front.connect(login="alice.pg-prod.redact") as connection:
        await connection.execute("SELECT %s::text", ["a-secret-value"])
    await front.over()
    assert b"a-secret-value" not in kept(front)
    assert b"SELECT $1::text" in kept(front)


async def test_a_recording_that_fails_ends_the_session(front):
    async with await front.connect() as connection:
        front.gateway.recorder.full = True
        with pytest.raises(psycopg.OperationalError):
            await until_it_fails(connection)
    (ended,) = await front.over()
    assert ended.end_reason is SessionEnd.NOT_RECORDED


async def until_it_fails(connection):
    async with asyncio.timeout(10):
        while True:
            await connection.execute("SELECT 1")
            await asyncio.sleep(0.02)


def cut_of(session, reason):
    return Cut(session_id=session.id, reason=reason, by="bob")


async def until_running(target, text):
    async with asyncio.timeout(10):
        while not target.admin(
            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND usename = %s AND query LIKE %s",
            target.role("alice"),
            f"%{text}%",
        ):
            await asyncio.sleep(0.02)


async def until_gone(target):
    """Nothing of the person runs on the target any more."""
    async with asyncio.timeout(10):
        while target.admin("SELECT 1 FROM pg_stat_activity WHERE usename = %s", target.role("alice")):
            await asyncio.sleep(0.02)
