"""Looks at new evidence, on a real store and engine with a target in memory, with every fault in the way."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from fakes.connector import FakeConnector, Fault
from lapse.bootstrap import looking, reviewing
from lapse.bootstrap.app import open_app
from lapse.bootstrap.home import Home, Settings
from lapse.bootstrap.looking import look, look_where_due, take_off
from lapse.bootstrap.recurring import start_due_reviews, start_missed
from lapse.bootstrap.setup import set_up
from lapse.control.catalogs import apply
from lapse.control.exceptions import NewException, accept
from lapse.control.policies import activate_policy
from lapse.control.schedules import NewSchedule, add_schedule, remove_schedule
from lapse.control.targets import add_target
from lapse.domain.actors import Actor, Scope
from lapse.domain.errors import Conflict, NotFound, Refused, Unavailable
from lapse.domain.looks import current
from lapse.domain.notices import NoticeKind
from lapse.domain.reviews import FindingState, ReviewState
from lapse.domain.schedules import GivenFiles
from lapse.ledger.canonical import decode
from lapse.ports import Page
from lapse.review.detection import detector
from lapse.storage import open_store
from support.clock import HandClock
from support.shaky import ShakyStore
from support.world import CATALOG, POLICY

ADMIN = Actor(name="root", scopes=frozenset(Scope))
BOB = Actor(name="bob", scopes=frozenset({Scope.REVIEW}))
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
SOME = ("L1", "L2", "C22")


class Killed(BaseException):
    """The process dies here."""


class Watch:
    """A schedule that is continuous over one target, and what happens to it."""

    def __init__(self, app, fake, clock, store):
        self.app, self.fake, self.clock, self.store = app, fake, clock, store
        self.troubles, self.step = [], None

    def on_step(self, name):
        if self.step == name:
            self.step = None
            raise Killed

    async def tick(self):
        return await look_where_due(self.app, lambda name, why: self.troubles.append((name, why)))

    async def schedule(self):
        return await self.store.read(lambda reader: reader.schedule("prod"))

    async def states(self):
        schedule, known = await self.schedule(), await self.store.read(lambda reader: reader.known_findings("prod"))
        rows = current(known, schedule.look.at, fixed=True) if schedule.look else []
        return {(row.finding.detector, row.finding.subject.split("/")[1]): str(row.finding.state) for row in rows
                if row.finding.detector == "L2"}  # fmt: skip

    async def entries(self, *kinds):
        await self.app.sequencer.run_once()
        size = await self.store.ledger.size()
        found = [decode(body) for _, body in await self.store.ledger.entries(0, size)]
        return [entry for entry in found if entry.type.startswith(kinds)]

    async def notices(self):
        postings = await self.store.read(lambda reader: reader.postings(Page(limit=99), states=()))
        return [one.notice for one in postings]

    def folders(self):
        return sorted(path.name for path in (self.app.home.reviews / "looks" / "prod").iterdir())


@asynccontextmanager
async def watching(folder, **schedule):
    home, clock = Home(folder / "home"), HandClock()
    await set_up(home, Settings())
    fake = FakeConnector(clock=clock)
    fake.target.add_login("mallory", "eve")
    fake.target.grant("mallory", "app_writer")
    store = ShakyStore(await open_store(f"sqlite:///{folder}/lapse.db"))
    steps = []
    async with open_app(
        home, clock=clock, connect=lambda *_: fake, store=store, on_step=lambda name: [s(name) for s in steps]
    ) as app:
        await apply(app.control, ADMIN, CATALOG)
        await activate_policy(app.control, ADMIN, {"policy.yaml": POLICY})
        (folder / "dsn").write_text("postgresql://x")
        await add_target(app.control, ADMIN, "pg-prod", f"file:{folder}/dsn")
        await app.targets.refresh(app.store)
        wanted = NewSchedule(name="prod", scope="resource:pg-prod", every_months=3, continuous=True, **schedule)
        await add_schedule(app.control, BOB, wanted)
        watch = Watch(app, fake, clock, store)
        steps.append(watch.on_step)
        yield watch


@pytest.fixture(autouse=True)
def few_detectors(monkeypatch):
    """What every detector finds is for other tests."""
    some = tuple(one for one in detector.all_detectors() if one.id in SOME)
    monkeypatch.setattr(detector, "all_detectors", lambda: some)


@pytest.fixture
async def watch(tmp_path):
    async with watching(tmp_path) as watch:
        yield watch


async def test_each_day_findings_are_brought_up_to_date_with_entries_for_what_changed_and_one_notice(watch):
    assert await watch.tick() == 1
    assert await watch.tick() == 0
    assert await watch.states() == {("L2", "mallory"): "new"}
    first = await watch.entries("finding.", "look.")
    assert {entry.type for entry in first} == {"finding.new", "look.recorded"}
    (notice,) = await watch.notices()
    assert (notice.kind, notice.to) == (NoticeKind.FINDINGS_NEW, ("bob",))

    await watch.clock.advance(DAY)
    assert await watch.tick() == 1
    assert await watch.states() == {("L2", "mallory"): "open"}
    second = (await watch.entries("finding.", "look."))[len(first) :]
    assert [entry.type for entry in second] == ["look.recorded"]

    watch.fake.target.revoke("mallory", "app_writer")
    watch.fake.target.grant("eve", "app_writer")
    await watch.clock.advance(40 * DAY)
    assert [await watch.tick() for _ in range(3)] == [1, 0, 0]
    assert await watch.states() == {("L2", "mallory"): "fixed", ("L2", "eve"): "new"}
    assert len(await watch.notices()) == 2

    watch.fake.target.grant("mallory", "app_writer")
    done = await look(watch.app, BOB, "prod")
    assert {one.finding.state for one in done.changed} == {FindingState.BACK}
    assert (await watch.states())["L2", "mallory"] == "back again"
    schedule = await watch.schedule()
    assert schedule.look.findings == (await watch.entries("look."))[-1].after["findings"]
    assert watch.folders() == [schedule.last_look]
    assert await watch.store.read(lambda reader: reader.reviews()) == []


async def test_a_target_that_is_away_makes_nothing_fixed(watch):
    await watch.tick()
    watch.fake.inject(Fault.UNREACHABLE, on="observe")
    watch.fake.target.revoke("mallory", "app_writer")
    await watch.clock.advance(DAY)
    assert await watch.tick() == 1
    assert "pg-prod" in (await watch.schedule()).look.unread
    assert await watch.states() == {("L2", "mallory"): "not known"}
    await watch.clock.advance(DAY)
    await watch.tick()
    assert await watch.states() == {("L2", "mallory"): "fixed"}


async def test_what_is_accepted_is_open_again_when_that_ends(watch):
    await watch.tick()
    known = await watch.store.read(lambda reader: reader.known_findings("prod"))
    (one,) = [one.finding for one in known if one.finding.detector == "L2"]
    until = watch.clock.now() + 2 * DAY
    wanted = NewException(owner="olga", reason="a test", until=until, finding=one.fingerprint)
    await accept(watch.app.control, BOB, wanted)
    states = []
    for _ in range(2):
        await watch.clock.advance(DAY)
        await watch.tick()
        states.append((await watch.states())["L2", "mallory"])
    assert states == ["accepted", "open"]


class Failing:
    """An engine that answers some queries, then no more."""

    def __init__(self, engine, after):
        self._engine, self._left = engine, after

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def query(self, sql, parameters=None):
        self._left -= 1
        if self._left < 0:
            raise Unavailable("the engine is out of memory")
        return self._engine.query(sql, parameters)


async def test_a_look_that_fails_half_way_changes_nothing_is_told_once_and_is_tried_again(watch, monkeypatch):
    await watch.tick()
    before, new_engine = await watch.states(), reviewing.new_engine
    monkeypatch.setattr(reviewing, "new_engine", lambda *place: Failing(new_engine(*place), 5))
    watch.fake.target.revoke("mallory", "app_writer")
    await watch.clock.advance(DAY)
    assert [await watch.tick() for _ in range(2)] == [0, 0]
    assert watch.troubles == [("prod", "the engine is out of memory")]
    failure = (await watch.schedule()).failure
    assert (failure.tries, failure.reason) == (1, "the engine is out of memory")
    await watch.clock.advance(5 * MINUTE)
    assert await watch.tick() == 0
    assert (await watch.schedule()).failure.tries == 2
    assert await watch.states() == before
    assert [one.kind for one in await watch.notices()].count(NoticeKind.LOOK_FAILED) == 1
    assert len(await watch.entries("look.failed")) == 2
    assert watch.folders() == [(await watch.schedule()).last_look]

    monkeypatch.setattr(reviewing, "new_engine", new_engine)
    await watch.clock.advance(10 * MINUTE)
    assert await watch.tick() == 1
    assert (await watch.schedule()).failure is None
    assert await watch.states() == {("L2", "mallory"): "fixed"}


async def test_a_crash_between_collecting_and_recording_is_made_good_by_the_next_tick(watch):
    watch.step = "look.seen"
    with pytest.raises(Killed):
        await watch.tick()
    assert (await watch.schedule()).look is None
    assert len(watch.folders()) == 1
    assert await watch.entries("finding.", "look.") == []
    assert await watch.tick() == 1
    assert await watch.states() == {("L2", "mallory"): "new"}
    assert watch.folders() == [(await watch.schedule()).last_look]
    assert len(await watch.notices()) == 1


@pytest.mark.parametrize(("fate", "recorded"), [("unheard", 1), ("lost", 0)])
async def test_a_store_that_reports_a_failure_is_asked_what_is_on_record(watch, fate, recorded):
    watch.store.fate.append(fate)
    assert await watch.tick() == recorded
    schedule = await watch.schedule()
    assert (schedule.look is not None, schedule.failure is None) == (bool(recorded), bool(recorded))
    assert len(await watch.entries("look.recorded")) == recorded
    await watch.clock.advance(5 * MINUTE)
    assert await watch.tick() == 1 - recorded
    assert len(await watch.entries("look.recorded")) == 1
    assert await watch.states() == {("L2", "mallory"): "new"}


async def test_of_two_servers_that_look_at_once_one_records(watch, monkeypatch):
    both, there = asyncio.Event(), []
    at_desk = looking.at_desk

    async def together(app, work):
        seen = await at_desk(app, work)
        there.append(seen)
        if len(there) == 2:
            both.set()
        await both.wait()
        return seen

    monkeypatch.setattr(looking, "at_desk", together)
    assert sorted(await asyncio.gather(watch.tick(), watch.tick())) == [0, 1]
    assert (len(await watch.entries("look.recorded")), await watch.entries("look.failed")) == (1, [])
    assert len(await watch.entries("finding.new")) == len(await watch.store.read(lambda r: r.known_findings("prod")))
    assert len(await watch.notices()) == 1
    schedule = await watch.schedule()
    assert (schedule.failure, watch.folders()) == (None, [schedule.last_look])


async def test_files_are_read_anew_each_time_and_one_that_is_gone_is_a_failure(tmp_path):
    folder = tmp_path / "evidence"
    folder.mkdir()
    rows = folder / "access_observed.csv"
    head = "resource,account,role,holding,depth,managed,observed_at\n"
    line = "pg-other,{},app_writer,direct,0,true,2026-03-01T00:00:00Z\n"
    rows.write_text(head + line.format("zoe"))
    async with watching(tmp_path, given=GivenFiles(imports=str(folder))) as watch:
        await watch.tick()
        assert (await watch.states())["L2", "zoe"] == "new"
        rows.write_text(head + line.format("yan"))
        await look(watch.app, BOB, "prod")
        assert (await watch.states())["L2", "zoe"] == "fixed"
        assert (await watch.states())["L2", "yan"] == "new"
        rows.unlink()
        folder.rmdir()
        with pytest.raises(NotFound, match="there is no folder"):
            await look(watch.app, BOB, "prod")
        assert (await watch.schedule()).failure.tries == 1
        assert (await watch.states())["L2", "yan"] == "new"


async def test_a_schedule_that_is_taken_off_meanwhile_is_said_to_be_no_more(watch, monkeypatch):
    at_desk = looking.at_desk

    async def taken_off(app, work):
        seen = await at_desk(app, work)
        await remove_schedule(app.control, BOB, "prod")
        return seen

    monkeypatch.setattr(looking, "at_desk", taken_off)
    with pytest.raises(NotFound, match="no review schedule `prod`"):
        await look(watch.app, BOB, "prod")
    assert await watch.store.read(lambda reader: reader.known_findings("prod")) == []


async def test_what_is_taken_off_leaves_no_evidence_behind(watch):
    await watch.tick()
    await take_off(watch.app, BOB, "prod")
    assert list((watch.app.home.reviews / "looks").iterdir()) == []
    assert await watch.store.read(lambda reader: reader.known_findings("prod")) == []
    assert await watch.entries("finding.new")


async def test_who_may_look(watch):
    with pytest.raises(Refused):
        await look(watch.app, Actor(name="alice", scopes=frozenset({Scope.AUDIT})), "prod")
    with pytest.raises(NotFound):
        await look(watch.app, BOB, "other")


async def test_after_an_absence_the_latest_period_is_reviewed_and_the_missed_ones_when_somebody_says_so(watch):
    await watch.clock.advance(timedelta(days=300))  # from March on
    assert await start_due_reviews(watch.app) == 1
    assert await start_due_reviews(watch.app) == 0
    (review,) = await watch.store.read(lambda reader: reader.reviews())
    assert (review.period, review.state) == ("2026-07-01..2026-09-30", ReviewState.ADJUSTED)
    schedule = await watch.schedule()
    assert schedule.missed == ("2026-01-01..2026-03-31", "2026-04-01..2026-06-30")
    assert [entry.type for entry in await watch.entries("schedule.")] == [
        "schedule.added", "schedule.missed", "schedule.started",
    ]  # fmt: skip
    assert [one.kind for one in await watch.notices()].count(NoticeKind.REVIEW_MISSED) == 1
    made = await start_missed(watch.app, BOB, "prod", "2026-04-01..2026-06-30")
    assert (await watch.schedule()).missed == ("2026-01-01..2026-03-31",)
    with pytest.raises(NotFound):
        await start_missed(watch.app, BOB, "prod", "2026-04-01..2026-06-30")
    assert await start_due_reviews(watch.app) == 1
    assert (await watch.store.read(lambda r: r.review(made.id))).state is ReviewState.ADJUSTED


@pytest.mark.parametrize("fate", ["unheard", "lost"])
async def test_whatever_the_store_reports_one_review_is_started_for_one_period(watch, fate):
    await watch.clock.advance(timedelta(days=31))
    watch.store.fate.append(fate)
    try:
        await start_due_reviews(watch.app)
    except Unavailable:
        await start_due_reviews(watch.app)
    assert len(await watch.store.read(lambda reader: reader.reviews())) == 1


async def test_two_servers_start_one_review_for_one_period(watch, monkeypatch):
    await watch.clock.advance(timedelta(days=31))
    monkeypatch.setattr("lapse.bootstrap.recurring._take_on", nothing)
    done = await asyncio.gather(*(start_due_reviews(watch.app) for _ in range(2)), return_exceptions=True)
    assert not [one for one in done if isinstance(one, BaseException) and not isinstance(one, Conflict)]
    assert len(await watch.store.read(lambda reader: reader.reviews())) == 1


async def nothing(*_args):
    """Takes nothing on."""


async def test_one_schedule_that_fails_keeps_no_other_from_being_reviewed(watch):
    wanted = NewSchedule(name="aaa", scope="resource:pg-gone", every_months=1)
    await add_schedule(watch.app.control, BOB, wanted)
    await watch.clock.advance(timedelta(days=31))
    with pytest.raises(Exception, match="no resource is in scope"):
        await start_due_reviews(watch.app)
    (review,) = await watch.store.read(lambda reader: reader.reviews())
    assert (review.schedule, review.state) == ("prod", ReviewState.ADJUSTED)
