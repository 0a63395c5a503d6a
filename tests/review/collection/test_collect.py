"""Collecting: from a store with its ledger, from a bare target, and what is said about what is missing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

import pyarrow.parquet as pq
import pytest

from fakes.store import FakeStore
from lapse.control.catalogs import apply
from lapse.control.decisions import approve
from lapse.control.gateways import beat, register_gateway
from lapse.control.sequencer import Sequencer
from lapse.domain.access import Observation, ObservedAccount, ObservedMembership, ObservedPrivilege
from lapse.domain.catalog import Catalog
from lapse.domain.errors import Corrupt, InvalidInput, NotFound
from lapse.domain.guards import GatewayRules
from lapse.domain.reviews import ItemDecision, Usage
from lapse.domain.sessions import SessionEnd, SessionUse
from lapse.domain.times import format_time
from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.review.collection.collect import Inputs, LedgerCheck, collect, collect_brownfield
from lapse.review.collection.snapshot import load_snapshot
from lapse.review.model import Coverage, RunStatus
from lapse.review.scope import parse_scope
from lapse.review.stages import run_stages
from support.approval_story import steps, tell
from support.clock import START
from support.ledgers import SIGNER
from support.sessions import a_session
from support.world import CATALOG, World

SCOPE = parse_scope("tag:env=prod", "2026", review_id="rev_1")


@pytest.fixture
async def world():
    """One grant that ended, one in force, one role added by hand; everything in the ledger."""
    world = await World.create(FakeStore(), catalog=Catalog())
    await apply(world.control, world.admin(), CATALOG)
    for hours, who in ((1, "alice"), (4, "dave")):
        request = await world.ask(who, hours=hours)
        await approve(world.control, world.actor("bob"), request.id)
        await world.enforcer.tick()
    await world.clock.advance(timedelta(hours=2))
    await world.enforcer.tick()
    world.target.target.grant("carol_login", "app_writer")
    await Sequencer(world.store.ledger, SIGNER, world.clock).run_once()
    return world


async def gathered(world, folder, **more):
    inputs = Inputs(
        observations=[await world.target.observe()], ledger_checks=[LedgerCheck(name="hashes", ok=True)], **more
    )
    return await collect(world.store, inputs, SCOPE, folder, world.clock.now())


def table(snapshot, name):
    return pq.read_table(f"{snapshot.folder}/{name}.parquet").to_pylist()


async def test_the_whole_population_is_there_and_reconciled_with_the_ledger(world, tmp_path):
    snapshot = await gathered(world, tmp_path / "s")
    assert snapshot.manifest.problems == ()
    for name, rows in (("requests", 2), ("decisions", 2), ("grants", 2), ("policies", 1), ("resources", 1)):
        found = snapshot.manifest.table(name)
        assert (found.rows, found.coverage) == (rows, Coverage.COMPLETE), name
        assert found.recount in (None, rows)
    assert {g["state"] for g in table(snapshot, "grants")} == {"ended", "active"}
    assert load_snapshot(tmp_path / "s") == snapshot


async def test_access_is_explained_by_its_grant_or_by_nothing(world, tmp_path):
    access = {a["account"]: a for a in table(await gathered(world, tmp_path / "s"), "access_observed")}
    assert access["dave_login"]["grant_id"].startswith("gra_")
    assert access["dave_login"]["principal"] == "dave"
    assert access["carol_login"]["grant_id"] is None
    assert access["carol_login"]["baseline"] is False


async def test_the_review_of_it_finds_the_role_added_by_hand_and_re_derives_the_rest(world, tmp_path):
    result = run_stages(DuckDbEngine, await gathered(world, tmp_path / "s"))
    assert {(f.detector, f.subject) for f in result.findings if f.detector in {"L2", "C1", "C6", "C8", "C9"}} == {
        ("L2", "pg-prod/carol_login/app_writer")
    }
    assert (result.workflows.same, result.workflows.rederived) == (2, 2)
    by_account = {item.account: item for item in result.items}
    assert by_account["carol_login"].recommendation is ItemDecision.REVOKE
    assert by_account["dave_login"].usage is Usage.UNKNOWN
    runs = {run.detector: run for run in result.runs}
    assert runs["C24"].status is RunStatus.CLEAR
    assert runs["L4"].status is RunStatus.NOT_ASSESSED
    assert runs["L4"].missing == ("coverage",)
    assert runs["L7"].status is RunStatus.NOT_ASSESSED
    assert "sightings are samples" in runs["L7"].reason


async def through_the_gateway_only(world):
    """The catalog says so from now on."""
    resource = replace(CATALOG.resources["pg-prod"], gateway=GatewayRules(only=True))
    await apply(world.control, world.admin(), replace(CATALOG, resources={"pg-prod": resource}))


async def sequenced(world):
    await Sequencer(world.store.ledger, SIGNER, world.clock).run_once()


async def test_a_gateway_says_in_which_windows_use_through_it_was_recorded(world, tmp_path):
    began = world.clock.now()
    await register_gateway(world.control, "gw-1/0", ["postgresql"])
    await register_gateway(world.control, "gw-2/0", ["ssh"])
    await world.clock.advance(timedelta(seconds=20))
    snapshot = await gathered(world, tmp_path / "s")
    (row,) = table(snapshot, "coverage")
    assert row["source"] == "gateway gw-1/0"
    assert (row["from_at"], row["to_at"]) == (began, world.clock.now())
    assert not row["complete"]  # the catalog knows ways past it
    assert snapshot.manifest.table("usage").coverage is Coverage.PARTIAL


async def test_where_there_is_no_way_past_the_gateway_a_grant_without_a_session_was_never_used(world, tmp_path):
    await register_gateway(world.control, "gw-1/0", ["postgresql"])
    await through_the_gateway_only(world)
    grants = []
    for who in ("alice", "root"):
        request = await world.ask(who, hours=1)
        await approve(world.control, world.actor("bob"), request.id)
        await world.enforcer.tick()
        grants += [one for one in await world.grants() if one.request_id == request.id]
    used, unused = grants
    at = world.clock.now()
    session = a_session("ses_1", grant_id=used.id, account=used.account, started_at=at, deadline=used.ends_at)
    await world.store.write(lambda tx: tx.add_session(session))
    for _ in range(3 * 60 * 2):
        await world.clock.advance(timedelta(seconds=30))
        await beat(world.control, "gw-1/0")
    await world.enforcer.tick()
    await sequenced(world)
    snapshot = await gathered(world, tmp_path / "s")
    result = run_stages(DuckDbEngine, snapshot)
    (never,) = [one for one in result.findings if one.detector == "L4"]
    assert never.subject == unused.id
    (gap,) = [one for one in result.findings if one.detector == "M13"]
    assert gap.evidence[0]["gap_to"] == format_time(at)  # nothing is known of before


async def test_sessions_through_the_gateway_prove_use_by_their_grant(world, tmp_path):
    (grant,) = await world.grants(beneficiary="dave")
    began = a_session(
        "ses_1", grant_id=grant.id, account="dave_login", principal="dave", started_at=START + timedelta(hours=1)
    )
    over = began.ended(SessionEnd.CLIENT, at=START + timedelta(hours=2), use=SessionUse(statements=7))
    lost = replace(began, id="ses_2").ended(SessionEnd.LOST, at=START + timedelta(hours=2))
    long_ago = replace(began, id="ses_3", started_at=START - timedelta(days=900)).ended(
        SessionEnd.CLIENT, at=START - timedelta(days=899)
    )
    for one in (over, lost, long_ago):
        await world.store.write(lambda tx, one=one: tx.add_session(one))
    snapshot = await gathered(world, tmp_path / "s")
    used = [(u["account"], u["grant_id"], u["ended_at"], u["action"]) for u in table(snapshot, "usage")]
    assert used == [
        ("dave_login", grant.id, over.ended_at, "7 statements"),
        ("dave_login", grant.id, None, None),
    ]
    items = {item.account: item for item in run_stages(DuckDbEngine, snapshot).items}
    assert items["dave_login"].usage is Usage.USED


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_delegates_shifts_escalations_and_smaller_offers_are_no_findings(seed, tmp_path):
    """What was decided by the rules is found neither as an own approval, nor as one of a stranger, nor of too few."""
    story = await tell(steps(Random(seed), 150))  # noqa: S311  a story, not a secret
    await Sequencer(story.world.store.ledger, SIGNER, story.world.clock).run_once()
    result = run_stages(DuckDbEngine, await gathered(story.world, tmp_path / "s"))

    assert result.workflows.same == result.workflows.rederived > 5
    assert [f.summary for f in result.findings if f.detector in {"C1", "C6", "C8", "C9"}] == []


async def test_a_request_that_the_ledger_does_not_know_is_a_problem(world, tmp_path):
    request = (await world.read(lambda r: r.requests(page()))).pop()
    key = next(iter(world.store.tables["request"]))
    forged = dict(world.store.tables["request"])
    forged["req_forged"] = type(request)(
        **{f: getattr(request, f) for f in request.__dataclass_fields__} | {"id": "req_forged"}
    )
    world.store.tables["request"] = forged
    snapshot = await gathered(world, tmp_path / "s")
    assert key
    problems = {(p.table, p.what): p.examples for p in snapshot.manifest.problems}
    assert problems["requests", "in the store, not in the ledger"] == ("req_forged",)
    assert not snapshot.manifest.table("requests").reconciled
    result = run_stages(DuckDbEngine, snapshot)
    assert [d.request_id for d in result.workflows.not_derivable] == ["req_forged"]


async def test_a_target_that_was_not_read_is_a_gap_and_its_detectors_are_not_assessed(world, tmp_path):
    inputs = Inputs(unread={"pg-prod": "the target does not answer"})
    snapshot = await collect(world.store, inputs, SCOPE, tmp_path / "s", world.clock.now())
    assert snapshot.manifest.table("access_observed").coverage is Coverage.ABSENT
    assert [p.what for p in snapshot.manifest.problems] == ["the target does not answer"]
    runs = {run.detector: run for run in run_stages(DuckDbEngine, snapshot).runs}
    for detector in ("L1", "L2", "R1", "R5", "C24"):
        assert runs[detector].status is RunStatus.NOT_ASSESSED


async def test_evidence_from_files_joins_that_of_the_store(world, tmp_path):
    imports = tmp_path / "imports"
    imports.mkdir()
    (imports / "coverage.csv").write_text(
        "resource,from_at,to_at,complete\npg-prod,2026-01-01,2027-01-01,true\npg-prod,yesterday,2027-01-01,true\n"
    )
    (imports / "people.csv").write_text("name,active,left_at\ndave,true,2026-03-01T00:00:00Z\n")
    (imports / "notes.txt").write_text("not evidence")
    snapshot = await gathered(world, tmp_path / "s", imports=imports)
    coverage = snapshot.manifest.table("coverage")
    assert (coverage.rows, coverage.rejected, coverage.recount) == (1, 1, 2)
    said = {p.source: p for p in snapshot.manifest.problems}
    assert "`from_at` is `yesterday`" in said["coverage.csv"].examples[0]
    assert "notes.txt" in said
    result = run_stages(DuckDbEngine, snapshot)
    assert {f.principal for f in result.findings if f.detector == "R1"} == {"dave"}


async def test_nothing_in_scope_and_a_used_folder_are_refused(world, tmp_path):
    with pytest.raises(InvalidInput, match="no resource is in scope"):
        await collect(world.store, Inputs(), parse_scope("tag:env=test", "2026"), tmp_path / "s", START)
    await gathered(world, tmp_path / "s")
    with pytest.raises(InvalidInput, match="is not empty"):
        await gathered(world, tmp_path / "s")


async def test_a_snapshot_that_was_touched_is_not_read(world, tmp_path):
    snapshot = await gathered(world, tmp_path / "s")
    file = tmp_path / "s" / "grants.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(Corrupt, match=r"grants\.parquet"):
        load_snapshot(tmp_path / "s")
    with pytest.raises(NotFound, match="no snapshot"):
        load_snapshot(tmp_path)
    assert snapshot


def a_database(gaps=()):
    return Observation(
        resource="pg-old",
        observed_at=START,
        server="PostgreSQL 15.8",
        accounts=(
            ObservedAccount(name="postgres", can_login=True, powers=("superuser", "createrole")),
            ObservedAccount(name="nina", can_login=True),
            ObservedAccount(name="otto", can_login=True),
            ObservedAccount(name="team", can_login=False),
            ObservedAccount(name="app_owner", can_login=False),
        ),
        memberships=(
            ObservedMembership(member="nina", role="team"),
            ObservedMembership(member="nina", role="app_owner", via=("team",)),
            ObservedMembership(member="team", role="app_owner"),
            ObservedMembership(member="otto", role="app_owner", admin_option=True),
        ),
        privileges=(
            ObservedPrivilege(grantee="otto", object_kind="table", object_name="orders", privileges=(), is_owner=True),
        ),
        gaps=tuple(gaps),
    )


def test_a_database_never_seen_before_gets_a_useful_answer(tmp_path):
    people = tmp_path / "people.csv"
    people.write_text("name,email,login,active,left_at\nNina,nina@example.com,,true,\nOtto,,otto,false,2026-01-31\n")
    scope = parse_scope("all", "2026-Q1")
    snapshot = collect_brownfield(Inputs(observations=[a_database()], people=people), scope, tmp_path / "s", START)
    result = run_stages(DuckDbEngine, snapshot)
    found = {(f.detector, f.subject): str(f.severity) for f in result.findings}
    assert found == {
        ("L1", "pg-old/postgres/(superuser)"): "critical",
        ("L1", "pg-old/postgres/(createrole)"): "high",
        ("L1", "pg-old/nina/team"): "medium",
        ("L1", "pg-old/otto/app_owner"): "high",
        ("L18", "pg-old/postgres"): "low",
        ("L18", "pg-old/nina"): "low",
        ("L18", "pg-old/otto"): "low",
        ("R1", "pg-old/otto"): "critical",
        ("R4", "pg-old/otto"): "medium",
        ("R5", "pg-old/postgres"): "high",
        ("R7", "pg-old/nina/app_owner"): "medium",
    }
    otto = next(item for item in result.items if item.account == "otto")
    assert otto.recommendation is ItemDecision.REVOKE
    assert "left on 2026-01-31" in otto.recommendation_reason


def test_what_cannot_be_known_of_a_bare_database_is_not_assessed(tmp_path):
    snapshot = collect_brownfield(
        Inputs(observations=[a_database()]), parse_scope("all", "2026-Q1"), tmp_path / "s", START
    )
    result = run_stages(DuckDbEngine, snapshot)
    not_assessed = {run.detector for run in result.not_assessed}
    assert {"L2", "L4", "L5", "L6", "R1", "R5", "C1", "C6", "C8", "C9", "C24", "M1", "M8"} <= not_assessed
    assert {item.usage for item in result.items} == {Usage.UNKNOWN}
    assert result.workflows.lag == ()


def test_a_read_with_gaps_never_clears(tmp_path):
    empty = Observation(resource="pg-old", observed_at=START, server="PostgreSQL 15", gaps=("pg_authid: no right",))
    snapshot = collect_brownfield(Inputs(observations=[empty]), parse_scope("all", "2026-Q1"), tmp_path / "s", START)
    result = run_stages(DuckDbEngine, snapshot)
    run = next(run for run in result.runs if run.detector == "L1")
    assert run.status is RunStatus.NOT_ASSESSED
    assert "pg_authid: no right" in run.reason


def page():
    from lapse.ports import Page

    return Page()
