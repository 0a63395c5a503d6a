"""Several entitlements at once, the same access again and again, for others, and in an emergency."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lapse.control.aftermath import judge, list_aftermaths
from lapse.control.decisions import approve, deny
from lapse.control.questions import NewRequest
from lapse.control.requests import cancel_request, create_bundle, expire_requests
from lapse.domain.aftermath import Judgement
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.grants import GrantState
from lapse.domain.requests import Recurrence, RequestState
from support.clock import START
from support.world import POLICY, World

HOUR = timedelta(hours=1)
MORE = (
    POLICY
    + """
  - name: emergency
    entitlements: pg-prod/writer
    to: anyone
    max_duration: 1h
    justification: required
    break_glass: {review_within: 24h, reviewers: [group:dba]}
  - name: by-proxy
    entitlements: pg-prod/writer
    to: dave
    asked_by: alice
    max_duration: 1h
    approvals: [{from: group:dba}]
"""
)


@pytest.fixture
async def world():
    return await World.create(policy=MORE)


async def ask_all(world, *names, who="alice", hours=0.5, **more):
    wanted = [
        NewRequest(entitlement=f"pg-prod/{name}", duration=hours * HOUR, justification="incident 4711", **more)
        for name in names
    ]
    return await create_bundle(world.control, world.actor(who), wanted)


def recorded(world):
    return [entry.type for entry in world.store.recorded]


async def test_a_bundle_is_granted_when_the_last_of_it_is_approved(world):
    reader, metrics = await ask_all(world, "reader", "metrics")
    assert reader.bundle == metrics.bundle != ""
    assert (reader.state, metrics.state) == (RequestState.PENDING, RequestState.APPROVED)
    assert await world.grants() == []
    await approve(world.control, world.actor("bob"), reader.id)
    assert sorted(grant.request_id for grant in await world.grants()) == [reader.id, metrics.id]


async def test_a_bundle_of_what_nobody_must_approve_is_granted_at_once(world):
    await ask_all(world, "metrics")
    assert len(await world.grants()) == 1


@pytest.mark.parametrize("way", ["deny", "cancel", "expire"])
async def test_a_bundle_that_lacks_one_is_not_granted_at_all(world, way):
    reader, writer, metrics = await ask_all(world, "reader", "writer", "metrics")
    if way == "deny":
        await deny(world.control, world.actor("bob"), reader.id, "not now")
    elif way == "cancel":
        await cancel_request(world.control, world.actor("alice"), reader.id)
    else:
        await world.clock.advance(100 * HOUR)
        await expire_requests(world.control)
    other = await world.read(lambda r: r.request(writer.id))
    assert other.state in {RequestState.CANCELLED, RequestState.EXPIRED}
    if way != "expire":
        assert other.close_reason.startswith(f"request {reader.id} of the same bundle is ")
    with pytest.raises(Refused):
        await approve(world.control, world.actor("bob"), writer.id)
    assert await world.grants(request_id=metrics.id) == []


async def test_one_that_the_policy_denies_leaves_no_bundle(world):
    with pytest.raises(Refused, match="`pg-prod/writer`: no offer fits"):
        await ask_all(world, "reader", "writer", hours=2)
    assert "request.created" not in recorded(world)
    assert await world.grants() == []


@pytest.mark.parametrize(("names", "words"), [((), "nothing is asked"), (("reader", "reader"), "asked for twice")])
async def test_bad_bundles(world, names, words):
    with pytest.raises(InvalidInput, match=words):
        await ask_all(world, *names)


NIGHTLY = Recurrence(days=(0, 1, 2), at_minute=22 * 60, timezone="Europe/Berlin", until=START + timedelta(days=9))


async def test_repeated_access_is_one_approval_and_a_grant_for_each_time(world):
    request = await world.ask(hours=1, repeats=NIGHTLY)
    await approve(world.control, world.actor("bob"), request.id)
    starts = [grant.starts_at for grant in await world.grants(request_id=request.id)]
    assert starts == [datetime(2026, 3, day, 21, tzinfo=UTC) for day in (2, 3, 4, 9, 10)]
    assert all(grant.state is GrantState.SCHEDULED for grant in await world.grants(request_id=request.id))


async def test_repeated_access_must_be_allowed_every_time():
    text = POLICY.replace(
        "    max_total: 8h\n",
        "    windows: [{days: mon-tue, from: '20:00', to: '24:00', timezone: Europe/Berlin}]\n",
        1,
    )
    world = await World.create(policy=text)
    with pytest.raises(Refused, match="on 2026-03-04: no offer fits: `readers` is open"):
        await world.ask(hours=1, repeats=NIGHTLY)


async def test_somebody_else_can_ask_where_the_offer_says_so(world):
    request = await world.ask(what="pg-prod/writer", hours=0.5, beneficiary="dave")
    assert (request.requester, request.beneficiary, request.terms.offer) == ("alice", "dave", "by-proxy")
    with pytest.raises(Refused, match="does not let `carol` ask for `dave`"):
        await world.ask(who="carol", what="pg-prod/writer", hours=0.5, beneficiary="dave")


async def emergency(world, **more):
    return await world.ask(what="pg-prod/writer", hours=0.5, break_glass=True, **more)


async def test_break_glass_is_at_once_loud_and_reviewed(world):
    request = await emergency(world)
    assert request.state is RequestState.APPROVED
    (due,) = await list_aftermaths(world.control, world.actor("bob"))
    assert (due.request_id, due.due_at) == (request.id, START + 24 * HOUR)
    assert "breakglass.used" in recorded(world)
    (notice,) = world.notices
    assert (notice.kind, notice.to) == ("break_glass", ("bob", "carol"))
    assert "`alice` used break-glass for `pg-prod/writer`: incident 4711" in notice.text

    judged = await judge(world.control, world.actor("bob"), due.id, Judgement.JUSTIFIED, "saw the incident")
    assert (judged.reviewed_by, judged.judgement) == ("bob", Judgement.JUSTIFIED)
    assert recorded(world)[-1] == "breakglass.reviewed"
    with pytest.raises(Refused, match="judged justified already"):
        await judge(world.control, world.actor("carol"), due.id, Judgement.NOT_JUSTIFIED, "no")


@pytest.mark.parametrize(
    ("who", "words"),
    [("alice", "own use"), ("alice-admin", "own use"), ("dave", "no reviewer"), ("bot", "only persons")],
)
async def test_break_glass_is_judged_by_an_independent_reviewer(world, who, words):
    await emergency(world)
    (due,) = await list_aftermaths(world.control, world.actor("bob"))
    with pytest.raises(Refused, match=words):
        await judge(world.control, world.actor(who), due.id, Judgement.JUSTIFIED, "fine")


async def test_no_second_break_glass_while_one_is_overdue_under_any_name(world):
    await emergency(world)
    (due,) = await list_aftermaths(world.control, world.actor("bob"))
    await world.clock.advance(24 * HOUR)
    for who in ("alice", "alice-admin"):
        normal = await emergency(world, who=who)
        assert (normal.terms.offer, normal.state) == ("writers", RequestState.PENDING)
    await emergency(world, who="dave")
    await judge(world.control, world.actor("bob"), due.id, Judgement.NOT_JUSTIFIED, "no incident then")
    await emergency(world)


async def test_without_saying_so_nothing_is_an_emergency(world):
    request = await world.ask(what="pg-prod/writer", hours=0.5)
    assert request.terms.offer == "writers"
