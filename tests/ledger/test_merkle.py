from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from lapse.domain.errors import Corrupt, InvalidInput
from lapse.ledger import merkle, tiles
from lapse.ledger.merkle import EMPTY_ROOT, leaf_hash, node_hash
from lapse.ledger.standalone import Checkpoint

# The tree that the certificate transparency projects test with.
KNOWN_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
KNOWN_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


# The definitions of RFC 9162, section 2.1, word for word: slow, and nothing to get wrong.


def split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(leaves: list[bytes]) -> bytes:
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    k = split(len(leaves))
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: list[bytes]) -> list[bytes]:
    return subproof(m, leaves, known=True)


def subproof(m: int, leaves: list[bytes], *, known: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if known else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], known=known), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], known=False), mth(leaves[:k])]


def numbered(count: int) -> list[bytes]:
    return [number.to_bytes(2, "big") for number in range(count)]


ALL = numbered(1100)
STORED = tiles.extend(0, [leaf_hash(leaf) for leaf in ALL], lambda *_: None)
NODE = tiles.nodes(lambda level, index: STORED.get((level, index)))
SIZES = st.integers(1, len(ALL))


def under(size: int) -> Checkpoint:
    return Checkpoint("log", size, merkle.root(size, NODE))


@pytest.mark.parametrize("size", range(9))
def test_the_known_tree_has_the_known_roots(size):
    stored = tiles.extend(0, [leaf_hash(leaf) for leaf in KNOWN_LEAVES[:size]], lambda *_: None)
    assert tiles.tree_root(size, lambda level, index: stored.get((level, index))).hex() == KNOWN_ROOTS[size]


def test_a_tree_without_leaves_has_a_root():
    assert merkle.root(0, NODE) == EMPTY_ROOT == mth([])


@given(SIZES)
def test_roots_are_those_of_the_rfc(size):
    assert merkle.root(size, NODE) == mth(ALL[:size])


@given(SIZES, st.data())
def test_inclusion_proofs_are_those_of_the_rfc(size, data):
    seq = data.draw(st.integers(0, size - 1))
    assert merkle.inclusion_path(seq, size, NODE) == tuple(path(seq, ALL[:size]))


@given(SIZES, st.data())
def test_consistency_proofs_are_those_of_the_rfc(size, data):
    old = data.draw(st.integers(1, size))
    assert merkle.consistency_path(old, size, NODE) == tuple(proof(old, ALL[:size]))


def test_every_small_tree_is_that_of_the_rfc():
    for size in range(1, 40):
        for part in range(size):
            assert merkle.inclusion_path(part, size, NODE) == tuple(path(part, ALL[:size]))
            assert merkle.consistency_path(part + 1, size, NODE) == tuple(proof(part + 1, ALL[:size]))


def test_roots_and_inclusion_proofs_are_those_of_an_independent_implementation():
    other = InmemoryTree(algorithm="sha256")
    other.append_entries(ALL[:600])
    for size in [*range(1, 40), 255, 256, 257, 511, 512, 513, 600]:
        assert merkle.root(size, NODE) == other.get_root(size)
        for seq in {0, size // 3, size // 2, size - 1}:
            theirs = other.prove_inclusion(seq + 1, size).path
            assert [leaf_hash(ALL[seq]), *merkle.inclusion_path(seq, size, NODE)] == theirs


@given(SIZES, st.data())
def test_what_is_proved_is_accepted(size, data):
    seq, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    merkle.check_inclusion(leaf_hash(ALL[seq]), seq, merkle.inclusion_path(seq, size, NODE), under(size))
    merkle.check_consistency(under(old), under(size), merkle.consistency_path(old, size, NODE))


@given(SIZES, st.data())
def test_no_other_leaf_place_or_proof_is_accepted(size, data):
    seq = data.draw(st.integers(0, size - 1))
    honest = merkle.inclusion_path(seq, size, NODE)
    leaf, place, forged, checkpoint = data.draw(
        st.sampled_from(
            [
                (bytes(32), seq, honest, under(size)),
                (leaf_hash(ALL[seq]), seq + 1, honest, under(size)),
                (leaf_hash(ALL[seq]), -1 - seq, honest, under(size)),
                (leaf_hash(ALL[seq]), seq, (*honest, bytes(32)), under(size)),
                (leaf_hash(ALL[seq]), seq, honest, under(size)._replace(root=bytes(32))),
                (leaf_hash(ALL[seq]), seq, honest, under(size)._replace(size=2**64)),
                (leaf_hash(ALL[seq]), seq, (*honest, b"short"), under(size)),
                (leaf_hash(ALL[seq])[1:], seq, honest, under(size)),
                (leaf_hash(ALL[seq]), seq, (bytes(32),) * 200, under(size)),
            ]
            + [
                (leaf_hash(ALL[seq]), seq, (*honest[:at], bytes(32), *honest[at + 1 :]), under(size))
                for at in range(len(honest))
            ]
            + [(leaf_hash(ALL[seq]), seq, honest[1:], under(size)) for _ in honest[:1]]
        )
    )
    with pytest.raises(Corrupt, match="not proved to be in the ledger"):
        merkle.check_inclusion(leaf, place, forged, checkpoint)


@given(SIZES, st.data())
def test_no_other_history_is_accepted(size, data):
    old = data.draw(st.integers(1, size))
    honest = merkle.consistency_path(old, size, NODE)
    old_head, new_head, forged = data.draw(
        st.sampled_from(
            [
                (under(old)._replace(root=bytes(32)), under(size), honest),
                (under(old), under(size)._replace(root=bytes(32)), honest),
                (under(old), under(size), (*honest, bytes(32))),
                (under(size)._replace(size=size + 1), under(size), ()),
                (under(old)._replace(root=b""), under(size), honest),
                (Checkpoint("log", 0, bytes(32)), under(size), ()),
                (under(0), under(size), (bytes(32),)),
            ]
            + [(under(old), under(size), (*honest[:at], bytes(32), *honest[at + 1 :])) for at in range(len(honest))]
            + [(under(old), under(size), honest[1:]) for _ in honest[:1]]
        )
    )
    with pytest.raises(Corrupt, match="not proved to continue"):
        merkle.check_consistency(old_head, new_head, forged)


@given(st.integers(0, 70), st.integers(0, 70), st.lists(st.sampled_from([bytes(32), b"\1" * 32]), max_size=9))
@settings(max_examples=300)
def test_any_proof_is_answered(first, second, hashes):
    old, new = Checkpoint("log", first, bytes(32)), Checkpoint("log", second, bytes(32))
    for check in (
        lambda: merkle.check_inclusion(b"\2" * 32, first, hashes, new),
        lambda: merkle.check_consistency(old, new, [*hashes, b"\3" * 32]),
    ):
        with pytest.raises(Corrupt):
            check()


@pytest.mark.parametrize(("seq", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_no_inclusion_proof_of_what_is_not_there(seq, size):
    with pytest.raises(InvalidInput, match="has no entry"):
        merkle.inclusion_path(seq, size, NODE)


def test_no_consistency_proof_backwards():
    with pytest.raises(InvalidInput, match="cannot continue"):
        merkle.consistency_path(6, 5, NODE)


def test_a_huge_tree_has_short_ranges():
    size = 2**62 + 12345
    assert len(merkle.inclusion_ranges(size // 3, size)) <= 63
    assert len(merkle.consistency_ranges(size // 3, size)) <= 64
