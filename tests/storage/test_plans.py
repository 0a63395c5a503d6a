"""What is asked often is answered by an index: no query of a tick or a request walks a whole table."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from lapse.storage import ledger_queries, migrate, queries, schema, transaction
from lapse.storage.statements import Query
from support.stores import a_grant

QUICK = {
    "one grant": queries.by_key(schema.grants),
    "grants due": queries.GRANTS_DUE,
    "grants due besides": queries.GRANTS_DUE_BESIDES,
    "requests due": queries.REQUESTS_DUE,
    "notices due": queries.NOTICES_DUE,
    "next due": queries.NEXT_DUE,
    "next due after": queries.NEXT_DUE_AFTER,
    "grants of accounts": queries.GRANTS_OF_ACCOUNTS,
    "grants going on": queries.GRANTS_GOING_ON,
    "grants held": queries.GRANTS_HELD,
    "requests made": queries.REQUESTS_MADE,
    "requests in a bundle": queries.REQUESTS_IN_BUNDLE,
    "delegations in force": queries.DELEGATIONS_UNTIL,
    "post-reviews due": queries.OPEN_AFTERMATHS,
    "proposals": queries.OPEN_PROPOSALS,
    "decisions": queries.everything(schema.decisions, "request_id"),
    "token": queries.TOKEN_BY_DIGEST,
    "policy": queries.ACTIVE_POLICY,
    "items": queries.everything(schema.items, "review_id"),
    "known findings": queries.everything(schema.known_findings, "schedule"),
    "reply": queries.REPLY,
    "queued entries": ledger_queries.QUEUED,
    "unseen entries": ledger_queries.UNSEEN,
    "entries": ledger_queries.BODIES,
    "entries about": ledger_queries.about(newest_first=True),
    "grants by id": queries.GRANTS_BY_ID,
    "credential by login": queries.CREDENTIAL_BY_LOGIN,
    "credentials in force": queries.CREDENTIALS_IN_FORCE,
    "sessions by id": queries.SESSIONS_BY_ID,
    "open sessions": queries.OPEN_SESSIONS,
    "open sessions of grants": queries.OPEN_SESSIONS_OF_GRANTS,
    "open sessions of gateways": queries.OPEN_SESSIONS_OF_GATEWAYS,
    "sessions to cut": queries.SESSIONS_TO_CUT,
    "lost sessions": queries.SESSIONS_LOST,
    "sessions due": queries.SESSIONS_DUE,
    "number of sessions": queries.COUNT_SESSIONS,
    "number of somebody's sessions": queries.COUNT_SESSIONS_OF,
    "segments": queries.SEGMENTS_OF,
    "segments due": queries.SEGMENTS_DUE,
    "holds due": queries.HOLDS_DUE,
    "gateways": queries.OPEN_GATEWAY_RUNS,
    "open sessions of a person": queries.listing(
        schema.sessions, frozenset({"principal", "states"}), unfinished=True, after=False, newest_first=True
    ),
    "waiting holds": queries.listing(
        schema.holds, frozenset({"states"}), unfinished=True, after=False, newest_first=True
    ),
    "live credentials of a grant": queries.listing(
        schema.credentials, frozenset({"grant_id"}), unfinished=True, after=False, newest_first=True
    ),
    "grants by person": queries.listing(
        schema.grants, frozenset({"beneficiary"}), unfinished=False, after=True, newest_first=True
    ),
    "requests by person": queries.listing(
        schema.requests, frozenset({"requester"}), unfinished=False, after=True, newest_first=True
    ),
}


@pytest.fixture
async def plan(tmp_path):
    path = tmp_path / "lapse.db"
    await migrate(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as db:

        def explain(sql, values):
            return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]

        yield explain


def explained(plan, query: Query):
    compiled = query.on("sqlite")
    return plan(compiled.sql, compiled.positional(dict.fromkeys(compiled.names)))


@pytest.mark.parametrize("name", QUICK)
def test_an_index_answers(plan, name):
    for step in explained(plan, QUICK[name]):
        if step.startswith("SCAN") and not step.startswith(
            ("SCAN given", "SCAN json_each", "SCAN (", "SCAN ledger_unplaced")
        ):
            assert "USING" in step, step


DUE = ["grants due", "requests due", "notices due", "sessions due", "segments due", "holds due"]
PARTIAL = {
    "open sessions": "sessions_open",
    "open sessions of grants": "sessions_open_grant",
    "open sessions of gateways": "sessions_open_gateway",
    "sessions to cut": "sessions_open_gateway",
    "lost sessions": "sessions_lost",
    "number of sessions": "sessions_open_resource",
    "number of somebody's sessions": "sessions_open_resource",
}


@pytest.mark.parametrize("name", PARTIAL)
def test_questions_about_few_sessions_look_at_those_only(plan, name):
    steps = explained(plan, QUICK[name])
    assert any(PARTIAL[name] in step.split() for step in steps), steps


@pytest.mark.parametrize("name", [*DUE, "next due", "next due after"])
def test_what_is_due_is_read_in_order_without_sorting(plan, name):
    steps = explained(plan, QUICK[name])
    assert len(steps) == 1
    assert "_due" in steps[0], steps


def test_saving_many_grants_looks_each_up_by_id(plan):
    rows = [transaction.shelves.GRANTS.row(a_grant(f"g{n}")) for n in range(30)]
    ((sql, values),) = transaction._SAVE["grants"].marks(rows)
    steps = plan(sql, values)
    assert any(step.startswith("SEARCH grants USING") and "id=?" in step for step in steps), steps
    assert not any(step.startswith("SCAN grants") for step in steps), steps
