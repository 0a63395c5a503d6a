"""What every `ports.Store` does: the in-memory fake, SQLite and PostgreSQL pass the same examples."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from lapse.domain.actors import Scope, Token
from lapse.domain.catalog import Catalog
from lapse.domain.errors import Conflict, NotFound
from lapse.domain.grants import EndReason, GrantState
from lapse.domain.locks import Lock, LockKind
from lapse.domain.notices import Attempt, Notice, NoticeKind, Posting, PostingState
from lapse.domain.principals import Account, Group, Principal
from lapse.domain.requests import RequestEvent, RequestState, Ticket
from lapse.domain.resources import Entitlement, OnDrift, Resource
from lapse.domain.reviews import Item, ItemDecision, Review, ReviewState, Usage
from lapse.domain.targets import Drift, DriftKind, Target, TargetRead, UseSighting
from lapse.ports import Page, PolicyVersion
from support.stores import (
    HOUR,
    NOW,
    a_decision,
    a_grant,
    a_request,
    add_grants,
    an_active_grant,
    an_entry,
    ids,
    opened,
    put,
)

ALL = Page(limit=1000, newest_first=False)


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def store(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    async with opened(request.param, tmp_path, url) as store:
        yield store


# what is written is read back


async def test_a_request_is_read_back_exactly(store):
    request = a_request(ticket=Ticket(system="jira", number="OPS-1"), starts_at=NOW, extends="gra_0")
    await store.write(lambda tx: tx.add_request(request))
    assert await store.read(lambda r: r.request("req_1")) == request


async def test_a_closed_request_is_read_back_exactly(store):
    request = a_request()
    denied = request.after(RequestEvent.DENY, at=NOW, reason="no")
    await put(store, lambda tx: tx.add_request(request), lambda tx: tx.save_request(denied))
    assert await store.read(lambda r: r.request("req_1")) == denied


async def test_what_is_not_there_is_not_found(store):
    for read in (
        lambda r: r.request("nothing"),
        lambda r: r.grant("nothing"),
        lambda r: r.chain("nothing"),
        lambda r: r.lock("nothing"),
        lambda r: r.policy("nothing"),
        lambda r: r.target("nothing"),
        lambda r: r.review("nothing"),
        lambda r: r.item("nothing"),
    ):
        with pytest.raises(NotFound, match="nothing"):
            await store.read(read)


async def test_a_transaction_reads_what_it_wrote(store):
    async def work(tx):
        await tx.add_request(a_request())
        await tx.add_grants([a_grant()])
        return await tx.request("req_1"), await tx.grant("gra_1"), await tx.grants_due(NOW, 5)

    assert await store.write(work) == (a_request(), a_grant(), [a_grant()])


async def test_decisions_belong_to_their_request(store):
    votes = [a_decision("dec_2"), a_decision("dec_1", person="cat"), a_decision("dec_3", "req_2")]
    await put(store, *(lambda tx, vote=vote: tx.add_decision(vote) for vote in votes))
    assert await store.read(lambda r: r.decisions("req_1")) == [votes[1], votes[0]]


async def test_every_other_value_is_read_back_exactly(store):
    lock = Lock(id="loc_1", kind=LockKind.RESOURCE, target="pg", reason="r", created_by="sec", created_at=NOW)
    target = Target(resource="pg", connector="postgresql", dsn_ref="env:X", added_at=NOW, added_by="ann")
    token = Token(
        id="tok_1",
        principal="ann",
        scopes=frozenset({Scope.ADMIN, Scope.AUDIT}),
        digest="d" * 64,
        created_at=NOW,
        expires_at=NOW + HOUR,
    )
    read = TargetRead(
        id="rea_1",
        resource="pg",
        started_at=NOW,
        finished_at=NOW,
        complete=False,
        accounts=1,
        memberships=2,
        gaps=("x",),
    )
    review = Review(
        id="rev_1", scope="all", period="2026-Q1", period_start=NOW, period_end=NOW, started_by="a", started_at=NOW
    )
    item = an_item("ite_1")
    await put(
        store,
        lambda tx: tx.add_lock(lock),
        lambda tx: tx.put_target(target),
        lambda tx: tx.add_token(token),
        lambda tx: tx.add_target_read(read),
        lambda tx: tx.add_review(review),
        lambda tx: tx.put_items([item]),
    )
    assert await store.read(lambda r: r.lock("loc_1")) == lock
    assert await store.read(lambda r: r.target("pg")) == target
    assert await store.read(lambda r: r.targets()) == [target]
    assert await store.read(lambda r: r.token_by_digest("d" * 64)) == token
    assert await store.read(lambda r: r.tokens("ann")) == [token]
    assert await store.read(lambda r: r.target_reads("pg")) == [read]
    assert await store.read(lambda r: r.review("rev_1")) == review
    assert await store.read(lambda r: r.item("ite_1")) == item


def an_item(key, review_id="rev_1"):
    return Item(
        id=key,
        review_id=review_id,
        resource="pg",
        account="ann",
        principal="ann",
        role="reader",
        holding="standing",
        usage=Usage.UNKNOWN,
        usage_coverage="none",
        recommendation=ItemDecision.REVOKE,
        recommendation_reason="no end",
        risk=7,
        findings=("f1", "f2"),
    )


# listings


async def test_listings_are_ordered_by_code_point_and_cut_into_pages(store):
    keys = ["g_B", "g_a", "g_b", "g_é", "g-1"]
    await add_grants(store, *(a_grant(key) for key in keys))
    assert await ids(store, lambda r: r.grants(ALL)) == sorted(keys)
    newest = await ids(store, lambda r: r.grants(Page(limit=2)))
    assert newest == sorted(keys, reverse=True)[:2]
    rest = await ids(store, lambda r: r.grants(Page(limit=9, after=newest[-1])))
    assert newest + rest == sorted(keys, reverse=True)
    assert await ids(store, lambda r: r.grants(Page(after="g_a", newest_first=False))) == ["g_b", "g_é"]


async def test_requests_are_listed_by_person_state_and_entitlement(store):
    await put(
        store,
        lambda tx: tx.add_request(a_request("r1")),
        lambda tx: tx.add_request(a_request("r2", requester="bob", beneficiary="ann")),
        lambda tx: tx.add_request(a_request("r3", requester="cat", beneficiary="cat", entitlement="pg/dba")),
        lambda tx: tx.add_request(a_request("r4", state=RequestState.DENIED)),
    )
    assert await ids(store, lambda r: r.requests(ALL, requester="ann")) == ["r1", "r2", "r4"]
    assert await ids(store, lambda r: r.requests(ALL, entitlement="pg/dba")) == ["r3"]
    assert await ids(store, lambda r: r.requests(ALL, states=[RequestState.DENIED])) == ["r4"]
    pending_of_ann = await ids(store, lambda r: r.requests(ALL, states=[RequestState.PENDING], requester="ann"))
    assert pending_of_ann == ["r1", "r2"]
    assert await ids(store, lambda r: r.requests(ALL, states=list(RequestState))) == ["r1", "r2", "r3", "r4"]


async def test_grants_are_listed_by_each_filter(store):
    await add_grants(
        store,
        a_grant("g1"),
        a_grant("g2", beneficiary="bob", request_id="req_2"),
        a_grant("g3", entitlement="pg-prod/writer"),
        a_grant("g4", entitlement="pg-test/reader"),
        a_grant("g5", state=GrantState.ENDED),
    )
    assert await ids(store, lambda r: r.grants(ALL, beneficiary="bob")) == ["g2"]
    assert await ids(store, lambda r: r.grants(ALL, request_id="req_2")) == ["g2"]
    assert await ids(store, lambda r: r.grants(ALL, entitlement="pg-prod/reader")) == ["g1", "g2", "g5"]
    assert await ids(store, lambda r: r.grants(ALL, resource="pg-prod")) == ["g1", "g2", "g3", "g5"]
    assert await ids(store, lambda r: r.grants(ALL, states=[GrantState.ENDED])) == ["g5"]
    open_there = lambda r: r.grants(ALL, resource="pg-prod", states=[GrantState.SCHEDULED])  # noqa: E731
    assert await ids(store, open_there) == ["g1", "g2", "g3"]


async def test_hostile_text_is_only_text(store):
    hostile = "x' OR '1'='1'; DROP TABLE grants; -- %s %(a)s ? :b"
    await add_grants(store, a_grant("g1", beneficiary=hostile), a_grant("g2"))
    assert await ids(store, lambda r: r.grants(ALL, beneficiary=hostile)) == ["g1"]
    assert await ids(store, lambda r: r.grants_of_accounts("pg-prod", [hostile])) == []


async def test_grants_of_accounts_are_those_that_hold_or_are_losing_access(store):
    active = an_active_grant("g1")
    await add_grants(
        store,
        active,
        an_active_grant("g2").ending(EndReason.RELEASED),
        an_active_grant("g3", account="bob"),
        an_active_grant("g4", entitlement="pg-test/reader"),
        an_active_grant("g5").ending(EndReason.RELEASED).ended(at=NOW),
        a_grant("g6", account="ann"),
    )
    assert await ids(store, lambda r: r.grants_of_accounts("pg-prod", ["ann"])) == ["g1", "g2"]
    assert await ids(store, lambda r: r.grants_of_accounts("pg-prod", iter(["ann", "bob"]))) == ["g1", "g2", "g3"]
    assert await ids(store, lambda r: r.grants_of_accounts("pg-prod", [])) == []


async def test_grants_going_on_are_live_with_a_later_deadline(store):
    soon, later = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    await add_grants(
        store,
        an_active_grant("g1", ends_at=soon),
        an_active_grant("g2", ends_at=later),
        an_active_grant("g3", ends_at=later).ending(EndReason.RELEASED),
        an_active_grant("g4", ends_at=later, account="bob"),
        an_active_grant("g5", ends_at=later, entitlement="pg-test/reader"),
        a_grant("g6").begun(account="ann", held_before=False, ends_at=later),
        a_grant("g7").begun(account="ann", held_before=False, ends_at=soon),
    )
    assert await ids(store, lambda r: r.grants_going_on("pg-prod", ["ann"], soon)) == ["g2", "g6"]
    assert await ids(store, lambda r: r.grants_going_on("pg-prod", ["ann", "bob"], later)) == []


async def test_grants_of_very_many_accounts_are_found_at_once(store):
    await add_grants(store, *(an_active_grant(f"g{n:05}", account=f"a{n}") for n in range(500)))
    found = await ids(store, lambda r: r.grants_of_accounts("pg-prod", [f"a{n}" for n in range(100, 40_000)]))
    assert found == [f"g{n:05}" for n in range(100, 500)]


# what is due


async def test_due_is_what_the_enforcer_must_act_on_now_earliest_first(store):
    soon, later = timedelta(minutes=1), timedelta(hours=9)
    failed = an_active_grant("g8").ending(EndReason.ELAPSED).end_failed(error="down", next_attempt_at=NOW + soon)
    await add_grants(
        store,
        a_grant("g1", starts_at=NOW + soon),
        a_grant("g2", starts_at=NOW + later),
        an_active_grant("g3", ends_at=NOW),
        an_active_grant("g4", ends_at=NOW + later),
        an_active_grant("g5", created_at=NOW - 2 * HOUR).ending(EndReason.REVOKED),
        an_active_grant("g6").ending(EndReason.REVOKED).ended(at=NOW),
        a_grant("g7")
        .begun(account="a", held_before=False, ends_at=NOW + later)
        .postponed(error="down", next_attempt_at=NOW + later),
        failed,
    )
    assert await ids(store, lambda r: r.grants_due(NOW, 10)) == ["g5", "g3"]
    assert await ids(store, lambda r: r.grants_due(NOW, 1)) == ["g5"]
    assert await ids(store, lambda r: r.grants_due(NOW + soon, 10)) == ["g5", "g3", "g1", "g8"]
    assert await store.read(lambda r: r.next_due()) == NOW - 2 * HOUR
    assert await store.read(lambda r: r.next_due(NOW)) == NOW + soon
    assert await store.read(lambda r: r.next_due(NOW + later)) is None


async def test_resources_that_somebody_works_on_are_left_out_of_what_is_due(store):
    await add_grants(store, a_grant("g1"), a_grant("g2", entitlement="pg-test/reader"))
    assert await ids(store, lambda r: r.grants_due(NOW, 10, besides=["pg-prod"])) == ["g2"]
    assert await ids(store, lambda r: r.grants_due(NOW, 10, besides=["pg-prod", "pg-test"])) == []


async def test_what_is_due_moves_with_the_grant(store):
    grant = a_grant()
    await add_grants(store, grant)
    active = an_active_grant(ends_at=NOW + HOUR)
    begun = grant.begun(account="ann", held_before=False, ends_at=NOW + HOUR)
    await put(store, lambda tx: tx.save_grants([begun]), lambda tx: tx.save_grants([active]))
    assert await store.read(lambda r: r.grants_due(NOW, 5)) == []
    assert await store.read(lambda r: r.next_due()) == NOW + HOUR
    ended = active.ending(EndReason.RELEASED)
    await put(store, lambda tx: tx.save_grants([ended]), lambda tx: tx.save_grants([ended.ended(at=NOW)]))
    assert await store.read(lambda r: r.next_due()) is None


async def test_requests_expire_oldest_first_and_only_while_pending(store):
    closed = a_request("r3", expires_at=NOW).after(RequestEvent.CANCEL, at=NOW)
    await put(
        store,
        lambda tx: tx.add_request(a_request("r1", expires_at=NOW)),
        lambda tx: tx.add_request(a_request("r2", expires_at=NOW - HOUR)),
        lambda tx: tx.add_request(closed),
        lambda tx: tx.add_request(a_request("r4", expires_at=NOW + timedelta(microseconds=1))),
    )
    assert await ids(store, lambda r: r.requests_to_expire(NOW, 10)) == ["r2", "r1"]
    assert await ids(store, lambda r: r.requests_to_expire(NOW, 1)) == ["r2"]


async def test_a_chain_goes_back_to_the_first_grant(store):
    await add_grants(
        store, a_grant("z"), a_grant("m", extends="z"), a_grant("a", extends="m"), a_grant("other", extends="z")
    )
    assert await ids(store, lambda r: r.chain("a")) == ["z", "m", "a"]
    assert await ids(store, lambda r: r.chain("z")) == ["z"]


# all or nothing


async def test_a_work_that_fails_leaves_nothing(store):
    async def work(tx):
        await tx.add_request(a_request())
        await tx.append([an_entry()])
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.write(work)
    assert await store.read(lambda r: r.requests(ALL)) == []
    assert await store.ledger.pending(5) == []


async def test_a_change_and_its_entry_appear_together(store):
    await put(store, lambda tx: tx.add_request(a_request()), lambda tx: tx.append([an_entry()]))
    assert len(await store.ledger.pending(5)) == 1
    assert await store.read(lambda r: r.request("req_1"))


async def test_saving_needs_the_version_before(store):
    await store.write(lambda tx: tx.add_request(a_request()))
    for version in (0, 2, 7):
        with pytest.raises(Conflict):
            await store.write(lambda tx, v=version: tx.save_request(a_request(version=v)))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_request(a_request("missing", version=1)))
    assert await store.read(lambda r: r.request("req_1")) == a_request()


async def test_saving_many_grants_is_all_or_none(store):
    await add_grants(store, a_grant("g1"), a_grant("g2"))
    fresh, stale = a_grant("g1", version=1, account="x"), a_grant("g2", version=2)
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_grants([fresh, stale]))
    assert await store.read(lambda r: r.grant("g1")) == a_grant("g1")


async def test_a_conflict_that_the_work_swallows_still_undoes_it(store):
    await add_grants(store, a_grant("g1"), a_grant("g2"))

    async def work(tx):
        await tx.append([an_entry()])
        try:
            await tx.save_grants([a_grant("g1", version=1), a_grant("g2", version=5)])
        except Conflict:
            return "all is well"

    with pytest.raises(Conflict):
        await store.write(work)
    assert (await store.read(lambda r: r.grant("g1"))).version == 0
    assert await store.ledger.pending(5) == []


async def test_adding_what_is_there_is_a_conflict(store):
    read = TargetRead(id="t", resource="pg", started_at=NOW, finished_at=NOW, complete=True, accounts=0, memberships=0)
    adds = [
        lambda tx: tx.add_request(a_request()),
        lambda tx: tx.add_decision(a_decision("d")),
        lambda tx: tx.add_grants([a_grant()]),
        lambda tx: tx.add_target_read(read),
        lambda tx: tx.record_reply("k", "h", "{}", NOW),
    ]
    for add in adds:
        await store.write(add)
        with pytest.raises(Conflict):
            await store.write(add)


async def test_a_conflict_runs_the_work_again(store):
    runs = []

    async def work(tx):
        runs.append(1)
        await tx.add_grants([a_grant(f"g{len(runs)}")])
        if len(runs) < 3:
            raise Conflict("somebody was faster")
        return len(runs)

    assert await store.write(work) == 3
    assert await ids(store, lambda r: r.grants(ALL)) == ["g3"]


async def test_a_lasting_conflict_reaches_the_caller(store):
    runs = []

    async def work(tx):
        runs.append(1)
        raise Conflict("for ever")

    with pytest.raises(Conflict, match="for ever"):
        await store.write(work)
    assert 2 <= len(runs) <= 20


async def test_writers_that_arrive_together_each_succeed_or_fail_alone(store):
    def work(number):
        async def add(tx):
            await tx.add_grants([a_grant(f"g{number:02}")])
            if number % 3 == 0:
                raise ValueError(number)
            return number

        return add

    results = await asyncio.gather(*(store.write(work(n)) for n in range(20)), return_exceptions=True)
    for number, result in enumerate(results):
        if number % 3 == 0:
            assert isinstance(result, ValueError)
            assert result.args == (number,)
        else:
            assert result == number
    assert await ids(store, lambda r: r.grants(ALL)) == [f"g{n:02}" for n in range(20) if n % 3]


async def test_a_cancelled_writer_leaves_nothing_and_harms_nobody(store):
    started, go = asyncio.Event(), asyncio.Event()

    async def slow(tx):
        await tx.add_grants([a_grant("cancelled")])
        started.set()
        await go.wait()

    task = asyncio.create_task(store.write(slow))
    await started.wait()
    other = asyncio.create_task(store.write(lambda tx: tx.add_grants([a_grant("other")])))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await other
    assert await ids(store, lambda r: r.grants(ALL)) == ["other"]


async def test_two_approvers_at_the_same_instant_lose_nothing(store):
    """Each reads the votes, adds one, and closes the request if there are two: exactly one sees both."""
    await store.write(lambda tx: tx.add_request(a_request()))
    both_have_read = asyncio.Barrier(2)
    first_try = {"bob": True, "cat": True}

    def approve(person):
        async def work(tx):
            request = await tx.request("req_1")
            votes = await tx.decisions("req_1")
            if first_try.pop(person, False):
                await _meet(both_have_read)
            await tx.add_decision(a_decision(f"dec_{person}", person=person))
            if len(votes) == 1:
                await tx.save_request(request.after(RequestEvent.APPROVE, at=NOW))
                await tx.add_grants([a_grant()])

        return work

    await asyncio.gather(store.write(approve("bob")), store.write(approve("cat")))
    assert (await store.read(lambda r: r.request("req_1"))).state is RequestState.APPROVED
    assert len(await store.read(lambda r: r.decisions("req_1"))) == 2
    assert await ids(store, lambda r: r.grants(ALL)) == ["gra_1"]


async def test_many_that_change_the_same_grant_all_get_through(store):
    await add_grants(store, a_grant())

    async def work(tx):
        grant = await tx.grant("gra_1")
        await tx.save_grants([replace(grant, attempts=grant.attempts + 1, version=grant.version + 1)])

    await asyncio.gather(*(store.write(work) for _ in range(16)))
    assert (await store.read(lambda r: r.grant("gra_1"))).attempts == 16


async def _meet(barrier):
    """Wait for the other if it can come at all: where there is one writer it cannot."""
    try:
        async with asyncio.timeout(0.2):
            await barrier.wait()
    except (TimeoutError, asyncio.BrokenBarrierError):
        pass


# catalog, policies, tokens, locks, drift, reviews


def a_catalog(**changes):
    given = {
        "principals": {
            "ann": Principal(name="ann", manager="bob", left_at=NOW, accounts=(Account(resource="pg", login="ann"),)),
            "bob": Principal(name="bob", active=False),
        },
        "groups": {"leads": Group(name="leads", members=("bob",), groups=("dba",))},
        "resources": {
            "pg": Resource(
                name="pg",
                connector="postgresql",
                tags={"env": "prod"},
                on_drift=OnDrift.REMOVE,
                entitlements=(Entitlement(resource="pg", role="reader", native={"role": "r"}),),
            )
        },
    }
    return Catalog(**(given | changes))


async def test_the_catalog_is_empty_until_it_is_replaced(store):
    assert await store.read(lambda r: r.catalog()) == Catalog()
    await store.write(lambda tx: tx.replace_catalog(a_catalog()))
    assert await store.read(lambda r: r.catalog()) == a_catalog()


async def test_replacing_the_catalog_adds_changes_and_removes(store):
    await store.write(lambda tx: tx.replace_catalog(a_catalog()))
    wanted = a_catalog(principals={"ann": Principal(name="ann"), "cat": Principal(name="cat")}, groups={})
    await store.write(lambda tx: tx.replace_catalog(wanted))
    assert await store.read(lambda r: r.catalog()) == wanted


async def test_a_catalog_that_did_not_change_is_the_same_value(store):
    await store.write(lambda tx: tx.replace_catalog(a_catalog()))
    first = await store.read(lambda r: r.catalog())
    await store.write(lambda tx: tx.add_grants([a_grant()]))
    assert await store.read(lambda r: r.catalog()) is first


async def test_who_changes_the_catalog_sees_what_others_read_later(store):
    await store.write(lambda tx: tx.replace_catalog(a_catalog()))

    async def work(tx):
        before = await tx.catalog()
        await tx.replace_catalog(before)
        assert await tx.catalog() == before
        await tx.replace_catalog(a_catalog(groups={}))
        return await tx.catalog()

    changed = await store.write(work)
    assert changed == a_catalog(groups={}) == await store.read(lambda r: r.catalog())
    assert list(changed.principals) == sorted(changed.principals)
    await store.write(lambda tx: tx.replace_catalog(a_catalog()))
    assert await store.read(lambda r: r.catalog()) == a_catalog()


async def test_a_catalog_that_was_rolled_back_is_seen_by_nobody(store):
    await store.write(lambda tx: tx.replace_catalog(a_catalog()))

    async def work(tx):
        await tx.replace_catalog(Catalog())
        assert await tx.catalog() == Catalog()
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.write(work)
    assert await store.read(lambda r: r.catalog()) == a_catalog()
    other = a_catalog(groups={})
    await store.write(lambda tx: tx.replace_catalog(other))
    assert await store.read(lambda r: r.catalog()) == other


def a_policy(version, at=NOW):
    return PolicyVersion(version=version, files={"a.yaml": "x: 1\n"}, activated_at=at, activated_by="sec")


async def test_the_policy_added_last_is_active_and_all_are_kept(store):
    assert await store.read(lambda r: r.active_policy()) is None
    for version in ("v2", "v1"):
        await store.write(lambda tx, v=version: tx.add_policy(a_policy(v)))
    assert await store.read(lambda r: r.active_policy()) == a_policy("v1")
    again = a_policy("v2", at=NOW + HOUR)
    await store.write(lambda tx: tx.add_policy(again))
    assert await store.read(lambda r: r.active_policy()) == again
    assert await store.read(lambda r: r.policies()) == [a_policy("v1"), again]
    assert await store.read(lambda r: r.policy("v1")) == a_policy("v1")


async def test_a_revoked_token_keeps_the_first_time(store):
    token = Token(id="t", principal="ann", scopes=frozenset(), digest="d", created_at=NOW, expires_at=NOW + HOUR)
    await store.write(lambda tx: tx.add_token(token))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.add_token(replace(token, id="t2")))
    for at in (NOW, NOW + HOUR):
        await store.write(lambda tx, at=at: tx.revoke_token("t", at))
    assert await store.read(lambda r: r.token_by_digest("d")) == replace(token, revoked_at=NOW)
    assert await store.read(lambda r: r.token_by_digest("other")) is None
    assert await store.read(lambda r: r.tokens("bob")) == []
    with pytest.raises(NotFound):
        await store.write(lambda tx: tx.revoke_token("nothing", NOW))


async def test_removed_locks_are_kept_but_not_in_force(store):
    lock = Lock(id="l1", kind=LockKind.PRINCIPAL, target="ann", reason="", created_by="s", created_at=NOW)
    removed = replace(lock, id="l2", removed_at=NOW, removed_by="s")
    await put(store, lambda tx: tx.add_lock(lock), lambda tx: tx.add_lock(removed))
    assert await store.read(lambda r: r.locks()) == [lock]
    assert await store.read(lambda r: r.locks(in_force=False)) == [lock, removed]
    gone = replace(lock, removed_at=NOW, version=1)
    await store.write(lambda tx: tx.save_lock(gone))
    assert await store.read(lambda r: r.locks()) == []
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_lock(gone))


async def test_drifts_are_replaced_by_id_and_close(store):
    drift = Drift(
        id="d1",
        resource="pg",
        kind=DriftKind.UNKNOWN_ACCESS,
        account="eve",
        role="reader",
        first_seen=NOW,
        last_seen=NOW,
    )
    other = replace(drift, id="d2", resource="pg2")
    await store.write(lambda tx: tx.put_drifts([drift, other]))
    closed = replace(drift, cleared_at=NOW)
    await store.write(lambda tx: tx.put_drifts([replace(drift, detail="x"), closed]))
    assert await store.read(lambda r: r.drifts()) == [other]
    assert await store.read(lambda r: r.drifts(resource="pg")) == []
    assert await store.read(lambda r: r.drifts(open_only=False)) == [closed, other]
    assert await store.read(lambda r: r.drifts(resource="pg", open_only=False)) == [closed]
    assert await store.read(lambda r: r.drifts(resource="pg2")) == [other]


async def test_sightings_are_replaced_by_id(store):
    seen = UseSighting(
        id="s1", resource="pg", account="ann", grant_id=None, started_at=NOW, seen_at=NOW, source="pg_stat_activity"
    )
    later = replace(seen, seen_at=NOW + HOUR)
    await store.write(lambda tx: tx.put_sightings([seen]))
    await store.write(lambda tx: tx.put_sightings([later, replace(seen, id="s2", resource="pg2")]))
    assert await store.read(lambda r: r.sightings("pg")) == [later]
    assert len(await store.read(lambda r: r.sightings())) == 2


async def test_reviews_and_items_are_saved_optimistically(store):
    review = Review(
        id="rev_1", scope="all", period="2026-Q1", period_start=NOW, period_end=NOW, started_by="a", started_at=NOW
    )
    await put(
        store,
        lambda tx: tx.add_review(review),
        lambda tx: tx.put_items([an_item("i2"), an_item("i1"), an_item("i3", "rev_2")]),
    )
    collected = replace(review, state=ReviewState.COLLECTED, hashes={"a": "b"}, version=1)
    await store.write(lambda tx: tx.save_review(collected))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_review(collected))
    assert await store.read(lambda r: r.reviews()) == [collected]
    decided = replace(an_item("i1"), decision=ItemDecision.KEEP, decided_by="bob", decided_at=NOW, version=1)
    await store.write(lambda tx: tx.save_item(decided))
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_item(decided))
    assert await store.read(lambda r: r.items("rev_1")) == [decided, an_item("i2")]


async def test_the_reply_to_a_call_is_kept_under_its_key(store):
    assert await store.read(lambda r: r.idempotent_reply("k")) is None
    await store.write(lambda tx: tx.record_reply("k", "hash", '{"a": 1}', NOW))
    assert await store.read(lambda r: r.idempotent_reply("k")) == ("hash", '{"a": 1}')


async def test_empty_batches_do_nothing(store):
    async def work(tx):
        await tx.add_grants([])
        await tx.save_grants([])
        await tx.append([])
        await tx.put_drifts([])
        await tx.put_items([])
        await tx.put_sightings([])

    await store.write(work)
    assert await store.ledger.pending(5) == []


# the outbox


def a_posting(key, *, due_at=NOW):
    notice = Notice(kind=NoticeKind.DECIDED, subject="req_1", to=("ann", "bob"), text="approved ✓", at=NOW)
    return Posting(id=key, notice=notice, due_at=due_at)


async def test_notices_are_due_oldest_first_until_they_are_sent(store):
    later, now, sooner = (
        a_posting("not_1", due_at=NOW + HOUR),
        a_posting("not_2"),
        a_posting("not_3", due_at=NOW - HOUR),
    )
    await put(store, lambda tx: tx.add_postings([later, now, sooner]))
    assert await store.read(lambda r: r.postings_due(NOW, 5)) == [sooner, now]
    assert await store.read(lambda r: r.postings_due(NOW, 1)) == [sooner]
    sent = sooner.tried(Attempt(sent={"mail:a": NOW}, complete=True), at=NOW, give_up_after=HOUR)
    await put(store, lambda tx: tx.save_postings([sent]))
    assert await ids(store, lambda r: r.postings_due(NOW, 5)) == ["not_2"]
    assert await store.read(lambda r: r.posting("not_3")) == sent
    assert await ids(store, lambda r: r.postings(ALL)) == ["not_1", "not_2", "not_3"]
    assert await ids(store, lambda r: r.postings(ALL, states=[PostingState.SENT])) == ["not_3"]
    assert await ids(store, lambda r: r.postings(Page(limit=1), states=[PostingState.WAITING])) == ["not_2"]


async def test_of_two_that_take_a_notice_one_gets_it(store):
    posting = a_posting("not_1")
    await put(store, lambda tx: tx.add_postings([posting]), lambda tx: tx.save_postings([posting.taken(NOW + HOUR)]))
    with pytest.raises(Conflict):
        await put(store, lambda tx: tx.save_postings([posting.taken(NOW + HOUR)]))
