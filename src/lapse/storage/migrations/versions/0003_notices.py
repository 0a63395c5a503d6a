"""The outbox of notices.

Frozen: this file never changes again; the schema of today is `lapse.storage.schema`.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, text

revision = "0003"
down_revision = "0002"

metadata = MetaData()

_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")
_DUE = text("due_at IS NOT NULL")

Table(
    "notices",
    metadata,
    Column("id", _Text, primary_key=True, nullable=False),
    Column("state", _Text, nullable=False),
    Column("due_at", _Number, nullable=True),
    Column("version", _Number, nullable=False),
    Column("doc", _Text, nullable=False),
    Index("notices_due", "due_at", "id", sqlite_where=_DUE, postgresql_where=_DUE),
    Index("notices_state", "state", "id"),
)


def upgrade() -> None:
    """Create the table."""
    metadata.create_all(op.get_bind(), checkfirst=False)
