"""Credentials for the gateway, sessions, segments of recordings, holds, and runs of gateway processes.

Frozen: this file never changes again; the schema of today is `lapse.storage.schema`.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, text

revision = "0004"
down_revision = "0003"

metadata = MetaData()

_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")
_DUE = "due_at IS NOT NULL"


def _key() -> Column[str]:
    return Column("id", _Text, primary_key=True, nullable=False)


def _text(name: str) -> Column[str]:
    return Column(name, _Text, nullable=False)


def _number(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, _Number, nullable=nullable)


def _partial(name: str, condition: str, *columns: str) -> Index:
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


Table(
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

Table(
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
    Index("sessions_grant", "grant_id", "id"),
    Index("sessions_principal", "principal", "id"),
    Index("sessions_resource", "resource", "id"),
    Index("sessions_gateway", "gateway", "id"),
    _partial("sessions_open", _DUE, "id"),
    _partial("sessions_due", _DUE, "due_at", "id"),
    _partial("sessions_open_grant", _DUE, "grant_id"),
    _partial("sessions_open_resource", _DUE, "resource", "principal"),
    _partial("sessions_open_gateway", _DUE, "gateway"),
)

Table(
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

Table(
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

Table(
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


def upgrade() -> None:
    """Create the tables."""
    metadata.create_all(op.get_bind(), checkfirst=False)
