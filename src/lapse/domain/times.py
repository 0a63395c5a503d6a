"""Instants: aware UTC datetimes inside, RFC 3339 text with `Z` in data, API and ledger."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, TypeAlias

import msgspec

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown

Instant: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
"""A datetime that knows its zone. Stored text without an offset is no instant, and is refused when read."""

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 date-time (section 5.6) with its offset; the result is in UTC.

    Raises:
        InvalidInput: not a date-time, or one without an offset.
    """
    if len(text) > 40 or not _RFC3339.fullmatch(text):  # noqa: PLR2004  longer than any RFC 3339 text
        raise _not_a_time(text)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _not_a_time(text) from None


def format_time(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, always 27 characters, so that text sorts as time does."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


def _not_a_time(text: str) -> InvalidInput:
    return InvalidInput(
        f"`{shown(text, 40)}` is not a time", hint="write it as `2026-03-01T14:00:00Z` (RFC 3339, with an offset)"
    )
