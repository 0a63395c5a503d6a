"""The ledger into the snapshot, and the facts that other tables are reconciled with.

One pass over the sequenced entries in order. Called by `collect` while it holds its view of the store, so that
the ledger is at least as new as the view.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from lapse.domain.errors import Corrupt
from lapse.ledger import canonical
from lapse.ledger.entry import Entry
from lapse.ports import LedgerStore
from lapse.review.collection.people_history import PeopleHistory
from lapse.review.collection.rows import event_row, ledger_row
from lapse.review.collection.snapshot import SnapshotWriter
from lapse.review.collection.telemetry import OnlyWindows
from lapse.review.collection.ticket_history import TicketHistory
from lapse.review.model import Problem

_PIECE = 5_000


@dataclass
class LedgerFacts:
    """What the ledger says was created up to now, when ends were ordered, and when gateways were the only way."""

    requests: set[str] = field(default_factory=set)
    grants: set[str] = field(default_factory=set)
    decisions: set[str] = field(default_factory=set)
    end_ordered: dict[str, datetime] = field(default_factory=dict)
    only: OnlyWindows = field(default_factory=OnlyWindows)
    people: PeopleHistory = field(default_factory=PeopleHistory)
    tickets: TicketHistory = field(default_factory=TicketHistory)

    def note(self, entry: Entry) -> None:
        """Take in one entry."""
        self.only.note(entry)
        self.people.note(entry)
        self.tickets.note(entry)
        after = entry.after or {}
        if entry.type == "request.created":
            self.requests.add(entry.subject)
        elif entry.type == "grant.scheduled":
            self.grants.add(entry.subject)
        elif entry.type.startswith("decision.") and isinstance(after.get("id"), str):
            self.decisions.add(str(after["id"]))
        elif after.get("state") == "revoking":
            self.end_ordered.setdefault(entry.subject, entry.at)


async def read_ledger(ledger: LedgerStore, writer: SnapshotWriter, now: datetime) -> LedgerFacts:
    """Write `ledger_entries` and `enforcement_events`; returns the facts. Entries that cannot be read are problems."""
    facts = LedgerFacts()
    size = await ledger.size()
    writer.begin("ledger_entries", "ledger", f"entries 0..{size}")
    writer.begin("enforcement_events", "ledger", "type grant.*, drift.*, target.*")
    writer.recount("ledger_entries", size)
    for start in range(0, size, _PIECE):
        for seq, body in await ledger.entries(start, min(start + _PIECE, size)):
            _take(writer, facts, seq, body)
    waiting = await ledger.pending(_PIECE)
    for _, body in waiting:
        _note(facts, body)
    if waiting:
        writer.gap("ledger_entries", f"{len(waiting)} entries had no place in the tree yet at {now:%Y-%m-%d %H:%M:%S}")
    return facts


def _take(writer: SnapshotWriter, facts: LedgerFacts, seq: int, body: bytes) -> None:
    entry = _note(facts, body)
    if entry is None:
        writer.rejected("ledger_entries", 1)
        writer.problem(Problem(table="ledger_entries", source="ledger", what=f"entry {seq} cannot be read", rows=1))
        return
    writer.add("ledger_entries", [ledger_row(seq, entry, body)])
    if entry.type.startswith(("grant.", "drift.", "target.")):
        writer.add("enforcement_events", [event_row(seq, entry)])


def _note(facts: LedgerFacts, body: bytes) -> Entry | None:
    try:
        entry = canonical.decode(body)
    except Corrupt:
        return None
    facts.note(entry)
    return entry
