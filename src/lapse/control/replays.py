"""Read everything that was asked from the ledger and replay it under another policy.

Entries are read in pages, only those of the kinds that matter, and decoded only as far as a replay looks at them.
Called by `bootstrap`, for `lapse policy replay` and for the effects of a proposal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from lapse.domain.durations import parse_duration
from lapse.domain.errors import InvalidInput, LapseError
from lapse.domain.names import shown
from lapse.domain.terms import Terms
from lapse.domain.times import parse_time
from lapse.ledger.canonical import decode
from lapse.policy.recorded import RecordedAsk, decoded
from lapse.policy.replay import Replay, ReplayReport
from lapse.policy.rules import Policy
from lapse.ports import LedgerStore

PAGE = 2_000
KINDS = (
    "request.created",
    "request.refused",
    "request.denied",
    "request.cancelled",
    "request.expired",
    "grant.scheduled",
    "grant.active",
    "grant.ended",
    "grant.activation_failed",
)
"""The types of entries that say what was asked, whether access followed, and how long it lasted."""

OnProgress = Callable[[int, int], None]

_OUT_OF_ORDER = 1_000
"""Entries that were written at the same time may be placed a little out of order."""

_MOST_TERMS = 10_000
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class _Asking(msgspec.Struct, frozen=True, gc=False):
    ask: RecordedAsk


class _Made(msgspec.Struct, frozen=True, gc=False):
    terms: msgspec.Raw


class _Created(msgspec.Struct, frozen=True, gc=False):
    after: _Made
    context: _Asking
    subject: str


class _Refused(msgspec.Struct, frozen=True, gc=False):
    context: _Asking
    subject: str


class _Promise(msgspec.Struct, frozen=True, gc=False):
    request_id: str
    duration: timedelta


class _Scheduled(msgspec.Struct, frozen=True, gc=False):
    after: _Promise
    subject: str


class _Times(msgspec.Struct, frozen=True, gc=False):
    activated_at: datetime | None = None
    ended_at: datetime | None = None


class _Changed(msgspec.Struct, frozen=True, gc=False):
    after: _Times
    at: datetime
    subject: str


LONGEST_LOOK_BACK = timedelta(days=3_660)


def since(text: str, now: datetime) -> datetime:
    """The instant that `90d`, a day or an RFC 3339 time names, seen from `now`.

    Raises:
        InvalidInput: it is none of them, or lies in the future or more than ten years ago.
    """
    try:
        found = now - parse_duration(text)
    except InvalidInput:
        found = _named(text)
    if not now - LONGEST_LOOK_BACK <= found < now:
        raise InvalidInput(f"`{shown(text)}` is not in the last ten years", hint="say how far to look back, e.g. `90d`")
    return found


def _named(text: str) -> datetime:
    try:
        return parse_time(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    except InvalidInput:
        raise InvalidInput(
            f"`{shown(text)}` says no time to look back to",
            hint="write `90d`, `2026-03-01` or `2026-03-01T08:00:00Z`",
        ) from None


async def replay_ledger(
    ledger: LedgerStore, policy: Policy, since: datetime, until: datetime, on_progress: OnProgress = lambda _d, _t: None
) -> ReplayReport:
    """Everything that was asked from `since` on, before `until`, as `policy` would have answered it."""
    size = await ledger.size()
    start = max(0, await _first_from(ledger, since, size) - _OUT_OF_ORDER)
    reader = EntryReader(Replay(policy), since, until)
    for begin in range(start, size, PAGE):
        reader.feed(await ledger.entries_of(begin, min(begin + PAGE, size), KINDS))
        on_progress(min(begin + PAGE, size) - start, size - start)
    return reader.replay.report(since, until)


class EntryReader:
    """Takes in canonical entries and tells a `Replay` what happened between `since` and `until`."""

    def __init__(self, replay: Replay, since: datetime, until: datetime) -> None:
        self.replay = replay
        self._since, self._until = since, until
        self._terms: dict[bytes, Terms] = {}
        self._readers: dict[str, Callable[[bytes], None]] = {
            "request.created": self._created,
            "request.refused": self._refused,
            "request.denied": self._closed,
            "request.cancelled": self._closed,
            "request.expired": self._closed,
            "grant.scheduled": self._scheduled,
            "grant.active": self._began,
            "grant.ended": self._ended,
            "grant.activation_failed": self._ended,
        }

    def feed(self, entries: Iterable[tuple[str, bytes]]) -> None:
        """Take in the next entries (type and canonical bytes), in order."""
        for kind, body in entries:
            read = self._readers.get(kind)
            if read is not None:
                try:
                    read(body)
                except (LapseError, msgspec.DecodeError, UnicodeDecodeError):
                    self.replay.unreadable()

    def _created(self, body: bytes) -> None:
        entry = _read_created(body)
        if self._since <= entry.context.ask.at < self._until:
            self.replay.asked(entry.subject, entry.context.ask, self._terms_of(bytes(entry.after.terms)))

    def _refused(self, body: bytes) -> None:
        entry = _read_refused(body)
        if self._since <= entry.context.ask.at < self._until:
            self.replay.asked(entry.subject, entry.context.ask, None)

    def _closed(self, body: bytes) -> None:
        self.replay.closed(_read_changed(body).subject)

    def _scheduled(self, body: bytes) -> None:
        entry = _read_scheduled(body)
        self.replay.granted(entry.after.request_id, entry.subject, entry.after.duration)

    def _began(self, body: bytes) -> None:
        entry = _read_changed(body)
        if entry.after.activated_at is not None:
            self.replay.began(entry.subject, entry.after.activated_at)

    def _ended(self, body: bytes) -> None:
        entry = _read_changed(body)
        self.replay.ended(entry.subject, entry.after.ended_at or entry.at)

    def _terms_of(self, raw: bytes) -> Terms:
        found = self._terms.get(raw)
        if found is None:
            if len(self._terms) >= _MOST_TERMS:
                self._terms.clear()
            found = self._terms[raw] = decoded(Terms, raw)
        return found


async def _first_from(ledger: LedgerStore, since: datetime, size: int) -> int:
    """The place of the first entry from `since` on; entries are very nearly in order of time."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        rows = await ledger.entries(middle, middle + 1)
        if rows and decode(rows[0][1]).at < since:
            low = middle + 1
        else:
            high = middle
    return low


def _reader(kind: Any) -> Any:
    return msgspec.json.Decoder(kind).decode


_read_created = _reader(_Created)
_read_refused = _reader(_Refused)
_read_scheduled = _reader(_Scheduled)
_read_changed = _reader(_Changed)
