"""Guarded sessions on a real PostgreSQL with real clients: what is refused, what waits, and the session afterwards."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import asyncpg
import psycopg
import pytest

from lapse.domain.guards import Guard, StatementClass
from lapse.domain.holds import HoldEvent
from lapse.domain.sessions import SessionEnd
from lapse.gateway.live import Ending
from lapse.gateway.measures import NoMetrics
from lapse.gateway.recording import FrameKind
from lapse.ports import Cut, Decided
from support.postgres_front import LOGIN, SECRET, run_program

READER = Guard(read_only=True)
FEW = Guard(denied_patterns=("forbidden",))
ASKS = Guard(approval_statements=(StatementClass.UPDATE,))


@pytest.fixture
def guarded(front, target):
    """A function that gives the login a guard."""

    def give(guard):
        front.plane.allowed[LOGIN] = replace(front.plane.allowed[LOGIN], guard=guard)
        return front

    return give


class Counted(NoMetrics):
    """Remembers what holds became."""

    def __init__(self, counted):
        self._counted = counted

    def held(self, outcome):
        self._counted.append(str(outcome))


def verdicts(front):
    """What the recordings say of statements that were refused or waited."""
    recordings = front.gateway.recorder.recordings.values()
    frames = [data for one in recordings for kind, data in one.frames if kind is FrameKind.VERDICT]
    return [json.loads(data) for data in frames]


async def held(front):
    """The hold that a statement waits for, once it does."""
    async with asyncio.timeout(10):
        while not front.plane.holds:
            await asyncio.sleep(0.005)
    return list(front.plane.holds.values())[-1]


async def decide(front, event=HoldEvent.ALLOW, comment=""):
    hold = await held(front)
    at = front.gateway.context.clock.now()
    front.gateway.follow(Decided(hold=hold.after(event, at=at, by="bob", comment=comment)))
    front.plane.holds.clear()


async def test_a_refused_statement_is_a_normal_error_and_the_session_goes_on(guarded):
    front = guarded(READER)
    async with await front.connect() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="read-only"):
            await connection.execute("DELETE FROM orders WHERE id = 1")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="read-only"):
            await connection.execute("DELETE FROM orders WHERE id = %s", [1])
        cursor = await connection.execute("SELECT count(*) FROM orders WHERE id > %s", [0])
        assert await cursor.fetchone() == (2,)
    (session,) = await front.over()
    assert (session.use.refused, session.recorded) == (2, True)
    assert [one["outcome"] for one in verdicts(front)] == ["refused", "refused"]
    assert verdicts(front)[0]["statement"] == "DELETE FROM orders WHERE id = 1"


async def test_a_mistake_in_the_text_has_the_code_of_one(guarded):
    front = guarded(READER)
    async with await front.connect() as connection:
        with pytest.raises(psycopg.errors.SyntaxError, match='syntax error at or near "SELEKT"'):
            await connection.execute("SELEKT 1")
        with pytest.raises(psycopg.errors.SyntaxError, match="syntax error at end of input"):
            await connection.execute("SELECT %s FROM", [1])


async def test_what_the_text_does_not_show_the_server_refuses(guarded, target):
    target.admin("CREATE FUNCTION public.sneaks() RETURNS void LANGUAGE sql AS 'DELETE FROM orders'")
    front = guarded(READER)
    async with await front.connect() as connection:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await connection.execute("SELECT sneaks()")
        await connection.execute("RESET ALL")
        await connection.execute("DISCARD ALL")
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            await connection.execute("SELECT sneaks()")


async def test_a_session_that_makes_itself_writable_ends(guarded, target):
    target.admin(
        "CREATE FUNCTION public.opens() RETURNS text LANGUAGE sql AS"
        " $$SELECT set_config('default_transaction_read_only', 'off', false)$$"
    )
    front = guarded(READER)
    connection = await front.connect(options="-c default_transaction_read_only=off")
    with pytest.raises(psycopg.OperationalError, match="read-only"):
        await connection.execute("SELECT opens()")
    (session,) = await front.over()
    assert session.end_reason is SessionEnd.FAILED


@pytest.mark.parametrize("prepared", [False, True])
async def test_a_refusal_fails_the_transaction_as_any_error_does(guarded, prepared):
    front = guarded(FEW)
    async with await front.connect() as connection:
        await connection.set_autocommit(False)
        await connection.execute("INSERT INTO orders VALUES (9, 'rolled back')")
        values = [1] if prepared else None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT 'forbidden'" + (", %s" if prepared else ""), values)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            await connection.execute("SELECT 1", (values and []) or None)
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            await connection.execute("SELECT 'forbidden'")
        await connection.rollback()
        cursor = await connection.execute("SELECT count(*) FROM orders")
        assert await cursor.fetchone() == (2,)


async def test_in_a_text_of_several_statements_none_runs_if_one_is_refused(guarded):
    front = guarded(FEW)
    async with await front.connect() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("INSERT INTO orders VALUES (9, 'a'); SELECT 'forbidden'")
        cursor = await connection.execute("SELECT count(*) FROM orders")
        assert await cursor.fetchone() == (2,)


async def test_a_pipeline_is_skipped_up_to_its_sync_and_goes_on_afterwards(guarded):
    front = guarded(FEW)
    async with await front.connect() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):  # noqa: PT012  the pipeline is what raises
            async with connection.pipeline():
                first = await connection.execute("SELECT %s::int", [1])
                await connection.execute("SELECT 'forbidden', %s::int", [1])
                await connection.execute("INSERT INTO orders VALUES (9, %s)", ["skipped"])
        assert await first.fetchone() == (1,)
        async with connection.pipeline():
            again = await connection.execute("SELECT count(*), %s FROM orders", ["x"])
        assert await again.fetchone() == (2, "x")


async def test_two_refusals_that_are_sent_at_once_have_their_own_words(guarded):
    front = guarded(Guard(denied_patterns=("first", "second")))
    done = await front.psql("-c", "SELECT 'first'", "-c", "SELECT 'second'", "-c", "SELECT 'third'")
    assert "`first`" in done.stderr
    assert "`second`" in done.stderr
    assert "third" in done.stdout


async def test_copy_in_works_under_a_guard(guarded):
    front = guarded(Guard(denied_patterns=("forbidden",), approval_patterns=("never",)))
    async with await front.connect() as connection, connection.cursor() as cursor:
        async with cursor.copy("COPY orders FROM STDIN") as copy:
            for number in range(2_000):
                await copy.write_row([number + 10, f"item {number}"])
        await cursor.execute("SELECT count(*) FROM orders WHERE id > %s", [0])
        assert await cursor.fetchone() == (2_002,)
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            async with cursor.copy("COPY orders (id) FROM STDIN") as copy:
                await copy.write("no number\n")
        await cursor.execute("SELECT count(*) FROM orders WHERE id > %s", [0])
        assert await cursor.fetchone() == (2_002,)


async def test_a_long_statement_that_cannot_be_judged_is_refused_and_the_next_one_runs(guarded):
    front = guarded(READER)
    async with await front.connect() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="cannot be judged"):
            await connection.execute(f"SELECT '{'x' * (5 << 20)}'")
        cursor = await connection.execute("SELECT 1")
        assert await cursor.fetchone() == (1,)
        cursor = await connection.execute("SELECT length(%s)", ["x" * (5 << 20)])
        assert await cursor.fetchone() == (5 << 20,)


async def test_a_statement_waits_for_an_approver_and_then_runs(guarded):
    front = guarded(ASKS)
    told = []
    async with await front.connect() as connection:
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
        for values in (None, ["sofa"]):
            text = "UPDATE orders SET item = 'sofa' WHERE id = 1" if values is None else "UPDATE orders SET item = %s"
            running = asyncio.create_task(connection.execute(text, values))
            hold = await held(front)
            assert not running.done()
            assert hold.statement.startswith("UPDATE orders SET item")
            await decide(front)
            assert (await running).statusmessage.startswith("UPDATE")
    assert "waits for bob" in told[0]
    await front.over()
    assert [one["outcome"] for one in verdicts(front)] == ["held", "allowed", "held", "allowed"]
    assert verdicts(front)[1]["by"] == "bob"


async def test_what_becomes_of_holds_is_counted(guarded):
    front = guarded(ASKS)
    counted = []
    object.__setattr__(front.gateway.context, "metrics", Counted(counted))
    async with await front.connect() as connection:
        for event in (HoldEvent.ALLOW, HoldEvent.REFUSE, HoldEvent.EXPIRE):
            running = asyncio.create_task(connection.execute("UPDATE orders SET item = 'sofa'"))
            await decide(front, event)
            await asyncio.gather(running, return_exceptions=True)
        running = asyncio.create_task(connection.execute("UPDATE orders SET item = 'sofa'"))
        await held(front)
        await connection.cancel_safe(timeout=5)
        await asyncio.gather(running, return_exceptions=True)
    assert counted == ["asked", "allowed", "asked", "refused", "asked", "expired", "asked", "dropped"]


async def test_a_statement_that_an_approver_refuses_is_an_error_with_the_comment(guarded):
    front = guarded(ASKS)
    async with await front.connect() as connection:
        running = asyncio.create_task(connection.execute("UPDATE orders SET item = %s", ["sofa"]))
        await decide(front, HoldEvent.REFUSE, "not today")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="`bob` refused the statement: not today"):
            await running
        cursor = await connection.execute("SELECT item FROM orders ORDER BY id LIMIT %s", [1])
        assert await cursor.fetchone() == ("lamp",)


async def test_a_prepared_statement_waits_each_time_that_it_runs(guarded):
    front = guarded(ASKS)
    async with await front.connect() as connection:
        for _ in range(3):
            running = asyncio.create_task(
                connection.execute("UPDATE orders SET item = %s WHERE id = 1", ["sofa"], prepare=True)
            )
            await decide(front)
            assert (await running).rowcount == 1


async def test_when_the_session_is_cut_nobody_is_asked_any_more(guarded):
    front = guarded(ASKS)
    connection = await front.connect()
    running = asyncio.create_task(connection.execute("UPDATE orders SET item = 'sofa'"))
    hold = await held(front)
    (session,) = front.plane.open
    front.gateway.live.cut(Cut(session_id=session.id, reason=SessionEnd.REVOKED, by="bob"))
    with pytest.raises(psycopg.OperationalError):
        await running
    await front.over()
    async with asyncio.timeout(5):
        while front.plane.dropped != [hold.id]:
            await asyncio.sleep(0.005)


async def test_ctrl_c_ends_the_waiting(guarded):
    front = guarded(ASKS)
    async with await front.connect() as connection:
        running = asyncio.create_task(connection.execute("UPDATE orders SET item = 'sofa'"))
        hold = await held(front)
        await connection.cancel_safe(timeout=5)
        with pytest.raises(psycopg.errors.QueryCanceled):
            await running
        assert front.plane.dropped == [hold.id]
        cursor = await connection.execute("SELECT 1")
        assert await cursor.fetchone() == (1,)


async def test_a_cancel_never_reaches_the_statement_after_the_one_it_was_for(guarded):
    front = guarded(ASKS)
    async with await front.connect() as connection:
        for _ in range(20):
            running = asyncio.create_task(connection.execute("UPDATE orders SET item = 'sofa'"))
            hold = await held(front)
            await connection.cancel_safe(timeout=5)
            with pytest.raises(psycopg.errors.QueryCanceled):
                await running
            cursor = await connection.execute("SELECT pg_sleep(0.005), 1")
            assert (await cursor.fetchone())[1] == 1
            assert front.plane.dropped[-1] == hold.id
            front.plane.holds.clear()


async def test_a_client_that_leaves_does_not_leave_its_statement_behind(guarded):
    front = guarded(ASKS)
    connection = await front.connect()
    running = asyncio.create_task(connection.execute("UPDATE orders SET item = 'sofa'"))
    hold = await held(front)
    running.cancel()
    connection.pgconn.finish()
    await asyncio.gather(running, return_exceptions=True)
    await front.over()
    async with asyncio.timeout(5):
        while hold.id not in front.plane.dropped:
            await asyncio.sleep(0.005)


async def test_if_lapse_cannot_be_asked_the_statement_is_refused(guarded):
    front = guarded(ASKS)
    async with await front.connect() as connection:
        front.plane.away = True
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="cannot be reached"):
            await connection.execute("UPDATE orders SET item = 'sofa'")
        front.plane.away = False


async def test_asyncpg_and_its_prepared_statements_under_a_guard(guarded):
    front = guarded(Guard(read_only=True, statements=tuple(StatementClass), denied_patterns=("forbidden",)))
    given = psycopg.conninfo.conninfo_to_dict(front.dsn())
    connection = await asyncpg.connect(
        host=given["host"], port=int(given["port"]), user=LOGIN, password=SECRET, database=front.dbname, ssl=False
    )
    try:
        statement = await connection.prepare("SELECT item FROM orders WHERE id = $1")
        assert await statement.fetchval(1) == "lamp"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("UPDATE orders SET item = $1", "x")
        assert await statement.fetchval(2) == "chair"
        async with connection.transaction(readonly=True):
            rows = [row async for row in connection.cursor("SELECT generate_series(1, 500) AS n", prefetch=50)]
        assert len(rows) == 500
    finally:
        await connection.close()


async def test_pgbench_runs_through_a_guard(guarded, target):
    front = guarded(Guard(denied_patterns=("forbidden",), approval_patterns=("never",), require_where=True))
    target.admin(f'GRANT CREATE ON SCHEMA public TO "{target.role("writer")}"')
    script = "SELECT item FROM orders WHERE id = 1;\nUPDATE orders SET item = 'x' WHERE id = 2;\n"
    for mode in ("simple", "extended", "prepared"):
        done = await run_program(
            "pgbench", "-n", "-f", "-", "-M", mode, "-t", "50", "-c", "2", front.dsn(), stdin=script
        )
        assert "number of failed transactions: 0" in done.stdout, done.stderr


async def test_warnings_and_the_deadline_are_as_in_any_session(guarded):
    front = guarded(READER)
    connection = await front.connect()
    await connection.execute("SELECT 1")
    (session,) = front.gateway.live
    told = []
    connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
    session.on_warning(Ending(timedelta(minutes=2)))
    await connection.execute("SELECT 1")
    assert told == ["lapse: your access ends in 2m"]
    session.cut(Cut(session_id=session.id, reason=SessionEnd.LOCKED, by="carol"))
    with pytest.raises(psycopg.OperationalError):
        await connection.execute("SELECT 1")
    (over,) = await front.over()
    assert over.end_reason is SessionEnd.LOCKED
