from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.ledger import tiles
from lapse.ledger.canonical import encode
from lapse.ledger.checkpoint import open_checkpoint, seal
from lapse.ledger.merkle import EMPTY_ROOT
from lapse.ledger.standalone import Checkpoint
from lapse.ledger.verify import LedgerVerifier, verify_ledger
from support.ledgers import KEY, SIGNER, SealedLedger, TestSigner, an_entry, bodies, sealed

BATCHED = SealedLedger()
for batch in (300, 1, 500, 399):
    BATCHED.append(bodies(batch, first=len(BATCHED.rows)))
SIZE = len(BATCHED.rows)
OTHER = encode(an_entry(0, actor="mallory"))


@pytest.fixture
def ledger() -> SealedLedger:
    return copy.deepcopy(BATCHED)


def verdict(ledger: SealedLedger, *, with_tiles: bool = True, earlier=()):
    return verify_ledger(ledger.rows, ledger.note, [KEY], tile=ledger.tile if with_tiles else None, earlier=earlier)


def rewrite_tiles(ledger: SealedLedger, levels: int) -> None:
    """Make the stored tiles of the lowest levels fit the rows, as somebody who covers a change up would."""
    rebuilt = SealedLedger().append([body for _, body in ledger.rows])
    ledger.tiles |= {place: data for place, data in rebuilt.tiles.items() if place[0] < levels}


# what is intact


def test_an_intact_ledger_is_ok(ledger):
    result = verdict(ledger, earlier=list(ledger.notes.values()))
    assert (result.ok, result.size, result.problem, result.first_broken) == (True, SIZE, "", None)
    assert result.root == open_checkpoint(ledger.note, [KEY]).root


def test_an_intact_ledger_is_ok_without_its_tiles(ledger):
    assert verdict(ledger, with_tiles=False).ok


def test_an_empty_ledger_is_ok():
    result = verify_ledger([], seal(0, EMPTY_ROOT, SIGNER), [KEY], tile=lambda *_: None)
    assert (result.ok, result.size, result.root) == (True, 0, EMPTY_ROOT)


@given(st.lists(st.integers(1, 700), max_size=5))
@settings(max_examples=20)
def test_rows_may_come_in_pieces_of_any_size(pieces):
    verifier = LedgerVerifier(open_checkpoint(BATCHED.note, [KEY]))
    start = 0
    for piece in [*pieces, SIZE]:
        assert verifier.feed(BATCHED.rows[start : start + piece], BATCHED.tile)
        start += piece
    assert verifier.verdict().ok


def test_tiles_of_a_ledger_that_grew_meanwhile_serve(ledger):
    longer = copy.deepcopy(ledger).append(bodies(200, first=SIZE))
    ledger.tiles = longer.tiles
    assert verdict(ledger).ok


def test_a_large_ledger_uses_tiles_of_three_levels():
    large = sealed(66_000)
    assert verdict(large).ok
    large.rows[65_990] = (65_990, OTHER)
    assert verdict(large).first_broken == 65_990


# a broken entry is named


@given(st.integers(0, SIZE - 1))
@settings(max_examples=40)
def test_a_changed_entry_is_named(seq):
    changed = SealedLedger([*BATCHED.rows], BATCHED.tiles, BATCHED.notes, BATCHED.note)
    changed.rows[seq] = (seq, OTHER)
    result = verdict(changed)
    assert (result.ok, result.first_broken) == (False, seq)
    assert result.problem == f"entry {seq} is not what was sealed: its hash differs"


def test_the_first_of_several_changed_entries_is_named(ledger):
    for seq in (700, 301, 302, 1150):
        ledger.rows[seq] = (seq, OTHER)
    assert verdict(ledger).first_broken == 301


def test_swapped_entries_are_named(ledger):
    ledger.rows[40], ledger.rows[41] = (40, ledger.rows[41][1]), (41, ledger.rows[40][1])
    assert verdict(ledger).first_broken == 40


@pytest.mark.parametrize("seq", [0, 255, 256, 700, SIZE - 1])
@pytest.mark.parametrize("body", [b"", b"\xff", b"{}", b" " + OTHER, OTHER[:-1], OTHER + OTHER])
def test_an_entry_that_is_no_entry_is_named(ledger, seq, body):
    ledger.rows[seq] = (seq, body)
    result = verdict(ledger)
    assert (result.ok, result.first_broken, result.size) == (False, seq, seq)
    assert result.problem.startswith(f"entry {seq} is broken: not ")


def test_a_changed_entry_before_one_that_is_no_entry_is_named(ledger):
    ledger.rows[310], ledger.rows[320] = (310, OTHER), (320, b"")
    assert verdict(ledger).first_broken == 310


@pytest.mark.parametrize("seq", [0, 255, 256, 700])
def test_a_missing_entry_is_named(ledger, seq):
    del ledger.rows[seq]
    result = verdict(ledger)
    assert (result.ok, result.first_broken) == (False, seq)
    assert result.problem == f"entry {seq} is broken: it is missing, the next one stored is {seq + 1}"


def test_entries_missing_at_the_end_are_named(ledger):
    del ledger.rows[-3:]
    result = verdict(ledger)
    assert (result.ok, result.first_broken) == (False, SIZE - 3)
    assert "is missing" in result.problem


def test_an_entry_stored_twice_is_named(ledger):
    ledger.rows.insert(500, ledger.rows[499])
    result = verdict(ledger)
    assert (result.ok, result.first_broken) == (False, 500)
    assert result.problem == "entry 500 is broken: entry 499 stands in its place a second time"


def test_an_entry_beyond_the_checkpoint_is_named(ledger):
    ledger.rows.append((SIZE, OTHER))
    result = verdict(ledger)
    assert (result.ok, result.first_broken) == (False, SIZE)
    assert "is not sealed" in result.problem


# who covers a change up


def test_a_change_with_its_tile_rewritten_is_narrowed_to_the_tile(ledger):
    ledger.rows[520] = (520, OTHER)
    rewrite_tiles(ledger, levels=1)
    result = verdict(ledger)
    assert (result.ok, result.first_broken) == (False, 512)
    assert result.problem == "one of the entries 512 to 767 is not what was sealed: its hash differs"


def test_of_a_covered_and_a_plain_change_the_first_is_named(ledger):
    ledger.rows[520] = (520, OTHER)
    rewrite_tiles(ledger, levels=1)
    ledger.rows[900] = (900, OTHER)
    assert verdict(ledger).first_broken == 512
    ledger.rows[3] = (3, OTHER)
    assert verdict(ledger).first_broken == 3


def test_a_change_with_all_tiles_rewritten_is_narrowed_by_the_kept_checkpoints(ledger):
    ledger.rows[520] = (520, OTHER)
    rewrite_tiles(ledger, levels=9)
    assert verdict(ledger).first_broken == 0
    result = verdict(ledger, earlier=list(ledger.notes.values()))
    assert (result.ok, result.first_broken) == (False, 301)
    assert result.problem.startswith("one of the entries 301 to 800 was changed: the 801 entries do not have")


def test_a_history_sealed_anew_does_not_fit_an_earlier_checkpoint(ledger):
    kept = [ledger.notes[300], ledger.notes[801]]
    ledger.rows[520] = (520, OTHER)
    forged = SealedLedger().append([body for _, body in ledger.rows])
    assert verdict(forged).ok
    result = verdict(forged, earlier=kept)
    assert (result.ok, result.first_broken) == (False, 300)
    assert "that the earlier checkpoint signs" in result.problem


def test_an_earlier_checkpoint_of_a_longer_ledger_shows_what_was_cut_off(ledger):
    shorter = sealed(300)
    result = verdict(shorter, earlier=[ledger.note])
    assert (result.ok, result.first_broken) == (False, 300)
    assert result.problem == f"entry 300 is missing: {SIZE} entries were sealed, the ledger ends here"


def test_two_checkpoints_of_one_size_cannot_both_be_true(ledger):
    forged = SealedLedger().append([OTHER, *bodies(SIZE - 1)])
    assert not verdict(ledger, earlier=[forged.note]).ok
    assert not verdict(forged, earlier=[ledger.note]).ok


# damaged tiles are told from broken entries


@pytest.mark.parametrize("place", [(0, 0), (0, 3), (0, 4), (1, 0)])
def test_a_damaged_tile_does_not_put_the_entries_under_suspicion(ledger, place):
    data = ledger.tiles[place]
    ledger.tiles[place] = data[:32] + bytes(32) + data[64:]
    result = verdict(ledger)
    assert (result.ok, result.first_broken, result.size) == (False, None, SIZE)
    assert result.problem == f"the stored hash tile {place[0]}/{place[1]} is damaged; all entries are intact"


@pytest.mark.parametrize("place", [(0, 1), (1, 0)])
def test_a_missing_tile_is_damage(ledger, place):
    del ledger.tiles[place]
    assert "is damaged" in verdict(ledger).problem


def test_a_cut_tile_is_damage(ledger):
    ledger.tiles[0, 1] = ledger.tiles[0, 1][:-7]
    assert "0/1 is damaged" in verdict(ledger).problem


def test_a_damaged_tile_does_not_hide_the_entry_that_is_broken(ledger):
    ledger.tiles[0, 0] = bytes(32) + ledger.tiles[0, 0][32:]
    ledger.rows[900] = (900, OTHER)
    assert verdict(ledger).first_broken == 900


def test_entries_under_a_fitting_checkpoint_are_not_suspected(ledger):
    ledger.tiles[0, 4] = bytes(32) + ledger.tiles[0, 4][32:]  # entry 1024, after the last checkpoint
    ledger.tiles[0, 1] = bytes(32) + ledger.tiles[0, 1][32:]
    ledger.tiles[1, 0] = bytes(len(ledger.tiles[1, 0]))
    ledger.rows[1100] = (1100, OTHER)
    result = verdict(ledger, earlier=list(ledger.notes.values()))
    assert result.first_broken in range(801, 1101)


# checkpoints


def test_a_checkpoint_that_nobody_trusted_signed_is_no_verdict_on_entries(ledger):
    stranger = seal(SIZE, open_checkpoint(ledger.note, [KEY]).root, TestSigner(seed=9))
    result = verify_ledger(ledger.rows, stranger, [KEY])
    assert (result.ok, result.first_broken, result.size) == (False, None, 0)
    assert "not signed by a key that is trusted" in result.problem


def test_an_earlier_checkpoint_that_nobody_trusted_signed_is_refused(ledger):
    assert not verdict(ledger, earlier=[b"anything"]).ok


def test_a_wrong_root_for_no_entries_is_seen():
    result = LedgerVerifier(Checkpoint("log", 0, bytes(32))).verdict()
    assert (result.ok, result.first_broken) == (False, 0)


@given(st.lists(st.tuples(st.integers(-2, 5), st.binary(max_size=5) | st.sampled_from(bodies(4))), max_size=6))
def test_any_rows_get_a_verdict(rows):
    small = sealed(3)
    result = verify_ledger(rows, small.note, [KEY], tile=small.tile)
    assert result.ok == (rows == small.rows)
    assert result.ok == (result.problem == "")


@given(st.dictionaries(st.sampled_from([(0, 0), (0, 1), (0, 4), (1, 0)]), st.binary(max_size=100)))
@settings(max_examples=30)
def test_any_stored_tiles_get_a_verdict(stored):
    result = verify_ledger(BATCHED.rows, BATCHED.note, [KEY], tile=lambda level, index: stored.get((level, index)))
    assert not result.ok
    assert result.first_broken is None


def test_the_verdict_needs_only_the_tiles_over_the_rows_that_are_fed(ledger):
    verifier = LedgerVerifier(open_checkpoint(ledger.note, [KEY]))
    for start in range(0, SIZE, 200):
        some = {place: ledger.tiles[place] for place in tiles.tiles_over(start, min(start + 200, SIZE))}
        verifier.feed(ledger.rows[start : start + 200], lambda level, index, some=some: some.get((level, index)))
    assert verifier.verdict().ok


@pytest.mark.parametrize("length", [0, 32, 40])
def test_a_missing_parent_tile_does_not_hide_a_broken_entry(ledger, length):
    ledger.tiles[1, 0] = ledger.tiles[1, 0][:length]
    ledger.rows[310] = (310, OTHER)
    del ledger.rows[900]
    assert verdict(ledger).first_broken == 310


def test_a_missing_tile_puts_no_entry_under_suspicion(ledger):
    del ledger.tiles[0, 0]
    ledger.rows[310] = (310, OTHER)
    assert verdict(ledger).first_broken == 310
