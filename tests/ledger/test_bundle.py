from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lapse.domain.errors import Corrupt
from lapse.ledger.bundle import proof_bundle, tiles_for_bundle
from lapse.ledger.checkpoint import open_checkpoint
from lapse.ledger.standalone import VerificationFailed, verify_bundle
from support.ledgers import KEY, SealedLedger, TestSigner, bodies, sealed

LEDGER = SealedLedger().append(bodies(300)).append(bodies(700, first=300))
SEALED = open_checkpoint(LEDGER.note, [KEY])


def bundle_of(*seqs: int, earlier: bytes | None = LEDGER.notes[300]):
    rows = [LEDGER.rows[seq] for seq in seqs]
    return proof_bundle(rows, LEDGER.note, [KEY], tile=LEDGER.tile, earlier=earlier)


BUNDLE = json.loads(json.dumps(bundle_of(0, 5, 999)))


def changed(edit) -> dict:
    bundle = copy.deepcopy(BUNDLE)
    edit(bundle)
    return bundle


@given(st.sets(st.integers(0, 999), max_size=4), st.booleans())
@settings(max_examples=15)
def test_a_bundle_is_accepted_by_the_stand_alone_verifier(seqs, with_earlier):
    bundle = bundle_of(*sorted(seqs), earlier=LEDGER.notes[300] if with_earlier else None)
    assert verify_bundle(json.loads(json.dumps(bundle)), [KEY]) == SEALED


def test_a_bundle_carries_the_entry_itself():
    assert [entry["seq"] for entry in BUNDLE["entries"]] == [0, 5, 999]
    assert BUNDLE["entries"][1]["body"].encode() == LEDGER.rows[5][1]


def test_a_bundle_needs_just_the_tiles_that_are_named():
    needed = tiles_for_bundle([7, 300], SEALED, open_checkpoint(LEDGER.notes[300], [KEY]))
    some = {place: LEDGER.tiles[place] for place in needed}
    rows = [LEDGER.rows[7], LEDGER.rows[300]]
    bundle = proof_bundle(rows, LEDGER.note, [KEY], tile=lambda *place: some.get(place), earlier=LEDGER.notes[300])
    assert verify_bundle(bundle, [KEY]) == SEALED
    assert tiles_for_bundle([], SEALED) == set()


def test_a_changed_row_gets_no_proof():
    with pytest.raises(Corrupt, match="entry 7 is not proved"):
        proof_bundle([(7, LEDGER.rows[8][1])], LEDGER.note, [KEY], tile=LEDGER.tile)


def test_an_earlier_checkpoint_of_another_history_gets_no_proof():
    other = SealedLedger().append(bodies(300, first=1))
    with pytest.raises(Corrupt, match="not proved to continue"):
        bundle_of(1, earlier=other.note)


def test_an_earlier_checkpoint_of_a_longer_ledger_gets_no_proof():
    longer = sealed(1001).note
    with pytest.raises(Corrupt, match="has 1001 entries, the ledger only 1000"):
        bundle_of(1, earlier=longer)
    assert tiles_for_bundle([], SEALED, open_checkpoint(longer, [KEY])) == set()


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda b: b["entries"][1].update(body=b["entries"][2]["body"]), "entry 5 is not"),
        (lambda b: b["entries"][1].update(seq=6), "entry 6 is not"),
        (lambda b: b["entries"][1].update(seq=0), "entry 0 is in the bundle twice"),
        (lambda b: b["entries"].reverse(), "entry 5 is in the bundle twice, out of order"),
        (lambda b: b["entries"][1].update(seq=5.0), "misnumbered"),
        (lambda b: b["entries"][1].update(seq=True), "misnumbered"),
        (lambda b: b["entries"][2].update(seq=10**30), "is not proved"),
        (lambda b: b["entries"][1]["proof"].pop(), "entry 5 is not"),
        (lambda b: b["entries"][1]["proof"].append("00" * 32), "entry 5 is not"),
        (lambda b: b["entries"][1].update(proof=["xyz"]), "malformed"),
        (lambda b: b["entries"][1].update(proof=None), "malformed"),
        (lambda b: b["entries"][1].update(body=5), "malformed"),
        (lambda b: b["entries"][1].update(body="\ud800"), "malformed"),
        (lambda b: b.update(entries=None), "malformed"),
        (lambda b: b.update(entries=[3]), "malformed"),
        (lambda b: b.pop("earlier"), "malformed"),
        (lambda b: b.update(earlier=[]), "malformed"),
        (lambda b: b["earlier"]["proof"].pop(), "continue the earlier"),
        (lambda b: b["earlier"].update(checkpoint=sealed(300).note.decode() + "x"), "empty line"),
        (lambda b: b["earlier"].update(checkpoint=sealed(299).note.decode()), "continue the earlier"),
        (lambda b: b.update(checkpoint=LEDGER.notes[300].decode()), "entry 0 is not"),
        (lambda b: b.update(format="lapse-ledger-proof/2"), "not of the format"),
        (lambda b: b.clear(), "malformed"),
    ],
)  # fmt: skip
def test_a_changed_bundle_is_refused(edit, reason):
    with pytest.raises(VerificationFailed, match=reason):
        verify_bundle(changed(edit), [KEY])


@pytest.mark.parametrize("thing", [None, [], "text", 5])
def test_what_is_no_bundle_is_refused(thing):
    with pytest.raises(VerificationFailed, match="not of the format"):
        verify_bundle(thing, [KEY])


def test_a_bundle_signed_by_somebody_else_is_refused():
    stranger = SealedLedger().append(bodies(3), TestSigner(seed=9))
    bundle = changed(lambda b: b.update(checkpoint=stranger.note.decode()))
    with pytest.raises(VerificationFailed, match="trusted"):
        verify_bundle(bundle, [KEY])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(["format", "checkpoint", "entries", "earlier"]), JSON)
def test_any_bundle_is_answered(member, value):
    try:
        verify_bundle({**BUNDLE, member: value}, [KEY])
    except VerificationFailed:
        return
    assert value in (None, [], {}, "")  # no entries, or no earlier checkpoint
