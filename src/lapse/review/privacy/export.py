"""Makes the contents of a pseudonymised pack from those of a sealed one: tables, results and texts without names.

Guarantee: every table and every value of the result is rewritten by what its fields hold (`fields`), every text is
searched for every name that any table or value has, and hashes that were made of names without a key are made anew with
it. Policies and ledger entries are left out: their hashes would not hold without the names in them. Called by
`bootstrap`, which keeps the key; written by `seal` like any pack, and signed as what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from lapse.review.collection.snapshot import file_sha256
from lapse.review.model import ReviewResult, SnapshotManifest, TableManifest
from lapse.review.pack.contents import ExportNote, PackContents
from lapse.review.privacy.fields import Holds, of_column, of_field
from lapse.review.privacy.pseudonyms import Pseudonyms

KIND = "pseudonymised"
LEFT_OUT = ("justifications and other free texts", "policies", "entries of the ledger")
_IDENTITIES = frozenset({Holds.PERSON, Holds.ACCOUNT, Holds.ADDRESS})
_T = TypeVar("_T")


def pseudonymised(contents: PackContents, key: bytes, of_manifest_sha256: str, workplace: Path) -> PackContents:
    """The contents of the export; its tables are written below `workplace`, a folder that must not exist.

    `key` has 32 bytes and is of this review alone.
    """
    names = Pseudonyms(key)
    result = contents.result
    found = [*_names_in_tables(result), *_names_in(result, "")]
    for kind, name in found:
        if kind is Holds.PERSON:
            names.add(kind, name)
    for role in _roles(result):
        names.keep(role)
    for kind, name in found:
        names.add(kind, name)
    workplace.mkdir(mode=0o700)
    tables = tuple(_table(table, result, names, workplace) for table in result.snapshot.manifest.tables)
    walked = _Walk(names).value(result)
    manifest = replace(walked.snapshot.manifest, tables=tables)
    snapshot = replace(walked.snapshot, folder=str(workplace), manifest=_plain(manifest))
    return replace(
        contents,
        name=f"{contents.name}-{KIND}",
        title=f"{names.text(contents.title)} ({KIND})",
        result=replace(walked, snapshot=snapshot),
        sealed_by=names.of(Holds.PERSON, contents.sealed_by),
        policies=(),
        ledger=None if contents.ledger is None else {**contents.ledger, "entries": []},
        export=ExportNote(kind=KIND, of_manifest_sha256=of_manifest_sha256, left_out=LEFT_OUT),
    )


def _plain(manifest: SnapshotManifest) -> SnapshotManifest:
    """Without the records of single source files: their names are often those of people."""
    return replace(manifest, sources=tuple(replace(s, place="", hashes={}, examples=()) for s in manifest.sources))


def _names_in_tables(result: ReviewResult) -> Iterator[tuple[Holds, str]]:
    """Every name in any table, each once a column."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for table in result.snapshot.manifest.tables:
        if not table.file:
            continue
        path = Path(result.snapshot.folder) / table.file
        texts = [
            f.name for f in pq.read_schema(path) if pa.types.is_string(f.type) and of_column(f.name) in _IDENTITIES
        ]
        for column in texts:
            values = pc.unique(pq.read_table(path, columns=[column]).column(0)).to_pylist()
            yield from ((of_column(column), value) for value in values if value)


def _roles(result: ReviewResult) -> Iterator[str]:
    """Accounts that are roles: nobody is known to own them, and the target lets nobody in with them."""
    import pyarrow.parquet as pq

    table = result.snapshot.manifest.table("accounts")
    if table is None or not table.file:
        return
    path, wanted = Path(result.snapshot.folder) / table.file, ["account", "principal", "can_login"]
    if set(wanted) <= set(pq.read_schema(path).names):
        for row in pq.read_table(path, columns=wanted).to_pylist():
            if row["can_login"] is False and not row["principal"]:
                yield row["account"]


def _names_in(value: object, name: str) -> Iterator[tuple[Holds, str]]:
    """Every name in the fields of results."""
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            inner = getattr(value, field.name)
            kind = of_field(type(value).__name__, field.name)
            if kind in _IDENTITIES:
                yield from ((kind, text) for text in _texts(inner))
            yield from _names_in(inner, field.name)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if of_column(str(key)) in _IDENTITIES:
                yield from ((of_column(str(key)), text) for text in _texts(inner))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _names_in(inner, name)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str) and not isinstance(value, Enum):
        yield value
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _texts(part)


class _Walk:
    """Rewrites values, each by the field that it is in."""

    def __init__(self, names: Pseudonyms) -> None:
        self._names = names

    def value(self, value: _T) -> _T:
        """A value of a result with all that is in it."""
        changed: Any = self._field(value, Holds.TEXT)
        return changed  # type: ignore[no-any-return]

    def _field(self, value: Any, holds: Holds) -> Any:
        if isinstance(value, Enum) or value is None or isinstance(value, (bool, int, float, datetime)):
            return value
        if isinstance(value, str):
            return self.text(value, holds)
        if is_dataclass(value) and not isinstance(value, type):
            kind = type(value).__name__
            inner = {f.name: self._field(getattr(value, f.name), of_field(kind, f.name)) for f in fields(value)}
            return replace(value, **inner)
        if isinstance(value, Mapping):
            return {key: self._entry(str(key), inner) for key, inner in value.items() if str(key) not in _FILES}
        if isinstance(value, (list, tuple)):
            return tuple(self._field(part, holds) for part in value)
        return value

    def _entry(self, key: str, value: Any) -> Any:
        """An entry of a mapping: of a row of evidence by its column, of anything else as text."""
        if isinstance(value, str) and not _is_time(value):
            return self.text(value, of_column(key) if _is_column(key) else Holds.TEXT)
        if isinstance(value, (list, tuple)):
            return [self._entry(key, part) for part in value]
        return self._field(value, Holds.TEXT)

    def text(self, text: str, holds: Holds) -> str:
        """One text by what its field holds."""
        if holds is Holds.LEFT_OUT:
            return ""
        if holds is Holds.HASH:
            return self._names.keyed(text)
        if holds in _IDENTITIES:
            return self._names.of(holds, text)
        return self._names.text(text)


_FILES = frozenset({"changed"})


def _is_column(key: str) -> bool:
    """Whether a key of a mapping names a column: lowercase words, as opposed to the id of a detector or a file."""
    return key.isidentifier() and key == key.lower()


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _table(table: TableManifest, result: ReviewResult, names: Pseudonyms, workplace: Path) -> TableManifest:
    """One table rewritten, batch by batch, with the hash of what was written."""
    import pyarrow.parquet as pq

    gaps = tuple(names.text(gap) for gap in table.gaps)
    slim = replace(table, source=names.text(table.source), query="", gaps=gaps)
    if not table.file:
        return slim
    written = workplace / f"{table.table}.parquet"
    with pq.ParquetFile(Path(result.snapshot.folder) / table.file) as source:
        schema = source.schema_arrow
        with pq.ParquetWriter(written, schema) as writer:
            for batch in source.iter_batches(batch_size=65_536):
                writer.write_batch(_batch(batch, schema, names))
    return replace(slim, file=written.name, sha256=file_sha256(written))


def _batch(batch: Any, schema: Any, names: Pseudonyms) -> Any:
    import pyarrow as pa

    walk = _Walk(names)
    columns = []
    for field, column in zip(schema, batch.columns, strict=True):
        if not pa.types.is_string(field.type):
            columns.append(column)
            continue
        holds = of_column(field.name)
        values = _rewritten(column.to_pylist(), walk, holds, nullable=field.nullable)
        columns.append(pa.array(values, field.type))
    return pa.record_batch(columns, schema=schema)


def _rewritten(values: Iterable[str | None], walk: _Walk, holds: Holds, *, nullable: bool) -> list[str | None]:
    seen: dict[str, str | None] = {}
    found: list[str | None] = []
    for value in values:
        if value is None:
            found.append(None)
            continue
        if value not in seen:
            seen[value] = None if holds is Holds.LEFT_OUT and nullable else walk.text(value, holds)
        found.append(seen[value])
    return found
