"""Real clients through the gateway: each does what it does directly."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import asyncpg
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from lapse.domain.sessions import SessionEnd
from lapse.gateway.recording import FrameKind
from lapse.protocols.pieces import unpacked
from lapse.protocols.postgres.audit import Auditor
from lapse.protocols.postgres.startup import CancelRequest
from support.postgres_front import LOGIN, SECRET, run_program

JDBC = Path("/usr/share/java/postgresql.jar")


async def test_psql_copies_in_and_out(front, target, tmp_path):
    (tmp_path / "rows.csv").write_text("".join(f"{n},thing {n}\n" for n in range(10, 5_010)))
    done = await front.psql(
        "-c", f"\\copy orders from '{tmp_path}/rows.csv' csv", "-c", f"\\copy orders to '{tmp_path}/out.csv' csv"
    )
    assert done.returncode == 0, done.stderr
    assert "COPY 5000" in done.stdout
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 5_002


async def test_psql_goes_on_after_an_error_in_the_same_transaction_state(front):
    done = await front.psql("-v", "ON_ERROR_ROLLBACK=on", stdin="BEGIN; SELECT 1/0; SELECT 'on'; COMMIT;\n")
    assert "division by zero" in done.stderr
    assert "on" in done.stdout


async def test_ctrl_c_in_psql_cancels_the_query(front, target):
    process = await asyncio.create_subprocess_exec(
        shutil.which("psql"),
        front.dsn(),
        "-X",
        "-A",
        "-t",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    process.stdin.write(b"SELECT pg_sleep(60);\n")
    await running(target, "pg_sleep")
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(20):
        out, _ = await process.communicate()
    assert b"canceling statement due to user request" in out


async def test_psql_watches(front):
    done = await front.psql("-c", "SELECT 'tick'", "-c", "\\watch i=0.1 c=3", stdin="")
    # Older versions know no count; what matters is that the query is run again.
    assert "tick" in done.stdout


@pytest.mark.parametrize("mode", ["simple", "extended", "prepared"])
async def test_pgbench_in_every_mode(front, mode, tmp_path):
    script = tmp_path / "bench.sql"
    script.write_text("\\set n random(1, 2)\nSELECT item FROM orders WHERE id = :n;\n")
    done = await run_program(
        "pgbench", "-n", "-M", mode, "-f", str(script), "-c", "4", "-j", "2", "-t", "100", front.dsn()
    )
    assert done.returncode == 0, done.stderr
    assert "400/400" in done.stdout
    sessions = await front.over(5)  # one looks at the database before
    assert sum(one.use.statements for one in sessions) >= 400
    assert all(one.recorded for one in sessions)


@pytest.mark.parametrize("mode", ["simple", "prepared"])
async def test_of_32000_statements_32000_are_on_record(front, mode, tmp_path):
    script = tmp_path / "bench.sql"
    script.write_text("\\set n random(1, 2)\nSELECT item FROM orders WHERE id = :n;\n")
    done = await run_program(
        "pgbench", "-n", "-M", mode, "-f", str(script), "-c", "8", "-j", "2", "-t", "4000", front.dsn()
    )
    assert "32000/32000" in done.stdout, done.stderr
    await front.over(9)
    told = [one for one in on_record(front) if one.text.startswith("SELECT item FROM orders WHERE id = ")]
    assert len(told) == 32_000
    assert all(one.tags == ("SELECT 1",) and one.duration is not None for one in told)


@pytest.mark.parametrize("size", [300_000, 50_000_000])
async def test_a_long_statement_is_on_record_whole(front, size):
    statement = f"SELECT length('{'x' * size}')"
    async with await front.connect() as connection:
        cursor = await connection.execute(statement)
        assert await cursor.fetchone() == (size,)
    await front.over()
    assert [one.text for one in on_record(front)] == [statement]


def on_record(front):
    """Every statement of every session, as the recordings have them."""
    for recording in front.gateway.recorder.recordings.values():
        auditor = Auditor()
        for kind, data in recording.frames:
            if kind is FrameKind.PIECES:
                yield from auditor.feed(unpacked(data))
        yield from auditor.close()


async def test_pg_dump_and_pg_restore(front, target, tmp_path):
    file = str(tmp_path / "dump")
    dumped = await run_program("pg_dump", "-Fc", "-t", "orders", "-f", file, front.dsn())
    assert dumped.returncode == 0, dumped.stderr
    target.admin("TRUNCATE orders")
    restored = await run_program("pg_restore", "--data-only", "-d", front.dsn(), file)
    assert restored.returncode == 0, restored.stderr
    assert target.admin("SELECT count(*) FROM orders") == [(2,)]


async def test_psycopg_pipelines(front):
    async with await front.connect() as connection, connection.pipeline():
        cursors = [await connection.execute("SELECT %s::int", [n]) for n in range(500)]
        assert [(await one.fetchone())[0] for one in cursors] == list(range(500))


async def test_psycopg_cancels_the_right_query(front, target):
    async with await front.connect() as one, await front.connect() as other:
        waiting = [
            asyncio.create_task(c.execute("SELECT pg_sleep(1), %s::int", [n])) for n, c in enumerate((one, other))
        ]
        await running(target, "pg_sleep", number=2)
        await one.cancel_safe()
        with pytest.raises(psycopg.errors.QueryCanceled):
            await waiting[0]
        assert (await (await waiting[1]).fetchone())[1] == 1


async def test_a_cancel_request_with_another_key_cancels_nothing(front, target):
    async with await front.connect() as connection:
        pid = connection.info.backend_pid
        assert (await (await connection.execute("SELECT pg_backend_pid()")).fetchone())[0] == pid
        waiting = asyncio.create_task(connection.execute("SELECT pg_sleep(0.5)"))
        await running(target, "pg_sleep")
        _, writer = await asyncio.open_connection(front.host, front.port)
        writer.write(CancelRequest(pid, b"\0\0\0\1").encode())
        await writer.drain()
        writer.close()
        await waiting
    assert front.plane.cancels == [(0, pid.to_bytes(4, "big") + b"\0\0\0\1")]


async def test_notifications_and_large_objects(front):
    async with await front.connect() as one, await front.connect() as other:
        await one.execute("LISTEN news")
        await other.execute("NOTIFY news, 'hello'")
        await one.execute("SELECT 1")
        async for notice in one.notifies(timeout=5, stop_after=1):
            assert notice.payload == "hello"
        await one.set_autocommit(False)
        (oid,) = await (await one.execute("SELECT lo_from_bytea(0, %s)", [b"x" * 100_000])).fetchone()
        (size,) = await (await one.execute("SELECT length(lo_get(%s))", [oid])).fetchone()
        assert size == 100_000


async def test_asyncpg_prepares_copies_and_fetches_by_cursor(front):
    connection = await asyncpg.connect(
        host=front.host, port=front.port, user=LOGIN, password=SECRET, database=front.dbname, ssl=False
    )
    try:
        statement = await connection.prepare("SELECT $1::int + 1")
        assert await statement.fetchval(41) == 42
        await connection.copy_records_to_table("orders", records=[(n, "r") for n in range(100, 1_100)])
        async with connection.transaction():
            rows = [row["id"] async for row in connection.cursor("SELECT id FROM orders ORDER BY id")]
        assert len(rows) == 1_002
    finally:
        await connection.close()


async def test_sqlalchemy_in_a_transaction_that_is_rolled_back(front):
    engine = create_async_engine(
        f"postgresql+psycopg://{LOGIN}:{SECRET}@{front.host}:{front.port}/{front.dbname}?sslmode=disable"
    )
    try:
        async with engine.connect() as connection:
            await connection.execute(text("INSERT INTO orders VALUES (7, 'door')"))
            await connection.rollback()
            assert (await connection.execute(text("SELECT count(*) FROM orders"))).scalar() == 2
    finally:
        await engine.dispose()


async def test_statements_and_results_of_fifty_megabytes_come_through_whole(front):
    big = os.urandom(25 << 20).hex()
    async with await front.connect() as connection:
        cursor = await connection.execute(f"SELECT length('{big}'), '{big}'")
        assert await cursor.fetchone() == (len(big), big)
    await front.over()
    (recording,) = front.gateway.recorder.recordings.values()
    sent = b"".join(p.data for p in unpacked(recording.data(FrameKind.PIECES)) if p.direction == "c")
    assert big.encode() in sent


JAVA = """
import java.sql.*;
public class Through {
    public static void main(String[] given) throws Exception {
        try (Connection c = DriverManager.getConnection(given[0], given[1], given[2])) {
            c.setAutoCommit(false);
            PreparedStatement p = c.prepareStatement("SELECT item FROM orders WHERE id = ?");
            for (int n = 0; n < 20; n++) {
                p.setInt(1, 1 + n % 2);
                ResultSet r = p.executeQuery();
                r.next();
                if (n == 0) System.out.println(r.getString(1));
            }
            Statement s = c.createStatement();
            s.setFetchSize(10);
            ResultSet r = s.executeQuery("SELECT generate_series(1, 1000)");
            int count = 0;
            while (r.next()) count++;
            System.out.println(count);
        }
    }
}
"""


@pytest.mark.skipif(not JDBC.exists() or shutil.which("java") is None, reason="no Java here")
async def test_jdbc(front, tmp_path):
    (tmp_path / "Through.java").write_text(JAVA)
    url = f"jdbc:postgresql://{front.host}:{front.port}/{front.dbname}?sslmode=disable"
    done = await run_program("java", "-cp", str(JDBC), str(tmp_path / "Through.java"), url, LOGIN, SECRET)
    if "No module" in done.stderr or "jdk.compiler" in done.stderr:
        pytest.skip("this Java has no compiler")
    assert done.stdout.split() == ["lamp", "1000"], done.stderr


async def test_who_hangs_up_ends_the_session(front):
    connection = await front.connect()
    await connection.close()
    (ended,) = await front.over()
    assert ended.end_reason is SessionEnd.CLIENT


async def running(target, what, number=1):
    async with asyncio.timeout(10):
        while (
            len(
                target.admin(
                    "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND usename = %s AND query LIKE %s",
                    target.role("alice"),
                    f"%{what}%",
                )
            )
            < number
        ):
            await asyncio.sleep(0.02)
