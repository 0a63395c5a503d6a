"""The one schema, for both dialects. Called by the statements here, and compared with the migrations by a test.

A row is the JSON document of one value, and beside it only the columns that something is looked up by. Those
columns are derived from the value by `shelves`, in one place. Instants in columns are whole microseconds since
1970 (exact, small, and they sort); in documents they are RFC 3339 text. Text sorts by code point in both dialects.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    event,
    text,
)

from lapse.storage.guards import GUARDS

REVISION = "0008"
"""The newest migration; a database at another one is upgraded, or refused if it is newer."""

metadata = MetaData()

_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")


def _key(name: str = "id") -> Column[str]:
    return Column(name, _Text, primary_key=True)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, _Text, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, _Number, nullable=nullable)


def _partial(name: str, condition: str, *columns: str) -> Index:
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


_DUE = "due_at IS NOT NULL"

requests = Table(
    "requests",
    metadata,
    _key(),
    _text("requester"),
    _text("beneficiary"),
    _text("entitlement"),
    _text("state"),
    _number("due_at", nullable=True),
    _number("version"),
    _text("doc"),
    _text("bundle", nullable=True),
    _partial("requests_bundle", "bundle IS NOT NULL", "bundle", "id"),
    Index("requests_requester", "requester", "id"),
    Index("requests_beneficiary", "beneficiary", "id"),
    Index("requests_entitlement", "entitlement", "id"),
    _partial("requests_due", _DUE, "due_at", "id"),
    _partial("requests_open", _DUE, "id"),
)

decisions = Table(
    "decisions", metadata, _key(), _text("request_id"), _text("doc"), Index("decisions_request", "request_id", "id")
)

grants = Table(
    "grants",
    metadata,
    _key(),
    _text("request_id"),
    _text("beneficiary"),
    _text("entitlement"),
    _text("resource"),
    _text("account"),
    _text("state"),
    _number("due_at", nullable=True),
    _text("extends", nullable=True),
    _number("version"),
    _text("doc"),
    _number("over_at", nullable=True),
    Index("grants_held", "beneficiary", "entitlement", "over_at"),
    Index("grants_request", "request_id", "id"),
    Index("grants_beneficiary", "beneficiary", "id"),
    Index("grants_entitlement", "entitlement", "id"),
    Index("grants_resource", "resource", "id"),
    _partial("grants_due", _DUE, "due_at", "id"),
    _partial("grants_open", _DUE, "id"),
    _partial("grants_accounts", _DUE, "account", "resource"),
)

locks = Table(
    "locks",
    metadata,
    _key(),
    _number("in_force"),
    _number("version"),
    _text("doc"),
    _partial("locks_in_force", "in_force = 1", "id"),
)

delegations = Table(
    "delegations",
    metadata,
    _key(),
    _text("delegate"),
    _number("until"),
    _number("version"),
    _text("doc"),
    Index("delegations_delegate", "delegate", "id"),
    Index("delegations_until", "until", "id"),
)

templates = Table("templates", metadata, _key("name"), _text("doc"))

aftermaths = Table(
    "aftermaths",
    metadata,
    _key(),
    _text("beneficiary"),
    _number("is_open"),
    _number("version"),
    _text("doc"),
    Index("aftermaths_beneficiary", "beneficiary", "id"),
    _partial("aftermaths_open", "is_open = 1", "id"),
)

proposals = Table(
    "proposals",
    metadata,
    _key(),
    _number("is_open"),
    _number("version"),
    _text("doc"),
    _partial("proposals_open", "is_open = 1", "id"),
)

notices = Table(
    "notices",
    metadata,
    _key(),
    _text("state"),
    _number("due_at", nullable=True),
    _number("version"),
    _text("doc"),
    _partial("notices_due", _DUE, "due_at", "id"),
    Index("notices_state", "state", "id"),
)

credentials = Table(
    "credentials",
    metadata,
    _key(),
    _text("login"),
    _text("grant_id"),
    _text("granted_to"),
    _number("due_at", nullable=True),
    _number("version"),
    _text("doc"),
    Index("credentials_login", "login", unique=True),
    Index("credentials_grant", "grant_id", "id"),
    Index("credentials_holder", "granted_to", "id"),
    _partial("credentials_live", _DUE, "due_at", "id"),
)

sessions = Table(
    "sessions",
    metadata,
    _key(),
    _text("grant_id"),
    _text("principal"),
    _text("resource"),
    _text("gateway"),
    _text("state"),
    _number("must_end"),
    _number("due_at", nullable=True),
    _number("version"),
    _text("doc"),
    _number("lost_until", nullable=True),
    Index("sessions_grant", "grant_id", "id"),
    Index("sessions_principal", "principal", "id"),
    Index("sessions_resource", "resource", "id"),
    Index("sessions_gateway", "gateway", "id"),
    _partial("sessions_open", _DUE, "id"),
    _partial("sessions_due", _DUE, "due_at", "id"),
    _partial("sessions_open_grant", _DUE, "grant_id"),
    _partial("sessions_open_resource", _DUE, "resource", "principal"),
    _partial("sessions_open_gateway", _DUE, "gateway"),
    _partial("sessions_lost", "lost_until IS NOT NULL", "gateway", "lost_until"),
)

segments = Table(
    "segments",
    metadata,
    _key(),
    _text("session_id"),
    _number("number"),
    _number("due_at", nullable=True),
    _number("version"),
    _text("doc"),
    Index("segments_session", "session_id", "number", unique=True),
    _partial("segments_due", _DUE, "due_at", "id"),
)

holds = Table(
    "holds",
    metadata,
    _key(),
    _text("session_id"),
    _text("resource"),
    _text("state"),
    _number("due_at", nullable=True),
    _number("version"),
    _text("doc"),
    Index("holds_session", "session_id", "id"),
    Index("holds_resource", "resource", "id"),
    _partial("holds_open", _DUE, "id"),
    _partial("holds_due", _DUE, "due_at", "id"),
)

gateway_runs = Table(
    "gateway_runs",
    metadata,
    _key(),
    _text("name"),
    _number("is_open"),
    _number("version"),
    _text("doc"),
    Index("gateway_runs_name", "name", "id"),
    _partial("gateway_runs_open", "is_open = 1", "id"),
)

catalog_objects = Table(
    "catalog_objects",
    metadata,
    _text("kind"),
    _text("name"),
    _text("doc"),
    PrimaryKeyConstraint("kind", "name"),
)

catalog_version = Table(
    "catalog_version", metadata, Column("one", _Number, primary_key=True, autoincrement=False), _number("version")
)

policies = Table(
    "policies",
    metadata,
    _key("version"),
    _number("activation"),
    _text("doc"),
    Index("policies_activation", "activation", unique=True),
)

targets = Table("targets", metadata, _key("resource"), _text("doc"))

tokens = Table(
    "tokens",
    metadata,
    _key(),
    _text("digest"),
    _text("principal"),
    _text("doc"),
    Index("tokens_digest", "digest", unique=True),
    Index("tokens_principal", "principal", "id"),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    _key(),
    _text("digest"),
    _text("principal"),
    _number("expires"),
    _number("version"),
    _text("doc"),
    Index("sign_ins_digest", "digest", unique=True),
    Index("sign_ins_principal", "principal", "id"),
    Index("sign_ins_expires", "expires"),
)

drifts = Table(
    "drifts",
    metadata,
    _key(),
    _text("resource"),
    _number("is_open"),
    _text("doc"),
    Index("drifts_resource", "resource", "id"),
    _partial("drifts_open", "is_open = 1", "id"),
)

target_reads = Table(
    "target_reads",
    metadata,
    _key(),
    _text("resource"),
    _text("doc"),
    Index("target_reads_resource", "resource", "id"),
)

sightings = Table(
    "sightings", metadata, _key(), _text("resource"), _text("doc"), Index("sightings_resource", "resource", "id")
)

reviews = Table("reviews", metadata, _key(), _number("version"), _text("doc"))

items = Table(
    "items",
    metadata,
    _key(),
    _text("review_id"),
    _number("version"),
    _text("doc"),
    Index("items_review", "review_id", "id"),
)

exceptions = Table("exceptions", metadata, _key(), _number("version"), _text("doc"))

removals = Table(
    "removals",
    metadata,
    _key(),
    _text("resource"),
    _number("due_at", nullable=True),
    _number("version"),
    _text("doc"),
    Index("removals_resource", "resource", "id"),
    _partial("removals_due", _DUE, "due_at", "id"),
)

schedules = Table("schedules", metadata, _key(), _number("version"), _text("doc"))

known_findings = Table(
    "known_findings",
    metadata,
    _key(),
    _text("schedule"),
    _number("version"),
    _text("doc"),
    Index("known_findings_schedule", "schedule", "id"),
)

replies = Table("replies", metadata, _key("key"), _text("call_hash"), _text("reply"), _number("recorded_at"))

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("id", _Number, primary_key=True),
    _text("type"),
    _text("subject"),
    Column("body", LargeBinary, nullable=False),
    Index("ledger_entries_subject", "subject", "id"),
)

ledger_unplaced = Table("ledger_unplaced", metadata, Column("entry_id", _Number, primary_key=True, autoincrement=False))

ledger_runs = Table(
    "ledger_runs",
    metadata,
    Column("first_seq", _Number, primary_key=True, autoincrement=False),
    _number("first_id"),
    _number("length"),
    Index("ledger_runs_first_id", "first_id", unique=True),
)

ledger_head = Table(
    "ledger_head", metadata, Column("one", _Number, primary_key=True, autoincrement=False), _number("size")
)

ledger_tiles = Table(
    "ledger_tiles",
    metadata,
    Column("level", _Number, autoincrement=False),
    Column("position", _Number, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
    PrimaryKeyConstraint("level", "position"),
)

ledger_checkpoints = Table(
    "ledger_checkpoints",
    metadata,
    Column("size", _Number, primary_key=True, autoincrement=False),
    Column("note", LargeBinary, nullable=False),
)

for _dialect, _statements in GUARDS.items():
    for _statement in _statements:
        _guard = DDL(_statement)  # type: ignore[no-untyped-call]
        event.listen(metadata, "after_create", _guard.execute_if(dialect=_dialect))
