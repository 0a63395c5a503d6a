from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.ledger_store import MemoryLedgerStore
from lapse.control.ledger_proofs import verify_stored_ledger
from lapse.control.sequencer import FIRST_PAUSE, POLL, SLICE, Sequencer
from lapse.domain.errors import Conflict, Corrupt, Unavailable
from lapse.ledger.checkpoint import open_checkpoint
from support.clock import HandClock
from support.ledgers import KEY, SIGNER, TestSigner, bodies

CALLS = ["next_batch", "commit_batch"]


def sequencer(store: MemoryLedgerStore, **options) -> Sequencer:
    return Sequencer(store, SIGNER, HandClock(), **options)


class FirstReadIsSlow(MemoryLedgerStore):
    """Others go on for a while before the first caller hears what was read."""

    slow = True

    async def next_batch(self, limit):
        batch = await super().next_batch(limit)
        if self.slow:
            self.slow = False
            for _ in range(1000):
                await asyncio.sleep(0)
        return batch


@pytest.fixture
def store() -> MemoryLedgerStore:
    return MemoryLedgerStore()


async def verified(store: MemoryLedgerStore) -> bool:
    """Everything recorded has exactly one place, in order of recording, and the ledger verifies."""
    assert list(store.places) == list(range(len(store.places)))
    assert list(store.places.values()) == sorted(set(store.places.values()))
    return (await verify_stored_ledger(store, [KEY], list(store.checkpoints.values()))).ok


# placing


async def test_entries_get_places_in_order_and_a_signed_checkpoint(store):
    store.append(bodies(3))
    assert await sequencer(store).sequence_once() == 3
    assert store.places == {0: 1, 1: 2, 2: 3}
    assert open_checkpoint(store.checkpoints[3], [KEY]).size == 3
    assert await verified(store)


async def test_without_entries_nothing_is_signed(store):
    assert await sequencer(store).sequence_once() == 0
    assert store.checkpoints == {}


async def test_a_batch_is_limited_and_run_once_takes_all(store):
    store.append(bodies(10))
    small = sequencer(store, batch=4)
    assert await small.sequence_once() == 4
    assert await small.run_once() == 6
    assert sorted(store.checkpoints) == [4, 8, 10]
    assert await verified(store)


async def test_writers_go_on_while_a_batch_is_hashed(store):
    store.append(bodies(3 * SLICE))
    placing = asyncio.create_task(sequencer(store).sequence_once())
    turns = 0
    while not placing.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 3
    assert await placing == 3 * SLICE
    assert await verified(store)


async def test_a_batch_touches_only_the_right_edge(store):
    store.append(bodies(600))
    await sequencer(store).run_once()
    before = dict(store.stored_tiles)
    store.append(bodies(3, first=600))
    await sequencer(store).run_once()
    assert {place for place in store.stored_tiles if store.stored_tiles[place] != before.get(place)} == {(0, 2)}


async def test_a_restarted_sequencer_continues(store):
    for start in range(0, 700, 100):
        store.append(bodies(100, first=start))
        assert await sequencer(store).run_once() == 100
    assert await verified(store)


# failures


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_that_fails_places_nothing_and_the_next_run_does(store, call):
    store.append(bodies(300))
    worker = sequencer(store)
    await worker.run_once()
    store.append(bodies(5, first=300))
    store.fail_next(call)
    with pytest.raises(Unavailable):
        await worker.sequence_once()
    assert len(store.places) == 300
    assert await worker.sequence_once() == 5
    assert await verified(store)


async def test_without_the_proof_that_another_process_continued_nothing_is_placed(store):
    store.append(bodies(300))
    worker = sequencer(store)
    await worker.run_once()
    store.append(bodies(5, first=300))
    await sequencer(store).run_once()
    store.append(bodies(5, first=305))
    store.fail_next("tiles")
    with pytest.raises(Unavailable):
        await worker.sequence_once()
    assert len(store.places) == 305
    assert await worker.sequence_once() == 5
    assert await verified(store)


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_commit_that_failed_but_took_effect_places_nothing_twice(store, restarts):
    store.append(bodies(300))
    worker = sequencer(store)
    store.fail_next("commit_batch", applied=True)
    with pytest.raises(Unavailable):
        await worker.sequence_once()
    store.append(bodies(5, first=300))
    worker = sequencer(store) if restarts else worker
    assert await worker.sequence_once() == 5
    assert len(store.places) == 305
    assert await verified(store)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([*CALLS, "tiles", "lease", "applied", "restart"])), max_size=12
    )
)
@settings(max_examples=60)
def test_whatever_fails_every_entry_gets_one_place(steps):
    async def live() -> None:
        store = MemoryLedgerStore()
        worker, recorded = sequencer(store, batch=3), 0
        for count, trouble in steps:
            store.append(bodies(count, first=recorded))
            recorded += count
            if trouble == "restart":
                worker = sequencer(store, batch=3)
            elif trouble == "applied":
                store.fail_next("commit_batch", applied=True)
            else:
                store.fail_next(trouble)
            with contextlib.suppress(Unavailable):
                await worker.run_once()
        await until_placed(worker, store, recorded)
        assert await verified(store)

    asyncio.run(live())


async def until_placed(worker: Sequencer, store: MemoryLedgerStore, recorded: int) -> None:
    while len(store.places) < recorded:
        with contextlib.suppress(Unavailable):
            await worker.run_once()
    store._faults.clear()


# several sequencers


async def test_a_sequencer_that_lost_the_race_reads_again(store):
    store.append(bodies(5))
    slow, quick = sequencer(store), sequencer(store, batch=3)
    store.before_commit = quick.sequence_once
    assert await slow.sequence_once() == 2
    assert sorted(store.checkpoints) == [3, 5]
    assert await verified(store)


async def test_a_sequencer_that_always_loses_says_so(store):
    store.append(bodies(1))

    async def overtake() -> None:
        store.append(bodies(1))
        store.before_commit = None
        await sequencer(store, batch=1).sequence_once()
        store.before_commit = overtake

    store.before_commit = overtake
    with pytest.raises(Conflict):
        await sequencer(store).sequence_once()


async def test_many_sequencers_place_every_entry_once(store):
    store.append(bodies(200))
    workers = [sequencer(store, batch=7) for _ in range(5)]

    async def work(worker: Sequencer) -> None:
        while len(store.places) < 200:
            with contextlib.suppress(Conflict):
                await worker.sequence_once()
            await asyncio.sleep(0)

    await asyncio.gather(*(work(worker) for worker in workers))
    assert await verified(store)


async def test_two_tasks_that_call_one_sequencer_are_no_second_history():
    store = FirstReadIsSlow()
    store.append(bodies(2))
    shared = sequencer(store, batch=1)
    assert await asyncio.gather(shared.sequence_once(), shared.sequence_once()) == [1, 1]
    assert await verified(store)


async def test_another_process_that_has_the_lease_is_left_to_it(store):
    store.append(bodies(5))
    async with store.sequencer_lease():
        assert await sequencer(store).run_once() == 0
    assert await sequencer(store).run_once() == 5


async def test_what_another_process_sealed_meanwhile_is_continued(store):
    worker = sequencer(store)
    for start, other in [(0, worker), (300, sequencer(store)), (310, worker), (320, sequencer(store)), (700, worker)]:
        store.append(bodies(10, first=start))
        assert await other.run_once() == 10
    assert await verified(store)


# what is stored is not what was sealed


def tamper_tile(store):
    store.stored_tiles[0, 1] = bytes(32) + store.stored_tiles[0, 1][32:]


def tamper_parent(store):
    store.stored_tiles[1, 0] = bytes(32)


def drop_tile(store):
    del store.stored_tiles[0, 1]


def drop_checkpoint(store):
    store.checkpoints.clear()


def tamper_checkpoint(store):
    store.checkpoints[300] = store.checkpoints[300].replace(b"\n300\n", b"\n301\n")


def swap_checkpoint(store):
    store.checkpoints[300] = store.checkpoints[150]


def forget_a_place(store):
    del store.places[299]


@pytest.mark.parametrize(
    "tamper",
    [tamper_tile, tamper_parent, drop_tile, drop_checkpoint, tamper_checkpoint, swap_checkpoint, forget_a_place],
)
@pytest.mark.parametrize("restarts", [False, True])
async def test_nothing_is_sealed_on_what_was_tampered_with(store, tamper, restarts):
    store.append(bodies(300))
    worker = sequencer(store, batch=150)
    await worker.run_once()
    tamper(store)
    sealed = dict(store.checkpoints)
    store.append(bodies(1, first=300))
    worker = sequencer(store) if restarts else worker
    with pytest.raises(Corrupt):
        await worker.sequence_once()
    assert store.checkpoints == sealed


async def test_a_ledger_sealed_with_another_key_is_not_continued(store):
    store.append(bodies(2))
    await Sequencer(store, TestSigner(seed=9), HandClock()).run_once()
    store.append(bodies(1, first=2))
    with pytest.raises(Corrupt, match="not signed by a key that is trusted"):
        await sequencer(store).run_once()


async def test_a_ledger_that_went_back_is_not_continued(store):
    store.append(bodies(2))
    worker = sequencer(store)
    await worker.run_once()
    older = MemoryLedgerStore()
    older.append(bodies(1))
    await sequencer(older).run_once()
    store.places, store.stored_tiles, store.checkpoints = older.places, older.stored_tiles, older.checkpoints
    with pytest.raises(Corrupt, match="has 1 entries, but 2 were sealed"):
        await worker.run_once()


@pytest.mark.parametrize("size", [5, 9])
async def test_another_history_with_a_good_signature_is_not_continued(store, size):
    store.append(bodies(5))
    worker = sequencer(store)
    await worker.run_once()
    other = MemoryLedgerStore()
    other.append(bodies(size, first=100))
    await sequencer(other).run_once()
    store.bodies, store.places, store.stored_tiles = other.bodies, other.places, other.stored_tiles
    store.checkpoints = other.checkpoints
    store.append(bodies(1, first=500))
    with pytest.raises(Corrupt, match="not proved to continue"):
        await worker.run_once()


# the loop


class Running:
    """A sequencer at work; `until` waits for what it does, turn by turn."""

    def __init__(self, store: MemoryLedgerStore) -> None:
        self.clock = HandClock()
        self.stop, self.wake = asyncio.Event(), asyncio.Event()
        self.store = store
        self.task = asyncio.ensure_future(Sequencer(store, SIGNER, self.clock).run(self.stop, self.wake))

    async def until(self, condition) -> None:
        for _ in range(200):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("it did not happen")

    async def settled(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def end(self) -> None:
        self.stop.set()
        await self.task


@pytest.fixture
async def running(store):
    run = Running(store)
    yield run
    if not run.task.done():
        await run.end()


async def test_the_loop_places_what_it_is_woken_for(store, running):
    await running.settled()
    store.append(bodies(3))
    running.wake.set()
    await running.until(lambda: len(store.places) == 3)


async def test_the_loop_finds_what_nobody_woke_it_for(store, running):
    await running.settled()
    store.append(bodies(3))
    await running.settled()
    assert not store.places
    await running.clock.advance(POLL)
    await running.until(lambda: len(store.places) == 3)


async def test_the_loop_needs_no_wake_event(store):
    store.append(bodies(3))
    stop = asyncio.Event()
    task = asyncio.ensure_future(sequencer(store).run(stop))
    for _ in range(50):
        await asyncio.sleep(0)
    stop.set()
    await task
    assert len(store.places) == 3


async def test_the_loop_ends_when_told(store, running):
    await running.settled()
    await running.end()
    assert not store.leased


async def test_a_loop_that_is_told_to_end_before_it_starts_does_nothing(store):
    store.append(bodies(3))
    stop = asyncio.Event()
    stop.set()
    await sequencer(store).run(stop)
    assert not store.places


async def test_the_loop_takes_over_when_the_lease_is_free(store):
    store.append(bodies(3))
    async with store.sequencer_lease():
        running = Running(store)
        running.wake.set()
        await running.settled()
        assert not store.places
    await running.clock.advance(POLL)
    await running.until(lambda: len(store.places) == 3)
    await running.end()


@pytest.mark.parametrize("call", ["lease", *CALLS])
async def test_the_loop_tries_again_after_a_pause_when_the_store_does_not_answer(store, call):
    store.append(bodies(3))
    store.fail_next(call)
    running = Running(store)
    await running.settled()
    assert not store.places
    await running.clock.advance(FIRST_PAUSE)
    await running.until(lambda: len(store.places) == 3)
    await running.end()


async def test_the_loop_waits_longer_each_time_the_store_does_not_answer(store):
    store.append(bodies(3))
    store.fail_next("next_batch")
    running = Running(store)
    await running.settled()
    store.fail_next("next_batch")
    await running.clock.advance(FIRST_PAUSE)
    await running.settled()
    await running.clock.advance(FIRST_PAUSE)
    await running.settled()
    assert not store.places
    await running.clock.advance(FIRST_PAUSE)
    await running.until(lambda: len(store.places) == 3)
    await running.end()


async def test_the_loop_stops_sealing_when_the_store_was_tampered_with(store):
    store.append(bodies(300))
    await sequencer(store).run_once()
    tamper_tile(store)
    store.append(bodies(1, first=300))
    running = Running(store)
    with pytest.raises(Corrupt):
        await running.task
    assert not store.leased
