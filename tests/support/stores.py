"""Stores to test against, and small values to put into them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from fakes.store import FakeStore
from lapse.domain.grants import Grant
from lapse.domain.requests import Decision, Request, Verdict
from lapse.domain.terms import Stage, Terms
from lapse.ledger.entry import Entry
from lapse.storage import open_store

NOW = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
TERMS = Terms(
    offer="readers",
    max_duration=4 * HOUR,
    max_total=8 * HOUR,
    pending_timeout=HOUR,
    stages=(Stage(name="leads", quorum=2, approvers=("group:leads", "owner")),),
)


@asynccontextmanager
async def opened(kind, folder, postgres_url=None):
    """A fresh store of `kind`: fake, sqlite or postgresql."""
    if kind == "fake":
        yield FakeStore()
        return
    store = await open_store(postgres_url or f"sqlite:///{folder / 'lapse.db'}")
    try:
        yield store
    finally:
        await store.close()


def a_request(key="req_1", **fields):
    given = {
        "requester": "ann",
        "beneficiary": "ann",
        "entitlement": "pg-prod/reader",
        "requested_duration": 2 * HOUR,
        "justification": 'look into `orders`; it\'s "slow"\n\u2028 ✓ 😀 \x00',
        "terms": TERMS,
        "policy_version": "sha256:abc",
        "created_at": NOW,
        "expires_at": NOW + HOUR,
    }
    return Request(id=key, **(given | fields))


def a_decision(key, request_id="req_1", person="bob", verdict=Verdict.APPROVE):
    return Decision(
        id=key,
        request_id=request_id,
        approver=person,
        person=person,
        verdict=verdict,
        stage="leads",
        decided_at=NOW,
    )


def a_grant(key="gra_1", **fields):
    given = {
        "request_id": "req_1",
        "beneficiary": "ann",
        "entitlement": "pg-prod/reader",
        "starts_at": NOW,
        "duration": 2 * HOUR + timedelta(microseconds=7),
        "policy_version": "sha256:abc",
        "created_at": NOW - HOUR,
    }
    return Grant(id=key, **(given | fields))


def an_active_grant(key="gra_1", *, account="ann", ends_at=NOW + HOUR, **fields):
    begun = a_grant(key, **fields).begun(account=account, held_before=False, ends_at=ends_at)
    return begun.confirmed(at=NOW)


def an_entry(number=1, *, subject=None, kind="grant.ended"):
    return Entry(type=kind, at=NOW, actor="system:test", subject=subject or f"gra_{number}", after={"n": number})


async def put(store, *works):
    """Run `works` in one transaction."""

    async def work(tx):
        for one in works:
            await one(tx)

    await store.write(work)


async def add_grants(store, *grants):
    await store.write(lambda tx: tx.add_grants(grants))


async def ids(store, read):
    """The ids that a reading gives, in order."""
    return [row.id for row in await store.read(read)]
