"""People in the browser: who signed in, how, and until when.

Frozen: this file never changes again; the schema of today is `lapse.storage.schema`.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text

revision = "0008"
down_revision = "0007"

metadata = MetaData()

_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")

Table(
    "sign_ins",
    metadata,
    Column("id", _Text, primary_key=True, nullable=False),
    Column("digest", _Text, nullable=False),
    Column("principal", _Text, nullable=False),
    Column("expires", _Number, nullable=False),
    Column("version", _Number, nullable=False),
    Column("doc", _Text, nullable=False),
    Index("sign_ins_digest", "digest", unique=True),
    Index("sign_ins_principal", "principal", "id"),
    Index("sign_ins_expires", "expires"),
)


def upgrade() -> None:
    """Create the table."""
    metadata.create_all(op.get_bind(), checkfirst=False)
