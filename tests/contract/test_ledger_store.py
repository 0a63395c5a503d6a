"""What every `ports.LedgerStore` does: entries, places, tiles, checkpoints and the sequencer's lease."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lapse.domain.errors import Conflict, InvalidInput
from lapse.ledger.canonical import decode, encode
from lapse.ports import NextBatch, Page
from lapse.storage import migrate, open_store
from support.stores import an_entry, opened


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def store(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    async with opened(request.param, tmp_path, url) as store:
        yield store


async def append(store, *entries):
    await store.write(lambda tx: tx.append(entries))


async def place(store, limit=1000, checkpoint=b"note"):
    """Give everything that is pending the next places; their number."""
    size = await store.ledger.size()
    ids = await waiting(store, limit)
    await store.ledger.commit_batch(size, ids, {(0, 0): b"tile%d" % size}, checkpoint)
    return len(ids)


async def waiting(store, limit=1000):
    return [key for key, _ in await store.ledger.pending(limit)]


async def tile(store, level, index):
    return (await store.ledger.tiles([(level, index)])).get((level, index))


async def numbers(store, start=0, end=1000):
    return [(seq, decode(body).after["n"]) for seq, body in await store.ledger.entries(start, end)]


async def test_entries_are_pending_as_their_canonical_bytes_in_order(store):
    await append(store, an_entry(1), an_entry(2))
    await append(store, an_entry(3))
    assert [body for _, body in await store.ledger.pending(9)] == [encode(an_entry(n)) for n in (1, 2, 3)]
    assert len(await store.ledger.pending(2)) == 2
    assert await store.ledger.size() == 0
    assert await store.ledger.entries(0, 9) == []


async def test_placed_entries_are_read_by_their_place(store):
    await append(store, *(an_entry(n) for n in range(5)))
    assert await place(store, limit=3) == 3
    assert await place(store) == 2
    assert await store.ledger.pending(9) == []
    assert await store.ledger.size() == 5
    assert await numbers(store) == [(n, n) for n in range(5)]
    assert await numbers(store, 1, 3) == [(1, 1), (2, 2)]
    assert await numbers(store, 4, 99) == [(4, 4)]
    assert await numbers(store, 5, 99) == []
    assert await numbers(store, 3, 3) == []


async def test_places_need_not_follow_the_order_of_writing(store):
    await append(store, *(an_entry(n) for n in range(6)))
    ids = await waiting(store)
    order = [4, 5, 0, 2]
    await store.ledger.commit_batch(0, [ids[n] for n in order], {}, b"a")
    assert await waiting(store) == [ids[1], ids[3]]
    await store.ledger.commit_batch(4, [ids[3], ids[1]], {}, b"b")
    assert await numbers(store) == list(enumerate([*order, 3, 1]))
    assert await numbers(store, 1, 5) == list(enumerate([*order, 3]))[1:]


async def test_a_batch_on_another_size_is_a_conflict_and_leaves_nothing(store):
    await append(store, an_entry(1), an_entry(2))
    first, second = await waiting(store)
    await store.ledger.commit_batch(0, [first], {(0, 0): b"first"}, b"one")
    with pytest.raises(Conflict):
        await store.ledger.commit_batch(0, [second], {(0, 0): b"second"}, b"two")
    assert await store.ledger.size() == 1
    assert await tile(store, 0, 0) == b"first"
    assert await store.ledger.checkpoint() == b"one"
    assert await waiting(store) == [second]


async def test_an_entry_has_one_place_for_ever(store):
    await append(store, an_entry(1))
    (entry,) = await waiting(store)
    await store.ledger.commit_batch(0, [entry], {}, b"one")
    for unknown in (entry, entry + 1000):
        with pytest.raises(Conflict):
            await store.ledger.commit_batch(1, [unknown], {(1, 1): b"x"}, b"two")
    assert await store.ledger.size() == 1
    assert await tile(store, 1, 1) is None


async def test_two_sequencers_at_the_same_instant_place_everything_once(store):
    await append(store, *(an_entry(n) for n in range(10)))
    batch = await waiting(store)
    results = await asyncio.gather(
        *(store.ledger.commit_batch(0, batch, {}, b"note") for _ in range(4)), return_exceptions=True
    )
    assert sum(result is None for result in results) == 1
    assert all(result is None or isinstance(result, Conflict) for result in results)
    assert await numbers(store) == [(n, n) for n in range(10)]


async def test_tiles_are_replaced_as_they_grow(store):
    assert await tile(store, 0, 0) is None
    await append(store, an_entry(1), an_entry(2))
    await place(store, limit=1)
    await place(store)
    assert await tile(store, 0, 0) == b"tile1"


async def test_tiles_are_read_together_and_those_that_are_not_there_are_left_out(store):
    await append(store, an_entry(1))
    tiles = {(0, 0): b"a", (0, 7): b"b", (1, 7): b"c", (3, 2**40): b"d"}
    await store.ledger.commit_batch(0, await waiting(store), tiles, b"note")
    assert await store.ledger.tiles(iter([(0, 7), (1, 7), (1, 0), (7, 0), (3, 2**40)])) == {
        (0, 7): b"b",
        (1, 7): b"c",
        (3, 2**40): b"d",
    }
    assert await store.ledger.tiles([]) == {}


async def test_the_next_batch_comes_with_the_tree_that_it_extends(store):
    assert (await store.ledger.next_batch(9)) == NextBatch(0, [])
    await append(store, *(an_entry(n) for n in range(300)))
    first = await store.ledger.next_batch(257)
    assert (first.size, first.entries, first.checkpoint) == (0, await store.ledger.pending(257), None)
    tiles = {(0, 0): b"full", (0, 1): b"edge", (1, 0): b"above"}
    await store.ledger.commit_batch(0, [key for key, _ in first.entries], tiles, b"note")
    second = await store.ledger.next_batch(9)
    assert second == NextBatch(257, await store.ledger.pending(9), b"note", {(0, 1): b"edge", (1, 0): b"above"})
    assert len(second.entries) == 9


async def test_checkpoints_are_kept_for_each_size(store):
    assert await store.ledger.checkpoint() is None
    await append(store, an_entry(1), an_entry(2), an_entry(3))
    await place(store, limit=1, checkpoint=b"first")
    await place(store, checkpoint=b"second")
    assert await store.ledger.checkpoint(1) == b"first"
    assert await store.ledger.checkpoint(2) is None
    assert await store.ledger.checkpoint(3) == b"second"
    assert await store.ledger.checkpoint() == b"second"


async def test_entries_are_found_by_subject_and_type_newest_first(store):
    await append(
        store,
        an_entry(0, subject="a", kind="grant.created"),
        an_entry(1, subject="b", kind="grant.created"),
        an_entry(2, subject="a", kind="grant.ended"),
        an_entry(3, subject="a", kind="lock_added"),
    )
    await place(store, limit=2)
    await place(store)
    await append(store, an_entry(4, subject="a"))

    async def found(page=Page(), **wanted):  # noqa: B008  a page never changes
        return [seq for seq, _ in await store.ledger.find(page=page, **wanted)]

    assert await found(subject="a") == [3, 2, 0]
    assert await found(subject="a", type_prefix="grant.") == [2, 0]
    assert await found(type_prefix="grant.") == [2, 1, 0]
    assert await found(type_prefix="lock%") == []
    assert await found() == [3, 2, 1, 0]
    assert await found(Page(limit=2)) == [3, 2]
    assert await found(Page(limit=2, after="2")) == [1, 0]
    assert await found(Page(limit=1, after="3"), subject="a") == [2]
    assert await found(Page(newest_first=False), subject="a") == [0, 2, 3]
    assert await found(Page(newest_first=False, after="0")) == [1, 2, 3]
    with pytest.raises(InvalidInput):
        await found(Page(after="x"))


async def test_one_sequencer_at_a_time_holds_the_lease(store):
    async with store.ledger.sequencer_lease() as first:
        assert first
        async with store.ledger.sequencer_lease() as second:
            assert not second
        async with store.ledger.sequencer_lease() as third:
            assert not third
    async with store.ledger.sequencer_lease() as again:
        assert again


async def test_entries_of_some_types_are_read_in_order_of_their_places(store):
    kinds = ["request.created", "grant.ended", "decision.approve", "grant.ended"]
    await append(store, *(replace(an_entry(n), type=kind) for n, kind in enumerate(kinds)))
    ids = await waiting(store)
    await store.ledger.commit_batch(0, [ids[3], ids[0], ids[1], ids[2]], {}, b"note")

    async def read(start, end, *types):
        found = await store.ledger.entries_of(start, end, types)
        assert all(decode(body).type == kind for kind, body in found)
        return [(kind, decode(body).after["n"]) for kind, body in found]

    assert await read(0, 9, "grant.ended", "request.created") == [
        ("grant.ended", 3),
        ("request.created", 0),
        ("grant.ended", 1),
    ]
    assert await read(1, 3, "grant.ended") == [("grant.ended", 1)]
    assert await read(0, 9, "grant") == await read(0, 9) == await read(2, 2, "grant.ended") == []


async def test_what_is_placed_is_what_was_committed_in_that_order(store):
    async def refused(tx):
        await tx.append([an_entry(98), an_entry(99)])
        raise Conflict("not this one")

    async def two_at_once(tx):
        await asyncio.gather(tx.append(an_entry(n) for n in range(5, 705)), tx.append([an_entry(705)]))

    await append(store, an_entry(1), an_entry(2))
    with pytest.raises(Conflict):
        await store.write(refused)
    await append(store, an_entry(3))
    await asyncio.gather(append(store, an_entry(4)), store.write(two_at_once))
    expected = list(await store.ledger.pending(9999))
    for limit in (2, 100, 9999):
        batch = await store.ledger.next_batch(limit)
        assert list(batch.entries) == expected[:limit]
        await store.ledger.commit_batch(batch.size, [key for key, _ in batch.entries], {}, b"note")
        expected = expected[limit:]
    assert [seq for seq, _ in await numbers(store)] == list(range(705))


async def test_what_another_process_wrote_in_between_is_placed_in_its_turn(tmp_path):
    url = f"sqlite:///{tmp_path / 'lapse.db'}"
    await migrate(url)
    ours, theirs = await open_store(url), await open_store(url)
    for n, store in enumerate((ours, ours, theirs, ours, theirs, theirs, ours)):
        await append(store, an_entry(n))
    while entries := (await ours.ledger.next_batch(9)).entries:
        await ours.ledger.commit_batch(await ours.ledger.size(), [key for key, _ in entries], {}, b"note")
    assert await numbers(theirs) == [(n, n) for n in range(7)]
    await ours.close()
    await theirs.close()
