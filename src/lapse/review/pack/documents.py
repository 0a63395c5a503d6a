"""What a pack says, as bytes: the review's values as JSON, the README, the key and the signed manifest.

Called when a pack is sealed. The same values always give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lapse.domain.data import Json, to_data
from lapse.domain.errors import Corrupt
from lapse.domain.times import format_time
from lapse.ledger.standalone import Key, VerificationFailed, read_checkpoint_text, read_note
from lapse.ports import PolicyVersion, Signer
from lapse.review.model import ReviewResult
from lapse.review.pack.contents import ExportNote, PackContents
from lapse.review.pack.standalone_items import ITEMS
from lapse.review.pack.standalone_manifest import FORMAT, FileEntry, envelope_bytes, evidence_sha256, pae, spelled
from lapse.review.pack.standalone_timestamp import STAMP
from lapse.review.report import can_make_pdf

_UNSAFE = re.compile(r"[^A-Za-z0-9._+@=-]", re.ASCII)
_README = """\
This is the sealed pack of one security review of access.

    python3 verify.py                   checks every file, the signature and the ledger proofs; no network
    python3 verify.py --key VKEY        checks also that the signer is the one whose key you trust
    python3 verify.py --item ID         proves one item, without reading the others

Begin with report.html{pdf}. What else is here:

    frameworks/ for each framework, clause by clause: the result, and which files answer it
    workbook.xlsx, findings.csv, items.csv   for a spreadsheet; nothing in them is a formula
    review.json, findings.json               everything that was found, as data
    items/      the items, one a line, with a tree of hashes by which each can be proved alone
    tables/     the population that was reviewed, as Parquet, a file for each evidence table; csv/ has the same
    oscal/      assessment results (NIST OSCAL), and what SP 800-53A tells an assessor to examine
    ocsf/       the findings as events (OCSF, one a line); sarif/ those about the policy, for code review
    policy/     the policies in force during the period
    ledger/     the signed checkpoint, and entries of the period with proofs that they are in that ledger
    keys/       the public key that signed
    manifest.json, manifest.dsse.json   every file with size and SHA-256; signed (DSSE, Ed25519)

In the CSV files a cell that a spreadsheet could take for a formula begins with one more apostrophe.
"""
_NO_PDF = """
There is no report.pdf: lapse was installed without what makes it. `pip install lapse[pdf]` there, and sealing anew,
makes one (PDF/A). A browser prints report.html as well.
"""
_EXPORT = """
THIS IS NOT THE ORIGINAL. It is a {kind} export of the pack whose manifest has the SHA-256
{of}
Left out: {left_out}.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestClaims:
    """What the signature of a pack covers beside its files.

    `items` are count and root of the tree of items; `time_stamp` says that a time stamp of the manifest is in the pack.
    """

    key: Key
    sealed_at: datetime
    ledger: Mapping[str, Json] | None = None
    items: Mapping[str, Json] | None = None
    export: ExportNote | None = None
    time_stamp: bool = False


def review_document(result: ReviewResult, title: str) -> bytes:
    """Everything that the six steps found but the items, without the snapshot's place on the machine that made it."""
    slim = replace(result, items=(), validation=replace(result.validation, items=()))
    body = to_data(slim)
    if isinstance(body, dict) and isinstance(snapshot := body["snapshot"], dict):
        items: Json = {"file": ITEMS, "count": len(result.items)}
        body = {**body, "snapshot": {**snapshot, "folder": "tables"}, "items": items}
    return _document({"format": "lapse-review/1", "title": title, "result": body})


def findings_document(result: ReviewResult) -> bytes:
    """The findings, worst first, and the run of every detector, those not assessed included."""
    return _document(
        {
            "format": "lapse-findings/1",
            "review": result.scope.review_id,
            "at": to_data(result.snapshot.manifest.collected_at),
            "resources": list(result.snapshot.manifest.resources),
            "findings": to_data(result.findings),
            "gone": to_data(result.gone),
            "detectors": to_data(result.runs),
        }
    )


def readme_document(contents: PackContents) -> bytes:
    """What a person sees first: what is where, what is not here, and whether this is the original."""
    pdf = can_make_pdf()
    text = _README.format(pdf=" or report.pdf" if pdf else "") + ("" if pdf else _NO_PDF)
    if contents.export is not None:
        note = contents.export
        text += _EXPORT.format(kind=note.kind, of=note.of_manifest_sha256, left_out=", ".join(note.left_out))
    return text.encode("ascii")


def policy_documents(policies: Iterable[PolicyVersion]) -> dict[str, bytes]:
    """Path in the pack to contents, for each file of each policy, and an index with the true names."""
    documents: dict[str, bytes] = {}
    index: list[Json] = []
    for number, policy in enumerate(policies, start=1):
        folder = f"policy/{number:03}-{_safe(policy.version)[:24]}"
        names: dict[str, Json] = {}
        for place, (name, text) in enumerate(sorted(policy.files.items()), start=1):
            path = f"{folder}/{place:03}-{_safe(name)[-80:]}"
            documents[path] = text.encode("utf-8")
            names[path] = name
        index.append(
            {
                "version": policy.version,
                "activated_at": format_time(policy.activated_at),
                "activated_by": policy.activated_by,
                "files": names,
            }
        )
    return {**documents, "policy/index.json": _document({"policies": index})} if index else {}


def ledger_documents(bundle: Mapping[str, Json]) -> dict[str, bytes]:
    """The checkpoint by itself, and the bundle of entries and proofs that lead to it."""
    note = str(bundle["checkpoint"]).encode()
    proofs = json.dumps(dict(bundle), sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False)
    return {"ledger/checkpoint": note, "ledger/proofs.json": proofs.encode("ascii") + b"\n"}


def ledger_claim(bundle: Mapping[str, Json]) -> dict[str, Json]:
    """What the manifest says of the ledger.

    Raises:
        VerificationFailed: the bundle's checkpoint cannot be read.
    """
    text, _ = read_note(str(bundle["checkpoint"]).encode())
    checkpoint = read_checkpoint_text(text)
    entries = bundle["entries"]
    if not isinstance(entries, Sequence):
        raise VerificationFailed("the proof bundle is malformed")
    return {
        "origin": checkpoint.origin,
        "checkpoint_size": checkpoint.size,
        "root_sha256": checkpoint.root.hex(),
        "entries": len(entries),
    }


def manifest_document(pack: str, files: Sequence[FileEntry], claims: ManifestClaims) -> bytes:
    """Every file of the pack, and what else the signature covers: time, key, evidence hash, checkpoint and items."""
    ordered = sorted(files)
    body: dict[str, Json] = {
        "format": FORMAT,
        "pack": pack,
        "sealed_at": format_time(claims.sealed_at),
        "key": key_id(claims.key),
        "evidence_sha256": evidence_sha256(ordered),
        "ledger": dict(claims.ledger) if claims.ledger is not None else None,
        "items": dict(claims.items) if claims.items is not None else None,
        "time_stamp": STAMP if claims.time_stamp else None,
        "files": [item._asdict() for item in ordered],
    }
    if claims.export is not None:
        body["export"] = to_data(claims.export)
    return spelled(body)


def signed(manifest: bytes, signer: Signer) -> bytes:
    """The DSSE envelope of a manifest."""
    return envelope_bytes(manifest, key_id(Key(signer.name, signer.public_key)), signer.sign(pae(manifest)))


def key_id(key: Key) -> str:
    """How the manifest and the signature name the key: `name+hash`."""
    return f"{key.name}+{key.hash.hex()}"


def sha256_of(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name).strip(".") or "_"


def _document(body: Json) -> bytes:
    try:
        return json.dumps(body, indent=1, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n"
    except ValueError:
        raise Corrupt("the review holds a number that is not finite, which JSON cannot say") from None
