"""Checks ledger evidence with Python's standard library alone: no lapse, no network, no trust in who hands it over.

A sealed pack carries this file word for word, so that an auditor can read all the code that the check needs; the
product itself verifies proofs and reads signed notes with the same functions. Guarantee: a function here either
proves what its docstring says or raises `VerificationFailed` (predicates return False). Any input is hostile.

Standards: tree hashing and proofs RFC 9162 section 2.1; signatures Ed25519, RFC 8032 section 5.1; checkpoints
C2SP tlog-checkpoint in a C2SP signed-note.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

BUNDLE_FORMAT = "lapse-ledger-proof/1"
HASH_BYTES = 32
LARGEST_SIZE = 2**63 - 1
LARGEST_NOTE = 1_000_000
MOST_SIGNATURES = 100
LONGEST_PROOF = 63
KEY_HASH_BYTES = 4
_CHECKPOINT_LINES = 3
_ALGORITHM_ED25519 = b"\x01"


class VerificationFailed(Exception):  # noqa: N818  reads as the sentence an auditor sees
    """The evidence does not prove what it claims; the message says what and where."""


class Key(NamedTuple):
    """Who signs (`name`) and the 32 raw bytes of the Ed25519 public key."""

    name: str
    public_key: bytes

    @property
    def hash(self) -> bytes:
        """The four bytes that a signature line names the key by."""
        return key_hash(self.name, self.public_key)


class Checkpoint(NamedTuple):
    """What a signer commits to: the log `origin` had exactly `size` entries and this tree `root`."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


class NoteSignature(NamedTuple):
    """One signature line: name, four-byte key hash, signature."""

    name: str
    key_hash: bytes
    signature: bytes


# --- tree hashing and proofs (RFC 9162, section 2.1)


def leaf_hash(entry: bytes) -> bytes:
    """Hash of one entry: SHA-256(0x00 || entry), section 2.1.1."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256(0x01 || left || right), section 2.1.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


EMPTY_ROOT = hashlib.sha256(b"").digest()


def proves_inclusion(leaf: bytes, seq: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows that entry `seq` of the tree (`size`, `root`) has the hash `leaf` (section 2.1.3.2)."""
    if not (0 <= seq < size <= LARGEST_SIZE) or not _are_hashes((leaf, root, *proof)):
        return False
    position, last, result = seq, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            result = node_hash(sibling, result)
            position, last = _skip_levels_without_sibling(position, last)
        else:
            result = node_hash(result, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and result == root


def proves_consistency(old: Checkpoint, new: Checkpoint, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows that `new`'s tree begins with exactly the entries of `old`'s (section 2.1.4.2)."""
    if not (0 <= old.size <= new.size <= LARGEST_SIZE) or not _are_hashes((old.root, new.root, *proof)):
        return False
    if old.size in {0, new.size}:
        return not proof and old.root == (new.root if old.size else EMPTY_ROOT)
    path = list(proof) if old.size & (old.size - 1) else [old.root, *proof]
    return bool(path) and _climb(old, new, path)


def _climb(old: Checkpoint, new: Checkpoint, path: list[bytes]) -> bool:
    position, last = old.size - 1, new.size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old_root = new_root = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_root, new_root = node_hash(sibling, old_root), node_hash(sibling, new_root)
            position, last = _skip_levels_without_sibling(position, last)
        else:
            new_root = node_hash(new_root, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old_root == old.root and new_root == new.root


def _skip_levels_without_sibling(position: int, last: int) -> tuple[int, int]:
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _are_hashes(items: Sequence[bytes]) -> bool:
    return len(items) <= 2 + 2 * LONGEST_PROOF and all(len(item) == HASH_BYTES for item in items)


# --- keys and signed notes (C2SP signed-note and tlog-checkpoint)


def key_hash(name: str, public_key: bytes) -> bytes:
    """SHA-256(name || 0x0A || 0x01 || public key), its first four bytes."""
    return hashlib.sha256(name.encode() + b"\n" + _ALGORITHM_ED25519 + public_key).digest()[:KEY_HASH_BYTES]


def write_key(key: Key) -> str:
    """The key as a person publishes it: `name+hash+base64`."""
    encoded = base64.b64encode(_ALGORITHM_ED25519 + key.public_key).decode()
    return f"{key.name}+{key.hash.hex()}+{encoded}"


def read_key(text: str) -> Key:
    """Read `name+hash+base64`.

    Raises:
        VerificationFailed: not such a text, or its hash does not fit its key.
    """
    name, _, rest = text.strip().partition("+")
    shown_hash, _, encoded = rest.partition("+")
    raw = _unbase64(encoded)
    if not _is_key_name(name) or raw[:1] != _ALGORITHM_ED25519 or len(raw) != 1 + HASH_BYTES:
        raise VerificationFailed("the public key is not of the form `name+hash+base64` for Ed25519")
    key = Key(name, raw[1:])
    if key.hash.hex() != shown_hash:
        raise VerificationFailed("the public key does not fit the hash that is written with it")
    return key


def read_note(note: bytes) -> tuple[str, list[NoteSignature]]:
    """Split a signed note into its text (with the final newline) and its signatures; nothing is verified.

    Raises:
        VerificationFailed: not a signed note.
    """
    if len(note) > LARGEST_NOTE:
        raise VerificationFailed("the signed note is larger than 1 MB")
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise VerificationFailed("the signed note is not UTF-8") from None
    text, separator, block = whole.rpartition("\n\n")
    if not separator or not block.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", whole):
        raise VerificationFailed("the signed note is not a text, an empty line and signature lines")
    lines = block[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise VerificationFailed(f"the signed note has more than {MOST_SIGNATURES} signatures")
    return text + "\n", [_read_signature(line) for line in lines]


def _read_signature(line: str) -> NoteSignature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    raw = _unbase64(encoded)
    if dash != "\N{EM DASH}" or not _is_key_name(name) or len(raw) <= KEY_HASH_BYTES:
        raise VerificationFailed("a signature line of the note is malformed")
    return NoteSignature(name, raw[:KEY_HASH_BYTES], raw[KEY_HASH_BYTES:])


def read_checkpoint_text(text: str) -> Checkpoint:
    """Read the text of a checkpoint: origin, decimal size, base64 root, and lines of extensions.

    Raises:
        VerificationFailed: not such a text.
    """
    lines = text.split("\n")
    if len(lines) <= _CHECKPOINT_LINES or lines.pop() or not all(lines):
        raise VerificationFailed("the checkpoint is not an origin, a size and a root, one a line")
    origin, size, root, *extensions = lines
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", size) or int(size) > LARGEST_SIZE:
        raise VerificationFailed("the checkpoint's size is not a decimal number of entries")
    raw = _unbase64(root)
    if len(raw) != HASH_BYTES or (size == "0" and raw != EMPTY_ROOT):
        raise VerificationFailed("the checkpoint's root is not the base64 of a tree's SHA-256")
    return Checkpoint(origin, int(size), raw, tuple(extensions))


def open_checkpoint(
    note: bytes, keys: Sequence[Key], verify: Callable[[bytes, bytes, bytes], bool] | None = None
) -> Checkpoint:
    """The checkpoint in `note`, if one of `keys` signed it and no signature under a known key is wrong.

    The log's origin must be the name of the key. `verify(public_key, message, signature)` is `ed25519_verify`
    unless a faster one is given.

    Raises:
        VerificationFailed: malformed, not signed by any of `keys`, or a signature is wrong.
    """
    text, signatures = read_note(note)
    known = {(key.name, key.hash): key for key in keys}
    signers = []
    for line in signatures:
        key = known.get((line.name, line.key_hash))
        if key is None:
            continue
        if not (verify or ed25519_verify)(key.public_key, text.encode(), line.signature):
            raise VerificationFailed(f"the checkpoint's signature by `{key.name}` is wrong")
        signers.append(key.name)
    if not signers:
        raise VerificationFailed("the checkpoint is not signed by a key that is trusted here")
    checkpoint = read_checkpoint_text(text)
    if checkpoint.origin not in signers:
        raise VerificationFailed("the checkpoint is of another ledger than the key that signed it")
    return checkpoint


def _is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() for c in name)


def _unbase64(text: str) -> bytes:
    """Strict: padded, no foreign characters, no stray bits; otherwise empty."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        return b""
    return raw if base64.b64encode(raw).decode() == text else b""


# --- bundles: entries, their proofs and the checkpoint they lead to


def verify_bundle(bundle: object, keys: Sequence[Key]) -> Checkpoint:
    """Check every entry of a proof bundle, and the earlier checkpoint if it holds one; return the checkpoint.

    Raises:
        VerificationFailed: something in it is malformed or not proved; the message names the entry.
    """
    try:
        return _verify_bundle(bundle, keys)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise VerificationFailed("the proof bundle is malformed") from None


def _verify_bundle(bundle: object, keys: Sequence[Key]) -> Checkpoint:
    if not isinstance(bundle, Mapping) or bundle["format"] != BUNDLE_FORMAT:
        raise VerificationFailed(f"the proof bundle is not of the format `{BUNDLE_FORMAT}`")
    checkpoint = open_checkpoint(bundle["checkpoint"].encode(), keys)
    previous = -1
    for entry in bundle["entries"]:
        leaf, seq, proof = leaf_hash(entry["body"].encode()), entry["seq"], _read_proof(entry["proof"])
        if type(seq) is not int or seq <= previous:
            raise VerificationFailed(f"entry {seq!r} is in the bundle twice, out of order or misnumbered")
        if not proves_inclusion(leaf, seq, checkpoint.size, proof, checkpoint.root):
            raise VerificationFailed(f"entry {seq} is not proved to be in the ledger")
        previous = seq
    earlier = bundle["earlier"]
    if earlier is not None:
        old = open_checkpoint(earlier["checkpoint"].encode(), keys)
        if not proves_consistency(old, checkpoint, _read_proof(earlier["proof"])):
            raise VerificationFailed("the ledger is not proved to continue the earlier checkpoint")
    return checkpoint


def _read_proof(proof: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in proof]


# --- Ed25519 verification (RFC 8032, section 5.1), in extended twisted Edwards coordinates

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_OF_MINUS_1 = pow(2, (_P - 1) // 4, _P)
_SIGNATURE_BYTES = 64


class _Point(NamedTuple):
    x: int
    y: int
    z: int
    t: int


_NEUTRAL = _Point(0, 1, 1, 0)


def ed25519_verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` is valid, strictly: S below the group order, canonical points, no weak public key.

    This is the check without the cofactor, R = [S]B - [k]A (section 5.1.7, step 3, its sufficient form).
    """
    if len(public_key) != HASH_BYTES or len(signature) != _SIGNATURE_BYTES:
        return False
    point = _decompress(public_key)
    encoded_r, s = signature[:HASH_BYTES], int.from_bytes(signature[HASH_BYTES:], "little")
    if point is None or s >= _ORDER or _has_small_order(point):
        return False
    digest = hashlib.sha512(encoded_r + public_key + message).digest()
    k = int.from_bytes(digest, "little") % _ORDER
    negated = _Point(-point.x % _P, point.y, point.z, -point.t % _P)
    return _compress(_double_multiply(s, _BASE, k, negated)) == encoded_r


def _add(p: _Point, q: _Point) -> _Point:
    """Section 5.1.4; complete, so it also doubles."""
    a = (p.y - p.x) * (q.y - q.x) % _P
    b = (p.y + p.x) * (q.y + q.x) % _P
    c = 2 * p.t * q.t * _D % _P
    d = 2 * p.z * q.z % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return _Point(e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _double_multiply(m: int, p: _Point, n: int, q: _Point) -> _Point:
    """[m]p + [n]q, in one pass over the bits of both."""
    table = {(True, False): p, (False, True): q, (True, True): _add(p, q)}
    result = _NEUTRAL
    for bit in range(max(m.bit_length(), n.bit_length()) - 1, -1, -1):
        result = _add(result, result)
        addend = table.get((bool(m >> bit & 1), bool(n >> bit & 1)))
        if addend is not None:
            result = _add(result, addend)
    return result


def _has_small_order(point: _Point) -> bool:
    for _ in range(3):
        point = _add(point, point)
    return point.x == 0 and point.y == point.z


def _compress(point: _Point) -> bytes:
    """Section 5.1.2."""
    inverse = pow(point.z, -1, _P)
    x, y = point.x * inverse % _P, point.y * inverse % _P
    return (y | (x & 1) << 255).to_bytes(HASH_BYTES, "little")


def _decompress(encoded: bytes) -> _Point | None:
    """Section 5.1.3; None if no point has this encoding."""
    whole = int.from_bytes(encoded, "little")
    sign, y = whole >> 255, whole & (2**255 - 1)
    if y >= _P:
        return None
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(x_squared, (_P + 3) // 8, _P)
    if (x * x - x_squared) % _P:
        x = x * _SQRT_OF_MINUS_1 % _P
    if (x * x - x_squared) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return _Point(x, y, 1, x * y % _P)


def _base_point() -> _Point:
    point = _decompress((4 * pow(5, -1, _P) % _P).to_bytes(HASH_BYTES, "little"))
    return point or _NEUTRAL


_BASE = _base_point()
