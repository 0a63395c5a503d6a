"""Several entitlements at once, the same access again and again, for others, and in an emergency."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fakes.connector import Fault
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


@pytest.mark.parametrize("names", [("reader", "metrics"), ("metrics", "reader")])
async def test_a_bundle_is_granted_when_the_last_of_it_is_approved(world, names):
    reader, metrics = sorted(await ask_all(world, *names), key=lambda request: request.entitlement, reverse=True)
    assert reader.bundle == metrics.bundle != ""
    assert (reader.state, metrics.state) == (RequestState.PENDING, RequestState.APPROVED)
    assert await world.grants() == []
    await approve(world.control, world.actor("bob"), reader.id)
    assert {grant.request_id for grant in await world.grants()} == {reader.id, metrics.id}


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
    assert (notice.kind, notice.to) == ("break_glass", ("bob", "carol", "olga"))
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


# what is asked for together counts together


def daily(days, **more):
    return Recurrence(
        days=tuple(range(7)), at_minute=9 * 60, timezone="UTC", until=START + timedelta(days=days), **more
    )


async def test_days_that_touch_are_one_stretch_under_the_cap_on_the_total():
    world = await World.create(policy=POLICY.replace("max_duration: 4h", "max_duration: 24h").replace("8h", "48h"))
    assert (await world.ask(hours=24, repeats=daily(1))).repeats is not None
    with pytest.raises(Refused, match=r"at most 48h \(asked 72h\)|at most 2d \(asked 3d\)"):
        await world.ask("dave", hours=24, repeats=daily(2))


async def test_all_times_together_stay_within_the_budget():
    world = await World.create(policy=POLICY.replace("    max_total: 8h\n", "    budget: {most: 4h, per: 7d}\n", 1))
    await world.ask(hours=1, repeats=daily(3))
    with pytest.raises(Refused, match="allows 4h of `pg-prod/reader` in any 7d"):
        await world.ask("dave", hours=1, repeats=daily(4))


async def test_a_repeated_request_is_asked_again_for_every_day_before_it_is_approved(world):
    request = await world.ask(hours=1, repeats=NIGHTLY)
    rule = "    windows: [{days: mon-tue, from: '20:00', to: '24:00', timezone: Europe/Berlin}]\n"
    await world.change_policy(MORE.replace("    max_total: 8h\n", rule, 1))
    with pytest.raises(Refused, match="policy changed"):
        await approve(world.control, world.actor("bob"), request.id)


@pytest.mark.parametrize(
    ("quota", "names", "words"),
    [
        ("{pending: 1}", ("reader", "writer"), "lets 1 requests of one requester wait"),
        ("{most: 2, per: 1h}", ("reader", "writer", "metrics"), "accepts 2 requests of one requester in any 1h"),
    ],
)
async def test_a_bundle_takes_up_a_quota_with_every_part(quota, names, words):
    world = await World.create(policy=f"{POLICY}limits:\n  - {{name: few, quota: {quota}}}\n")
    with pytest.raises(Refused, match=words):
        await ask_all(world, *names)
    await ask_all(world, *names[:-1])


async def test_a_bundle_takes_up_automatic_approval_with_every_part():
    both = POLICY.replace("[pg-prod/metrics]", "[pg-prod/metrics, pg-prod/writer]")
    world = await World.create(policy=both.replace("auto_approve: true", "auto_approve: {most: 1, per: 1d}"))
    requests = await ask_all(world, "metrics", "writer")
    assert [request.terms.offer for request in requests] == ["metrics", "writers"]


async def test_one_justification_for_a_bundle_is_no_repetition():
    fresh = POLICY.replace("    max_total: 8h\n", "    justification: {unlike_last: 3}\n", 1)
    world = await World.create(policy=fresh)
    reader, _ = await ask_all(world, "reader", "writer")
    assert (await approve(world.control, world.actor("bob"), reader.id)).state is RequestState.APPROVED
    with pytest.raises(Refused, match="differs from your last 3"):
        await ask_all(world, "reader", "writer")


async def test_what_is_asked_later_does_not_change_an_earlier_answer():
    world = await World.create(policy=POLICY.replace("    max_total: 8h\n", "    justification: {unlike_last: 1}\n", 1))
    first = await world.ask()
    other = NewRequest(entitlement="pg-prod/reader", duration=HOUR, justification="the monthly report")
    await create_bundle(world.control, world.actor("alice"), [other])
    await world.ask()
    assert (await approve(world.control, world.actor("bob"), first.id)).state is RequestState.APPROVED


async def test_a_script_cannot_flood_those_who_decide_even_without_a_quota(world):
    for _ in range(98):
        await world.ask(hours=0.01)
    await world.ask("alice-admin", hours=0.01)
    with pytest.raises(Refused, match="99 of your requests wait for a decision already, 100 at most"):
        await ask_all(world, "reader", "writer")
    last = await world.ask("alice-admin", hours=0.01)
    with pytest.raises(Refused, match="100 of your requests wait"):
        await world.ask(hours=0.01)
    await ask_all(world, "metrics")
    await world.ask("dave", hours=0.01)
    await cancel_request(world.control, world.actor("alice"), last.id)
    await world.ask(hours=0.01)


# bundles: taking one out, and time


async def test_one_is_taken_out_of_a_bundle_and_the_others_are_granted_without_it(world):
    reader, writer = await ask_all(world, "reader", "writer")
    await approve(world.control, world.actor("bob"), reader.id)
    taken = await cancel_request(world.control, world.actor("alice"), writer.id, "the replica does", alone=True)
    assert (taken.state, taken.bundle) == (RequestState.CANCELLED, "")
    assert [grant.request_id for grant in await world.grants()] == [reader.id]
    assert "grant.scheduled" in recorded(world)


async def test_one_is_taken_out_and_the_others_still_wait(world):
    reader, writer, _ = await ask_all(world, "reader", "writer", "metrics")
    await cancel_request(world.control, world.actor("alice"), writer.id, alone=True)
    assert await world.grants() == []
    await approve(world.control, world.actor("bob"), reader.id)
    assert len(await world.grants()) == 2


async def test_a_bundle_waits_no_longer_than_the_shortest_of_it_may():
    """What was approved before its windows closed is not granted after them because something else was slow."""
    rule = "    windows: [{days: mon, from: '00:00', to: '18:00', timezone: UTC}]\n"
    world = await World.create(policy=POLICY.replace("    max_total: 8h\n", rule, 1))
    reader, writer = await ask_all(world, "reader", "writer", hours=1)
    assert reader.expires_at == writer.expires_at == START.replace(hour=17, minute=0)
    await approve(world.control, world.actor("bob"), reader.id)
    await approve(world.control, world.actor("carol"), writer.id)
    await world.clock.advance(reader.expires_at - world.clock.now())
    with pytest.raises(Refused, match="has expired"):
        await approve(world.control, world.actor("olga"), writer.id)
    with pytest.raises(Refused, match=r"bundle .* has expired"):
        await cancel_request(world.control, world.actor("alice"), writer.id, alone=True)
    await expire_requests(world.control)
    assert await world.grants() == []


async def test_an_emergency_does_not_wait_for_an_approval_of_something_else(world):
    with pytest.raises(Refused, match="`pg-prod/reader` needs an approval, so it cannot go together"):
        await ask_all(world, "writer", "reader", break_glass=True)
    assert await list_aftermaths(world.control, world.actor("bob")) == []


@pytest.mark.parametrize("more", [{"repeats": NIGHTLY}, {"starts_at": START + HOUR}])
async def test_an_emergency_begins_now_and_once(world, more):
    with pytest.raises(InvalidInput, match="an emergency begins now, and once"):
        await emergency(world, **more)


# when it ends, however late it begins


async def test_a_planned_start_has_a_planned_end_however_late_it_begins(world):
    request = await world.ask(hours=1, repeats=NIGHTLY)
    await approve(world.control, world.actor("bob"), request.id)
    first = (await world.grants())[0]
    await world.clock.advance(first.starts_at + HOUR / 2 - world.clock.now())
    await world.enforcer.tick()
    begun = await world.grant(first.id)
    assert (begun.state, begun.ends_at) == (GrantState.ACTIVE, first.starts_at + HOUR)


async def test_what_begins_late_still_ends_before_its_window_closes():
    rule = "    windows: [{days: mon, from: '00:00', to: '18:00', timezone: UTC}]\n"
    world = await World.create(policy=POLICY.replace("    max_total: 8h\n", rule, 1))
    request = await world.ask(hours=4)
    await approve(world.control, world.actor("bob"), request.id)
    world.target.inject(Fault.UNREACHABLE, on="look", times=1)
    await world.enforcer.tick()
    await world.clock.advance(timedelta(hours=3))
    await world.enforcer.tick()
    late = await world.grant_of(request)
    assert (late.state, late.ends_at) == (GrantState.ACTIVE, START + 7 * HOUR)

    request = await world.ask("dave", hours=4)
    await world.clock.advance(2 * HOUR - timedelta(seconds=1))
    await approve(world.control, world.actor("bob"), request.id)
    world.target.inject(Fault.UNREACHABLE, on="look", times=1)
    await world.enforcer.tick()
    await world.clock.advance(HOUR)
    await world.enforcer.tick()
    later = await world.grant_of(request)
    assert (later.state, later.ends_at) == (GrantState.ACTIVE, START.replace(hour=18))
