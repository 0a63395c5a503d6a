"""Proof bundles: entries, their inclusion proofs and the signed checkpoint, as plain JSON data for a sealed pack.

Guarantee: a bundle is given out only if the stand-alone verifier accepts it. Called by whoever seals evidence;
`standalone.verify_bundle` checks it years later without lapse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lapse.domain.data import Json
from lapse.domain.errors import Corrupt
from lapse.ledger import merkle, tiles
from lapse.ledger.checkpoint import open_checkpoint
from lapse.ledger.standalone import BUNDLE_FORMAT, Checkpoint, Key, leaf_hash
from lapse.ledger.tiles import TileId, TileReader


def proof_bundle(
    rows: Sequence[tuple[int, bytes]],
    note: bytes,
    keys: Sequence[Key],
    *,
    tile: TileReader,
    earlier: bytes | None = None,
) -> dict[str, Json]:
    """Prove `rows` (sequence number, canonical bytes; in order) under `note`, and that it continues `earlier`.

    `tile` must give the tiles of `tiles_for_bundle`. Hashes are written as lowercase hex.

    Raises:
        Corrupt: a checkpoint is not signed by one of `keys`, a tile is missing, or a proof does not hold.
    """
    sealed, node = open_checkpoint(note, keys), tiles.nodes(tile)
    proved: list[Json] = []
    for seq, body in rows:
        path = merkle.inclusion_path(seq, sealed.size, node)
        merkle.check_inclusion(leaf_hash(body), seq, path, sealed)
        proved.append({"seq": seq, "body": body.decode(), "proof": [hash_.hex() for hash_ in path]})
    return {
        "format": BUNDLE_FORMAT,
        "checkpoint": note.decode(),
        "entries": proved,
        "earlier": None if earlier is None else _continuation(earlier, sealed, keys, node),
    }


def tiles_for_bundle(seqs: Iterable[int], sealed: Checkpoint, earlier: Checkpoint | None = None) -> set[TileId]:
    """The tiles that `proof_bundle` reads."""
    needed = set().union(*(tiles.tiles_for_inclusion(seq, sealed.size) for seq in seqs))
    if earlier is not None and earlier.size <= sealed.size:
        needed |= tiles.tiles_for_consistency(earlier.size, sealed.size)
    return needed


def _continuation(note: bytes, sealed: Checkpoint, keys: Sequence[Key], node: merkle.NodeReader) -> dict[str, Json]:
    old = open_checkpoint(note, keys)
    if old.size > sealed.size:
        raise Corrupt(f"the earlier checkpoint has {old.size} entries, the ledger only {sealed.size}")
    path = merkle.consistency_path(old.size, sealed.size, node)
    merkle.check_consistency(old, sealed, path)
    return {"checkpoint": note.decode(), "proof": [hash_.hex() for hash_ in path]}
