"""Recorded questions, read from their JSON only as far as they are looked at: a replay reads a million of them.

The parts that say who asks for what stay as they were recorded; equal parts have equal bytes, since the ledger is
canonical, and each distinct one is decoded once. Called by `memo`, and by whoever reads the ledger for a replay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import msgspec

from lapse.domain.data import to_data
from lapse.domain.errors import Corrupt
from lapse.domain.requests import Ticket
from lapse.domain.times import Instant
from lapse.policy.values import Ask, EntitlementFacts, History, PrincipalFacts, ResourceFacts, TicketFacts

MOST_KEPT = 100_000
"""Decoded parts kept at a time."""


class RecordedAsk(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An `Ask` as the ledger has it. Fields that old entries lack have the value of their absence."""

    requester: msgspec.Raw
    beneficiary: msgspec.Raw
    resource: msgspec.Raw
    entitlement: msgspec.Raw
    duration: timedelta
    total_duration: timedelta
    at: Instant
    is_extension: bool = False
    break_glass: bool = False
    justification: str = ""
    ticket: Ticket | None = None
    starts_at: Instant | None = None
    context: msgspec.Raw = msgspec.Raw(b"{}")
    ticket_facts: msgspec.Raw = msgspec.Raw(b"null")
    history: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def begins_at(self) -> datetime:
        """The earliest instant at which the access could begin."""
        starts = self.starts_at
        return self.at if starts is None or starts < self.at else starts

    def who(self) -> tuple[bytes, ...]:
        """Who asks for whom, and what for, as recorded; who asks for themselves is named once."""
        who, what = bytes(self.beneficiary), (bytes(self.resource), bytes(self.entitlement))
        asks = bytes(self.requester)
        return (who, *what) if asks == who else (who, *what, asks)


@dataclass(frozen=True, slots=True)
class Whole:
    """Who asks for whom, and what for, decoded: makes whole `Ask`s of what these people ask for."""

    requester: PrincipalFacts
    beneficiary: PrincipalFacts
    resource: ResourceFacts
    entitlement: EntitlementFacts

    def ask(self, asked: RecordedAsk) -> Ask:
        """The whole question.

        Raises:
            Corrupt: a part of it is not what it should be.
        """
        return Ask(
            requester=self.requester,
            beneficiary=self.beneficiary,
            resource=self.resource,
            entitlement=self.entitlement,
            duration=asked.duration,
            total_duration=asked.total_duration,
            at=asked.at,
            is_extension=asked.is_extension,
            break_glass=asked.break_glass,
            justification=asked.justification,
            ticket=asked.ticket,
            starts_at=asked.starts_at,
            context=_read_context(asked.context),
            ticket_facts=_read_ticket(asked.ticket_facts),
            history=_read_history(asked.history),
        )


class LookedBack(msgspec.Struct, frozen=True, gc=False):
    """The part of a question that rules about the past look at: see `frequency.InTime`."""

    at: datetime
    begins_at: datetime
    duration: timedelta
    entitlement: EntitlementFacts
    break_glass: bool
    justification: str
    history: History | None


def looked_back(entitlement: EntitlementFacts, asked: RecordedAsk) -> LookedBack:
    """What rules about the past see of `asked`; `Corrupt` if its history cannot be read."""
    return LookedBack(
        asked.at,
        asked.begins_at,
        asked.duration,
        entitlement,
        asked.break_glass,
        asked.justification,
        _read_history(asked.history),
    )


class AskReader:
    """Decodes who asks for what; parts that come again are decoded once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, bytes], Any] = {}

    def whole(self, asked: RecordedAsk) -> Whole:
        """The people and the entitlement of a question; `Corrupt` if they cannot be read."""
        return Whole(
            requester=self._part(PrincipalFacts, asked.requester),
            beneficiary=self._part(PrincipalFacts, asked.beneficiary),
            resource=self._part(ResourceFacts, asked.resource),
            entitlement=self._part(EntitlementFacts, asked.entitlement),
        )

    def _part(self, kind: Any, raw: msgspec.Raw) -> Any:
        key = (kind, bytes(raw))
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            found = self._known[key] = decoded(kind, raw)
        return found


def decoded(kind: Any, raw: msgspec.Raw | bytes) -> Any:
    """The value of type `kind` that JSON spells; `Corrupt` if it does not."""
    return reader_of(kind)(raw)


@cache
def reader_of(kind: Any) -> Callable[[msgspec.Raw | bytes], Any]:
    """A function that reads JSON as `kind`, made once."""
    decode = msgspec.json.Decoder(kind).decode

    def read(raw: msgspec.Raw | bytes) -> Any:
        try:
            return decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Corrupt(f"a recorded question cannot be read: {error}") from None

    return read


_read_context = reader_of(dict[str, Any])
_read_ticket = reader_of(TicketFacts | None)
_read_history = reader_of(History | None)


def recorded(ask: Ask) -> RecordedAsk:
    """`ask` as the ledger would have it."""
    raw = msgspec.json.encode(to_data(ask), order="deterministic")
    found: RecordedAsk = decoded(RecordedAsk, raw)
    return found
