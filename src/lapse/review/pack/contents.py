"""What is sealed, and what comes of it: the values that `seal` takes and returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lapse.domain.data import Json
from lapse.ports import PolicyVersion
from lapse.review.model import ReviewResult
from lapse.review.pack.standalone_manifest import FileEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportNote:
    """That a pack is not the original but an export of it: its `kind`, and the hash (hex) of the original's manifest.

    `left_out` says in words what is not in it.
    """

    kind: str
    of_manifest_sha256: str
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackContents:
    """What is sealed. `name` is that of the pack's folder and zip, e.g. `review-2026-q3`.

    `ledger` is a proof bundle (`lapse.ledger`) of the entries in scope, or None for a review without a ledger.
    `policies` are those in force in the period. `export` is None for the original.
    """

    name: str
    title: str
    result: ReviewResult
    sealed_at: datetime
    sealed_by: str
    product_version: str
    policies: tuple[PolicyVersion, ...] = ()
    ledger: Mapping[str, Json] | None = None
    export: ExportNote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPack:
    """Where the pack is, and the hash (hex) of its manifest, which sign-off names. `files` are those listed."""

    folder: Path
    archive: Path
    manifest_sha256: str
    evidence_sha256: str
    files: tuple[FileEntry, ...]
