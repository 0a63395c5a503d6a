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
from pathlib import Path

from lapse.domain.data import Json
from lapse.domain.errors import Conflict, Corrupt, InvalidInput, Unavailable
from lapse.domain.names import shown
from lapse.ledger.checkpoint import key_of
from lapse.ledger.standalone import VerificationFailed, write_key
from lapse.ports import Signer
from lapse.review.pack import documents, verify_pack
from lapse.review.pack.contents import ExportNote, PackContents, SealedPack
from lapse.review.pack.documents import ManifestClaims
from lapse.review.pack.evidence import write_evidence
from lapse.review.pack.folder import PackFolder, sync_folder
from lapse.review.pack.stamping import Stamper
from lapse.review.pack.standalone_container import SAFE_PATH
from lapse.review.pack.standalone_manifest import ENVELOPE, MANIFEST, REPORT, REPORT_PDF, evidence_sha256
from lapse.review.pack.standalone_timestamp import STAMP
from lapse.review.report import ReportFacts, can_make_pdf, render_pdf, render_report

__all__ = ["ExportNote", "PackContents", "SealedPack", "seal"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


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
    items = write_evidence(folder, contents, signer)
    ledger = _ledger_claim(contents)
    evidence = evidence_sha256(list(folder.files.values()))
    _write_reports(folder, contents, _report_facts(contents, signer, evidence, ledger))
    files = tuple(sorted(folder.files.values()))
    claims = ManifestClaims(
        key=key_of(signer),
        sealed_at=contents.sealed_at,
        ledger=ledger,
        items=items,
        export=contents.export,
        time_stamp=isinstance(signer, Stamper),
    )
    manifest = documents.manifest_document(contents.name, files, claims)
    folder.add(MANIFEST, manifest)
    folder.add(ENVELOPE, documents.signed(manifest, signer))
    if isinstance(signer, Stamper):
        folder.add(STAMP, signer.stamp(manifest))
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


def _write_reports(folder: PackFolder, contents: PackContents, facts: ReportFacts) -> None:
    """The reports show the hash of all other files, so they come last."""
    folder.add(REPORT, render_report(contents.result, facts).encode("utf-8", "backslashreplace"))
    if can_make_pdf():
        folder.add(REPORT_PDF, render_pdf(contents.result, facts))


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
