import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest

from lapse.gateway.pump import Counters, FlowEnd
from lapse.protocols.pieces import Direction
from lapse.protocols.postgres.framing import message
from support.pumping import FAREWELLS, NOTICE, READY, Kept, answer, attached, kept_of_answer, query

pytestmark = pytest.mark.timeout(20)


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


async def ask(session, sql, said):
    """The client asks, the server answers, and both get what the other sent."""
    await session.client.send(query(sql))
    assert await session.server.read(len(query(sql))) == query(sql)
    await session.server.send(said)
    assert await session.client.read(len(said)) == said


async def bye(session):
    """The client leaves as clients do, and the server too."""
    await session.client.send(message(b"X"))
    session.client.half_close()
    assert await session.server.rest() == message(b"X")
    session.server.close()
    return await session.ended()


async def test_what_one_side_sends_the_other_gets_and_the_record_has_the_statement(session):
    await ask(session, b"SELECT 1", answer(rows=[b"one", b"two"]))
    ended = await bye(session)
    assert ended.end is FlowEnd.CLIENT
    assert session.recording.client == query(b"SELECT 1") + message(b"X")
    assert session.recording.server == kept_of_answer()
    sent, got = len(query(b"SELECT 1")) + 5, len(answer(rows=[b"one", b"two"]))
    assert ended.counters == Counters(bytes_in=sent, bytes_out=got, statements=1, rows=2)


async def test_pieces_have_the_time_and_the_order_of_what_passed(session):
    before = time.time()
    await ask(session, b"SELECT 1", answer())
    between = time.time()
    await ask(session, b"SELECT 2", answer(b"SELECT 2"))
    await bye(session)
    pieces = session.recording.pieces
    assert [piece.direction.value for piece in pieces] == list("cscsc")
    times = [piece.at.timestamp() for piece in pieces]
    assert before - 0.01 <= times[0] <= times[1] <= between + 0.01
    assert between - 0.01 <= times[2] <= times[3]


async def test_the_record_is_there_while_the_session_runs(session):
    await ask(session, b"SELECT 1", answer())
    async with asyncio.timeout(2):
        while session.recording.server != kept_of_answer():
            await asyncio.sleep(0.01)
    assert session.flow.counters.statements == 1


async def test_messages_that_come_byte_by_byte_are_passed_on_and_recorded_whole(session):
    said, told = query(b"SELECT 'x'"), answer(rows=[b"v" * 9])
    for byte in said:
        await session.client.send(bytes([byte]))
        await asyncio.sleep(0)
    assert await session.server.read(len(said)) == said
    for byte in told:
        await session.server.send(bytes([byte]))
        await asyncio.sleep(0)
    assert await session.client.read(len(told)) == told
    await bye(session)
    assert session.recording.client == said + message(b"X")
    assert session.recording.server == kept_of_answer()


async def test_pipelined_messages_are_all_passed_and_all_recorded(session):
    batch = b"".join(
        message(b"P", b"\0SELECT $1\0\0\0")
        + message(b"B", b"\0\0\0\0\0\1\0\0\0\1%c\0\0" % (48 + i % 10))
        + message(b"E", b"\0\0\0\0\0")
        for i in range(500)
    ) + message(b"S")
    told = (message(b"1") + message(b"2") + message(b"D", b"\0\0") + message(b"C", b"SELECT 1\0")) * 500 + READY
    await session.client.send(batch)
    assert await session.server.read(len(batch)) == batch
    await session.server.send(told)
    assert await session.client.read(len(told)) == told
    ended = await bye(session)
    assert session.recording.client == batch + message(b"X")
    assert session.recording.server == (message(b"1") + message(b"2") + message(b"C", b"SELECT 1\0")) * 500 + READY
    assert (ended.counters.statements, ended.counters.rows) == (500, 500)


@pytest.mark.parametrize("size", [300_000, 50_000_000])
async def test_a_huge_statement_is_recorded_whole(session, size):
    statement = query(bytes(range(1, 251)) * (size // 250))
    sending = asyncio.create_task(session.client.send(statement))
    assert await session.server.read(len(statement)) == statement
    await sending
    await bye(session)
    assert session.recording.client == statement + message(b"X")


async def test_copy_data_is_passed_and_counted_and_not_recorded(session):
    begun = message(b"G", b"\0\0\1\0\0")
    await ask(session, b"COPY t FROM STDIN", begun)
    rows = b"".join(message(b"d", b"row %d\n" % i) for i in range(1000)) + message(b"c")
    await session.client.send(rows)
    assert await session.server.read(len(rows)) == rows
    await session.server.send(message(b"H", b"\0\0\1\0\0") + message(b"d", b"out") + message(b"c"))
    assert len(await session.client.read(10 + 8 + 5)) == 23
    ended = await bye(session)
    assert ended.counters.copied == 1001
    assert session.recording.client == query(b"COPY t FROM STDIN") + message(b"c") + message(b"X")
    assert session.recording.server == begun + message(b"H", b"\0\0\1\0\0")


async def test_parameters_are_not_recorded_where_they_are_redacted(pump):
    session = await attached(pump, redact=True)
    bind = message(b"B", b"portal\0statement\0" + b"\0\0\0\1\0\0\0\6secret\0\0")
    call = message(b"F", b"\0\0\0\x2a" + b"\0\0\0\1\0\0\0\6secret\0\0")
    sent = bind + call + query(b"SELECT 1")
    for byte in sent:
        await session.client.send(bytes([byte]))
        await asyncio.sleep(0)
    assert await session.server.read(len(sent)) == sent
    await session.client.send(bind + bind)
    assert await session.server.read(2 * len(bind)) == bind + bind
    await bye(session)
    kept = message(b"b", b"portal\0statement\0")
    assert session.recording.client == kept + message(b"k", b"\0\0\0\x2a") + query(b"SELECT 1") + kept + kept + message(
        b"X"
    )
    session.close()


async def test_a_name_without_an_end_is_no_message_where_parameters_are_redacted(pump):
    session = await attached(pump, redact=True)
    await session.client.send(message(b"B", b"n" * 20_000))
    assert await session.client.rest() == FAREWELLS.broken
    assert (await session.ended()).end is FlowEnd.BAD_CLIENT
    session.close()


async def test_what_was_read_before_is_passed_on_first(pump):
    session = await attached(pump, from_client=query(b"SELECT 1")[:7], from_server=READY + NOTICE[:3])
    assert await session.client.read(len(READY)) == READY
    await session.client.send(query(b"SELECT 1")[7:])
    assert await session.server.read(len(query(b"SELECT 1"))) == query(b"SELECT 1")
    await session.server.send(NOTICE[3:])
    assert await session.client.read(len(NOTICE)) == NOTICE
    await bye(session)
    assert session.recording.client == query(b"SELECT 1") + message(b"X")
    assert session.recording.server == READY + NOTICE
    session.close()


class TestEnds:
    async def test_a_server_that_leaves_ends_the_flow_after_its_last_words(self, session):
        await session.server.send(FAREWELLS.broken)
        session.server.close()
        assert await session.client.rest() == FAREWELLS.broken
        ended = await session.ended()
        assert (ended.end, ended.counters.errors) == (FlowEnd.SERVER, 1)
        assert session.recording.server == FAREWELLS.broken

    async def test_a_client_that_only_says_that_it_is_done_still_gets_its_answer(self, session):
        await session.client.send(query(b"SELECT 1"))
        session.client.half_close()
        assert await session.server.rest() == query(b"SELECT 1")
        await session.server.send(answer())
        assert await session.client.read(len(answer())) == answer()
        session.server.close()
        assert await session.client.rest() == b""
        assert (await session.ended()).end is FlowEnd.CLIENT

    async def test_a_client_that_is_gone_takes_its_server_connection_with_it(self, session):
        session.client.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER of 0 s: closing is a reset
        session.client.close()
        assert await session.server.rest() == b""
        assert (await session.ended()).end is FlowEnd.CLIENT

    async def test_a_cut_says_farewell_and_nothing_more_reaches_the_server(self, session):
        await ask(session, b"SELECT 1", answer())
        session.flow.cut(FAREWELLS.deadline)
        assert await session.client.rest() == FAREWELLS.deadline
        assert await session.server.rest() == b""
        assert (await session.ended()).end is FlowEnd.CUT

    async def test_of_many_cut_at_once_all_get_their_farewell_before_the_servers_are_left(self, pump):
        sessions = [await attached(pump) for _ in range(40)]
        servers = asyncio.gather(*(one.server.rest() for one in sessions[1:]))
        for one in sessions:
            one.flow.cut(FAREWELLS.deadline)
        farewells = await asyncio.gather(*(one.client.rest() for one in sessions))
        assert not servers.done()
        assert farewells == [FAREWELLS.deadline] * 40
        assert await servers == [b""] * 39
        for one in sessions:
            assert (await one.ended()).end is FlowEnd.CUT
            one.close()

    async def test_between_the_farewell_and_the_servers_end_nothing_passes(self, pump):
        sessions = [await attached(pump) for _ in range(2)]
        for one in sessions:
            one.flow.cut(FAREWELLS.deadline)
        later = sessions[1]
        assert await later.client.rest() == FAREWELLS.deadline
        await later.client.send(query(b"DELETE FROM orders"))
        assert await later.server.rest() == b""
        assert later.recording.client == b""
        for one in sessions:
            one.close()

    @pytest.mark.parametrize(
        ("asked", "answered", "busy"),
        [
            (b"", b"", False),
            (query(b"SELECT 1"), b"", True),
            (query(b"SELECT 1"), answer(), False),
            (query(b"SELECT 1") * 2, answer(), True),
            (message(b"P", b"\0SELECT 1\0\0\0"), b"", True),
            (message(b"P", b"\0SELECT 1\0\0\0") + message(b"S"), message(b"1") + READY, False),
            (message(b"F", bytes(10)), b"", True),
            (message(b"F", bytes(10)), message(b"V", bytes(4)) + READY, False),
        ],
        ids=["idle", "query", "answered", "half answered", "unsynced", "synced", "call", "call answered"],
    )
    async def test_whoever_ends_it_knows_whether_the_server_still_works_for_it(self, session, asked, answered, busy):
        await session.client.send(asked)
        assert await session.server.read(len(asked)) == asked
        await session.server.send(answered)
        assert await session.client.read(len(answered)) == answered
        session.flow.cut(FAREWELLS.deadline)
        assert await session.client.rest() == FAREWELLS.deadline
        assert (await session.ended()).busy is busy

    async def test_the_first_cut_stands(self, session):
        session.flow.cut(FAREWELLS.deadline)
        session.flow.cut(FAREWELLS.idle)
        assert await session.client.rest() == FAREWELLS.deadline
        await session.ended()

    async def test_a_cut_inside_of_a_message_waits_for_its_end_but_not_for_the_next(self, session):
        row = message(b"D", b"r" * 1000)
        await session.server.send(row[:500])
        assert await session.client.read(500) == row[:500]
        session.flow.cut(FAREWELLS.deadline)
        await session.server.send(row[500:] + row)
        assert await session.client.rest() == row[500:] + FAREWELLS.deadline
        assert (await session.ended()).end is FlowEnd.CUT

    async def test_a_message_that_does_not_end_is_cut_without_a_word(self, session):
        row = message(b"D", b"r" * 1000)
        await session.server.send(row[:500])
        assert await session.client.read(500) == row[:500]
        session.flow.cut(FAREWELLS.deadline)
        assert await session.client.rest() == b""
        assert (await session.ended()).end is FlowEnd.CUT

    async def test_a_reader_that_does_not_read_is_cut_too(self, pump):
        session = await attached(pump, buffer=8192)
        flood = asyncio.create_task(session.server.send(message(b"D", b"r" * 1000) * 20_000))
        await session.client.read(1000)
        session.flow.cut(FAREWELLS.deadline)
        assert (await session.ended()).end is FlowEnd.CUT
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            await flood
        session.close()

    async def test_a_slow_reader_gets_everything_after_the_server_has_left(self, pump):
        session = await attached(pump, buffer=8192)
        rows = message(b"D", b"r" * 1000) * 500
        flood = asyncio.create_task(session.server.send(rows))
        got = await session.client.read(1000)
        while not flood.done():
            got += await session.client.read(1000)
        session.server.close()
        assert got + await session.client.rest() == rows
        assert (await session.ended()).end is FlowEnd.SERVER
        session.close()

    async def test_the_deadline_cuts_and_not_before(self, pump):
        began = time.monotonic()
        session = await attached(pump, ends_in=timedelta(milliseconds=200))
        assert await session.client.rest() == FAREWELLS.deadline
        assert time.monotonic() - began >= 0.2
        assert (await session.ended()).end is FlowEnd.DEADLINE
        assert await session.server.rest() == b""
        session.close()

    async def test_a_deadline_that_has_passed_cuts_at_once(self, pump):
        session = await attached(pump, ends_in=timedelta(seconds=-1))
        assert await session.client.rest() == FAREWELLS.deadline
        assert (await session.ended()).end is FlowEnd.DEADLINE
        session.close()

    async def test_a_session_without_traffic_ends(self, pump):
        session = await attached(pump, idle=timedelta(seconds=1.5))
        await asyncio.sleep(0.2)
        asked = time.monotonic()
        await ask(session, b"SELECT 1", answer())
        assert await session.client.rest() == FAREWELLS.idle
        assert time.monotonic() - asked >= 1.5
        assert (await session.ended()).end is FlowEnd.IDLE
        session.close()

    async def test_replication_is_refused(self, session):
        await session.client.send(query(b"START_REPLICATION 0/0"))
        await session.server.send(NOTICE + message(b"W", b"\0\0\0") + message(b"d", b"secret"))
        assert await session.client.rest() == NOTICE + FAREWELLS.broken
        assert (await session.ended()).end is FlowEnd.REPLICATION

    @pytest.mark.parametrize(
        "garbage",
        [
            b"Q\0\0\0\3",
            b"Q\0\0\0\0",
            b"Q\xff\xff\xff\xff",
            b"Q\x80\0\0\0",
            b"Q\x40\0\0\0",
            b"!\0\0\0\4",
            b"\0\0\0\x08\4\xd2\x16\x2f",
            message(b"p", b"password\0"),
        ],
    )
    async def test_garbage_of_a_client_is_not_passed_on(self, session, garbage):
        await session.client.send(query(b"SELECT 1") + garbage)
        assert await session.client.rest() == FAREWELLS.broken
        assert await session.server.rest() in {b"", query(b"SELECT 1")}
        assert (await session.ended()).end is FlowEnd.BAD_CLIENT
        assert session.recording.client == query(b"SELECT 1")

    @pytest.mark.parametrize("garbage", [b"Z\0\0\0\3", b"D\x7f\xff\xff\xff", b"R\0\0\0\x08\0\0\0\0", b"<html>"])
    async def test_a_server_that_lies_is_left(self, session, garbage):
        await session.server.send(READY + garbage)
        assert await session.client.rest() == READY + FAREWELLS.broken
        assert (await session.ended()).end is FlowEnd.BAD_SERVER


class TestInserts:
    async def test_a_notice_between_messages_goes_at_once(self, session):
        session.flow.insert(NOTICE)
        assert await session.client.read(len(NOTICE)) == NOTICE
        await ask(session, b"SELECT 1", answer())

    async def test_a_notice_inside_of_a_message_waits_for_its_end(self, session):
        told = message(b"D", b"r" * 1000)
        await session.server.send(told[:10])
        assert await session.client.read(10) == told[:10]
        session.flow.insert(NOTICE)
        session.flow.insert(READY)
        await session.server.send(told[10:] + told[:10])
        assert await session.client.read(990 + 5 + len(NOTICE + READY) + 10) == told[10:] + NOTICE + READY + told[:10]

    async def test_an_insert_after_the_end_is_nothing(self, session):
        session.flow.cut(FAREWELLS.deadline)
        session.flow.insert(NOTICE)
        assert await session.client.rest() == FAREWELLS.deadline
        await session.ended()
        session.flow.insert(NOTICE)
        session.flow.cut()


class TestBackpressure:
    async def test_a_slow_reader_stops_only_its_own_session(self, pump):
        slow, quick = await attached(pump, buffer=8192), await attached(pump)
        flood = asyncio.create_task(slow.server.send(message(b"D", b"r" * 1000) * 20_000))
        await ask(quick, b"SELECT 1", answer())
        assert not flood.done()
        got = await slow.client.read(1005 * 20_000)
        assert got == message(b"D", b"r" * 1000) * 20_000
        await flood
        slow.close()
        quick.close()

    async def test_a_recording_that_is_behind_stops_its_session_until_it_has_caught_up(self, pump):
        recording = Kept(full=True)
        session = await attached(pump, recording=recording, buffer=8192)
        statement = query(b"x" * 20_000_000)
        sending = asyncio.create_task(session.client.send(statement))
        reading = asyncio.create_task(session.server.read(len(statement)))
        await recording.asked.wait()
        await asyncio.sleep(0.2)
        assert not sending.done()
        assert len(recording.client) < 10_000_000
        recording.drain()
        await sending
        assert await reading == statement
        await bye(session)
        assert recording.client == statement + message(b"X")
        session.close()

    async def test_a_recording_that_fails_ends_the_session(self, pump):
        recording = Kept(broken=True)
        session = await attached(pump, recording=recording)
        await session.client.send(query(b"SELECT 1"))
        assert await session.client.rest() == FAREWELLS.broken
        assert (await session.ended()).end is FlowEnd.NOT_RECORDED
        session.close()

    async def test_a_session_that_waits_for_its_recording_is_cut_like_others(self, pump):
        recording = Kept(full=True)
        session = await attached(pump, recording=recording, ends_in=timedelta(milliseconds=400))
        await session.client.send(query(b"SELECT 1"))
        assert await session.client.rest() == FAREWELLS.deadline
        assert (await session.ended()).end is FlowEnd.DEADLINE
        session.close()


async def test_a_pump_that_closes_ends_every_session(pump):
    sessions = [await attached(pump) for _ in range(5)]
    await pump.close()
    for session in sessions:
        assert (await session.ended()).end is FlowEnd.CUT
        assert await session.client.rest() == b""
        assert await session.server.rest() == b""
        session.close()


async def test_every_one_of_many_orders_at_once_is_followed(pump):
    for _ in range(8):
        sessions = [await attached(pump) for _ in range(50)]
        for session in sessions:
            session.flow.cut(FAREWELLS.deadline)
        for session in sessions:
            assert (await session.ended()).end is FlowEnd.CUT
            assert await session.client.rest() == FAREWELLS.deadline
            session.close()


async def test_no_descriptor_is_left_open(pump):
    warm = await attached(pump)
    await bye(warm)
    warm.close()
    await asyncio.sleep(0.1)
    before = open_descriptors()
    for number in range(50):
        session = await attached(pump)
        await ask(session, b"SELECT 1", answer())
        if number % 2:
            await bye(session)
        else:
            session.flow.cut(FAREWELLS.deadline)
            await session.client.rest()
            await session.ended()
        session.close()
    async with asyncio.timeout(5):
        while open_descriptors() > before:
            await asyncio.sleep(0.01)


def test_directions_are_named_by_their_letters():
    assert [direction.value for direction in Direction] == ["c", "s"]
