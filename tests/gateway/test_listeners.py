"""Listeners on real sockets: every connection is served or turned away, bounded, and closed in the end."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from lapse.domain.errors import Refused, Unavailable
from lapse.gateway import listeners
from lapse.gateway.context import Limits
from lapse.gateway.listeners import Listener, listen
from lapse.gateway.measures import NoMetrics
from support.live_gateway import live_gateway

QUICK = timedelta(seconds=1)


class Echo:
    """Says back what it hears. `hello` proves who one is, `bye` ends it, `bug`, `no` and `lost` raise."""

    protocol = "echo"

    def __init__(self):
        self.connections = []
        self.closed = False

    async def serve(self, connection):
        self.connections.append(connection)
        loop = asyncio.get_running_loop()
        while (data := await loop.sock_recv(connection.sock, 1000)) and data != b"bye":
            self._judge(connection, data)
            await loop.sock_sendall(connection.sock, data)

    def _judge(self, connection, data):
        if data == b"hello":
            connection.authenticated()
        elif data == b"bug":
            raise ZeroDivisionError
        elif data == b"no":
            raise Refused("you may not")
        elif data == b"lost":
            raise ConnectionResetError(errno.ECONNRESET, "gone")

    async def close(self):
        self.closed = True


class Counted(NoMetrics):
    def __init__(self):
        self.turned_away, self.strangers = [], []

    def connection(self, protocol, outcome):
        self.turned_away.append((protocol, outcome))

    def unauthenticated(self, protocol, number):
        self.strangers.append(number)


class Served:
    """A listener that runs, and what it counted and logged."""

    def __init__(self, gateway, server, listener, metrics):
        self.gateway, self.server, self.listener, self.metrics = gateway, server, listener, metrics

    async def connect(self, source=None):
        reader, writer = await asyncio.open_connection(
            *self.listener.address, local_addr=(source, 0) if source else None
        )
        return Client(reader, writer)


class Client:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def say(self, data):
        self.writer.write(data)
        async with asyncio.timeout(10):
            return await self.reader.read(1000)

    async def hung_up(self):
        """Return when the other side has closed; what it said before."""
        try:
            async with asyncio.timeout(10):
                return await self.reader.read()
        except ConnectionError:
            return b""

    def close(self):
        self.writer.close()


@asynccontextmanager
async def served(server=None, **limits):
    async with live_gateway(limits=Limits(**limits)) as gateway:
        metrics, server = Counted(), server or Echo()
        object.__setattr__(gateway.context, "metrics", metrics)
        listener = Listener(listen("127.0.0.1", 0), server, gateway.context)
        listener.start()
        try:
            yield Served(gateway, server, listener, metrics)
        finally:
            await listener.close()


async def test_a_connection_is_served_until_the_server_is_done_and_then_closed():
    async with served() as one:
        client = await one.connect()
        assert await client.say(b"hello") == b"hello"
        assert len(one.listener) == 1
        (connection,) = one.server.connections
        assert connection.client == "127.0.0.1:" + str(client.writer.get_extra_info("sockname")[1])
        assert connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        client.writer.write(b"bye")
        assert await client.hung_up() == b""
        await until(lambda: len(one.listener) == 0)
        client.close()


async def test_who_does_not_prove_in_time_who_they_are_is_dropped_and_who_did_is_not():
    async with served(login_timeout=QUICK) as one:
        silent, known = await one.connect(), await one.connect()
        assert await known.say(b"hello") == b"hello"
        assert await silent.hung_up() == b""
        await asyncio.sleep(0.3)
        assert await known.say(b"still here") == b"still here"
        assert one.metrics.turned_away == [("echo", "timeout")]
        for client in (silent, known):
            client.close()


async def test_an_address_that_fills_its_places_keeps_no_other_out():
    async with served(unauthenticated=4, unauthenticated_per_address=3) as one:
        greedy = [await one.connect("127.0.0.2") for _ in range(3)]
        await until(lambda: one.listener.strangers == 3)
        turned_away = await one.connect("127.0.0.2")
        assert await turned_away.hung_up() == b""
        others = [await one.connect(f"127.0.0.{n}") for n in (3, 4)]
        for other in others:
            assert await other.say(b"hello") == b"hello"
        assert await greedy[0].hung_up() == b""
        assert await greedy[1].say(b"hello") == b"hello"
        assert one.metrics.turned_away == [("echo", "too_many")]
        for client in (*greedy, *others, turned_away):
            client.close()


async def test_there_are_so_many_connections_and_no_more():
    async with served(connections=2) as one:
        taken = [await one.connect() for _ in range(2)]
        for client in taken:
            assert await client.say(b"hello") == b"hello"
        too_many = await one.connect()
        assert await too_many.hung_up() == b""
        taken[0].close()
        await until(lambda: len(one.listener) == 1)
        next_one = await one.connect()
        assert await next_one.say(b"hello") == b"hello"
        for client in (taken[1], too_many, next_one):
            client.close()


@pytest.mark.parametrize(
    ("said", "event"),
    [(b"no", "connection refused"), (b"lost", "connection lost"), (b"bug", "bug")],
)
async def test_what_a_server_raises_ends_one_connection_and_is_logged(said, event):
    async with served() as one:
        bad, good = await one.connect(), await one.connect()
        assert await bad.say(said) == b""
        assert await good.say(b"hello") == b"hello"
        ((logged, facts),) = one.gateway.log.said
        assert logged == event
        assert facts["client"].startswith("127.0.0.1:")
        for client in (bad, good):
            client.close()


async def test_stopping_takes_in_who_waits_already_and_nobody_after():
    async with served() as one:
        early = await one.connect()
        assert await early.say(b"hello") == b"hello"
        waiting = await one.connect()
        one.listener.stop()
        one.listener.stop()
        with pytest.raises(OSError, match=r"refused|failed"):
            await one.connect()
        assert await waiting.say(b"hello") == b"hello"
        assert await early.say(b"still here") == b"still here"
        for client in (early, waiting):
            client.close()


async def test_closing_ends_every_connection():
    async with served() as one:
        clients = [await one.connect() for _ in range(3)]
        for client in clients:
            assert await client.say(b"hello") == b"hello"
        await one.listener.close()
        for client in clients:
            assert await client.hung_up() == b""
            client.close()
        assert len(one.listener) == 0


async def test_a_connection_that_was_just_accepted_is_closed_too():
    async with served() as one:
        client = await one.connect()
        one.listener.stop()
        await one.listener.close()
        assert await client.hung_up() == b""
        client.close()


class Stubborn(Echo):
    """Needs to be told twice."""

    async def serve(self, connection):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()


async def test_closing_does_not_take_no_for_an_answer(monkeypatch):
    monkeypatch.setattr(listeners, "ASK_AGAIN", 0.05)
    async with served(Stubborn()) as one:
        client = await one.connect()
        await until(lambda: len(one.listener) == 1)
        async with asyncio.timeout(10):
            await one.listener.close()
        assert await client.hung_up() == b""
        client.close()


async def test_when_descriptors_run_out_it_goes_on_a_moment_later(monkeypatch):
    async with served() as one:
        real, failures = one.listener._sock, iter(range(3))

        class Short:
            """A socket that cannot accept a few times."""

            def accept(self):
                if next(failures, None) is not None:
                    raise OSError(errno.EMFILE, "Too many open files")
                return real.accept()

            def __getattr__(self, name):
                return getattr(real, name)

        monkeypatch.setattr(one.listener, "_sock", Short())
        client = await one.connect()
        assert await client.say(b"hello") == b"hello"
        assert ("cannot accept", {"protocol": "echo", "reason": "too many open files"}) in one.gateway.log.said
        client.close()


async def test_a_new_process_listens_before_the_old_one_stops():
    async with served() as old, live_gateway() as gateway:
        server = Echo()
        new = Listener(listen(*old.listener.address), server, gateway.context)
        new.start()
        old.listener.stop()
        clients = [await old.connect() for _ in range(8)]
        for client in clients:
            assert await client.say(b"hello") == b"hello"
            client.close()
        assert len(server.connections) == 8
        await new.close()


async def test_an_address_that_cannot_be_had_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{port}: address already in use"):
            listen("127.0.0.1", port)
    with pytest.raises(Unavailable, match="cannot listen on"):
        listen("192.0.2.1", 5432)


async def test_an_address_of_ipv6_is_written_with_brackets():
    if not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    async with live_gateway() as gateway:
        server = Echo()
        listener = Listener(listen("::1", 0), server, gateway.context)
        listener.start()
        client = Client(*await asyncio.open_connection(*listener.address))
        assert await client.say(b"hello") == b"hello"
        assert server.connections[0].client.startswith("[::1]:")
        client.close()
        await listener.close()


def _has_ipv6():
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


async def until(true):
    """Wait until something is so."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)
