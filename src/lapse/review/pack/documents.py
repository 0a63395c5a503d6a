"""What a pack says, as bytes: the review's values as JSON, the README, the key and the signed manifest.

Called when a pack is sealed. The same values always give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from lapse.domain.data import Json, to_data
from lapse.domain.errors import Corrupt
from lapse.domain.times import format_time
from lapse.ledger.standalone import Key, VerificationFailed, read_checkpoint_text, read_note
from lapse.ports import PolicyVersion, Signer
from lapse.review.model import ReviewResult
from lapse.review.pack.standalone_manifest import FORMAT, FileEntry, envelope_bytes, evidence_sha256, pae, spelled

_UNSAFE = re.compile(r"[^A-Za-z0-9._+@=-]", re.ASCII)
_README = """\
This is the sealed pack of one security review of access.

    python3 verify.py                   checks every file, the signature and the ledger proofs; no network
    python3 verify.py --key VKEY        checks also that the signer is the one whose key you trust

Begin with report.html. The same content as data: review.json (everything), findings.json, findings.csv, items.csv.
In the CSV files a cell that a spreadsheet could take for a formula begins with one more apostrophe.

    tables/     the population that was reviewed, as Parquet, a file for each evidence table
    policy/     the policies in force during the period
    ledger/     the signed checkpoint, and entries of the period with proofs that they are in that ledger
    keys/       the public key that signed
    manifest.json, manifest.dsse.json   every file with size and SHA-256; signed (DSSE, Ed25519)
"""


def review_document(result: ReviewResult, title: str) -> bytes:
    """Everything that the six steps found, without the place of the snapshot on the machine that made it."""
    body = to_data(result)
    if isinstance(body, dict) and isinstance(snapshot := body["snapshot"], dict):
        body = {**body, "snapshot": {**snapshot, "folder": "tables"}}
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


def readme_document() -> bytes:
    """What a person sees first."""
    return _README.encode("ascii")


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


def manifest_document(
    pack: str, files: Sequence[FileEntry], *, key: Key, sealed_at: datetime, ledger: Mapping[str, Json] | None
) -> bytes:
    """Every file of the pack, and what else the signature covers: time, key, evidence hash and checkpoint."""
    ordered = sorted(files)
    return spelled(
        {
            "format": FORMAT,
            "pack": pack,
            "sealed_at": format_time(sealed_at),
            "key": key_id(key),
            "evidence_sha256": evidence_sha256(ordered),
            "ledger": dict(ledger) if ledger is not None else None,
            "files": [item._asdict() for item in ordered],
        }
    )


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
