"""The statements of the ledger's tables, prepared. Called by `ledger` alone."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import bindparam, delete, exists, func, insert, literal_column, select, update
from sqlalchemy.sql import ColumnElement

from lapse.storage.schema import (
    ledger_checkpoints,
    ledger_entries,
    ledger_head,
    ledger_runs,
    ledger_tiles,
    ledger_unplaced,
)
from lapse.storage.statements import Among, AmongPairs, Query, bulk_insert, bulk_upsert

_entry = ledger_entries.c
_run = ledger_runs.c
_one: ColumnElement[int] = literal_column("1")
_none: ColumnElement[int] = literal_column("0")
_within = (_entry.id >= bindparam("first_id"), _entry.id < bindparam("end_id"))
_of_type = func.substr(_entry.type, _one, bindparam("prefix_length")) == bindparam("prefix")

_high = func.max(
    func.coalesce(select(func.max(ledger_unplaced.c.entry_id)).scalar_subquery(), _none),
    func.coalesce(
        select(_run.first_id + _run.length - _one).order_by(_run.first_id.desc()).limit(_one).scalar_subquery(),
        _none,
    ),
)
"""On SQLite: the last entry that is queued or placed. There is one writer, so later entries have larger ids."""

QUEUED = Query(
    select(_entry.id, _entry.body)
    .join(ledger_unplaced, ledger_unplaced.c.entry_id == _entry.id)
    .order_by(ledger_unplaced.c.entry_id)
    .limit(bindparam("limit"))
)
UNSEEN = Query(select(_entry.id, _entry.body).where(_entry.id > _high).order_by(_entry.id).limit(bindparam("limit")))
_last = func.coalesce(select(func.max(_entry.id)).scalar_subquery(), _none)
KNOWN = Query(select(_high, _last))
"""The last entry that is queued or placed, and the last there is."""

QUEUE_UNSEEN = Query(insert(ledger_unplaced).from_select(["entry_id"], select(_entry.id).where(_entry.id > _high)))
HEAD = Query(
    select(ledger_head.c.size, ledger_checkpoints.c.note).outerjoin_from(
        ledger_head, ledger_checkpoints, ledger_checkpoints.c.size == ledger_head.c.size
    )
)
"""The size, and the note for it if there is one."""
STATE = Query(
    select(
        ledger_head.c.size,
        ledger_checkpoints.c.note,
        _high.label("known"),
        _last.label("last"),
        exists(select(ledger_unplaced.c.entry_id)).label("queued"),
    ).outerjoin_from(ledger_head, ledger_checkpoints, ledger_checkpoints.c.size == ledger_head.c.size)
)
"""On SQLite: as `HEAD` and `KNOWN` together, and whether any entry is queued."""

GROW = Query(update(ledger_head).values(size=bindparam("new_size")).where(ledger_head.c.size == bindparam("expected")))
TAKE = Query(
    delete(ledger_unplaced).where(
        ledger_unplaced.c.entry_id >= bindparam("first_id"), ledger_unplaced.c.entry_id < bindparam("end_id")
    )
)
LENGTHEN = Query(
    update(ledger_runs)
    .values(length=_run.length + bindparam("more"))
    .where(
        _run.first_seq == select(func.max(_run.first_seq)).scalar_subquery(),
        _run.first_seq + _run.length == bindparam("seq"),
        _run.first_id + _run.length == bindparam("first_id"),
    )
)
ADD_RUN = bulk_insert(ledger_runs)
RUNS = Query(
    select(_run.first_seq, _run.first_id, _run.length)
    .where(
        _run.first_seq < bindparam("end"),
        _run.first_seq
        >= func.coalesce(
            select(func.max(_run.first_seq)).where(_run.first_seq <= bindparam("start")).scalar_subquery(),
            literal_column("0"),
        ),
    )
    .order_by(_run.first_seq)
)
BODIES = Query(select(_entry.id, _entry.body).where(*_within).order_by(_entry.id))
TYPES_AND_BODIES = Query(
    select(_entry.type, _entry.body).where(*_within, Among(_entry.type, "types")).order_by(_entry.id)
)
BODIES_OF_TYPE = Query(select(_entry.id, _entry.body).where(*_within, _of_type).order_by(_entry.id))

PUT_TILES = bulk_upsert(ledger_tiles)
PUT_CHECKPOINT = bulk_upsert(ledger_checkpoints)
TILES = Query(
    select(ledger_tiles.c.level, ledger_tiles.c.position, ledger_tiles.c.hashes).where(
        AmongPairs(ledger_tiles.c.level, ledger_tiles.c.position, "places")
    )
)
CHECKPOINT = Query(select(ledger_checkpoints.c.note).where(ledger_checkpoints.c.size == bindparam("size")))
NEWEST_CHECKPOINT = Query(select(ledger_checkpoints.c.note).order_by(ledger_checkpoints.c.size.desc()).limit(_one))


@lru_cache(maxsize=2)
def about(*, newest_first: bool) -> Query:
    """Entries about a subject with their places, from the place `after` on, exclusive."""
    holding = ledger_runs.alias("holding")
    nearest = select(func.max(_run.first_id)).where(_run.first_id <= _entry.id).correlate(ledger_entries)
    seq = _entry.id - holding.c.first_id + holding.c.first_seq
    after: ColumnElement[int] = bindparam("after")
    return Query(
        select(seq.label("seq"), _entry.body)
        .select_from(ledger_entries)
        .join(holding, holding.c.first_id == nearest.scalar_subquery())
        .where(
            _entry.subject == bindparam("subject"),
            _entry.id < holding.c.first_id + holding.c.length,
            _of_type,
            seq < after if newest_first else seq > after,
        )
        .order_by(seq.desc() if newest_first else seq)
        .limit(bindparam("limit"))
    )
