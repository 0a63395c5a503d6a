"""Clients and servers that mean harm cost themselves a connection, and nobody else anything."""

from __future__ import annotations

import asyncio
import os
import struct
from datetime import timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.gateway.context import Limits
from lapse.ports import Upstream
from support.postgres_front import front_of

STARTUP = struct.pack("!II", 8 + 15, 196608) + b"user\0alice.x\0\0\0"


async def answer_to(front, data, *, seconds=10):
    """What the gateway says to `data` until it hangs up; a reset may take the rest with it."""
    reader, writer = await asyncio.open_connection(front.host, front.port)
    writer.write(data)
    said = b""
    try:
        async with asyncio.timeout(seconds):
            while more := await reader.read(100_000):
                said += more
    except OSError:
        pass
    finally:
        writer.close()
    return said


async def works(front):
    async with await front.connect() as connection:
        await connection.execute("SELECT 1")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=8, max_size=300).filter(lambda d: not 8 <= int.from_bytes(d[:4], "big") <= 10_000))
async def test_garbage_is_told_that_it_is_no_startup_packet(target, data):
    async with front_of(target) as front:
        assert b"not a PostgreSQL startup packet" in await answer_to(front, data)


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("!II", 1 << 30, 196608),
        struct.pack("!II", 8 + 4, 196608) + b"user",
        struct.pack("!II", 9, 4 << 16) + b"\0",
        struct.pack("!II", 9, 196608) + b"\0",
        STARTUP + b"Q" + struct.pack("!i", 1 << 30),
        STARTUP + b"p" + struct.pack("!i", 1 << 30),
        STARTUP + b"p" + struct.pack("!i", 3),
        STARTUP + b"p" + struct.pack("!i", 8) + b"MD5\0",
    ],
    ids=["a gigabyte", "an open text", "version 4", "no user", "a query", "a huge password", "a short one", "MD5"],
)
async def test_what_is_no_login_gets_an_error_and_the_others_go_on(front, data):
    said = await answer_to(front, data)
    assert b"FATAL" in said
    await works(front)


async def test_half_a_packet_and_silence_is_hung_up_on_in_time(target):
    async with front_of(target, limits=Limits(login_timeout=timedelta(seconds=0.3))) as front:
        front.allow(target)
        assert await answer_to(front, STARTUP[:9], seconds=5) == b""
        await works(front)


async def test_a_byte_now_and_then_does_not_keep_a_stranger_in(target):
    async with front_of(target, limits=Limits(login_timeout=timedelta(seconds=0.5))) as front:
        _, writer = await asyncio.open_connection(front.host, front.port)
        with pytest.raises(OSError):  # noqa: PT011  reset or broken pipe, as it happens
            await drip(writer)


async def drip(writer):
    async with asyncio.timeout(10):
        for byte in STARTUP * 100:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.05)


async def test_a_thousand_strangers_keep_nobody_out(target):
    limits = Limits(unauthenticated=100, unauthenticated_per_address=2_000)
    async with front_of(target, limits=limits) as front:
        front.allow(target)
        strangers = [await asyncio.open_connection(front.host, front.port) for _ in range(1_000)]
        await works(front)
        for _, writer in strangers:
            writer.close()


async def test_tls_that_is_asked_for_twice_is_refused(front):
    request = struct.pack("!II", 8, 80877103)
    said = await answer_to(front, request + request)
    assert said.startswith(b"N")
    assert b"asks for encryption again" in said


class LyingServer:
    """Accepts, says what it was told to, and remembers what it heard."""

    def __init__(self, *says: bytes) -> None:
        self.says, self.heard = says, bytearray()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, reader, writer):
        for one in self.says:
            self.heard += await reader.read(10_000)
            writer.write(one)
        await writer.drain()
        writer.close()


OK = b"R" + struct.pack("!ii", 8, 0)


@pytest.mark.parametrize(
    "says",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"R" + struct.pack("!i", 1 << 30),
        b"R" + struct.pack("!ii", 8, 3),
        b"R" + struct.pack("!ii", 12, 5) + b"salt",
        OK + b"D" + struct.pack("!ih", 6, 0),
        OK + (b"S" + struct.pack("!i", 8) + b"a\0b\0") * 2_000,
        os.urandom(64),
        b"",
    ],
    ids=["http", "a gigabyte", "wants it in clear", "MD5", "rows", "endless", "noise", "nothing"],
)
async def test_a_server_that_lies_gets_no_password_and_the_client_an_error(front, target, says):
    async with LyingServer(says) as liar:
        front.allow(
            target,
            "alice.pg-prod.liar22",
            upstream=Upstream(
                host="127.0.0.1", port=liar.port, user="app", secret="the-password", parameters={"sslmode": "disable"}
            ),
        )
        with pytest.raises(psycopg.OperationalError):
            await front.connect(login="alice.pg-prod.liar22")
        assert b"the-password" not in liar.heard
    await works(front)
