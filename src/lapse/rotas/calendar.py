"""A rota that is kept as an iCalendar feed, in a file or at a URL.

The text is read and its repetitions are followed in a process of its own, which is ended if it takes too long. What it
gave, for some days around now, is kept until the text must be asked for again. A feed that cannot be fetched is
believed for `believed_for` after it was last read; after that, nobody is on call by it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

from lapse.domain.errors import Unavailable
from lapse.domain.names import shown
from lapse.ports import Clock
from lapse.rotas.sources import Duty, read_text, stamp_of
from lapse.web.client import WebClient

LONGEST_READING = 30.0
"""Seconds until the process is ended; it has less than that of computing time (`expanding`), so only a busy machine
gets here."""

LARGEST_ANSWER = 4 << 20
AROUND = timedelta(days=2)
TRY_AGAIN = timedelta(seconds=15)
_NO_LIBRARY = 5

Fetch = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class _Read:
    """The duties of a text between two instants."""

    text: str
    begin: datetime
    end: datetime
    duties: tuple[Duty, ...]

    def covers(self, at: datetime) -> bool:
        return self.begin <= at < self.end


class Calendar:
    """Who is on call by a feed; `timezone` is where times without a zone of their own are meant."""

    def __init__(
        self, fetch: Fetch, clock: Clock, timezone: str, *, fresh_for: timedelta, believed_for: timedelta
    ) -> None:
        self._fetch, self._clock, self._timezone = fetch, clock, timezone
        self._fresh_for, self._believed_for = fresh_for, believed_for
        self._read: _Read | None = None
        self._fetched_at: datetime | None = None
        self._next_at: datetime | None = None
        self._error = Unavailable("the calendar was not fetched yet")
        self._one_at_a_time = asyncio.Lock()
        self.close_with: Callable[[], Awaitable[None]] | None = None

    async def on_call(self, at: datetime) -> list[tuple[str, ...]]:
        """Everybody whose event is on at `at`."""
        async with self._one_at_a_time:
            read = await self._current(at)
        return [duty.names for duty in read.duties if duty.covers(at)]

    async def close(self) -> None:
        """Close what fetches."""
        if self.close_with is not None:
            await self.close_with()

    async def _current(self, at: datetime) -> _Read:
        now = self._clock.now()
        if self._next_at is None or now >= self._next_at:
            await self._refresh(now)
        read = self._read
        if read is None or self._fetched_at is None or now - self._fetched_at > self._believed_for:
            raise self._error
        if not read.covers(at):
            return await self._expanded(read.text, at)
        return read

    async def _refresh(self, now: datetime) -> None:
        try:
            text = await self._fetch()
            unchanged = self._read is not None and self._read.text == text and self._read.covers(now)
            if not unchanged:
                self._read = await self._expanded(text, now)
            self._fetched_at, self._next_at = now, now + self._fresh_for
        except Unavailable as error:
            self._error, self._next_at = error, now + min(TRY_AGAIN, self._fresh_for)

    async def _expanded(self, text: str, at: datetime) -> _Read:
        begin, end = at - AROUND, at + AROUND
        return _Read(text, begin, end, await expand(text, begin, end, self._timezone))


async def expand(text: str, begin: datetime, end: datetime, timezone: str) -> tuple[Duty, ...]:
    """The duties of an iCalendar text between two instants.

    Raises:
        Unavailable: it cannot be read, takes too long, or the libraries are not installed.
    """
    words = ("-P", "-m", "lapse.rotas.expanding", begin.isoformat(), end.isoformat(), timezone)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LONGEST_READING):
            out, err = await process.communicate(text.encode())
    except TimeoutError:
        raise Unavailable(f"the calendar is not read within {LONGEST_READING:g} seconds") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode == _NO_LIBRARY:
        raise Unavailable("the calendar cannot be read", hint="install lapse with its `calendar` extra")
    if process.returncode != 0 or len(out) > LARGEST_ANSWER:
        said = err.decode(errors="replace").strip().rpartition("\n")[2] or "reading it took too much time or memory"
        raise Unavailable(f"the calendar cannot be used: {shown(said, 200)}")
    return _duties(out)


def _duties(out: bytes) -> tuple[Duty, ...]:
    found = []
    for one in json.loads(out):
        begins, ends = (datetime.fromisoformat(one[name]).astimezone(UTC) for name in ("begins", "ends"))
        found += [Duty(tuple(names), begins, ends) for names in one["names"]]
    return tuple(found)


def from_file(path: Path) -> Fetch:
    """Reads the feed from a file, once for each version of it."""
    kept: dict[tuple[int, int, int], str] = {}

    async def fetch() -> str:
        stamp = await asyncio.to_thread(stamp_of, path, "calendar")
        if stamp not in kept:
            text = await asyncio.to_thread(read_text, path, "calendar")
            kept.clear()
            kept[stamp] = text
        return kept[stamp]

    return fetch


def from_url(url: str, client: WebClient) -> Fetch:
    """Fetches the feed."""

    async def fetch() -> str:
        answer = await client.get(url)
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"the calendar's server answers with status {answer.status}")
        try:
            return answer.body.decode("utf-8")
        except UnicodeDecodeError:
            raise Unavailable("the calendar is not UTF-8 text") from None

    return fetch
