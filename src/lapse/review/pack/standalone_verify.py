"""Verifies a sealed review pack, folder or zip, as a whole and offline.

Guarantee: `verify_pack` says that a pack is verified only if every byte of it is as it was signed: the manifest
by its DSSE signature, each file by size and SHA-256, no file missing or added, the zip itself byte for byte, the
ledger checkpoint by its signature, each ledger entry by its proof of inclusion, and the tree over the items. Of a time
stamp it checks that the hash in it is the manifest's, and says that it checks no more. It never raises for what it is
given. This source is also part of the `verify.py` inside a pack: Python 3.8 and its standard library only.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from lapse.ledger.standalone import Key, VerificationFailed, ed25519_verify, read_key, verify_bundle
from lapse.review.pack.standalone_container import FolderPack, Pack, PackDefect, ZipPack, printable
from lapse.review.pack.standalone_items import ITEM_FILES, check_items
from lapse.review.pack.standalone_manifest import (
    ENVELOPE,
    LARGEST_DOCUMENT,
    MANIFEST,
    UNLISTED,
    Envelope,
    FileEntry,
    evidence_sha256,
    files_of,
    pae,
    read_envelope,
    read_manifest,
)
from lapse.review.pack.standalone_timestamp import LARGEST_STAMP, STAMP, read_stamp

KEY_FILE = "keys/signer.vkey"
CHECKPOINT = "ledger/checkpoint"
PROOFS = "ledger/proofs.json"
LARGEST_PROOFS = 1 << 30
MOST_SHOWN = 50


class Problem(NamedTuple):
    """What is wrong: `file` inside the pack (or the pack itself), and a sentence about it."""

    file: str
    problem: str


class Verification:
    """The outcome: `problems` is empty if and only if the pack is verified."""

    def __init__(self, pack: str) -> None:
        self.pack = pack
        self.problems: list[Problem] = []
        self.manifest: dict[str, Any] = {}
        self.manifest_sha256 = ""
        self.signer = ""
        self.trusted_key = False
        self.files = 0
        self.bytes = 0
        self.entries_proved = 0
        self.stamped_at = ""

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problems

    def blame(self, file: str, problem: str) -> None:
        """Record what is wrong with a file."""
        self.problems.append(Problem(file, problem))


def verify_pack(path: str, trusted_key: str | None = None) -> Verification:
    """Check everything that a pack lets one check; all problems are collected, each under the file's name.

    `trusted_key` (a C2SP vkey, `name+hash+base64`) must be the signer's. Without it the pack's own key is used,
    which shows that nothing was changed since it was signed, and not who signed it.
    """
    outcome = Verification(Path(path).resolve().name)
    try:
        trusted = read_key(trusted_key) if trusted_key else None
    except VerificationFailed as error:
        outcome.blame("--key", str(error))
        return outcome
    try:
        pack = _opened(path)
    except PackDefect as defect:
        outcome.blame(defect.file, defect.problem)
    except OSError as error:
        outcome.blame(outcome.pack, "cannot be read: " + (error.strerror or "unknown error").lower())
    else:
        try:
            _verify(pack, trusted, outcome)
        finally:
            pack.close()
    return outcome


def _opened(path: str) -> Pack:
    return FolderPack(path) if Path(path).is_dir() else ZipPack(path)


def _verify(pack: Pack, trusted: Key | None, outcome: Verification) -> None:
    envelope = read_signed(pack, outcome)
    if envelope is None:
        return
    _check_copy(pack, envelope, outcome)
    _check_files(pack, outcome)
    _check_items(pack, outcome)
    _check_stamp(pack, outcome)
    key = check_key_and_signature(pack, envelope, trusted, outcome)
    if key is not None:
        _check_ledger(pack, key, outcome)


def read_signed(pack: Pack, outcome: Verification) -> Envelope | None:
    """The envelope of a pack and the manifest in it; None, and the blame, if there is none that can be read."""
    try:
        envelope = read_envelope(_content(pack, ENVELOPE, 2 * LARGEST_DOCUMENT))
        outcome.manifest = read_manifest(envelope.payload)
    except PackDefect as defect:
        outcome.blame(defect.file, defect.problem)
        return None
    except ValueError as error:
        outcome.blame(ENVELOPE, "cannot be trusted: " + str(error))
        return None
    outcome.manifest_sha256 = hashlib.sha256(envelope.payload).hexdigest()
    return envelope


def check_key_and_signature(pack: Pack, envelope: Envelope, trusted: Key | None, outcome: Verification) -> Key | None:
    """Check who signed: with the trusted key, or else the pack's own, which is returned."""
    key = _key(pack, trusted, outcome)
    if key is not None:
        _check_signature(envelope, key, outcome)
    return key


def _content(pack: Pack, name: str, largest: int) -> bytes:
    """All of a file that is read whole."""
    if name not in pack.names:
        raise PackDefect(name, "is missing")
    if pack.size(name) > largest:
        raise PackDefect(name, "is larger than any that a pack holds")
    try:
        return b"".join(pack.chunks(name))
    except OSError as error:
        raise PackDefect(name, "cannot be read: " + (error.strerror or "unknown error").lower()) from None


def _check_copy(pack: Pack, envelope: Envelope, outcome: Verification) -> None:
    """`manifest.json` is there to be read by people; it must be what was signed."""
    try:
        if _content(pack, MANIFEST, LARGEST_DOCUMENT) != envelope.payload:
            outcome.blame(MANIFEST, "is not the manifest that " + ENVELOPE + " carries")
    except PackDefect as defect:
        outcome.blame(defect.file, defect.problem)


def _check_files(pack: Pack, outcome: Verification) -> None:
    listed = files_of(outcome.manifest)
    paths = [item.path for item in listed]
    unlisted = {*UNLISTED, STAMP}
    if paths != sorted(set(paths)) or set(paths) & unlisted:
        outcome.blame(ENVELOPE, "does not list each file once, in order")
    if pack.name and pack.name != outcome.manifest["pack"]:
        outcome.blame(pack.label, "calls its folder `" + pack.name + "`, the manifest says otherwise")
    for name in sorted(set(pack.names) - set(paths) - unlisted):
        outcome.blame(name, "is not in the manifest: it was added")
    for item in listed:
        _check_file(pack, item, outcome)
    if evidence_sha256(listed) != outcome.manifest["evidence_sha256"]:
        outcome.blame(ENVELOPE, "names another hash of the evidence than its files have")


def _check_file(pack: Pack, item: FileEntry, outcome: Verification) -> None:
    if item.path not in pack.names:
        outcome.blame(printable(item.path), "is missing")
        return
    digest, size = hashlib.sha256(), 0
    try:
        for chunk in pack.chunks(item.path):
            digest.update(chunk)
            size += len(chunk)
    except (OSError, PackDefect) as error:
        outcome.blame(item.path, getattr(error, "problem", "cannot be read"))
        return
    outcome.files += 1
    outcome.bytes += size
    if size != item.size:
        outcome.blame(item.path, f"has {size:,} bytes, {item.size:,} were sealed")
    elif digest.hexdigest() != item.sha256:
        outcome.blame(item.path, "was changed: its SHA-256 is not the one that was sealed")


def _check_items(pack: Pack, outcome: Verification) -> None:
    """The index of the items; what is missing or changed was blamed before."""
    claimed = outcome.manifest.get("items")
    there = [name for name in ITEM_FILES if name in pack.names]
    if claimed is None:
        if there:
            outcome.blame(ENVELOPE, "has no tree of items, but the pack holds parts of one")
        return
    if len(there) < len(ITEM_FILES):
        outcome.blame(ENVELOPE, "names a tree of items that is not in the pack")
        return
    if {problem.file for problem in outcome.problems} & set(ITEM_FILES):
        return
    try:
        check_items(pack, claimed)
    except (OSError, PackDefect) as error:
        outcome.blame(getattr(error, "file", there[0]), getattr(error, "problem", "cannot be read"))


def _check_stamp(pack: Pack, outcome: Verification) -> None:
    """The time stamp is made after the manifest, so the manifest says only that there must be one."""
    expected = outcome.manifest.get("time_stamp")
    if STAMP not in pack.names:
        if expected:
            outcome.blame(STAMP, "is missing: the manifest says that there is a time stamp")
        return
    if not expected:
        outcome.blame(STAMP, "is not in the manifest: it was added")
        return
    try:
        stamp = read_stamp(_content(pack, STAMP, LARGEST_STAMP))
    except PackDefect as defect:
        outcome.blame(defect.file, defect.problem)
    except ValueError as error:
        outcome.blame(STAMP, "is no time stamp that can be read: " + str(error))
    else:
        outcome.stamped_at = stamp.shown
        if stamp.sha256 != outcome.manifest_sha256:
            outcome.blame(STAMP, "stamps another hash than the manifest's")


def _key(pack: Pack, trusted: Key | None, outcome: Verification) -> Key | None:
    """The key to check signatures with: the trusted one, or else the pack's own."""
    try:
        own = read_key(_content(pack, KEY_FILE, 4096).decode("ascii"))
    except PackDefect as defect:
        outcome.blame(defect.file, defect.problem)
        return trusted
    except (VerificationFailed, UnicodeDecodeError):
        outcome.blame(KEY_FILE, "is not a public key")
        return trusted
    if trusted is not None and own != trusted:
        outcome.blame(KEY_FILE, "is not the key that you trust: somebody else signed this pack")
    outcome.trusted_key = own == trusted
    return trusted or own


def _check_signature(envelope: Envelope, key: Key, outcome: Verification) -> None:
    outcome.signer = key.name + "+" + key.hash.hex()
    if envelope.keyid != outcome.signer or outcome.manifest["key"] != outcome.signer:
        outcome.blame(ENVELOPE, "was signed with another key than `" + printable(outcome.signer) + "`")
    elif not ed25519_verify(key.public_key, pae(envelope.payload), envelope.signature):
        outcome.blame(ENVELOPE, "its signature is wrong: the manifest was changed, or signed by somebody else")


def _check_ledger(pack: Pack, key: Key, outcome: Verification) -> None:
    claimed = outcome.manifest["ledger"]
    if claimed is None:
        if {CHECKPOINT, PROOFS} & set(pack.names):
            outcome.blame(ENVELOPE, "has no ledger, but the pack holds parts of one")
        return
    try:
        note = _content(pack, CHECKPOINT, LARGEST_DOCUMENT)
        bundle = json.loads(_content(pack, PROOFS, LARGEST_PROOFS).decode("ascii"))
        checkpoint = verify_bundle(bundle, [key])
    except PackDefect as defect:
        outcome.blame(defect.file, defect.problem)
    except VerificationFailed as error:
        outcome.blame(PROOFS, "does not hold: " + printable_sentence(str(error)))
    except (ValueError, RecursionError):
        outcome.blame(PROOFS, "is not JSON")
    else:
        outcome.entries_proved = len(bundle["entries"])
        if note != bundle["checkpoint"].encode():
            outcome.blame(CHECKPOINT, "is not the checkpoint that the proofs lead to")
        named = (claimed["origin"], claimed["checkpoint_size"], claimed["root_sha256"], claimed["entries"])
        if named != (checkpoint.origin, checkpoint.size, checkpoint.root.hex(), outcome.entries_proved):
            outcome.blame(ENVELOPE, "names another ledger checkpoint than the one in the pack")


def printable_sentence(text: str) -> str:
    """A message that may quote the pack, made safe to print."""
    return text[:300].encode("unicode_escape").decode("ascii")


def report_lines(outcome: Verification) -> list[str]:
    """The outcome for a person, a line each; the last line is the verdict."""
    lines = [f"  {label:<10} {text}" for label, text in _facts(outcome)]
    lines.extend(f"  PROBLEM    {_named(item)}: {item.problem}" for item in outcome.problems[:MOST_SHOWN])
    if len(outcome.problems) > MOST_SHOWN:
        lines.append(f"  PROBLEM    and {len(outcome.problems) - MOST_SHOWN:,} more")
    if outcome.ok:
        return [*lines, "VERIFIED   " + printable(outcome.pack)]
    files = sorted({_named(item) for item in outcome.problems})
    return [*lines, "NOT VERIFIED   {}: {}".format(printable(outcome.pack), ", ".join(files[:5]))]


def _named(item: Problem) -> str:
    """The file, which may be the pack itself under whatever name somebody gave it."""
    return item.file if item.file.isascii() and item.file.isprintable() else printable(item.file)


def _facts(outcome: Verification) -> list[list[str]]:
    if not outcome.manifest:
        return []
    manifest, facts = outcome.manifest, []
    facts.append(["pack", "{}, sealed {}".format(printable(manifest["pack"]), printable(manifest["sealed_at"]))])
    if manifest.get("export"):
        facts.append(["export", "{}: this is not the original pack".format(printable(manifest["export"]["kind"]))])
    facts.append(["manifest", "SHA-256 " + outcome.manifest_sha256])
    facts.append(
        ["files", "{:,} of {:,} read, {:,} bytes".format(outcome.files, len(manifest["files"]), outcome.bytes)]
    )
    if outcome.signer:
        facts.append(["signer", printable(outcome.signer)])
        facts.append(["key", _about_key(outcome)])
    facts.append(["ledger", _about_ledger(outcome)])
    if outcome.stamped_at:
        facts.append(["time stamp", _about_stamp(outcome)])
    return facts


def _about_stamp(outcome: Verification) -> str:
    return (
        f"{printable(outcome.stamped_at)} over the manifest; the authority's signature is not checked here: "
        f"openssl ts -verify -in {STAMP} -data manifest.json -CAfile CA.pem does that"
    )


def _about_key(outcome: Verification) -> str:
    if outcome.trusted_key:
        return "the one you trust: integrity and origin are checked"
    return (
        "the pack's own: this shows that nothing changed since it was signed, not who signed it; "
        "get the signer's key another way and give it with --key"
    )


def _about_ledger(outcome: Verification) -> str:
    claimed = outcome.manifest["ledger"]
    if claimed is None:
        return "none: the review was made without one"
    return "{:,} entries proved in a ledger of {:,}".format(outcome.entries_proved, claimed["checkpoint_size"])
