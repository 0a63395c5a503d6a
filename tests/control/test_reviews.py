"""People decide items of a review: who may, what it takes, and what follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.connector import Fault
from lapse.control.exceptions import NewException, accept, end_exception
from lapse.control.review_deadlines import move_reviews_on
from lapse.control.reviews import ItemVerdict, decide_items, open_item, reassign_items, undo_item
from lapse.control.signing import sign_review
from lapse.domain.errors import Conflict, InvalidInput, NotFound, Refused
from lapse.domain.notices import NoticeKind
from lapse.domain.removals import RemovalState
from lapse.domain.reviews import ItemDecision, Line, ReviewPlan
from lapse.enforcement.reconcile import reconcile_resource
from lapse.enforcement.removals import carry_out_due
from support.reviews import DAY, KEEP, REVOKE, a_review, an_item, decide, item, seal
from support.world import World


@pytest.fixture
async def world():
    return await World.create()


async def test_the_owner_is_asked_then_the_manager_then_the_fallback(world):
    catalog = await world.read(lambda reader: reader.catalog())
    people = {**catalog.principals, "dave": replace(catalog.principals["dave"], manager="bob")}
    await world.change_catalog(principals=people)
    await a_review(world, an_item("a"))
    asked = (await item(world, "a")).asked
    assert [(line.line, line.persons) for line in asked] == [
        (Line.OWNER, ("olga",)),
        (Line.MANAGER, ("bob",)),
        (Line.FALLBACK, ("carol",)),
    ]


async def test_nobody_is_asked_about_an_own_access_or_approval(world):
    request = await world.ask("alice")
    await a_review(
        world, an_item("own", principal="olga", account="olga_login"), an_item("sponsored", principal="bot"),
        fallback="bob",
    )  # fmt: skip
    assert [line.persons for line in (await item(world, "own")).asked] == [("bob",)]
    assert [line.persons for line in (await item(world, "sponsored")).asked] == [("olga",)]
    with pytest.raises(Refused, match="your own access"):
        await decide(world, "bob", KEEP, "sponsored")
    with pytest.raises(Refused, match="your own access"):
        await decide(world, "olga", KEEP, "own")
    assert request.id


async def test_only_those_who_are_asked_decide(world):
    await a_review(world, an_item("a"))
    with pytest.raises(Refused, match="`alice` is not asked about item itm_a"):
        await decide(world, "alice", KEEP, "a")
    (kept,) = await decide(world, "olga", KEEP, "a")
    assert (kept.decision, kept.decided_by) == (KEEP, "olga")


async def test_taking_away_and_going_against_the_recommendation_need_a_reason(world):
    await a_review(world, an_item("a"))
    for decision in (KEEP, REVOKE):
        with pytest.raises(InvalidInput, match="reason"):
            await decide(world, "olga", decision, "a", reason=" ")


async def test_a_group_is_decided_in_one_act_or_not_at_all(world):
    await a_review(world, an_item("a"), an_item("b", role="app_reader"), an_item("mine", principal="olga"))
    with pytest.raises(Refused):
        await decide(world, "olga", KEEP, "a", "mine")
    assert (await item(world, "a")).decision is None
    done = await decide(world, "olga", KEEP, "a", "b")
    acts = {one.votes[-1].act for one in done}
    assert len(acts) == 1
    assert acts != {""}


async def test_what_is_revoked_is_gone_and_can_be_given_back_for_a_time(world):
    await a_review(world, an_item("a"))
    await decide(world, "olga", REVOKE, "a")
    await carry_out_due(world.parts)
    assert not world.target.holds("dave_login", "app_writer")
    done = await item(world, "a")
    assert done.carried_out_at == world.clock.now()
    await undo_item(world.control, world.actor("olga"), "itm_a", "the backup needs it")
    await carry_out_due(world.parts)
    assert world.target.holds("dave_login", "app_writer")
    assert (await item(world, "a")).carried_out_at is None
    removal = await world.read(lambda reader: reader.removal("itm_a"))
    assert removal.state is RemovalState.RETURNED
    drift = await world.read(lambda reader: reader.drifts(resource="pg-prod"))
    assert [(one.kind, one.account) for one in drift] == [("standing", "dave_login")]


async def test_after_its_time_it_is_gone_for_good(world):
    await a_review(world, an_item("a"))
    await decide(world, "olga", REVOKE, "a")
    await carry_out_due(world.parts)
    await world.clock.advance(8 * DAY)
    with pytest.raises(Refused, match="could be taken back until"):
        await undo_item(world.control, world.actor("olga"), "itm_a", "too late")
    await carry_out_due(world.parts)
    assert (await world.read(lambda reader: reader.removal("itm_a"))).state is RemovalState.GONE
    assert await carry_out_due(world.parts) == 0


@pytest.mark.parametrize("fault", list(Fault)[:3])
async def test_a_removal_that_fails_is_tried_again_until_the_target_refuses(world, fault):
    await a_review(world, an_item("a"))
    await decide(world, "olga", REVOKE, "a")
    world.target.inject(fault, on="remove")
    await carry_out_due(world.parts)
    waiting = await item(world, "a")
    assert waiting.carried_out_at is None
    assert waiting.outcome.startswith("failed: ")
    await world.clock.advance(timedelta(minutes=2))
    await carry_out_due(world.parts)
    assert (await item(world, "a")).carried_out_at is not None
    assert not world.target.holds("dave_login", "app_writer")
    await undo_item(world.control, world.actor("olga"), "itm_a", "needed")
    await carry_out_due(world.parts)
    assert world.target.holds("dave_login", "app_writer")


async def test_what_was_not_held_is_not_given_back(world):
    await a_review(world, an_item("a"))
    world.target.target.revoke("dave_login", "app_writer")
    await decide(world, "olga", REVOKE, "a")
    await carry_out_due(world.parts)
    await undo_item(world.control, world.actor("olga"), "itm_a", "needed")
    await carry_out_due(world.parts)
    assert (await world.read(lambda reader: reader.removal("itm_a"))).state is RemovalState.RETURNED
    assert not world.target.holds("dave_login", "app_writer")


@pytest.mark.parametrize("fault", list(Fault)[:3])
async def test_giving_back_that_fails_is_tried_again(world, fault):
    await a_review(world, an_item("a"))
    await decide(world, "olga", REVOKE, "a")
    await carry_out_due(world.parts)
    await undo_item(world.control, world.actor("olga"), "itm_a", "needed")
    world.target.inject(fault, on="apply")
    await carry_out_due(world.parts)
    assert (await world.read(lambda reader: reader.removal("itm_a"))).state is RemovalState.RETURNING
    await world.clock.advance(timedelta(minutes=2))
    await carry_out_due(world.parts)
    assert (await world.read(lambda reader: reader.removal("itm_a"))).state is RemovalState.RETURNED
    assert world.target.holds("dave_login", "app_writer")


async def test_a_crash_after_the_target_was_changed_loses_nothing(world):
    await a_review(world, an_item("a"))
    await decide(world, "olga", REVOKE, "a")

    def die(step):
        raise KeyboardInterrupt(step)

    with pytest.raises(KeyboardInterrupt):
        await carry_out_due(replace(world.parts, on_step=die))
    assert (await item(world, "a")).carried_out_at is None
    await carry_out_due(world.parts)
    assert (await item(world, "a")).carried_out_at is not None
    await undo_item(world.control, world.actor("olga"), "itm_a", "needed")
    await carry_out_due(world.parts)
    assert world.target.holds("dave_login", "app_writer")


async def test_shortened_access_goes_when_its_time_comes(world):
    await a_review(world, an_item("a"))
    until = world.clock.now() + 10 * DAY
    await decide(world, "olga", ItemDecision.SHORTEN, "a", until=until)
    assert await carry_out_due(world.parts) == 0
    await world.clock.advance(10 * DAY)
    await carry_out_due(world.parts)
    assert not world.target.holds("dave_login", "app_writer")


async def test_narrowed_access_is_there_before_the_wide_one_goes(world):
    await a_review(world, an_item("a"))
    with pytest.raises(InvalidInput, match="narrower role"):
        await decide(world, "olga", ItemDecision.NARROW, "a")
    await decide(world, "olga", ItemDecision.NARROW, "a", narrow_to="app_reader")
    await carry_out_due(world.parts)
    assert world.target.holds("dave_login", "app_reader")
    assert not world.target.holds("dave_login", "app_writer")


async def test_a_narrowing_that_is_taken_back_leaves_nothing_of_its_own(world):
    await a_review(world, an_item("a"), an_item("b", account="eve_login", principal="eve"))
    world.target.target.grant("eve_login", "app_reader")
    await decide(world, "olga", ItemDecision.NARROW, "a", "b", narrow_to="app_reader")
    await carry_out_due(world.parts)
    for name in ("itm_a", "itm_b"):
        await undo_item(world.control, world.actor("olga"), name, "needed after all")
    await carry_out_due(world.parts)
    for login, narrow in (("dave_login", False), ("eve_login", True)):
        assert world.target.holds(login, "app_writer")
        assert world.target.holds(login, "app_reader") is narrow


async def test_access_given_back_between_two_reads_is_listed_once(world):
    await a_review(world, an_item("a"))
    await reconcile_resource(world.parts, "pg-prod")
    await decide(world, "olga", REVOKE, "a")
    await carry_out_due(world.parts)
    await undo_item(world.control, world.actor("olga"), "itm_a", "needed after all")
    await carry_out_due(world.parts)
    listed = await world.read(lambda reader: reader.drifts(resource="pg-prod"))
    assert [(one.account, one.role) for one in listed] == [("dave_login", "app_writer")]


async def test_a_narrower_role_is_one_that_lapse_gives_there_under_either_name(world):
    await a_review(world, an_item("a"))
    with pytest.raises(InvalidInput, match="`app_readr` is no role that lapse gives on `pg-prod`") as refused:
        await decide(world, "olga", ItemDecision.NARROW, "a", narrow_to="app_readr")
    assert refused.value.hint == "did you mean `app_reader`?"
    with pytest.raises(InvalidInput, match="is what is held already"):
        await decide(world, "olga", ItemDecision.NARROW, "a", narrow_to="writer")
    assert (await item(world, "a")).decision is None
    (done,) = await decide(world, "olga", ItemDecision.NARROW, "a", narrow_to="reader")
    assert done.narrow_to == "app_reader"


async def test_a_narrower_role_that_left_the_catalog_is_said_and_tried_again(world):
    await a_review(world, an_item("a"))
    await decide(world, "olga", ItemDecision.NARROW, "a", narrow_to="app_reader")
    resource = (await world.read(lambda reader: reader.catalog())).resources["pg-prod"]
    kept = tuple(one for one in resource.entitlements if one.native["role"] != "app_reader")
    await world.change_catalog(resources={"pg-prod": replace(resource, entitlements=kept)})
    assert await carry_out_due(world.parts) == 1
    assert world.target.holds("dave_login", "app_writer")
    assert "`app_reader` is not managed by lapse on pg-prod" in (await item(world, "a")).outcome


async def test_who_cannot_say_hands_it_on(world):
    await a_review(world, an_item("a"))
    (handed,) = await decide(world, "olga", ItemDecision.CANNOT_SAY, "a")
    assert (handed.decision, handed.turn) == (None, ("carol",))
    (decided,) = await decide(world, "carol", KEEP, "a")
    assert [vote.by for vote in decided.votes] == ["olga", "carol"]


async def test_two_stages_are_two_persons_and_the_last_one_counts(world):
    await a_review(world, an_item("a"), plan=ReviewPlan(stages=2))
    (first,) = await decide(world, "olga", KEEP, "a")
    assert first.decision is None
    with pytest.raises(Refused, match="decided item itm_a before"):
        await decide(world, "olga", KEEP, "a")
    (second,) = await decide(world, "carol", REVOKE, "a")
    assert second.decision is REVOKE


async def test_an_item_is_handed_on_by_those_who_are_asked(world):
    await a_review(world, an_item("a"))
    with pytest.raises(Refused, match="not asked"):
        await reassign_items(world.control, world.actor("alice"), ["itm_a"], "bob", "busy")
    with pytest.raises(Refused, match="holds or approved"):
        await reassign_items(world.control, world.actor("olga"), ["itm_a"], "dave", "busy")
    with pytest.raises(NotFound):
        await reassign_items(world.control, world.actor("olga"), ["itm_a"], "nobody", "busy")
    (handed,) = await reassign_items(world.control, world.actor("olga"), ["itm_a"], "bob", "busy")
    assert handed.turn == ("bob",)
    await decide(world, "bob", KEEP, "a")


async def test_that_a_reviewer_looked_is_recorded_once(world):
    await a_review(world, an_item("a"))
    assert (await open_item(world.control, world.actor("alice"), "itm_a")).opened_at is None
    opened = await open_item(world.control, world.actor("olga"), "itm_a")
    await world.clock.advance(DAY)
    assert (await open_item(world.control, world.actor("olga"), "itm_a")).opened_at == opened.opened_at


async def test_reviewers_are_asked_reminded_and_followed_by_the_next(world):
    await a_review(world, an_item("a"), plan=ReviewPlan(within=8 * DAY, escalate_after=5 * DAY))

    async def told():
        before = len(world.notices)
        await move_reviews_on(world.control)
        await move_reviews_on(world.control)
        return [(one.kind, one.to) for one in world.notices[before:]]

    assert await told() == [(NoticeKind.ITEMS_ASKED, ("olga",))]
    assert await told() == []
    await world.clock.advance(4 * DAY)
    assert await told() == [(NoticeKind.ITEMS_REMINDER, ("olga",))]
    await world.clock.advance(1 * DAY)
    assert await told() == [(NoticeKind.ITEMS_ASKED, ("carol",))]
    await world.clock.advance(2 * DAY)
    assert await told() == [(NoticeKind.ITEMS_REMINDER, ("carol",))]


async def test_at_the_deadline_the_default_is_taken_and_shown_as_that(world):
    await a_review(world, an_item("a"), an_item("b", role="app_reader"), plan=ReviewPlan(by_default=REVOKE))
    await decide(world, "olga", KEEP, "b")
    await world.clock.advance(14 * DAY)
    await move_reviews_on(world.control)
    taken = await item(world, "a")
    assert (taken.decision, taken.by_default, taken.decided_by) == (REVOKE, True, "system:clock")
    assert not (await item(world, "b")).by_default
    await carry_out_due(world.parts)
    assert not world.target.holds("dave_login", "app_writer")


async def test_without_a_default_what_nobody_decided_stays_undecided(world):
    await a_review(world, an_item("a"))
    await world.clock.advance(15 * DAY)
    await move_reviews_on(world.control)
    assert (await item(world, "a")).decision is None
    with pytest.raises(Refused, match="time to decide review rev_1 was over"):
        await decide(world, "olga", KEEP, "a")


async def test_nothing_is_ever_carried_out_for_a_canary(world):
    await a_review(world, an_item("a", account="morgan.ellis12", canary=True))
    await decide(world, "olga", REVOKE, "a")
    assert await world.read(lambda reader: reader.removals()) == []
    assert await carry_out_due(world.parts) == 0


async def test_two_persons_sign_what_was_sealed(world):
    await a_review(world, an_item("a"))
    with pytest.raises(Refused, match="review rev_1 is validated"):
        await sign_review(world.control, world.actor("olga"), "rev_1", "ab" * 6)
    await seal(world)
    with pytest.raises(InvalidInput, match="too short"):
        await sign_review(world.control, world.actor("olga"), "rev_1", "abab")
    with pytest.raises(Conflict, match="another hash"):
        await sign_review(world.control, world.actor("olga"), "rev_1", "cd" * 6)
    assert not (await sign_review(world.control, world.actor("alice"), "rev_1", "sha256:" + "ab" * 6)).signed
    with pytest.raises(Refused, match="signed review rev_1 already"):
        await sign_review(world.control, world.actor("alice-admin"), "rev_1", "ab" * 6)
    assert (await sign_review(world.control, world.actor("olga"), "rev_1", "ab" * 32, "read it")).signed


async def test_an_exception_has_an_owner_a_reason_and_an_end(world):
    until = world.clock.now() + 30 * DAY
    wanted = NewException(owner="olga", reason="the nightly backup", until=until, resource="pg-prod", account="svc")
    made = await accept(world.control, world.actor("bob"), wanted)
    assert made.in_force(world.clock.now())
    for broken, says in (
        (replace(wanted, reason=""), "needs a reason"),
        (replace(wanted, until=until + 400 * DAY), "within 366 days"),
        (replace(wanted, finding="ab"), "about a finding, or about"),
        (replace(wanted, account=""), "about a finding, or about"),
    ):
        with pytest.raises(InvalidInput, match=says):
            await accept(world.control, world.actor("bob"), broken)
    with pytest.raises(NotFound, match="no active person"):
        await accept(world.control, world.actor("bob"), replace(wanted, owner="gone"))
    with pytest.raises(Refused, match="your own access"):
        await accept(world.control, world.actor("bob"), replace(wanted, account="bob_login"))
    ended = await end_exception(world.control, world.actor("bob"), made.id)
    assert not ended.in_force(world.clock.now())
    with pytest.raises(Refused, match="ended already"):
        await end_exception(world.control, world.actor("bob"), made.id)


async def test_an_empty_act_is_refused(world):
    with pytest.raises(InvalidInput, match="no item is named"):
        await decide_items(world.control, world.actor("olga"), [], ItemVerdict(decision=KEEP))
