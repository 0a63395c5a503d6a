from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.errors import Corrupt
from lapse.ledger import merkle, tiles
from lapse.ledger.merkle import leaf_hash

LEAVES = [leaf_hash(number.to_bytes(4, "big")) for number in range(66_500)]
WHOLE = tiles.extend(0, LEAVES, lambda *_: None)


def reader(found):
    return lambda level, index: found.get((level, index))


@given(st.lists(st.sampled_from([0, 1, 2, 3, 100, 255, 256, 257, 600]), max_size=12))
def test_batches_of_any_sizes_make_the_same_tiles_as_one(batches):
    stored, size = {}, 0
    for batch in batches:
        edge = {place: stored[place] for place in tiles.edge(size)}
        changed = tiles.extend(size, LEAVES[size : size + batch], reader(edge))
        size += batch
        assert tiles.tree_root(size, tiles.overlay(changed, reader(edge))) == tiles.tree_root(size, reader(WHOLE))
        stored |= changed
    assert stored == tiles.extend(0, LEAVES[:size], lambda *_: None)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_535, 65_536, 65_537])
def test_an_append_reads_and_writes_only_the_right_edge(size):
    asked = set()

    def read(level, index):
        asked.add((level, index))
        return WHOLE.get((level, index))

    changed = tiles.extend(size, LEAVES[size : size + 1], read)
    assert asked <= tiles.edge(size)
    assert len(tiles.edge(size)) <= 3
    assert len(changed) <= 3


def test_the_cost_of_an_append_grows_with_the_batch_alone():
    early = tiles.extend(300, LEAVES[300:812], reader(WHOLE))
    late = tiles.extend(60_204, LEAVES[60_204:60_716], reader(WHOLE))
    assert len(late) <= len(early) + 1


def test_a_tile_holds_the_hashes_of_its_level_side_by_side():
    assert WHOLE[0, 1][:32] == LEAVES[256]
    assert WHOLE[1, 0][32:64] == tiles.perfect_root(WHOLE[0, 1])
    assert WHOLE[2, 0] == tiles.perfect_root(WHOLE[1, 0])
    assert len(WHOLE[0, 259]) == (66_500 - 259 * 256) * 32


@given(st.integers(1, len(LEAVES)), st.data())
@settings(max_examples=50)
def test_proofs_need_just_the_tiles_that_are_named(size, data):
    seq, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    for needed, path in (
        (tiles.tiles_for_inclusion(seq, size), lambda node: merkle.inclusion_path(seq, size, node)),
        (tiles.tiles_for_consistency(old, size), lambda node: merkle.consistency_path(old, size, node)),
        (tiles.edge(size), lambda node: merkle.root(size, node)),
    ):
        some = {place: WHOLE[place] for place in needed}
        assert path(tiles.nodes(reader(some))) == path(tiles.nodes(reader(WHOLE)))


@given(st.integers(0, len(LEAVES)), st.integers(0, 5_000))
@settings(max_examples=50)
def test_the_tiles_over_new_leaves_are_those_that_an_append_changes(start, count):
    fresh = LEAVES[start : start + count]
    changed = tiles.extend(start, fresh, reader(WHOLE))
    assert set(changed) == tiles.tiles_over(start, start + len(fresh))


@pytest.mark.parametrize(
    ("stored", "state"), [({}, "missing"), ({(0, 0): bytes(64)}, "too short"), ({(0, 0): b"x"}, "too short")]
)
def test_a_tile_that_is_missing_or_cut_is_refused(stored, state):
    for use in (
        lambda: tiles.extend(3, LEAVES[3:4], reader(stored)),
        lambda: tiles.tree_root(3, reader(stored)),
    ):
        with pytest.raises(Corrupt, match=f"0/0 is {state}"):
            use()


def test_a_longer_tile_of_a_later_tree_serves_an_earlier_one():
    assert tiles.tree_root(300, reader(WHOLE)) == tiles.tree_root(
        300, reader(tiles.extend(0, LEAVES[:300], lambda *_: None))
    )
