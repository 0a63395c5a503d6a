"""A whole gateway process on a control plane in memory: orders, loss of lapse, drain, renewal, restart."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
import trustme

from fakes.control_plane import FakePlane
from lapse.domain.errors import Unavailable
from lapse.domain.guards import GatewayRules
from lapse.domain.holds import HoldState
from lapse.domain.sessions import SessionEnd
from lapse.enforcement.clock import SystemClock
from lapse.gateway import process as process_module
from lapse.gateway.context import GatewayContext
from lapse.gateway.door import Door
from lapse.gateway.endings import Endings
from lapse.gateway.live import LiveSessions
from lapse.gateway.process import GatewayProcess, Listening, shown_address
from lapse.gateway.recording.recorder import FileRecorder
from lapse.gateway.tls import ServerTls
from lapse.ports import CancelQuery, Cut, Decided
from support.echo import EchoClient, EchoServer
from support.live_gateway import GATEWAY, KeptLog

LOGIN = "alice.pg-prod.x7k2m9"
AWAY = Unavailable("lapse cannot be reached")
SOON = timedelta(milliseconds=100)


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr(process_module, "ASK_EVERY", 0.02)
    monkeypatch.setattr(process_module, "FIRST_PAUSE", 0.02)


@dataclass
class Running:
    process: GatewayProcess
    plane: FakePlane
    log: KeptLog

    @property
    def address(self):
        return self.process.listeners[0].address

    @property
    def server(self):
        return self.process._servers[0]

    async def come_in(self, login=LOGIN):
        return await EchoClient.logged_in(self.address, login)

    @property
    def reasons(self):
        return [session.end_reason for session in self.plane.sessions.values()]

    def said(self, event):
        return [facts for said, facts in self.log.said if said == event]


@asynccontextmanager
async def made(folder, plane=None, *, clock=None, drain=SOON, port=0, tls=None, gateway=GATEWAY):
    """A process that does not run yet."""
    clock = clock or SystemClock()
    plane, log = plane or FakePlane(clock), KeptLog()
    recorder = FileRecorder(folder, plane, log)
    door = Door(
        gateway,
        plane=plane,
        live=LiveSessions(clock),
        recorder=recorder,
        clock=clock,
        endings=Endings(plane, folder / "endings"),
    )
    context = GatewayContext(door=door, clock=clock, number=await plane.register(gateway), log=log, tls=tls)
    process = GatewayProcess(
        context=context,
        recorder=recorder,
        listening=[Listening(host="127.0.0.1", port=port, make_server=EchoServer)],
        drain=drain,
    )
    yield Running(process, plane, log)


@asynccontextmanager
async def running(folder, plane=None, **more):
    async with made(folder, plane, **more) as one, one.process.running():
        if LOGIN not in one.plane.allowed:
            one.plane.allow(LOGIN)
        yield one


async def test_a_client_comes_in_and_its_end_is_told(tmp_path):
    async with running(tmp_path) as one:
        client = await one.come_in()
        assert await client.echoes()
        client.say("bye")
        assert await client.rest() == ["cut: lapse: the session is over"]
        await until(lambda: one.reasons == [SessionEnd.CLIENT])
        assert one.process.addresses == {"echo": shown_address(*one.address)}
    (session,) = one.plane.sessions.values()
    assert session.recorded
    assert [segment.last for segment in one.plane.segments.values()] == [True]
    assert one.server.closed


async def test_orders_are_carried_out(tmp_path):
    async with running(tmp_path) as one:
        client, other = await one.come_in(), await one.come_in()
        first, second = one.plane.open
        one.plane.tell(GATEWAY, Cut(session_id=first.id, reason=SessionEnd.REVOKED, by="bob"))
        assert await client.rest() == ["cut: lapse: your access was revoked by bob"]
        one.plane.tell(GATEWAY, Cut(session_id="ses_elsewhere", reason=SessionEnd.LOCKED))
        hold = replace(await one.plane.hold(second.id, "DELETE FROM orders", "it deletes"), state=HoldState.ALLOWED)
        one.plane.tell(GATEWAY, Decided(hold=hold))
        one.plane.tell(GATEWAY, CancelQuery(process=1, key=b"key"))
        await until(lambda: one.server.cancelled)
        assert one.server.decided == [Decided(hold=hold)]
        assert await other.echoes()
        other.close()


async def test_a_broken_stream_of_orders_is_taken_up_again(tmp_path):
    async with running(tmp_path) as one:
        client = await one.come_in()
        for _ in range(3):
            one.plane.tell(GATEWAY, AWAY)
        one.plane.cut(one.plane.open[0].id)
        assert await client.rest() == ["cut: lapse: your access was revoked by bob"]
        assert one.plane.calls.count("orders") == 4


async def test_a_defect_in_an_order_ends_neither_the_process_nor_the_other_orders(tmp_path):
    async with running(tmp_path) as one:
        client = await one.come_in()
        one.plane.tell(GATEWAY, Decided(hold=None))
        one.plane.cut(one.plane.open[0].id)
        assert len(await client.rest()) == 1
        assert one.said("bug")


async def test_at_its_deadline_a_session_is_cut_although_lapse_is_away(tmp_path):
    async with running(tmp_path) as one:
        one.plane.allow(LOGIN, life=timedelta(seconds=1))
        client = await one.come_in()
        one.plane.away = True
        assert await client.rest() == ["cut: lapse: your access has reached its end"]
        await until((tmp_path / "endings").exists)
        one.plane.away = False
        await until(lambda: one.reasons == [SessionEnd.ELAPSED])


async def test_while_lapse_is_away_sessions_go_on_as_their_resource_says_and_nobody_comes_in(tmp_path):
    async with running(tmp_path) as one:
        goes_on = await one.come_in()
        one.plane.allow("short", rules=GatewayRules(cut_after_store_loss=timedelta(milliseconds=200)))
        cut = await one.come_in("short")
        one.plane.away = True
        refused = await EchoClient.connect(one.address)
        refused.say(f"LOGIN {LOGIN}")
        assert await refused.line() in {"", "no: lapse cannot be reached"}
        assert await cut.rest() == ["cut: lapse: the gateway cannot reach lapse"]
        assert await goes_on.echoes()
        assert one.said("lapse is not reached") == [{"reason": "lapse cannot be reached"}]
        one.plane.away = False
        await until(lambda: SessionEnd.CONTROL_LOST in one.reasons)
        again = await one.come_in()
        for client in (goes_on, refused, again):
            client.close()


async def test_a_short_absence_cuts_nobody(tmp_path):
    async with running(tmp_path) as one:
        one.plane.allow(LOGIN, rules=GatewayRules(cut_after_store_loss=timedelta(seconds=30)))
        client = await one.come_in()
        for _ in range(3):
            one.plane.away = True
            await until(lambda: not one.process.reached)
            one.plane.away = False
            await until(lambda: one.process.reached)
        assert await client.echoes()
        assert len(one.said("lapse is not reached")) == 3
        client.close()


async def test_lapse_that_hangs_is_as_good_as_away(tmp_path, monkeypatch):
    monkeypatch.setattr(process_module, "ANSWER_SECONDS", 0.5)
    async with running(tmp_path) as one:
        one.plane.allow(LOGIN, rules=GatewayRules(cut_after_store_loss=timedelta(milliseconds=100)))
        client = await one.come_in()
        one.plane.stuck["credential"] = asyncio.Event()
        assert await client.rest() == ["cut: lapse: the gateway cannot reach lapse"]
        assert one.said("lapse is not reached") == [{"reason": "lapse does not answer within 0.5 s"}]
        one.plane.stuck["credential"].set()
        await until(lambda: one.process.reached)


async def test_a_drain_tells_sessions_lets_them_end_and_cuts_the_rest(tmp_path):
    async with made(tmp_path, drain=timedelta(seconds=2)) as one:
        one.plane.allow(LOGIN)
        one.plane.allow("soon", life=timedelta(seconds=1.2))
        async with one.process.running():
            polite, stubborn, soon = await one.come_in(), await one.come_in(), await one.come_in("soon")
            lines = [asyncio.create_task(client.rest()) for client in (polite, stubborn, soon)]
            body_over = asyncio.get_running_loop().time()
            asyncio.get_running_loop().call_later(0.1, polite.say, "bye")
        took = asyncio.get_running_loop().time() - body_over
    warning = "warning: lapse: the gateway is shutting down, so that you should connect again: this session ends in"
    told = [await one_of for one_of in lines]
    assert told[0][0].startswith(warning)
    assert told[0][1:] == ["cut: lapse: the session is over"]
    assert told[1][0].startswith(warning)
    assert told[1][1:] == ["cut: lapse: the gateway is shutting down; connect again"]
    assert told[2] == ["cut: lapse: your access has reached its end"]
    assert sorted(one.reasons) == [SessionEnd.CLIENT, SessionEnd.DRAINED, SessionEnd.ELAPSED]
    assert took >= 2
    assert all(session.recorded for session in one.plane.sessions.values())


async def test_a_drain_without_sessions_is_over_at_once(tmp_path):
    before = asyncio.get_running_loop().time()
    async with running(tmp_path, drain=timedelta(seconds=30)):
        pass
    assert asyncio.get_running_loop().time() - before < 20


async def test_a_drain_can_be_hurried(tmp_path):
    async with made(tmp_path, drain=timedelta(seconds=30)) as one:
        one.plane.allow(LOGIN)
        async with one.process.running():
            client = await one.come_in()
            rest = asyncio.create_task(client.rest())
            asyncio.get_running_loop().call_later(0.1, one.process.hurry)
    assert (await rest)[-1] == "cut: lapse: the gateway is shutting down; connect again"


async def test_while_it_drains_orders_and_deadlines_are_kept(tmp_path):
    async with made(tmp_path, drain=timedelta(seconds=30)) as one:
        one.plane.allow(LOGIN)
        async with one.process.running():
            client = await one.come_in()
            rest = asyncio.create_task(client.rest())
            (session,) = one.plane.open
            asyncio.get_running_loop().call_later(0.1, one.plane.cut, session.id)
    assert (await rest)[-1] == "cut: lapse: your access was revoked by bob"
    assert one.reasons == [SessionEnd.REVOKED]


async def test_no_client_is_turned_away_while_one_process_follows_another(tmp_path):
    """At worst a handshake in the instant of the hand-over is reset: the kernel knows no better (docs/gateway.md)."""
    plane = FakePlane(SystemClock())
    plane.allow(LOGIN)
    reset, came_in, stop = [], [], asyncio.Event()

    async def keep_coming(address):
        while not stop.is_set():
            client = await EchoClient.connect(address)
            client.say(f"LOGIN {LOGIN}")
            if (said := await client.line()) != "in":
                reset.append(said)
                client.close()
                continue
            came_in.append(await client.echoes())
            client.say("bye")
            await client.rest()

    async with running(tmp_path / "new", plane, gateway="gw-1/1") as new:
        port = new.address[1]
        async with made(tmp_path / "old", plane, port=port) as old:
            async with old.process.running():
                coming = [asyncio.create_task(keep_coming(new.address)) for _ in range(4)]
                await until(lambda: len(came_in) > 40)
            done = len(came_in)
            await until(lambda: len(came_in) > done + 20)
            stop.set()
            await asyncio.gather(*coming)
    assert reset in ([], [""])
    assert all(came_in)
    assert {session.gateway for session in plane.sessions.values()} == {GATEWAY, "gw-1/1"}
    assert plane.open == []


async def test_ends_that_an_earlier_process_could_not_tell_are_told(tmp_path):
    plane = FakePlane(SystemClock())
    async with running(tmp_path, plane, drain=timedelta(0)) as one:
        client = await one.come_in()
        plane.away = True
        client.close()
        await until(lambda: (tmp_path / "endings").exists() and not one.process.reached)
        assert len(plane.open) == 1
    plane.away = False
    async with made(tmp_path, plane, gateway="gw-1/1") as after:
        assert after.process.context.door.endings.load() == 1
        async with after.process.running():
            await until(lambda: after.reasons == [SessionEnd.CLIENT])


async def test_a_second_protocol_whose_address_is_taken_leaves_nothing_listening(tmp_path):
    async with running(tmp_path / "one") as one, made(tmp_path / "two") as two:
        with one.process.listeners[0]._sock.dup() as taken:
            taken.setsockopt(1, 15, 0)  # not shared any more
            first = two.process.listening[0]
            two.process.listening = [first, Listening(host="192.0.2.1", port=1, make_server=EchoServer)]
            with pytest.raises(Unavailable, match="cannot listen on"):
                async with two.process.running():
                    pass
        with pytest.raises(OSError, match=r"refused|failed|Connect"):
            await EchoClient.connect(two.address)


@pytest.fixture
def certificate(tmp_path):
    renew(tmp_path)
    return ServerTls(tmp_path / "cert.pem", tmp_path / "key.pem")


def renew(folder):
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")


async def test_a_renewed_certificate_is_taken_when_told_and_by_itself(tmp_path, certificate, monkeypatch):
    monkeypatch.setattr(process_module, "RENEWALS_EVERY", 0.05)
    async with running(tmp_path, tls=certificate) as one:
        before = certificate.fingerprint
        one.process.renew()
        assert one.said("certificate read again") == [{"sha256": before}]
        renew(tmp_path)
        await until(lambda: certificate.fingerprint != before)
        in_use = certificate.fingerprint
        (tmp_path / "cert.pem").write_text("half of it")
        one.process.renew()
        await until(lambda: one.said("certificate not used"))
        assert certificate.fingerprint == in_use


async def test_without_a_certificate_there_is_nothing_to_renew(tmp_path):
    async with running(tmp_path) as one:
        one.process.renew()
        assert one.said("certificate read again") == []


async def until(true):
    """Wait until something is so."""
    async with asyncio.timeout(15):
        while not true():
            await asyncio.sleep(0.005)
