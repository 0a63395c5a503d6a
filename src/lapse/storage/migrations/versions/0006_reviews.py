"""Exceptions, removals after reviews, schedules of reviews.

Frozen: this file never changes again; the schema of today is `lapse.storage.schema`.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, text

revision = "0006"
down_revision = "0005"

metadata = MetaData()

_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")
_DUE = text("due_at IS NOT NULL")

Table(
    "exceptions",
    metadata,
    Column("id", _Text, primary_key=True, nullable=False),
    Column("version", _Number, nullable=False),
    Column("doc", _Text, nullable=False),
)

Table(
    "removals",
    metadata,
    Column("id", _Text, primary_key=True, nullable=False),
    Column("resource", _Text, nullable=False),
    Column("due_at", _Number, nullable=True),
    Column("version", _Number, nullable=False),
    Column("doc", _Text, nullable=False),
    Index("removals_resource", "resource", "id"),
    Index("removals_due", "due_at", "id", sqlite_where=_DUE, postgresql_where=_DUE),
)

Table(
    "schedules",
    metadata,
    Column("id", _Text, primary_key=True, nullable=False),
    Column("version", _Number, nullable=False),
    Column("doc", _Text, nullable=False),
)


def upgrade() -> None:
    """Create the tables."""
    metadata.create_all(op.get_bind(), checkfirst=False)
