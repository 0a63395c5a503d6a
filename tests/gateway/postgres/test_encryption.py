"""TLS on both sides: asked for, begun directly, demanded; and what the gateway demands of a target."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

import psycopg
import pytest

from lapse.domain.sessions import SessionEnd
from lapse.ports import Cut
from support.postgres_front import front_of


async def test_clients_use_tls_with_a_certificate_that_they_verify_and_bind_the_channel(tls_front):
    async with await tls_front.connect(
        sslmode="verify-full", sslrootcert=tls_front.roots, channel_binding="require"
    ) as connection:
        assert connection.pgconn.ssl_in_use
        await connection.execute("SELECT 1")


async def test_where_tls_is_offered_clear_text_works_too(tls_front):
    async with await tls_front.connect(sslmode="disable") as connection:
        assert not connection.pgconn.ssl_in_use


async def test_where_tls_is_demanded_clear_text_is_told_so(target, certificate):
    async with front_of(target, tls=certificate[0], require_tls=True) as front:
        front.allow(target)
        with pytest.raises(psycopg.OperationalError, match="no connections in clear text"):
            await front.connect(sslmode="disable")
        async with await front.connect(sslmode="require"):
            pass


async def test_tls_may_begin_directly_and_names_the_protocol(tls_front):
    context = ssl.create_default_context(cafile=tls_front.roots)
    context.set_alpn_protocols(["postgresql"])
    reader, writer = await asyncio.open_connection(tls_front.host, tls_front.port, ssl=context)
    body = b"user\0nobody\0\0"
    writer.write((8 + len(body)).to_bytes(4, "big") + (196608).to_bytes(4, "big") + body)
    head = await asyncio.wait_for(reader.readexactly(1), 10)
    assert head == b"R"
    writer.close()


async def test_direct_tls_for_another_protocol_is_hung_up_on(tls_front):
    context = ssl.create_default_context(cafile=tls_front.roots)
    context.set_alpn_protocols(["h2"])
    with pytest.raises((OSError, EOFError)):
        await said_to(tls_front, context)


async def said_to(front, context):
    reader, writer = await asyncio.open_connection(front.host, front.port, ssl=context)
    writer.write(b"\0" * 8)
    if await asyncio.wait_for(reader.read(1), 10) == b"":
        raise EOFError


async def test_a_cut_is_told_through_tls(tls_front):
    async with await tls_front.connect(sslmode="require") as connection:
        waiting = asyncio.create_task(connection.execute("SELECT pg_sleep(30)"))
        while not tls_front.gateway.live or next(iter(tls_front.gateway.live)).counting is None:
            await asyncio.sleep(0.01)
        (session,) = tls_front.plane.open
        tls_front.plane.sessions[session.id] = session
        tls_front.gateway.follow(Cut(session_id=session.id, reason=SessionEnd.LOCKED))
        with pytest.raises(psycopg.OperationalError, match="a lock is in force"):
            await waiting


@pytest.mark.parametrize("mode", ["require", "verify-full"])
async def test_a_target_that_speaks_no_tls_is_not_used_where_it_must(front, target, mode):
    allowed = front.allow(target, "alice.pg-prod.tls222")
    allowed.upstream = replace(
        allowed.upstream, parameters={"dbname": target.dbname, "sslmode": mode, "sslrootcert": ""}
    )
    with pytest.raises(psycopg.OperationalError, match="speaks no TLS"):
        await front.connect(login="alice.pg-prod.tls222")


async def test_where_tls_is_preferred_a_target_without_it_is_used(front, target):
    allowed = front.allow(target, "alice.pg-prod.prefer")
    allowed.upstream = replace(allowed.upstream, parameters={"dbname": target.dbname})
    async with await front.connect(login="alice.pg-prod.prefer") as connection:
        await connection.execute("SELECT 1")
