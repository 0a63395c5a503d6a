"""Entries, a signing key, and small sealed ledgers for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lapse.ledger import tiles
from lapse.ledger.canonical import encode
from lapse.ledger.checkpoint import key_of, seal
from lapse.ledger.entry import Entry
from lapse.ledger.merkle import leaf_hash

ORIGIN = "lapse.example.com/ledger"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class TestSigner:
    """Implements `ports.Signer` with a key made from a seed, so that failures repeat."""

    __test__ = False

    def __init__(self, name: str = ORIGIN, seed: int = 7) -> None:
        self.name = name
        self._private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public_key = self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


SIGNER = TestSigner()
KEY = key_of(SIGNER)


def an_entry(number: int = 0, **fields) -> Entry:
    return Entry(
        **{
            "type": "grant.ended",
            "at": START + timedelta(milliseconds=number),
            "actor": "enforcer",
            "subject": f"gra-{number:06}",
            "before": {"state": "revoking", "version": 4},
            "after": {"state": "ended", "version": 5},
            "policy_version": "sha256:0",
            "context": {"lag_ms": number},
        }
        | fields
    )


def bodies(count: int, first: int = 0) -> list[bytes]:
    return [encode(an_entry(number)) for number in range(first, first + count)]


@dataclass
class SealedLedger:
    """Rows, tiles and a checkpoint that belong together; `append` seals another batch."""

    rows: list[tuple[int, bytes]] = field(default_factory=list)
    tiles: dict[tuple[int, int], bytes] = field(default_factory=dict)
    notes: dict[int, bytes] = field(default_factory=dict)
    note: bytes = b""

    def append(self, new: list[bytes], signer: TestSigner = SIGNER) -> SealedLedger:
        size = len(self.rows)
        self.tiles |= tiles.extend(size, [leaf_hash(body) for body in new], self.tile)
        self.rows += list(enumerate(new, start=size))
        self.note = seal(len(self.rows), tiles.tree_root(len(self.rows), self.tile), signer)
        self.notes[len(self.rows)] = self.note
        return self

    def tile(self, level: int, index: int) -> bytes | None:
        return self.tiles.get((level, index))


def sealed(count: int) -> SealedLedger:
    return SealedLedger().append(bodies(count))
