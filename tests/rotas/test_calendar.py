"""Feeds from elsewhere: other time zones, clocks that change, repetitions, edits, and texts that are meant to harm."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from lapse.domain.errors import Unavailable
from lapse.rotas import calendar
from lapse.rotas.calendar import Calendar, expand, from_url
from lapse.web.client import Calling, WebClient
from support.clock import HandClock
from support.web_server import web_server

HEAD = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//acme//oncall//EN"]


def feed(*events):
    lines = list(HEAD)
    for number, event in enumerate(events):
        lines += ["BEGIN:VEVENT", f"UID:{event.get('UID', number)}", "DTSTAMP:20260101T000000Z"]
        lines += [f"{name}:{value}" for name, value in event.items() if name != "UID"]
        lines += ["END:VEVENT"]
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def on_call(text, at, timezone="UTC"):
    day = timedelta(days=1)
    duties = await expand(text, utc(at) - day, utc(at) + day, timezone)
    return sorted(duty.names[0] for duty in duties if duty.covers(utc(at)))


DAILY = {
    "DTSTART;TZID=America/New_York": "20260301T090000",
    "DTEND;TZID=America/New_York": "20260301T170000",
    "RRULE": "FREQ=DAILY",
    "SUMMARY": "ann",
}


@pytest.mark.parametrize(
    ("at", "people"),
    [
        ("2026-03-07T14:00", ["ann"]),
        ("2026-03-07T13:59", []),
        ("2026-03-08T13:00", ["ann"]),
        ("2026-03-08T20:59", ["ann"]),
        ("2026-03-08T21:00", []),
        ("2026-11-01T13:59", []),
        ("2026-11-01T14:00", ["ann"]),
    ],
)
async def test_a_calendar_in_another_time_zone_follows_its_clocks_when_they_change(at, people):
    """New York changed on 8 March, three weeks before Berlin, and back on 1 November."""
    assert await on_call(feed(DAILY), at, "Europe/Berlin") == people


async def test_a_shift_through_the_night_in_which_clocks_change():
    night = {
        "DTSTART;TZID=Europe/Berlin": "20260328T200000",
        "DTEND;TZID=Europe/Berlin": "20260329T080000",
        "SUMMARY": "ann",
    }
    assert await on_call(feed(night), "2026-03-29T05:59") == ["ann"]
    assert await on_call(feed(night), "2026-03-29T06:00") == []


async def test_times_without_a_zone_and_whole_days_are_meant_where_the_rota_is():
    floating = {"DTSTART": "20260701T090000", "DTEND": "20260701T170000", "SUMMARY": "ann"}
    whole_day = {"DTSTART;VALUE=DATE": "20260701", "SUMMARY": "bob"}
    text = feed(floating, whole_day)
    assert await on_call(text, "2026-07-01T07:00", "Europe/Berlin") == ["ann", "bob"]
    assert await on_call(text, "2026-06-30T22:00", "Europe/Berlin") == ["bob"]
    assert await on_call(text, "2026-07-01T22:00", "Europe/Berlin") == []
    assert await on_call(text, "2026-07-01T07:00", "UTC") == ["bob"]


async def test_exceptions_moved_and_cancelled_events_count():
    weekly = {
        "UID": "w", "DTSTART": "20260302T090000Z", "DTEND": "20260302T170000Z", "RRULE": "FREQ=WEEKLY",
        "EXDATE": "20260309T090000Z", "SUMMARY": "ann",
    }  # fmt: skip
    moved = {
        "UID": "w", "RECURRENCE-ID": "20260316T090000Z", "DTSTART": "20260317T090000Z", "DTEND": "20260317T170000Z",
        "SUMMARY": "ann",
    }  # fmt: skip
    cancelled = {
        "DTSTART": "20260302T090000Z",
        "DTEND": "20260302T170000Z",
        "SUMMARY": "bob",
        "STATUS": "CANCELLED",
    }
    text = feed(weekly, moved, cancelled)
    times = ["2026-03-02T12:00", "2026-03-09T12:00", "2026-03-16T12:00", "2026-03-17T12:00", "2026-03-23T12:00"]
    assert [await on_call(text, at) for at in times] == [["ann"], [], [], ["ann"], ["ann"]]


async def test_attendees_are_on_call_but_not_those_who_declined():
    event = {
        "DTSTART": "20260302T090000Z", "DURATION": "PT8H", "SUMMARY": "On call",
        "ATTENDEE;CN=Ann;PARTSTAT=ACCEPTED": "mailto:ann@example.com",
        "ATTENDEE;CN=Bob;PARTSTAT=DECLINED": "mailto:bob@example.com",
    }  # fmt: skip
    duties = await expand(feed(event), utc("2026-03-01T00:00"), utc("2026-03-03T00:00"), "UTC")
    assert [duty.names for duty in duties] == [("ann@example.com", "Ann")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BEGIN:VEVENT",
        "<html>login</html>",
        "\x00" * 100,
        feed({"DTSTART": "20260230T090000Z", "SUMMARY": "ann"}),
        feed({"SUMMARY": "ann"}),
        feed({"DTSTART": "20260302T090000Z", "DTEND": "soon", "SUMMARY": "ann"}),
    ],
)
async def test_what_is_no_calendar_says_nothing(text):
    with pytest.raises(Unavailable, match="cannot be used"):
        await on_call(text, "2026-03-02T12:00")


async def test_a_repetition_that_takes_for_ever_is_ended():
    endless = {"DTSTART": "19700101T000000Z", "RRULE": "FREQ=SECONDLY", "SUMMARY": "ann"}
    with pytest.raises(Unavailable, match="reading it took too much time or memory"):
        await on_call(feed(endless), "2026-03-02T12:00")


async def test_more_events_than_a_rota_has():
    many = {"DTSTART": "20260301T120000Z", "DURATION": "PT1H", "RRULE": "FREQ=SECONDLY", "SUMMARY": "ann"}
    with pytest.raises(Unavailable, match=r"more than 5000 events|too much time|not read within"):
        await on_call(feed(many), "2026-03-02T00:00")


class Fed:
    """A feed that gives what it is told to, and counts."""

    def __init__(self):
        self.text, self.count = feed(DAILY), 0

    async def __call__(self):
        self.count += 1
        if isinstance(self.text, Exception):
            raise self.text
        return self.text


@pytest.fixture
def fed():
    return Fed()


@pytest.fixture
def clock():
    return HandClock(utc("2026-03-07T14:00"))


@pytest.fixture
def rota(fed, clock):
    minute = timedelta(minutes=1)
    return Calendar(fed, clock, "UTC", fresh_for=5 * minute, believed_for=15 * minute)


async def test_a_feed_is_fetched_when_it_is_not_fresh_any_more(rota, fed, clock):
    for minutes in (0, 4, 1):
        await clock.advance(timedelta(minutes=minutes))
        assert await rota.on_call(clock.now()) == [("ann",)]
    assert fed.count == 2


async def test_what_cannot_be_fetched_is_believed_for_a_while_and_then_says_nothing(rota, fed, clock):
    await rota.on_call(clock.now())
    fed.text = Unavailable("it is down")
    await clock.advance(timedelta(minutes=15))
    assert await rota.on_call(clock.now()) == [("ann",)]
    await clock.advance(timedelta(seconds=1))
    with pytest.raises(Unavailable, match="it is down"):
        await rota.on_call(clock.now())
    fed.text = feed(DAILY)
    await clock.advance(timedelta(seconds=15))
    assert await rota.on_call(clock.now()) == [("ann",)]


async def test_a_feed_that_turned_to_nonsense_is_no_empty_rota(rota, fed, clock):
    await rota.on_call(clock.now())
    fed.text = "<html>moved</html>"
    await clock.advance(timedelta(minutes=16))
    with pytest.raises(Unavailable, match="cannot be used"):
        await rota.on_call(clock.now())


async def test_a_time_far_away_can_be_asked_about(rota, clock):
    assert await rota.on_call(utc("2026-06-01T13:00")) == [("ann",)]
    assert await rota.on_call(utc("2026-02-01T13:00")) == []


async def test_a_feed_at_a_url(clock):
    async with web_server() as server:
        client = WebClient(Calling())
        server.always(200, feed(DAILY).encode())
        url = server.url + "/private-4711.ics"
        rota = Calendar(from_url(url, client), clock, "UTC", fresh_for=timedelta(0), believed_for=timedelta(0))
        assert await rota.on_call(clock.now()) == [("ann",)]
        for status, body, why in ((404, b"", "status 404"), (200, b"\xff\xfe", "not UTF-8")):
            server.always(status, body)
            await clock.advance(timedelta(seconds=1))
            with pytest.raises(Unavailable, match=why) as raised:
                await rota.on_call(clock.now())
            assert "4711" not in raised.value.message
        rota.close_with = client.close
        await rota.close()


def test_without_the_libraries_it_is_said_what_to_install():
    program = (
        "import sys; sys.modules['icalendar'] = None; from lapse.rotas.expanding import main; "
        "sys.exit(main(['2026-03-01T00:00:00+00:00', '2026-03-02T00:00:00+00:00', 'UTC']))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, input=b"", capture_output=True, timeout=60)
    assert done.returncode == calendar._NO_LIBRARY
    assert b"are not installed" in done.stderr
