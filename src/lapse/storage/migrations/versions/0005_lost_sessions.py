"""Sessions that are lost on record may still run: until when they may is a column, so that they are found and cut.

Frozen: this file never changes again; the schema of today is `lapse.storage.schema`.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, text

revision = "0005"
down_revision = "0004"

_Number = BigInteger().with_variant(Integer(), "sqlite")
_LOST = text("lost_until IS NOT NULL")


def upgrade() -> None:
    """Add the column. Sessions that were lost before are not looked for."""
    op.add_column("sessions", Column("lost_until", _Number, nullable=True))
    op.create_index("sessions_lost", "sessions", ["gateway", "lost_until"], sqlite_where=_LOST, postgresql_where=_LOST)
