"""Step 6, document: writes the sealed pack of a review, all or nothing.

Guarantee: a pack is there completely, durable and verified by the same code that verifies it later, or it is not
there. It is made under a hidden name beside its place and appears by one rename; what a killed attempt left is
removed by the next one. Called by the use case that seals a review. Time and key come from the caller.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lapse.domain.data import Json
from lapse.domain.errors import Conflict, Corrupt, InvalidInput, Unavailable
from lapse.domain.names import shown
from lapse.ledger.checkpoint import key_of
from lapse.ledger.standalone import VerificationFailed, write_key
from lapse.ports import PolicyVersion, Signer
from lapse.review.model import ReviewResult, TableManifest
from lapse.review.pack import documents, spreadsheet, verify_pack
from lapse.review.pack.folder import PackFolder, sync_folder
from lapse.review.pack.standalone_container import SAFE_PATH
from lapse.review.pack.standalone_manifest import (
    ENVELOPE,
    MANIFEST,
    REPORT,
    FileEntry,
    evidence_sha256,
)
from lapse.review.pack.standalone_verify import KEY_FILE
from lapse.review.pack.verifier import verifier_source
from lapse.review.report import ReportFacts, render_report

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True, kw_only=True)
class PackContents:
    """What is sealed. `name` is that of the pack's folder and zip, e.g. `review-2026-q3`.

    `ledger` is a proof bundle (`lapse.ledger`) of the entries in scope, or None for a review without a ledger.
    `policies` are those in force in the period.
    """

    name: str
    title: str
    result: ReviewResult
    sealed_at: datetime
    sealed_by: str
    product_version: str
    policies: tuple[PolicyVersion, ...] = ()
    ledger: Mapping[str, Json] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPack:
    """Where the pack is, and the hash (hex) of its manifest, which sign-off names. `files` are those listed."""

    folder: Path
    archive: Path
    manifest_sha256: str
    evidence_sha256: str
    files: tuple[FileEntry, ...]


def seal(contents: PackContents, *, signer: Signer, into: Path) -> SealedPack:
    """Write the pack below `into`, a folder that must not exist: `into/NAME/` and `into/NAME.zip`.

    Raises:
        InvalidInput: the name cannot be a folder's, or the evidence is too large for one pack.
        Conflict: `into` exists, or another process is sealing it right now.
        Corrupt: the snapshot is not what was collected, or the finished pack does not verify.
        Unavailable: the disk is full, read-only or failing; nothing is left behind.
    """
    if not SAFE_PATH.fullmatch(contents.name) or "/" in contents.name:
        raise InvalidInput(
            f"`{shown(contents.name)}` cannot be the name of a pack", hint="use letters, digits and . _ + -"
        )
    try:
        with _workplace(into) as workplace:
            sealed = _write(contents, signer, workplace)
            _check(sealed, signer)
            _publish(workplace, into)
    except OSError as error:
        raise _unwritable(error, into) from error
    return SealedPack(
        folder=into / contents.name,
        archive=into / f"{contents.name}.zip",
        manifest_sha256=sealed.manifest_sha256,
        evidence_sha256=sealed.evidence_sha256,
        files=sealed.files,
    )


def _write(contents: PackContents, signer: Signer, workplace: Path) -> SealedPack:
    folder = PackFolder(workplace / contents.name)
    _write_evidence(folder, contents, signer)
    ledger = _ledger_claim(contents)
    evidence = evidence_sha256(list(folder.files.values()))
    facts = _report_facts(contents, signer, evidence, ledger)
    folder.add(REPORT, render_report(contents.result, facts).encode("utf-8", "backslashreplace"))
    files = tuple(sorted(folder.files.values()))
    manifest = documents.manifest_document(
        contents.name, files, key=key_of(signer), sealed_at=contents.sealed_at, ledger=ledger
    )
    folder.add(MANIFEST, manifest)
    folder.add(ENVELOPE, documents.signed(manifest, signer))
    folder.finish()
    archive = workplace / f"{contents.name}.zip"
    folder.write_zip(archive)
    return SealedPack(
        folder=folder.root,
        archive=archive,
        manifest_sha256=documents.sha256_of(manifest),
        evidence_sha256=evidence,
        files=files,
    )


def _write_evidence(folder: PackFolder, contents: PackContents, signer: Signer) -> None:
    """Everything but the report and the manifest."""
    result = contents.result
    folder.add("README.txt", documents.readme_document())
    folder.add("verify.py", verifier_source().encode())
    folder.add(KEY_FILE, (write_key(key_of(signer)) + "\n").encode())
    folder.add("review.json", documents.review_document(result, contents.title))
    folder.add("findings.json", documents.findings_document(result))
    folder.add("findings.csv", spreadsheet.findings_csv(result.findings))
    folder.add("items.csv", spreadsheet.items_csv(result.items))
    for path, body in documents.policy_documents(contents.policies).items():
        folder.add(path, body)
    if contents.ledger is not None:
        for path, body in documents.ledger_documents(contents.ledger).items():
            folder.add(path, body)
    for name, digest in sorted(result.snapshot.manifest.detectors.items()):
        _copy_detector(folder, name, digest, Path(result.snapshot.folder))
    for table in result.snapshot.manifest.tables:
        if table.file:
            _copy_table(folder, table, Path(result.snapshot.folder))


def _copy_table(folder: PackFolder, table: TableManifest, snapshot: Path) -> None:
    """Copy a table and compare the copy with what was collected."""
    if not SAFE_PATH.fullmatch(table.table) or "/" in table.table:
        raise _changed(table, "its name is not one of an evidence table")
    source = snapshot / table.file
    if source.is_symlink() or not source.resolve().is_relative_to(snapshot.resolve()):
        raise _changed(table, "its file is not in the snapshot's folder")
    try:
        copied = folder.copy(f"tables/{table.table}.parquet", source)
    except FileNotFoundError:
        raise _changed(table, "its file is gone") from None
    if copied.sha256 != table.sha256:
        raise _changed(table, "its file was changed since it was collected")


def _copy_detector(folder: PackFolder, name: str, digest: str, snapshot: Path) -> None:
    """A detector of one's own goes along, so that what it found can be found again."""
    source = snapshot / "detectors" / f"{name}.sql"
    if not SAFE_PATH.fullmatch(name) or source.is_symlink() or not source.is_file():
        raise Corrupt(f"detector `{shown(name)}` cannot be sealed: its file is gone", hint="collect the review again")
    if folder.copy(f"detectors/{name}.sql", source).sha256 != digest:
        raise Corrupt(f"detector `{shown(name)}` cannot be sealed: it was changed", hint="collect the review again")


def _changed(table: TableManifest, what: str) -> Corrupt:
    return Corrupt(f"evidence table `{shown(table.table)}` cannot be sealed: {what}", hint="collect the review again")


def _ledger_claim(contents: PackContents) -> dict[str, Json] | None:
    if contents.ledger is None:
        return None
    try:
        return documents.ledger_claim(contents.ledger)
    except (VerificationFailed, KeyError) as error:
        raise Corrupt(f"the ledger's proofs cannot be sealed: {error}") from None


def _report_facts(
    contents: PackContents, signer: Signer, evidence: str, ledger: Mapping[str, Json] | None
) -> ReportFacts:
    return ReportFacts(
        title=contents.title,
        made_at=contents.sealed_at,
        made_by=contents.sealed_by,
        product_version=contents.product_version,
        key=documents.key_id(key_of(signer)),
        evidence_sha256=evidence,
        ledger=ledger,
        policies=tuple((p.version, p.activated_at, p.activated_by) for p in contents.policies),
    )


def _check(sealed: SealedPack, signer: Signer) -> None:
    """A pack that nobody could verify is not published."""
    key = write_key(key_of(signer))
    for path in (sealed.folder, sealed.archive):
        outcome = verify_pack(str(path), key)
        if not outcome.ok:
            file, problem = outcome.problems[0]
            raise Corrupt(f"the finished pack does not verify: `{file}` {problem}", hint="seal the review again")


@contextlib.contextmanager
def _workplace(into: Path) -> Iterator[Path]:
    """A hidden folder beside `into`, removed at the end unless it was renamed; locked while it is in use."""
    into.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(into)
    workplace = Path(tempfile.mkdtemp(prefix=_hidden(into), dir=into.parent))
    handle = os.open(workplace, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield workplace
    finally:
        shutil.rmtree(workplace, ignore_errors=True)
        os.close(handle)


def _hidden(into: Path) -> str:
    return f".{into.name}.sealing-"


def _remove_leftovers(into: Path) -> None:
    """Remove what killed attempts left; one that is still at work holds the lock on its folder."""
    for leftover in into.parent.glob(f"{_hidden(into)}*"):
        handle = os.open(leftover, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(leftover)
        except BlockingIOError:
            raise Conflict(f"`{shown(str(into))}` is being sealed by another process") from None
        finally:
            os.close(handle)


def _publish(workplace: Path, into: Path) -> None:
    sync_folder(workplace)
    if into.exists() or into.is_symlink():
        raise Conflict(f"`{shown(str(into))}` exists: a sealed pack is never overwritten")
    workplace.rename(into)
    sync_folder(into.parent)


def _unwritable(error: OSError, into: Path) -> Unavailable:
    place = shown(str(into))
    if error.errno in _FULL:
        return Unavailable(
            f"the disk is full: the pack could not be written to `{place}`, and nothing of it was left there",
            hint="make room there, or seal to another folder",
        )
    reason = (error.strerror or "unknown error").lower()
    return Unavailable(f"the pack could not be written to `{place}`: {reason}", hint="seal to another folder")
