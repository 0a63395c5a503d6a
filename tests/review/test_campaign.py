"""A whole review on record, on a real store and engine with a target in memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fakes.connector import FakeConnector, Fault
from lapse.bootstrap.app import open_app
from lapse.bootstrap.home import Home, Settings
from lapse.bootstrap.recurring import start_due_reviews
from lapse.bootstrap.reviewing import desk_of
from lapse.bootstrap.setup import set_up
from lapse.control.catalogs import apply
from lapse.control.decisions import approve
from lapse.control.policies import activate_policy
from lapse.control.questions import NewRequest
from lapse.control.requests import create_request
from lapse.control.reviews import ItemVerdict, decide_items
from lapse.control.schedules import NewSchedule, add_schedule
from lapse.control.targets import add_target
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.reviews import FindingState, ItemDecision, ReviewPlan, ReviewState
from lapse.domain.schedules import first_after
from lapse.enforcement.removals import carry_out_review
from lapse.review import campaign
from lapse.review.detection.changes import compare
from lapse.review.pack import verify_pack
from lapse.review.terms import ReviewTerms
from support.world import CATALOG, PEOPLE, POLICY

ADMIN = Actor(name="root", scopes=frozenset(Scope))
OLGA = Actor(name="olga", scopes=PEOPLE)


@pytest.fixture
async def app(tmp_path):
    home = Home(tmp_path / "home")
    await set_up(home, Settings())
    fake = FakeConnector()
    fake.target.add_login("alice_login", "mallory")
    fake.target.grant("mallory", "app_writer")
    async with open_app(home, connect=lambda *_: fake) as app:
        await apply(app.control, ADMIN, CATALOG)
        await activate_policy(app.control, ADMIN, {"policy.yaml": POLICY})
        (tmp_path / "dsn").write_text("postgresql://x")
        await add_target(app.control, ADMIN, "pg-prod", f"file:{tmp_path}/dsn")
        await app.targets.refresh(app.store)
        wanted = NewRequest(entitlement="pg-prod/reader", duration=timedelta(hours=2), justification="incident 4711")
        request = await create_request(app.control, Actor(name="alice", scopes=PEOPLE), wanted)
        await approve(app.control, Actor(name="bob", scopes=PEOPLE), request.id)
        await app.settle()
        yield replace(app), fake


async def adjusted(app):
    desk = desk_of(app)
    review = await campaign.start(desk, OLGA, "tag:env=prod", "2026")
    await campaign.collect_evidence(desk, OLGA, review.id)
    await campaign.audit(desk, OLGA, review.id)
    await campaign.validate(desk, OLGA, review.id)
    await campaign.workflows(desk, OLGA, review.id)
    await campaign.adjust(desk, OLGA, review.id)
    return desk, review.id


async def said(app, actor, item, decision, reason, **more):
    verdict = ItemVerdict(decision=decision, reason=reason, **more)
    return (await decide_items(app.control, actor, [item.id], verdict))[0]


async def item_about(app, review_id, account):
    items = await app.store.read(lambda reader: reader.items(review_id))
    return next(item for item in items if item.account == account)


async def test_six_steps_lead_to_a_pack_that_verifies_with_proofs_from_the_ledger(app):
    app, _ = app
    desk, review_id = await adjusted(app)
    pack = await campaign.document(desk, OLGA, review_id)
    outcome = verify_pack(str(pack.archive))
    assert outcome.ok, outcome.problems
    assert outcome.entries_proved > 0
    review = await app.store.read(lambda reader: reader.review(review_id))
    assert (review.state, review.hashes["manifest"]) == (ReviewState.SEALED, pack.manifest_sha256)


async def test_the_granted_and_the_standing_permission_are_both_items(app):
    app, _ = app
    _, review_id = await adjusted(app)
    assert (await item_about(app, review_id, "alice_login")).holding == "grant"
    standing = await item_about(app, review_id, "mallory")
    assert (standing.holding, standing.recommendation) == ("standing", ItemDecision.REVOKE)


async def test_a_revocation_is_carried_out_and_read_back(app):
    app, fake = app
    _, review_id = await adjusted(app)
    item = await item_about(app, review_id, "mallory")
    await said(app, OLGA, item, ItemDecision.REVOKE, "nobody knows why")
    await carry_out_review(app.parts, review_id)
    done = await item_about(app, review_id, "mallory")
    assert done.carried_out_at is not None
    assert not fake.holds("mallory", "app_writer")


@pytest.mark.parametrize("fault", [Fault.UNREACHABLE, Fault.APPLIED])
async def test_a_revocation_that_fails_is_not_done_until_the_target_refuses(app, fault):
    app, fake = app
    _, review_id = await adjusted(app)
    item = await item_about(app, review_id, "mallory")
    await said(app, OLGA, item, ItemDecision.REVOKE, "nobody knows why")
    fake.inject(fault, on="remove")
    await carry_out_review(app.parts, review_id)
    assert (await item_about(app, review_id, "mallory")).carried_out_at is None
    await carry_out_review(app.parts, review_id)
    assert (await item_about(app, review_id, "mallory")).carried_out_at is not None


async def test_a_grant_that_a_reviewer_revokes_ends(app):
    app, fake = app
    _, review_id = await adjusted(app)
    item = await item_about(app, review_id, "alice_login")
    await said(app, OLGA, item, ItemDecision.REVOKE, "the incident is over")
    await app.enforcer.tick()
    await carry_out_review(app.parts, review_id)
    assert (await item_about(app, review_id, "alice_login")).carried_out_at is not None
    assert not fake.holds("alice_login", "app_reader")


async def test_nobody_reviews_an_own_permission_and_reasons_are_needed(app):
    app, _ = app
    _, review_id = await adjusted(app)
    own = await item_about(app, review_id, "alice_login")
    with pytest.raises(Refused, match="own access"):
        await said(app, Actor(name="alice-admin", scopes=PEOPLE), own, ItemDecision.KEEP, "mine")
    standing = await item_about(app, review_id, "mallory")
    with pytest.raises(InvalidInput, match="needs a reason"):
        await said(app, OLGA, standing, ItemDecision.KEEP, " ")


async def test_steps_are_taken_in_order_and_a_sealed_review_is_closed(app):
    app, _ = app
    desk = desk_of(app)
    review = await campaign.start(desk, OLGA, "all", "2026")
    with pytest.raises(Refused, match="is started: its next step is collect, not audit") as refused:
        await campaign.audit(desk, OLGA, review.id)
    assert refused.value.hint == f"`lapse review collect {review.id}`"
    desk, review_id = await adjusted(app)
    await campaign.document(desk, OLGA, review_id)
    with pytest.raises(Refused, match="is sealed: nothing in it changes"):
        await campaign.document(desk, OLGA, review_id)
    item = await item_about(app, review_id, "mallory")
    with pytest.raises(Refused, match="sealed"):
        await said(app, OLGA, item, ItemDecision.KEEP, "too late")


async def test_a_target_that_cannot_be_read_is_said_and_is_no_pass(app):
    app, fake = app
    fake.inject(Fault.UNREACHABLE, on="observe", times=None)
    desk, review_id = await adjusted(app)
    result = await campaign.result_of(desk, review_id)
    assert any(problem.source == "pg-prod" for problem in result.snapshot.manifest.problems)
    assert "L1" in {run.detector for run in result.not_assessed}


async def test_an_interrupted_collection_is_kept_aside_and_done_again(app):
    app, _ = app
    desk = desk_of(app)
    review = await campaign.start(desk, OLGA, "all", "2026")
    left = desk.folder_of(review.id) / "snapshot"
    left.mkdir(parents=True)
    (left / "half.parquet").write_bytes(b"x")
    await campaign.collect_evidence(desk, OLGA, review.id)
    assert (desk.folder_of(review.id) / "snapshot.interrupted-0" / "half.parquet").is_file()


async def test_a_scope_of_people_asks_about_what_they_hold(app):
    app, _ = app
    desk = desk_of(app)
    review = await campaign.start(desk, OLGA, "tag:env=prod and principal:alice", "2026")
    await campaign.collect_evidence(desk, OLGA, review.id)
    await campaign.audit(desk, OLGA, review.id)
    result = await campaign.validate(desk, OLGA, review.id)
    assert {item.account for item in result.items} == {"alice_login"}


async def test_items_are_asked_with_canaries_among_them_that_nobody_sees_until_the_end(app):
    app, _ = app
    desk = desk_of(app)
    terms = ReviewTerms(plan=ReviewPlan(canaries=3, seed=7, fallback="carol"))
    review = await campaign.start(desk, OLGA, "tag:env=prod", "2026", terms)
    for step in (campaign.collect_evidence, campaign.audit, campaign.validate, campaign.workflows, campaign.adjust):
        await step(desk, OLGA, review.id)
    items = await app.store.read(lambda reader: reader.items(review.id))
    assert sum(item.canary for item in items) == 3
    assert all(item.asked for item in items)
    assert (await app.store.read(lambda reader: reader.review(review.id))).due_at is not None
    result = await campaign.result_of(desk, review.id)
    assert len(result.canaries) == 3
    assert not any(item.canary for item in result.items)
    pack = await campaign.document(desk, OLGA, review.id)
    assert verify_pack(str(pack.archive)).ok
    report = (pack.folder / "report.html").read_text()
    assert "3 made-up items, plainly wrong, were mixed in" in report
    assert all(canary.account in report for canary in result.canaries)


async def test_a_later_review_knows_what_the_one_before_found(app):
    app, fake = app
    desk, first = await adjusted(app)
    fake.target.revoke("mallory", "app_writer")
    desk, second = await adjusted(app)
    result = await campaign.result_of(desk, second)
    states = {finding.detector: finding.state for finding in result.findings}
    assert states["C22"] is FindingState.OPEN
    fixed = {finding.detector for finding in result.gone if finding.state is FindingState.FIXED}
    assert "L2" in fixed
    found = compare(await campaign.past_of(desk, first), await campaign.past_of(desk, second))
    assert fixed == {finding.detector for finding in found.fixed}


async def test_what_recurs_is_started_once_and_taken_to_where_people_decide(app):
    app, _ = app
    wanted = NewSchedule(name="prod", scope="tag:env=prod", every_months=3, plan=ReviewPlan(canaries=1))
    made = await add_schedule(app.control, OLGA, wanted)
    assert await start_due_reviews(app) == 0

    async def due(tx):
        schedule = await tx.schedule("prod")
        past = first_after(made.next_at - timedelta(days=100), 3)
        await tx.save_schedule(replace(schedule, next_at=past, version=schedule.version + 1))

    await app.store.write(due)
    assert await start_due_reviews(app) == 1
    assert await start_due_reviews(app) == 0
    (review,) = await app.store.read(lambda reader: reader.reviews())
    assert (review.state, review.schedule, review.plan.fallback) == (ReviewState.ADJUSTED, "prod", "olga")
    assert (await app.store.read(lambda reader: reader.schedule("prod"))).last_review == review.id
