"""The manifest of a pack and its DSSE envelope: one spelling each, read strictly.

The envelope follows the DSSE specification v1 (Dead Simple Signing Envelope): Ed25519 over PAE(type, payload).
Both documents have exactly one byte sequence for their content, so a change that would not alter the meaning
(white space, a repeated key, spare bits of base64) is refused too. This source is also part of the
`verify.py` inside a pack: Python 3.8 and its standard library only.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, NamedTuple

MANIFEST = "manifest.json"
ENVELOPE = "manifest.dsse.json"
REPORT = "report.html"
REPORT_PDF = "report.pdf"
REPORTS = (REPORT, REPORT_PDF)
PAYLOAD_TYPE = "application/vnd.lapse.review-manifest.v1+json"
FORMAT = "lapse-review-pack/1"
UNLISTED = (MANIFEST, ENVELOPE)
LARGEST_DOCUMENT = 16 << 20


class FileEntry(NamedTuple):
    """One file as the manifest lists it: path below the pack, bytes, and SHA-256 in hex."""

    path: str
    size: int
    sha256: str


class Envelope(NamedTuple):
    """What an envelope holds: the signed bytes, the key's hint and the signature."""

    payload: bytes
    keyid: str
    signature: bytes


def spelled(document: Any) -> bytes:
    """The one spelling of a JSON document: sorted keys, two spaces, ASCII, a final newline."""
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def read_spelled(data: bytes) -> Any:
    """The document that `data` spells.

    Raises:
        ValueError: not JSON, or not in its one spelling.
    """
    if len(data) > LARGEST_DOCUMENT:
        raise ValueError("it is larger than any that a pack holds")
    try:
        document = json.loads(data.decode("ascii"))
        same = spelled(document) == data
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not same:
        raise ValueError("it is not spelled as it was written")
    return document


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """DSSE pre-authentication encoding: `DSSEv1 SP len(type) SP type SP len(payload) SP payload`."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)


def envelope_bytes(payload: bytes, keyid: str, signature: bytes) -> bytes:
    """The envelope around `payload` with one signature."""
    signatures = [{"keyid": keyid, "sig": base64.b64encode(signature).decode()}]
    body = {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": signatures}
    return spelled(body)


def read_envelope(data: bytes) -> Envelope:
    """The parts of an envelope.

    Raises:
        ValueError: it is not one, or not of a review's manifest.
    """
    document = read_spelled(data)
    try:
        (signature,) = document["signatures"]
        parts = Envelope(
            base64.b64decode(document["payload"], validate=True),
            signature["keyid"],
            base64.b64decode(signature["sig"], validate=True),
        )
        same = envelope_bytes(*parts) == data
    except (KeyError, TypeError, ValueError):
        raise ValueError("it is not an envelope with one signature") from None
    if not same:
        raise ValueError("it is not the envelope of a review's manifest as it was written")
    return parts


def read_manifest(payload: bytes) -> dict[str, Any]:
    """The manifest that an envelope carries, its shape checked.

    Raises:
        ValueError: it lacks what a manifest has, or is of a later format.
    """
    manifest = read_spelled(payload)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError("it is not a manifest of the format `" + FORMAT + "`")
    files, ledger = manifest.get("files"), manifest.get("ledger")
    if not isinstance(files, list) or not all(_is_file(item) for item in files):
        raise ValueError("its list of files cannot be read")
    if "ledger" not in manifest or (ledger is not None and not _is_ledger(ledger)):
        raise ValueError("what it says about the ledger cannot be read")
    if not _is_items(manifest.get("items")) or not _is_export(manifest.get("export")):
        raise ValueError("what it says about the items, or about what was left out, cannot be read")
    if not all(isinstance(manifest.get(name), str) for name in ("pack", "key", "evidence_sha256", "sealed_at")):
        raise ValueError("it does not name the pack, the key, the time and the evidence")
    return manifest


def files_of(manifest: dict[str, Any]) -> list[FileEntry]:
    """The files that a manifest lists."""
    return [FileEntry(item["path"], item["size"], item["sha256"]) for item in manifest["files"]]


def evidence_sha256(files: list[FileEntry]) -> str:
    """One hash (hex) over all but the reports, which show it: SHA-256 of `HASH  PATH` lines, sorted by path."""
    lines = [f"{item.sha256}  {item.path}\n" for item in sorted(files) if item.path not in REPORTS]
    return hashlib.sha256("".join(lines).encode("ascii")).hexdigest()


def _is_file(item: Any) -> bool:
    if not isinstance(item, dict) or set(item) != {"path", "sha256", "size"}:
        return False
    size = item["size"]
    texts = isinstance(item["path"], str) and isinstance(item["sha256"], str)
    return texts and item["path"].isascii() and type(size) is int and size >= 0


def _is_ledger(ledger: Any) -> bool:
    if not isinstance(ledger, dict) or set(ledger) != {"checkpoint_size", "entries", "origin", "root_sha256"}:
        return False
    texts = isinstance(ledger["origin"], str) and isinstance(ledger["root_sha256"], str)
    return texts and type(ledger["checkpoint_size"]) is int and type(ledger["entries"]) is int


def _is_items(items: Any) -> bool:
    if items is None:
        return True
    if not isinstance(items, dict) or set(items) != {"count", "root_sha256"} or type(items["count"]) is not int:
        return False
    root = items["root_sha256"]
    return isinstance(root, str) and len(root) == 64 and set(root) <= set("0123456789abcdef") and items["count"] >= 0  # noqa: PLR2004  SHA-256 in hex


def _is_export(export: Any) -> bool:
    if export is None:
        return True
    named = ("kind", "of_manifest_sha256")
    return isinstance(export, dict) and all(isinstance(export.get(name), str) for name in named)
