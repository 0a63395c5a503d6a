"""Recorded questions, read from their JSON only as far as they are looked at: a replay reads a million of them.

The parts that say who asks for what stay as they were recorded; equal parts have equal bytes, since the ledger is
canonical, and each distinct one is decoded once. Called by `memo`, and by whoever reads the ledger for a replay.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec

from lapse.domain.data import to_data
from lapse.domain.errors import Corrupt
from lapse.domain.requests import Ticket
from lapse.domain.times import Instant
from lapse.policy.values import Ask, EntitlementFacts, History, PrincipalFacts, ResourceFacts, TicketFacts

T = TypeVar("T")
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

    def who(self) -> tuple[bytes, bytes, bytes, bytes]:
        """Who asks for whom, and what for, as recorded."""
        return bytes(self.requester), bytes(self.beneficiary), bytes(self.resource), bytes(self.entitlement)


class AskReader:
    """Makes whole `Ask`s of recorded ones; parts that come again are decoded once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, bytes], Any] = {}

    def ask(self, asked: RecordedAsk) -> Ask:
        """The whole question.

        Raises:
            Corrupt: a part of it is not what it should be.
        """
        return Ask(
            requester=self.part(PrincipalFacts, asked.requester),
            beneficiary=self.part(PrincipalFacts, asked.beneficiary),
            resource=self.part(ResourceFacts, asked.resource),
            entitlement=self.part(EntitlementFacts, asked.entitlement),
            duration=asked.duration,
            total_duration=asked.total_duration,
            at=asked.at,
            is_extension=asked.is_extension,
            break_glass=asked.break_glass,
            justification=asked.justification,
            ticket=asked.ticket,
            starts_at=asked.starts_at,
            context=self.part(dict[str, Any], asked.context),
            ticket_facts=self.part(TicketFacts | None, asked.ticket_facts),
            history=decoded(History | None, asked.history),
        )

    def part(self, kind: Any, raw: msgspec.Raw) -> Any:
        """The value of one part."""
        key = (kind, bytes(raw))
        found = self._known.get(key, self)
        if found is self:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            found = self._known[key] = decoded(kind, raw)
        return found


def decoded(kind: Any, raw: msgspec.Raw | bytes) -> Any:
    """The value of type `kind` that JSON spells; `Corrupt` if it does not."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"a recorded question cannot be read: {error}") from None


def recorded(ask: Ask) -> RecordedAsk:
    """`ask` as the ledger would have it."""
    raw = msgspec.json.encode(to_data(ask), order="deterministic")
    found: RecordedAsk = decoded(RecordedAsk, raw)
    return found
