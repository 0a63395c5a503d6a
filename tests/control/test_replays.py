"""Everything that was asked is read from the ledger, as it was really recorded, and replayed under another policy."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lapse.control.decisions import approve, deny
from lapse.control.replays import EntryReader, replay_ledger
from lapse.domain.errors import Refused
from lapse.policy import parse
from lapse.policy import replay as replay_module
from lapse.policy.replay import Replay, ReplayEffect
from support.clock import START
from support.stores import opened
from support.world import POLICY, World

HOUR = timedelta(hours=1)
STRICTER = POLICY.replace("max_duration: 4h", "max_duration: 1h").replace("to: [anyone]", "to: [alice]", 1)


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def world(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    async with opened(request.param, tmp_path, url) as store:
        yield await World.create(store)


async def live(world):
    """Alice has access for an hour of two, Dave is denied by a person, Carol by the policy; Bob's is still open."""
    granted = await world.ask("alice", hours=2)
    await approve(world.control, world.actor("bob"), granted.id)
    await world.enforcer.tick()
    await world.clock.advance(HOUR * 2)
    await world.enforcer.tick()
    denied = await world.ask("dave")
    await deny(world.control, world.actor("bob"), denied.id, "not today")
    with pytest.raises(Refused):
        await world.ask("carol", hours=9)
    held = await world.ask("bob", hours=3)
    await approve(world.control, world.actor("carol"), held.id)
    await world.enforcer.tick()


async def seal(world):
    ids = [key for key, _ in await world.store.ledger.pending(10_000)]
    await world.store.ledger.commit_batch(await world.store.ledger.size(), ids, {}, b"note")


async def replayed(world, text=STRICTER, since=START, until=START + 100 * HOUR, **more):
    await seal(world)
    return await replay_ledger(world.store.ledger, parse({"p.yaml": text}), since, until, **more)


async def test_a_stricter_policy_is_seen_in_what_was_asked(world):
    await live(world)
    seen = []
    report = await replayed(world, on_progress=lambda done, total: seen.append((done, total)))
    found = {group.effect: group for group in report.groups}
    assert (report.requests, report.refused, report.unreadable, report.open) == (4, 1, 0, 1)
    assert {effect: group.requests for effect, group in found.items()} == {
        ReplayEffect.SHORTENED: 1,
        ReplayEffect.DENIED: 2,
        ReplayEffect.UNCHANGED: 1,
    }
    assert (report.held, report.saved) == (5 * HOUR, 1 * HOUR + 3 * HOUR)
    assert {example.beneficiary for example in found[ReplayEffect.DENIED].examples} == {"bob", "dave"}
    assert seen[-1][0] == seen[-1][1] > 0


async def test_the_policy_in_force_changes_nothing(world):
    await live(world)
    report = await replayed(world, POLICY)
    assert [(group.effect, group.requests) for group in report.groups] == [(ReplayEffect.UNCHANGED, 4)]
    assert (report.saved, report.persons_affected) == (timedelta(0), 0)


async def test_only_what_was_asked_in_time_counts(world):
    await live(world)
    assert (await replayed(world, since=START + HOUR)).requests == 3
    assert (await replayed(world, until=START + HOUR)).requests == 1
    assert (await replayed(world, since=START + 50 * HOUR)).requests == 0


async def test_an_empty_ledger_is_a_report_of_nothing(world):
    report = await replayed(world, since=START + HOUR)
    assert (report.requests, report.groups) == (0, ())


def test_damaged_entries_are_counted_and_others_are_read():
    reader = EntryReader(Replay(parse({"p.yaml": POLICY})), START, START + HOUR)
    reader.feed([("request.created", b"{"), ("grant.ended", b"\xff"), ("request.closed", b"?"), ("token.issued", b"")])
    assert reader.replay.report(START, START + HOUR).unreadable == 2


def test_terms_that_come_again_are_read_once(monkeypatch):
    from lapse.control import replays

    monkeypatch.setattr(replays, "_MOST_TERMS", 1)
    reader = EntryReader(Replay(parse({"p.yaml": POLICY})), START, START + HOUR)
    one = b'{"offer":"a","max_duration":"PT1H","max_total":"PT1H","pending_timeout":"PT1H"}'
    assert reader._terms_of(one) is reader._terms_of(one)
    assert reader._terms_of(one.replace(b'"a"', b'"b"')).offer == "b"
    assert reader._terms_of(one).offer == "a"


async def test_many_open_requests_take_bounded_memory(world, monkeypatch):
    monkeypatch.setattr(replay_module, "MOST_OPEN", 1)
    for who in ("alice", "dave", "olga"):
        await world.ask(who)
    assert (await replayed(world)).requests == 3
