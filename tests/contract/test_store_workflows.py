"""What every `ports.Store` does for bundles, templates, post-reviews, suspended grants and the past of a person."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lapse.domain.aftermath import Aftermath, Judgement
from lapse.domain.errors import Conflict, NotFound
from lapse.domain.grants import EndReason
from lapse.domain.requests import RequestEvent
from lapse.domain.templates import Template
from support.stores import HOUR, NOW, a_grant, a_request, add_grants, an_active_grant, ids, opened, put


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def store(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    async with opened(request.param, tmp_path, url) as store:
        yield store


async def test_a_bundle_is_read_by_its_id_until_one_is_taken_out(store):
    made = [a_request(f"req_{n}", bundle="bun_1" if n < 4 else "bun_2") for n in (1, 2, 3, 4)]
    await put(store, *(lambda tx, one=one: tx.add_request(one) for one in made))
    assert await ids(store, lambda r: r.requests_in_bundle("bun_1")) == ["req_1", "req_2", "req_3"]
    taken = replace(made[1], bundle="").after(RequestEvent.CANCEL, at=NOW)

    async def take_out(tx):
        await tx.save_request(taken)
        return [one.id for one in await tx.requests_in_bundle("bun_1")]

    assert await store.write(take_out) == ["req_1", "req_3"]
    assert await ids(store, lambda r: r.requests_in_bundle("bun_1")) == ["req_1", "req_3"]
    assert await store.read(lambda r: r.request("req_2")) == taken
    assert await ids(store, lambda r: r.requests_in_bundle("bun_none")) == []


async def test_a_suspended_grant_is_due_when_it_lapses_and_resumed_at_its_start(store):
    grant = a_grant(starts_at=NOW + HOUR)
    held = grant.suspended("loc_1")
    await add_grants(store, grant)
    await store.write(lambda tx: tx.save_grants([held]))
    lapses = NOW + HOUR + grant.duration
    assert await store.read(lambda r: r.next_due()) == lapses == held.due_at
    assert await ids(store, lambda r: r.grants_due(NOW + HOUR, 10)) == []
    await store.write(lambda tx: tx.save_grants([held.suspended("")]))
    assert await ids(store, lambda r: r.grants_due(NOW + HOUR, 10)) == ["gra_1"]


def a_template(name="report", owner="alice"):
    return Template(
        name=name, owner=owner, entitlements=("pg/reader", "pg/writer"), duration=HOUR, created_by="al", created_at=NOW
    )


async def test_templates_are_put_listed_by_name_and_removed(store):
    await put(store, *(lambda tx, n=n: tx.put_template(a_template(n)) for n in ("b", "a")))
    changed = replace(a_template("b"), duration=2 * HOUR)
    await store.write(lambda tx: tx.put_template(changed))
    assert await store.read(lambda r: r.templates()) == [a_template("a"), changed]
    await store.write(lambda tx: tx.remove_template("a"))
    assert await store.read(lambda r: r.templates()) == [changed]
    with pytest.raises(NotFound):
        await store.read(lambda r: r.template("a"))
    with pytest.raises(NotFound):
        await store.write(lambda tx: tx.remove_template("a"))


def an_aftermath(number=1, beneficiary="alice"):
    return Aftermath(
        id=f"aft_{number}",
        request_id=f"req_{number}",
        beneficiary=beneficiary,
        entitlement="pg/writer",
        reviewers=("group:dba",),
        created_at=NOW,
        due_at=NOW + HOUR,
    )


async def test_post_reviews_are_open_until_they_are_judged_once(store):
    made = [an_aftermath(1), an_aftermath(2, "bob")]
    await put(store, *(lambda tx, one=one: tx.add_aftermath(one) for one in made))
    assert await store.read(lambda r: r.aftermaths()) == made
    assert await store.read(lambda r: r.aftermaths(beneficiary="bob")) == made[1:]
    judged = made[0].judged(Judgement.JUSTIFIED, by="carol", at=NOW, note="saw it")
    await store.write(lambda tx: tx.save_aftermath(judged))
    assert await store.read(lambda r: r.aftermaths()) == made[1:]
    assert await store.read(lambda r: r.aftermaths(open_only=False)) == [judged, made[1]]
    assert await store.read(lambda r: r.aftermath("aft_1")) == judged
    with pytest.raises(Conflict):
        await store.write(lambda tx: tx.save_aftermath(judged))
    with pytest.raises(NotFound):
        await store.read(lambda r: r.aftermath("aft_9"))


async def test_what_people_hold_or_held_since_is_found_under_all_their_names(store):
    over = an_active_grant("gra_2").ending(EndReason.RELEASED).ended(at=NOW + HOUR / 2)
    grants = [
        a_grant("gra_1"),
        over,
        a_grant("gra_3", beneficiary="al-admin"),
        a_grant("gra_4", entitlement="pg-prod/other"),
    ]
    await add_grants(store, *grants)
    names = [grants[0].beneficiary, "al-admin"]

    def held(since):
        return ids(store, lambda r: r.grants_held(names, grants[0].entitlement, since))

    assert sorted(await held(NOW)) == ["gra_1", "gra_2", "gra_3"]
    assert sorted(await held(NOW + HOUR)) == ["gra_1", "gra_3"]


async def test_requests_made_are_those_since_then_and_those_that_wait(store):
    old = a_request("req_1", created_at=NOW - 2 * HOUR)
    closed = replace(a_request("req_2", created_at=NOW - 2 * HOUR)).after(RequestEvent.CANCEL, at=NOW)
    new = a_request("req_3")
    await put(store, *(lambda tx, one=one: tx.add_request(one) for one in (old, closed, new)))
    assert await ids(store, lambda r: r.requests_made([new.requester], NOW - HOUR, 10)) == ["req_3", "req_1"]
    assert await ids(store, lambda r: r.requests_made([new.requester], NOW - HOUR, 1)) == ["req_3"]
    assert await ids(store, lambda r: r.requests_made(["nobody"], NOW - HOUR, 10)) == []
