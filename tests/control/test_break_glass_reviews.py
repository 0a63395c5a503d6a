"""After break-glass: who is called when, and who on call may judge."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.rotas import FakeRotas
from lapse.control.aftermath import judge, list_aftermaths, remind_reviewers
from lapse.domain.aftermath import Judgement
from lapse.domain.errors import Refused
from lapse.domain.notices import NoticeKind
from support.clock import START
from support.world import POLICY, World

HOUR = timedelta(hours=1)
EMERGENCY = """
  - name: emergency
    entitlements: pg-prod/writer
    to: anyone
    max_duration: 1h
    break_glass: {review_within: 24h, reviewers: [REVIEWERS]}
"""


async def world_with(reviewers):
    world = await World.create(policy=POLICY + EMERGENCY.replace("REVIEWERS", reviewers))
    world.rotas = FakeRotas()
    world.control = replace(world.control, rotas=world.rotas)
    await world.ask(what="pg-prod/writer", hours=1, break_glass=True)
    return world


async def due(world):
    (one,) = await list_aftermaths(world.control, world.actor("bob"))
    return one


def calls(world):
    return [(notice.kind, notice.to) for notice in world.notices]


async def test_reviewers_are_called_half_way_and_when_it_is_overdue_and_once_each():
    world = await world_with("group:dba")
    assert calls(world) == [(NoticeKind.BREAK_GLASS, ("bob", "carol", "olga"))]
    assert await remind_reviewers(world.control) == 0
    await world.clock.advance(12 * HOUR)
    assert [await remind_reviewers(world.control) for _ in range(2)] == [1, 0]
    assert calls(world)[1:] == [(NoticeKind.REVIEW_DUE, ("bob", "carol"))]
    assert "the review of it is due within 12h: incident 4711" in world.notices[-1].text
    await world.clock.advance(12 * HOUR)
    assert [await remind_reviewers(world.control) for _ in range(2)] == [1, 0]
    assert calls(world)[2:] == [(NoticeKind.REVIEW_DUE, ("alice", "bob", "carol"))]
    assert "was due by 2026-03-03T09:00" in world.notices[-1].text
    told = [entry for entry in world.store.recorded if entry.type == "breakglass.reminded"]
    assert [entry.context["call"] for entry in told] == ["half", "overdue"]


async def test_after_a_long_pause_only_the_last_call_is_made():
    world = await world_with("group:dba")
    await world.clock.advance(48 * HOUR)
    assert [await remind_reviewers(world.control) for _ in range(2)] == [1, 0]
    assert len(calls(world)) == 2


async def test_what_was_judged_calls_nobody():
    world = await world_with("group:dba")
    await judge(world.control, world.actor("bob"), (await due(world)).id, Judgement.JUSTIFIED, "saw the incident")
    await world.clock.advance(48 * HOUR)
    assert await remind_reviewers(world.control) == 0


async def test_who_is_on_call_is_called_at_once_and_may_judge():
    world = await world_with("'oncall:security'")
    world.rotas.add("security", START, START + HOUR, ["dave"])
    assert [await remind_reviewers(world.control) for _ in range(2)] == [1, 0]
    assert calls(world)[1:] == [(NoticeKind.BREAK_GLASS, ("dave",))]
    with pytest.raises(Refused, match="`bob` is no reviewer of this"):
        await judge(world.control, world.actor("bob"), (await due(world)).id, Judgement.JUSTIFIED, "fine")
    judged = await judge(world.control, world.actor("dave"), (await due(world)).id, Judgement.NOT_JUSTIFIED, "no")
    assert judged.reviewed_by == "dave"


async def test_a_rota_that_cannot_be_read_is_asked_again():
    world = await world_with("'oncall:security'")
    world.rotas.add("security", START, START + HOUR, ["dave"])
    world.rotas.down.add("security")
    assert await remind_reviewers(world.control) == 0
    with pytest.raises(Refused, match="`dave` is no reviewer of this"):
        await judge(world.control, world.actor("dave"), (await due(world)).id, Judgement.JUSTIFIED, "fine")
    world.rotas.down.clear()
    assert await remind_reviewers(world.control) == 1


async def test_nobody_judges_an_own_use_though_they_are_on_call():
    world = await world_with("'oncall:security'")
    world.rotas.add("security", START, START + HOUR, ["alice-admin"])
    await remind_reviewers(world.control)
    assert calls(world)[1:] == []
    with pytest.raises(Refused, match="own use"):
        await judge(world.control, world.actor("alice-admin"), (await due(world)).id, Judgement.JUSTIFIED, "fine")
