"""Bundles, delegations, templates, post-reviews of break-glass, policy proposals; and when a grant was over.

Frozen: this file never changes again; the schema of today is `lapse.storage.schema`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from alembic import op
from sqlalchemy import BigInteger, Column, Index, Integer, MetaData, Table, Text, bindparam, select, text, update

revision = "0002"
down_revision = "0001"

metadata = MetaData()

_Text = Text().with_variant(Text(collation="C"), "postgresql")
_Number = BigInteger().with_variant(Integer(), "sqlite")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROWS = 1000


def _text(name: str, *, key: bool = False) -> Column[str]:
    return Column(name, _Text, primary_key=key, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, _Number, nullable=False)


def _partial(name: str, condition: str, *columns: str) -> Index:
    return Index(name, *columns, sqlite_where=text(condition), postgresql_where=text(condition))


_NEW = (
    Table(
        "delegations",
        metadata,
        _text("id", key=True),
        _text("delegate"),
        _number("until"),
        _number("version"),
        _text("doc"),
        Index("delegations_delegate", "delegate", "id"),
        Index("delegations_until", "until", "id"),
    ),
    Table("templates", metadata, _text("name", key=True), _text("doc")),
    Table(
        "aftermaths",
        metadata,
        _text("id", key=True),
        _text("beneficiary"),
        _number("is_open"),
        _number("version"),
        _text("doc"),
        Index("aftermaths_beneficiary", "beneficiary", "id"),
        _partial("aftermaths_open", "is_open = 1", "id"),
    ),
    Table(
        "proposals",
        metadata,
        _text("id", key=True),
        _number("is_open"),
        _number("version"),
        _text("doc"),
        _partial("proposals_open", "is_open = 1", "id"),
    ),
)

_grants = Table(
    "grants", MetaData(), _text("id", key=True), Column("due_at", _Number), Column("over_at", _Number), _text("doc")
)


def upgrade() -> None:
    """Create the new tables and columns, and say of every grant that is over since when."""
    metadata.create_all(op.get_bind(), checkfirst=False)
    op.add_column("requests", Column("bundle", _Text, nullable=True))
    op.create_index(
        "requests_bundle",
        "requests",
        ["bundle", "id"],
        sqlite_where=text("bundle IS NOT NULL"),
        postgresql_where=text("bundle IS NOT NULL"),
    )
    op.add_column("grants", Column("over_at", _Number, nullable=True))
    _date_ends()
    op.create_index("grants_held", "grants", ["beneficiary", "entitlement", "over_at"])


def _date_ends() -> None:
    connection, after = op.get_bind(), ""
    change = update(_grants).where(_grants.c.id == bindparam("key")).values(over_at=bindparam("at"))
    while rows := connection.execute(
        select(_grants.c.id, _grants.c.doc)
        .where(_grants.c.due_at.is_(None), _grants.c.id > after)
        .order_by(_grants.c.id)
        .limit(_ROWS)
    ).all():
        connection.execute(change, [{"key": key, "at": _ended_at(document)} for key, document in rows])
        after = rows[-1][0]


def _ended_at(document: str) -> int:
    grant = msgspec.json.decode(document)
    ended = grant.get("ended_at") or grant["created_at"]
    return (datetime.fromisoformat(ended) - _EPOCH) // timedelta(microseconds=1)
