"""What looks between reviews know of findings, by schedule.

Frozen: this file never changes again; the schema of today is `lapse.storage.schema`.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

revision = "0007"
down_revision = "0006"

metadata = MetaData()

_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")

Table(
    "known_findings",
    metadata,
    Column("id", _Text, primary_key=True, nullable=False),
    Column("schedule", _Text, nullable=False),
    Column("version", _Number, nullable=False),
    Column("doc", _Text, nullable=False),
    Index("known_findings_schedule", "schedule", "id"),
)


def upgrade() -> None:
    """Create the table."""
    metadata.create_all(op.get_bind(), checkfirst=False)
