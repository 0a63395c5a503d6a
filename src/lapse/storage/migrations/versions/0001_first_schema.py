"""The first schema: requests, grants, catalog, policies, targets, reviews, and the ledger with its guards.

Frozen: this file never changes again; the schema of today is `lapse.storage.schema`.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

revision = "0001"
down_revision = None

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


_REFUSAL = "ledger entries are only ever added"

SQLITE = (
    f"CREATE TRIGGER ledger_entries_keep BEFORE UPDATE ON ledger_entries BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END",
    f"CREATE TRIGGER ledger_entries_stay BEFORE DELETE ON ledger_entries BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END",
    "INSERT INTO ledger_head (one, size) VALUES (1, 0)",
    "INSERT INTO catalog_version (one, version) VALUES (1, 0)",
)

POSTGRESQL = (
    (
        "CREATE FUNCTION ledger_entries_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$"
    ),
    (
        "CREATE FUNCTION ledger_entries_enqueue() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO ledger_unplaced (entry_id) SELECT id FROM added; RETURN NULL; END $$"
    ),
    (
        "CREATE TRIGGER ledger_entries_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_refuse()"
    ),
    (
        "CREATE TRIGGER ledger_entries_queue AFTER INSERT ON ledger_entries REFERENCING NEW TABLE AS added "
        "FOR EACH STATEMENT EXECUTE FUNCTION ledger_entries_enqueue()"
    ),
    "INSERT INTO ledger_head (one, size) VALUES (1, 0)",
    "INSERT INTO catalog_version (one, version) VALUES (1, 0)",
)

GUARDS = {"sqlite": SQLITE, "postgresql": POSTGRESQL}


def upgrade() -> None:
    """Create everything."""
    connection = op.get_bind()
    metadata.create_all(connection, checkfirst=False)
    for statement in GUARDS[connection.dialect.name]:
        connection.exec_driver_sql(statement)
