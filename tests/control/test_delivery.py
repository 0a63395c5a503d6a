"""Notices reach people: none is lost, none is told of what did not happen, and what fails is tried again."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from fakes.notifier import FakeNotifier
from lapse.control import delivery
from lapse.control.delivery import LEASE, deliver_due
from lapse.control.notices import list_notices, post, retry_notice
from lapse.domain.errors import Conflict, Refused, Unavailable
from lapse.domain.notices import Notice, NoticeKind, PostingState
from lapse.ports import Page
from support.world import World

DOWN = Unavailable("the chat does not answer")


@pytest.fixture
async def world():
    return await World.create()


@pytest.fixture
def way():
    return FakeNotifier()


def a_notice(world, *to):
    return Notice(
        kind=NoticeKind.REMINDER, subject="req_1", to=to, text="a request waits for you", at=world.clock.now()
    )


async def posted(world, *to):
    await world.store.write(lambda tx: post(world.control, tx, [a_notice(world, *to)]))


async def the_posting(world):
    (posting,) = await list_notices(world.control, world.admin(), Page())
    return posting


def recorded(world, kind):
    return [entry for entry in world.store.recorded if entry.type == kind]


async def test_a_notice_reaches_everybody_it_is_for_and_that_is_recorded(world, way):
    await posted(world, "bob", "carol")
    assert await deliver_due(world.control, [way]) == 1
    assert [place for place, _ in way.delivered] == ["fake:bob", "fake:carol"]
    posting = await the_posting(world)
    assert posting.state is PostingState.SENT
    assert posting.closed_at == world.clock.now()
    (entry,) = recorded(world, "notice.sent")
    assert entry.subject == "req_1"
    assert entry.after["sent"] == ["fake:bob", "fake:carol"]


async def test_what_was_delivered_is_not_sent_again(world, way):
    await posted(world, "bob")
    await deliver_due(world.control, [way])
    await world.clock.advance(timedelta(days=1))
    assert await deliver_due(world.control, [way]) == 0
    assert len(way.delivered) == 1


async def test_a_change_that_is_rolled_back_tells_nobody(world, way):
    async def work(tx):
        await post(world.control, tx, [a_notice(world, "bob")])
        raise Refused("it did not happen")

    with pytest.raises(Refused):
        await world.store.write(work)
    assert await deliver_due(world.control, [way]) == 0
    assert not way.delivered


async def test_what_failed_and_was_not_delivered_is_tried_again_later_each_time(world, way):
    await posted(world, "bob", "carol")
    way.failing.extend([DOWN, DOWN, DOWN])
    await deliver_due(world.control, [way])
    waiting = await the_posting(world)
    assert waiting.state is PostingState.WAITING
    assert waiting.error == "the chat does not answer; the chat does not answer"
    assert await deliver_due(world.control, [way]) == 0, "not at once"
    await world.clock.advance(timedelta(seconds=5))
    await deliver_due(world.control, [way])
    assert [place for place, _ in way.delivered] == ["fake:carol"]
    await world.clock.advance(timedelta(seconds=9))
    assert await deliver_due(world.control, [way]) == 0, "pauses grow"
    await world.clock.advance(timedelta(seconds=1))
    await deliver_due(world.control, [way])
    assert [place for place, _ in way.delivered] == ["fake:carol", "fake:bob"], "carol has it already"
    assert (await the_posting(world)).state is PostingState.SENT


async def test_what_reports_a_failure_but_was_delivered_comes_again_under_the_same_id(world, way):
    await posted(world, "bob")
    way.failing.append(DOWN)
    way.although_delivered = True
    await deliver_due(world.control, [way])
    await world.clock.advance(timedelta(seconds=5))
    await deliver_due(world.control, [way])
    (_, first), (_, second) = way.delivered
    assert first.id == second.id


async def test_a_place_that_will_never_take_it_is_not_tried_again_and_shows(world, way):
    await posted(world, "bob", "carol")
    way.failing.append(Refused("there is no mailbox bob"))
    await deliver_due(world.control, [way])
    posting = await the_posting(world)
    assert posting.state is PostingState.FAILED
    assert posting.refused == {"fake:bob": "there is no mailbox bob"}
    assert [place for place, _ in way.delivered] == ["fake:carol"], "the others are told"
    assert recorded(world, "notice.failed")


async def test_it_is_given_up_after_days(world, way):
    await posted(world, "bob")
    for _ in range(200):
        way.failing.append(DOWN)
        await deliver_due(world.control, [way], timedelta(days=2))
        posting = await the_posting(world)
        if posting.state is PostingState.FAILED:
            break
        await world.clock.advance(posting.due_at - world.clock.now())
    assert posting.state is PostingState.FAILED
    assert world.clock.now() - posting.notice.at >= timedelta(days=2)
    assert 40 < posting.attempts < 70, "about once an hour"
    (entry,) = recorded(world, "notice.failed")
    assert entry.context["error"] == "the chat does not answer"


async def test_one_way_that_fails_does_not_keep_the_other_from_telling(world, way):
    broken = FakeNotifier(name="broken", failing=way.failing.__class__([DOWN]))
    await posted(world, "bob")
    await deliver_due(world.control, [broken, way])
    assert [place for place, _ in way.delivered] == ["fake:bob"]
    await world.clock.advance(timedelta(seconds=5))
    await deliver_due(world.control, [broken, way])
    assert [place for place, _ in broken.delivered] == ["broken:bob"]
    assert len(way.delivered) == 1


async def test_somebody_without_an_address_shows_and_the_others_are_told(world):
    way = FakeNotifier(missing=frozenset({"carol"}))
    await posted(world, "bob", "carol")
    await deliver_due(world.control, [way])
    posting = await the_posting(world)
    assert posting.state is PostingState.SENT
    assert posting.error == "no address of `carol` is known"


async def test_a_notice_that_reached_nobody_has_failed(world):
    await posted(world, "carol")
    await deliver_due(world.control, [FakeNotifier(missing=frozenset({"carol"}))])
    assert (await the_posting(world)).state is PostingState.FAILED


async def test_while_one_replica_has_a_notice_the_other_leaves_it_alone(world, way):
    await posted(world, "bob")
    begun, go_on = asyncio.Event(), asyncio.Event()
    send = way.send

    async def slow(posting, place):
        begun.set()
        await go_on.wait()
        await send(posting, place)

    way.send = slow
    first = asyncio.create_task(deliver_due(world.control, [way]))
    await begun.wait()
    assert await deliver_due(world.control, [FakeNotifier(name="other")]) == 0
    go_on.set()
    await first
    assert len(way.delivered) == 1


async def test_a_replica_that_dies_with_a_notice_loses_it_to_another_after_the_lease(world, way):
    await posted(world, "bob")
    begun = asyncio.Event()

    async def never(posting, place):
        begun.set()
        await asyncio.Event().wait()

    way.send = never
    dying = asyncio.create_task(deliver_due(world.control, [way]))
    await begun.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    other = FakeNotifier(name="other")
    assert await deliver_due(world.control, [other]) == 0
    await world.clock.advance(LEASE)
    assert await deliver_due(world.control, [other]) == 1
    assert [place for place, _ in other.delivered] == ["other:bob"]


async def test_without_a_way_notices_wait(world):
    await posted(world, "bob")
    assert await deliver_due(world.control, []) == 0
    assert (await the_posting(world)).state is PostingState.WAITING


async def test_a_notice_that_was_given_up_is_tried_once_more_by_hand(world, way):
    await posted(world, "bob", "carol")
    way.failing.append(Refused("there is no mailbox bob"))
    await deliver_due(world.control, [way])
    failed = await the_posting(world)
    await world.clock.advance(timedelta(days=9))
    again = await retry_notice(world.control, world.admin(), failed.id)
    assert again.state is PostingState.WAITING
    await deliver_due(world.control, [way])
    assert [place for place, _ in way.delivered] == ["fake:carol", "fake:bob"], "carol is not told again"
    assert (await the_posting(world)).state is PostingState.SENT
    (entry,) = recorded(world, "notice.retried")
    assert (entry.actor, entry.subject) == ("root", "req_1")
    with pytest.raises(Refused, match="is sent"):
        await retry_notice(world.control, world.admin(), failed.id)


async def test_only_administrators_and_auditors_see_the_outbox(world):
    with pytest.raises(Refused):
        await list_notices(world.control, world.actor("bob"), Page())
    with pytest.raises(Refused):
        await retry_notice(world.control, world.actor("bob"), "not_1")


async def test_a_way_that_takes_for_ever_ends_the_try_and_what_was_sent_before_counts(world, way, monkeypatch):
    monkeypatch.setattr(delivery, "LONGEST_TRY", 0.05)
    await posted(world, "bob")
    stuck = FakeNotifier(name="stuck")

    async def never(posting, place):
        await asyncio.Event().wait()

    stuck.send = never
    await deliver_due(world.control, [way, stuck])
    posting = await the_posting(world)
    assert posting.state is PostingState.WAITING
    assert posting.error == "there was not enough time for all places"
    assert list(posting.sent) == ["fake:bob"]


async def test_who_lost_the_lease_meanwhile_does_not_overrule_who_has_it(world, way):
    await posted(world, "bob")
    send, other = way.send, FakeNotifier(name="other")

    async def slow(posting, place):
        await world.clock.advance(LEASE)
        await deliver_due(world.control, [other])
        await send(posting, place)

    way.send = slow
    await deliver_due(world.control, [way])
    posting = await the_posting(world)
    assert list(posting.sent) == ["other:bob"]
    assert len(recorded(world, "notice.sent")) == 1


async def test_where_others_always_were_faster_nothing_is_sent(world, way):
    await posted(world, "bob")

    async def beaten(work):
        raise Conflict("this notice was changed by somebody else")

    world.store.write = beaten
    assert await deliver_due(world.control, [way]) == 0
    assert not way.delivered
