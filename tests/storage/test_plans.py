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
    "reply": queries.REPLY,
    "queued entries": ledger_queries.QUEUED,
    "unseen entries": ledger_queries.UNSEEN,
    "entries": ledger_queries.BODIES,
    "entries about": ledger_queries.about(newest_first=True),
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


@pytest.mark.parametrize("name", ["grants due", "requests due", "notices due", "next due", "next due after"])
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
