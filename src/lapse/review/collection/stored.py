"""Snapshots kept in a store beyond this machine, such as S3, and brought back from there.

Guarantees: a snapshot is whole in the store before the step that made it is on record, since its manifest goes last and
under its own hash, which only then is recorded; and what comes back is, bit for bit, what is on record, or nothing.
Called by `campaign`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from lapse.domain.data import from_data
from lapse.domain.errors import Corrupt, NotFound
from lapse.domain.names import shown
from lapse.ports import SnapshotStore
from lapse.review.collection.snapshot import MANIFEST, file_sha256
from lapse.review.detection.detector import OWN
from lapse.review.evidence import TABLES
from lapse.review.model import Snapshot, SnapshotManifest

_DETECTOR = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


def store_snapshot(store: SnapshotStore, review_id: str, snapshot: Snapshot, known: Collection[str]) -> str:
    """Put a snapshot into the store; the hash of its manifest, under which it is fetched.

    `known` are hashes of files that an earlier step put there: those are not sent again if they still are there.

    Raises:
        Unavailable: the store cannot be reached, or takes nothing. Doing it again is safe.
        Corrupt: a file is not what was collected.
    """
    folder = Path(snapshot.folder)
    for name, sha256 in _files(snapshot.manifest).items():
        path, key = folder / name, f"{review_id}/{name}"
        if not path.is_file() or file_sha256(path) != sha256:
            raise Corrupt(f"`{path}` is not the file that was collected", hint="collect the review again")
        if sha256 not in known or store.size(key) != path.stat().st_size:
            store.put(key, path)
    manifest = file_sha256(folder / MANIFEST)
    store.put(_manifest_key(review_id, manifest), folder / MANIFEST)
    return manifest


def fetch_snapshot(store: SnapshotStore, review_id: str, manifest: str, folder: Path) -> None:
    """Bring back the snapshot whose manifest has that hash.

    `folder`, which must not exist, appears whole or not at all.

    Raises:
        Unavailable: the store cannot be reached.
        Corrupt: an object is not there or not what was collected; the message names it.
    """
    draft = folder.with_name(f"{folder.name}.fetched")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        (draft / OWN).mkdir(parents=True)
        _fetch(store, _manifest_key(review_id, manifest), draft / MANIFEST, manifest)
        for name, sha256 in _files(_read(draft / MANIFEST)).items():
            _fetch(store, f"{review_id}/{name}", draft / name, sha256)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _fetch(store: SnapshotStore, key: str, path: Path, sha256: str) -> None:
    try:
        store.get(key, path)
    except NotFound:
        raise Corrupt(f"`{store.place(key)}` is not there any more", hint="collect the review again") from None
    if file_sha256(path) != sha256:
        raise Corrupt(f"`{store.place(key)}` is not what was collected", hint="bring the object back, or collect again")


def _files(manifest: SnapshotManifest) -> Mapping[str, str]:
    """The hash of each file of a snapshot by its name, which leads nowhere else."""
    for table in manifest.tables:
        if table.file and (table.table not in TABLES or table.file != f"{table.table}.parquet"):
            raise _strange(table.file)
    for detector in manifest.detectors:
        if not _DETECTOR.fullmatch(detector):
            raise _strange(detector)
    tables = {table.file: table.sha256 for table in manifest.tables if table.file}
    return tables | {f"{OWN}/{name}.sql": sha256 for name, sha256 in manifest.detectors.items()}


def _read(path: Path) -> SnapshotManifest:
    try:
        return from_data(SnapshotManifest, json.loads(path.read_text("utf-8")))
    except ValueError:
        raise Corrupt("the manifest of a stored snapshot cannot be read", hint="collect the review again") from None


def _strange(name: str) -> Corrupt:
    return Corrupt(f"the manifest of a snapshot names `{shown(name)}`, which is none of its files")


def _manifest_key(review_id: str, sha256: str) -> str:
    return f"{review_id}/{Path(MANIFEST).stem}-{sha256}.json"
