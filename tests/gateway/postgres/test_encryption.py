"""TLS on both sides: asked for, begun directly, demanded; and what the gateway demands of a target."""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import replace

import psycopg
import pytest
import trustme

from lapse.domain.sessions import SessionEnd
from lapse.entrypoints.demo.private_postgres import PrivatePostgres
from lapse.ports import Cut
from support.postgres import protected_target
from support.postgres_front import front_of

LIBPQ_OF_3_2 = 180_000


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


@pytest.mark.parametrize(
    "options",
    [
        {"sslnegotiation": "direct"},
        {"min_protocol_version": "3.2", "max_protocol_version": "3.2"},
        {"sslnegotiation": "direct", "channel_binding": "require", "max_protocol_version": "3.2"},
    ],
)
async def test_the_newest_libpq_with_what_only_it_can_do(tls_front, options):
    if psycopg.pq.version() < LIBPQ_OF_3_2:
        pytest.skip("the libpq here is older than 18")
    async with await tls_front.connect(sslrootcert=tls_front.roots, sslmode="verify-full", **options) as connection:
        cursor = await connection.execute("SELECT item FROM orders ORDER BY id LIMIT %s", [1])
        assert await cursor.fetchone() == ("lamp",)
        sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(30)"))
        await asyncio.sleep(0.2)
        await connection.cancel_safe(timeout=10)
        with pytest.raises(psycopg.errors.QueryCanceled):
            await sleeping


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


@pytest.fixture(scope="module")
def encrypted_server(tmp_path_factory):
    """A PostgreSQL that speaks TLS, knows who signs its clients, and lets nobody in in clear text but its owner."""
    folder, authority = tmp_path_factory.mktemp("target-tls"), trustme.CA()
    authority.cert_pem.write_to_path(folder / "roots.pem")
    with PrivatePostgres() as server:
        data, issued = server.folder / "data", authority.issue_cert("127.0.0.1")
        issued.private_key_pem.write_to_path(data / "server.key")
        for number, blob in enumerate(issued.cert_chain_pems):
            blob.write_to_path(data / "server.crt", append=number > 0)
        authority.cert_pem.write_to_path(data / "root.crt")
        for name in ("server.key", "server.crt", "root.crt"):
            os.chown(data / name, data.stat().st_uid, data.stat().st_gid)
        (data / "server.key").chmod(0o600)
        with psycopg.connect(server.dsn(), autocommit=True) as admin:
            for setting in ("ssl = on", "ssl_ca_file = 'root.crt'"):
                admin.execute(f"ALTER SYSTEM SET {setting}")
            admin.execute("SELECT pg_reload_conf()")
        yield server, authority, str(folder / "roots.pem")


@pytest.fixture
def encrypted_target(encrypted_server):
    server, authority, roots = encrypted_server
    hba = server.folder / "data" / "pg_hba.conf"
    with protected_target(server) as target:
        alice, before = target.role("alice"), hba.read_text()
        hba.write_text(
            f'hostssl all "{alice}" 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n'
            f'host all "{alice}" 127.0.0.1/32 reject\n{before}'
        )
        target.admin("SELECT pg_reload_conf()")
        yield target, authority, roots
        hba.write_text(before)


def encrypted(front, target, login, roots, signed_by):
    """A way to Alice's login with a certificate in her name, issued by `signed_by`; `roots` vouch for the server."""
    issued = signed_by.issue_cert(common_name=target.role("alice"))
    allowed = front.allow(target, login)
    parameters = {"dbname": target.dbname, "sslmode": "verify-full", "sslrootcert": roots, "channel_binding": "require"}
    allowed.upstream = replace(
        allowed.upstream,
        parameters=parameters,
        certificate=b"".join(blob.bytes() for blob in issued.cert_chain_pems).decode(),
        private_key=issued.private_key_pem.bytes().decode(),
    )


async def test_a_target_is_verified_sees_a_certificate_and_the_password_is_bound_to_its_channel(encrypted_target):
    target, authority, roots = encrypted_target
    async with front_of(target) as front:
        encrypted(front, target, "alice.pg-prod.tls333", roots, authority)
        async with await front.connect(login="alice.pg-prod.tls333") as connection:
            cursor = await connection.execute(
                "SELECT ssl, client_dn <> '' FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
            )
            assert await cursor.fetchone() == (True, True)
            waiting = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
            async with asyncio.timeout(10):
                while not target.admin("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"):
                    await asyncio.sleep(0.02)
            await connection.cancel_safe(timeout=5)
            with pytest.raises(psycopg.errors.QueryCanceled):
                await waiting


async def test_a_target_that_another_authority_vouches_for_is_not_used(encrypted_target, certificate):
    target, authority, _ = encrypted_target
    async with front_of(target) as front:
        encrypted(front, target, "alice.pg-prod.tls444", certificate[1], authority)
        with pytest.raises(psycopg.OperationalError, match=r"is not reached: .*certificate"):
            await front.connect(login="alice.pg-prod.tls444")


async def test_a_certificate_that_the_target_does_not_know_gets_nobody_in(encrypted_target):
    target, _, roots = encrypted_target
    async with front_of(target) as front:
        encrypted(front, target, "alice.pg-prod.tls555", roots, trustme.CA())
        with pytest.raises(psycopg.OperationalError):
            await front.connect(login="alice.pg-prod.tls555")
        (session,) = await front.over()
        assert session.end_reason is SessionEnd.FAILED
