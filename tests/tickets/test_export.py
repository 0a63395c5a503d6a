from __future__ import annotations

import json
import os
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lapse.domain.errors import Unavailable
from lapse.policy.values import TicketStatus
from lapse.tickets.export import Columns, ExportFile, ExportSource, read_export
from lapse.tickets.found import NOWHERE
from support.clock import HandClock

OPEN = frozenset({"open", "in progress"})


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def written(tmp_path, clock):
    """Write an export as of the clock's time, and give its source."""

    def write(text, name="tickets.csv", **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        touched(path, clock)
        return ExportSource(ExportFile(path=path, open_states=OPEN, **options), clock)

    return write


def touched(path, clock, later=0.0):
    at = clock.now().timestamp() + later
    os.utime(path, (at, at))


async def test_a_row_says_state_title_and_assignee(written):
    source = written("number,state,title,assignee\nOPS-1,In Progress,Disk full,ann\n")
    found = await source.find("ops-1")
    assert (found.status, found.state, found.title, found.assignee) == ("open", "In Progress", "Disk full", "ann")


async def test_headings_semicolons_and_byte_order_marks_of_spreadsheets(written):
    columns = Columns(number="Key", state="Status")
    source = written(b'\xef\xbb\xbfKey;Status;Other\r\nOPS-1;Open;"a;b\r\nc"\r\n', columns=columns)
    assert (await source.find("OPS-1")).status is TicketStatus.OPEN


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "t.json",
            json.dumps([{"number": 7, "fields": {"state": "open"}}, {"number": 8, "fields": {"state": "done"}}]),
        ),
        ("t.jsonl", '{"number": 7, "fields": {"state": "open"}}\n\n{"number": 8, "fields": {"state": "done"}}\n'),
    ],
)
async def test_json_may_be_looked_into_with_pointers(written, name, text):
    source = written(text, name, columns=Columns(state="/fields/state"))
    assert [(await source.find(number)).status for number in "789"] == ["open", "closed", "unknown"]


async def test_broken_rows_are_left_out_counted_and_said(written):
    source = written("number,state\nOPS-1,open\nOPS-2\nOPS-3,open,extra\n,open\nOPS-4,\nOPS-5,closed\n")
    assert await source.summary() == "2 tickets, 4 rows unusable (the first is row 2)"
    assert await source.find("OPS-2") == NOWHERE


async def test_broken_lines_of_json_are_left_out_and_counted(written):
    source = written(
        '{"number": "1", "state": "open"}\n{oops\n[1]\n"x"\n{"number": true, "state": "open"}\n', "t.jsonl"
    )
    assert await source.summary() == "1 ticket, 4 rows unusable (the first is row 2)"


async def test_a_number_that_is_there_twice_with_different_states_is_not_open(written):
    source = written("number,state\nOPS-1,closed\nOPS-1,open\nOPS-2,open\nOPS-2,open\n")
    found = await source.find("OPS-1")
    assert found.status is TicketStatus.UNKNOWN
    assert "more than once" in found.note
    assert (await source.find("OPS-2")).status is TicketStatus.OPEN


async def test_it_is_read_again_when_it_changes(written, clock):
    source = written("number,state\nOPS-1,open\n")
    assert (await source.find("OPS-1")).status is TicketStatus.OPEN
    written("number,state\nOPS-1,closed\n")
    touched(source._export.path, clock, later=1)
    assert (await source.find("OPS-1")).status is TicketStatus.CLOSED


async def test_an_export_that_nobody_renews_says_nothing(written, clock):
    source = written("number,state\nOPS-1,open\n", oldest=timedelta(hours=2))
    await clock.advance(timedelta(hours=2))
    assert (await source.find("OPS-1")).status is TicketStatus.OPEN
    await clock.advance(timedelta(seconds=1))
    with pytest.raises(Unavailable, match="is 2h1s old and may be wrong"):
        await source.find("OPS-1")


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        (b"number,state\n\xff\xfe,open\n", "t.csv", "is not UTF-8 text"),
        (b"", "t.csv", "has no headings"),
        (b"number,number\n1,2\n", "t.csv", "or one twice"),
        (b"id,status\n1,open\n", "t.csv", "no row of the export `t.csv` has a number and a state"),
        (b'{"number": 1}', "t.json", "is not a JSON list"),
        (b"[" * 200_000, "t.json", "is not a JSON list"),
        (b"[" + b"1," * (9 << 20) + b"1]", "t.json", "more than 16 MiB"),
        (b'number,state\n"open', "t.csv", "no row of the export"),
    ],
)
async def test_files_that_say_nothing(written, text, name, why):
    with pytest.raises(Unavailable, match=why):
        await written(text, name).find("1")


async def test_too_many_rows(written, monkeypatch):
    monkeypatch.setattr("lapse.tickets.export.MOST_ROWS", 10)
    with pytest.raises(Unavailable, match="more than 10 rows"):
        await written("number,state\n" + "1,open\n" * 11).find("1")


async def test_a_file_that_is_too_large_is_not_read(written, monkeypatch):
    monkeypatch.setattr("lapse.tickets.export.LARGEST_FILE", 10)
    with pytest.raises(Unavailable, match="larger than"):
        await written("number,state\n1,open\n").find("1")


async def test_a_failed_read_is_not_remembered_as_read(written, clock):
    source = written("id\n1\n")
    for _ in range(2):
        with pytest.raises(Unavailable):
            await source.find("1")


@given(st.binary(max_size=300), st.sampled_from(["t.csv", "t.json", "t.jsonl"]))
def test_any_bytes_give_rows_or_one_sentence(tmp_path_factory, text, name):
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(text)
    with suppress(Unavailable):
        rows = read_export(ExportFile(path=path, open_states=OPEN))
        assert all(found.state.isprintable() for found in rows.tickets.values())
