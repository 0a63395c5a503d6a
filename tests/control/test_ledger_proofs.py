from __future__ import annotations

import asyncio

import pytest

from fakes.ledger_store import MemoryLedgerStore
from lapse.control import ledger_proofs
from lapse.control.ledger_proofs import prove_entries, verify_stored_ledger
from lapse.control.sequencer import Sequencer
from lapse.domain.errors import Corrupt, NotFound, Unavailable
from lapse.ledger.canonical import encode
from lapse.ledger.standalone import verify_bundle
from support.clock import HandClock
from support.ledgers import KEY, SIGNER, TestSigner, an_entry, bodies


@pytest.fixture
async def store() -> MemoryLedgerStore:
    store = MemoryLedgerStore()
    for start in (0, 300, 600):
        store.append(bodies(300, first=start))
        await Sequencer(store, SIGNER, HandClock()).run_once()
    return store


async def test_a_stored_ledger_is_verified(store, monkeypatch):
    for rows in (ledger_proofs.ROWS, 250, 256):
        monkeypatch.setattr(ledger_proofs, "ROWS", rows)
        verdict = await verify_stored_ledger(store, [KEY], [store.checkpoints[300]])
        assert (verdict.ok, verdict.size) == (True, 900)


@pytest.mark.parametrize("at_once", [1, 100, 256, 299])
async def test_others_go_on_while_a_ledger_is_verified(store, monkeypatch, at_once):
    monkeypatch.setattr(ledger_proofs, "SLICE", at_once)
    turns = 0

    async def go_on() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(go_on())
    assert (await verify_stored_ledger(store, [KEY], [store.checkpoints[300]])).ok
    others.cancel()
    assert turns >= 900 // at_once


async def test_a_read_that_fails_is_no_verdict(store, monkeypatch):
    monkeypatch.setattr(ledger_proofs, "ROWS", 256)
    store.fail_next("tiles")
    with pytest.raises(Unavailable):
        await verify_stored_ledger(store, [KEY])


async def test_whether_more_can_be_read_does_not_matter_after_a_broken_row(store, monkeypatch):
    monkeypatch.setattr(ledger_proofs, "ROWS", 256)
    read = store.entries

    async def read_the_first(start, end):
        if start > 0:
            raise Unavailable("the store does not answer")
        return await read(start, end)

    monkeypatch.setattr(store, "entries", read_the_first)
    store.bodies[6] = b"{}"
    verdict = await verify_stored_ledger(store, [KEY])
    assert (verdict.ok, verdict.first_broken) == (False, 5)


async def test_an_empty_ledger_is_ok():
    verdict = await verify_stored_ledger(MemoryLedgerStore(), [KEY])
    assert (verdict.ok, verdict.size) == (True, 0)


@pytest.mark.parametrize("seq", [0, 400, 899])
async def test_a_changed_row_is_named(store, monkeypatch, seq):
    monkeypatch.setattr(ledger_proofs, "ROWS", 256)
    store.bodies[seq + 1] = encode(an_entry(0, actor="mallory"))
    verdict = await verify_stored_ledger(store, [KEY])
    assert (verdict.ok, verdict.first_broken) == (False, seq)


@pytest.mark.parametrize("seq", [0, 400, 899])
async def test_a_deleted_row_is_named(store, monkeypatch, seq):
    monkeypatch.setattr(ledger_proofs, "ROWS", 256)
    del store.bodies[seq + 1]
    verdict = await verify_stored_ledger(store, [KEY])
    assert (verdict.ok, verdict.first_broken) == (False, seq)


async def test_rows_cut_off_with_their_checkpoint_are_seen_with_one_that_was_kept(store):
    kept = store.checkpoints.pop(900)
    store.places = {seq: entry for seq, entry in store.places.items() if seq < 600}
    assert (await verify_stored_ledger(store, [KEY])).ok
    verdict = await verify_stored_ledger(store, [KEY], [kept])
    assert (verdict.ok, verdict.first_broken) == (False, 600)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda s: s.checkpoints.pop(900), "the ledger of 900 entries has no checkpoint"),
        (lambda s: s.checkpoints.update({900: s.checkpoints[600]}), "has 900 entries, but its checkpoint is for 600"),
        (lambda s: s.checkpoints.update({900: b"nonsense"}), "the signed note is not"),
        (lambda s: s.places.clear(), "has 0 entries, but its checkpoint is for 900"),
    ],
)
async def test_a_checkpoint_that_does_not_fit_is_a_verdict(store, change, problem):
    change(store)
    verdict = await verify_stored_ledger(store, [KEY])
    assert not verdict.ok
    assert problem in verdict.problem


async def test_entries_are_proved_for_a_reader_without_lapse(store):
    bundle = await prove_entries(store, [KEY], [5, 6, 7, 300, 899, 5], store.checkpoints[300])
    assert verify_bundle(bundle, [KEY]).size == 900
    assert [entry["seq"] for entry in bundle["entries"]] == [5, 6, 7, 300, 899]


async def test_a_bundle_may_prove_no_entries(store):
    assert verify_bundle(await prove_entries(store, [KEY], []), [KEY]).size == 900


async def test_what_is_not_sealed_is_not_proved(store):
    with pytest.raises(NotFound, match="entry 900 is not sealed: the checkpoint covers 900 entries"):
        await prove_entries(store, [KEY], [900])
    with pytest.raises(NotFound, match="entry -1 is not sealed"):
        await prove_entries(store, [KEY], [-1])
    with pytest.raises(NotFound, match="no sealed entries yet"):
        await prove_entries(MemoryLedgerStore(), [KEY], [0])


async def test_what_was_changed_or_deleted_is_not_proved(store):
    store.bodies[6] = store.bodies[7]
    with pytest.raises(Corrupt, match="entry 5 is not proved"):
        await prove_entries(store, [KEY], [5])
    del store.bodies[6]
    with pytest.raises(Corrupt, match="a sealed entry is missing"):
        await prove_entries(store, [KEY], [5])


async def test_nothing_is_proved_under_a_checkpoint_of_somebody_else(store):
    other = TestSigner(seed=9)
    with pytest.raises(Corrupt, match="trusted"):
        await prove_entries(store, [KEY._replace(public_key=other.public_key)], [5])
