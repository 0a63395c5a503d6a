"""Items of reviews, exceptions and schedules over HTTP: who sees what, who may do what, what it answers."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lapse.domain.actors import Scope
from support.reviews import a_review, an_item, seal


def world_of(office):
    """What `support.reviews` needs of a world."""
    app = office.app
    return SimpleNamespace(clock=office.clock, read=app.store.read, store=app.store, target=office.target)


async def acting(office, who, *scopes):
    return office.client(token=await office.token(who, *scopes))


@pytest.fixture
async def review(office):
    return await a_review(world_of(office), an_item("a"), an_item("b", role="app_reader"), an_item("c", canary=True))


async def test_those_who_are_asked_see_their_items_and_decide_them_together(office, review):
    olga = await acting(office, "olga", Scope.APPROVE)
    rows = (await olga.get(f"/reviews/{review.id}/items", params={"mine": True})).json()["items"]
    assert {row["id"] for row in rows} == {"itm_a", "itm_b", "itm_c"}
    assert (await olga.get("/review-items/itm_a")).json()["opened_at"] is not None
    body = {"items": ["itm_a", "itm_b"], "decision": "revoke", "reason": "the project is over"}
    done = await olga.post("/review-items/decisions", json=body)
    assert (done.status_code, [row["decision"] for row in done.json()["items"]]) == (201, ["revoke", "revoke"])
    assert all(row["carried_out_at"] for row in done.json()["items"])
    assert not office.target.holds("dave_login", "app_writer")
    back = await olga.post("/review-items/itm_a/undo", json={"reason": "the backup needs it"})
    assert back.json()["state"] == "returned"
    assert office.target.holds("dave_login", "app_writer")


async def test_others_see_nothing_of_them(office, review):
    alice = await acting(office, "alice", Scope.APPROVE)
    assert (await alice.get(f"/reviews/{review.id}/items")).json()["items"] == []
    assert (await alice.get("/review-items/itm_a")).status_code == 404
    refused = await alice.post("/review-items/itm_a/decision", json={"decision": "keep", "reason": "x"})
    assert refused.status_code == 403


async def test_which_are_canaries_is_not_shown_before_the_seal(office, review):
    auditor = await acting(office, "root", Scope.AUDIT)

    async def shown():
        rows = (await auditor.get(f"/reviews/{review.id}/items")).json()["items"]
        return {row["id"] for row in rows if row["canary"]}

    assert await shown() == set()
    assert (await auditor.get("/review-items/itm_c")).json()["canary"] is False
    await seal(world_of(office))
    assert await shown() == {"itm_c"}


async def test_an_act_with_one_mistake_decides_nothing(office, review):
    olga = await acting(office, "olga", Scope.APPROVE)
    for body in (
        {"items": ["itm_a", "itm_none"], "decision": "keep", "reason": "x"},
        {"items": ["itm_a"], "decision": "perhaps"},
        {"items": [], "decision": "keep"},
        {"items": ["itm_a"], "decision": "shorten", "reason": "x", "until": "tomorrow"},
    ):
        answer = await olga.post("/review-items/decisions", json=body)
        assert answer.status_code in {404, 422}, answer.text
    assert (await olga.get("/review-items/itm_a")).json()["decision"] is None


async def test_a_sample_is_the_same_for_everybody(office, review):
    one, two = await acting(office, "root", Scope.AUDIT), await acting(office, "bob", Scope.REVIEW)
    path, wanted = f"/reviews/{review.id}/sample", {"size": 1, "seed": "17"}
    assert (await one.get(path, params=wanted)).json() == (await two.get(path, params=wanted)).json()


async def test_exceptions_are_accepted_listed_and_ended(office):
    bob = await acting(office, "bob", Scope.REVIEW)
    body = {"owner": "olga", "reason": "nightly dump", "until": "2099-01-01T00:00:00Z", "finding": "ab" * 16}
    assert (await bob.post("/exceptions", json=body)).status_code == 422
    until = (office.clock.now()).replace(year=office.clock.now().year + 1).isoformat()
    made = await bob.post("/exceptions", json=body | {"until": until})
    assert made.status_code == 201, made.text
    assert [one["id"] for one in (await bob.get("/exceptions")).json()["items"]] == [made.json()["id"]]
    assert (await bob.post(f"/exceptions/{made.json()['id']}/end", json={})).json()["ended_by"] == "bob"
    assert (await bob.get("/exceptions")).json()["items"] == []
    assert len((await bob.get("/exceptions", params={"in_force": False})).json()["items"]) == 1


async def test_what_recurs_is_put_on_the_schedule_and_taken_off(office):
    bob = await acting(office, "bob", Scope.REVIEW)
    body = {"name": "prod", "scope": "tag:env=prod", "every_months": 3}
    made = await bob.post("/review-schedules", json=body)
    assert made.status_code == 201, made.text
    assert (await bob.post("/review-schedules", json=body)).status_code == 409
    assert (await bob.post("/review-schedules", json=body | {"name": "x", "every_months": 5})).status_code == 422
    assert (await bob.post("/review-schedules", json=body | {"name": "x", "scope": "tag:env=none"})).status_code == 422
    assert [one["name"] for one in (await bob.get("/review-schedules")).json()["items"]] == ["prod"]
    assert (await bob.post("/review-schedules/prod/remove", json={})).status_code in {200, 204}
    assert (await bob.get("/review-schedules")).json()["items"] == []


async def test_a_schedule_is_looked_at_and_says_what_is_there(office):
    bob = await acting(office, "bob", Scope.REVIEW)
    auditor = await acting(office, "root", Scope.AUDIT)
    made = await bob.post("/review-schedules", json={"name": "prod", "scope": "all", "continuous": True})
    assert (made.json()["look"], made.json()["missed"]) == (None, [])
    assert (await auditor.get("/review-schedules/prod/findings")).json()["items"] == []
    assert (await auditor.post("/review-schedules/prod/looks", json={})).status_code == 403
    for wanted in (False, False, True):
        changed = await bob.post("/review-schedules/prod/continuous", json={"continuous": wanted})
        assert changed.json()["continuous"] is wanted
    assert (await auditor.post("/review-schedules/prod/continuous", json={"continuous": False})).status_code == 403
    assert (await bob.post("/review-schedules/other/looks", json={})).status_code == 404
    office.target.target.grant("dave_login", "app_writer")
    looked = (await bob.post("/review-schedules/prod/looks", json={})).json()
    assert {one["finding"]["state"] for one in looked["changed"]} == {"new"}
    shown = (await auditor.get("/review-schedules/prod")).json()
    assert shown["look"] == looked["schedule"]["look"]
    rows = (await auditor.get("/review-schedules/prod/findings")).json()["items"]
    assert {row["last_seen"] for row in rows} == {shown["look"]["at"]}
    assert len(rows) == sum(shown["look"]["counts"].values()) == len(looked["changed"])


@pytest.mark.parametrize(
    "given",
    [{"people": "/none.csv"}, {"sources": ["cloudtrail=/none"]}, {"sources": ["nothing"]}, {"imports": "/none"}],
)
async def test_a_schedule_reads_only_what_is_there(office, given):
    bob = await acting(office, "bob", Scope.REVIEW)
    refused = await bob.post("/review-schedules", json={"name": "prod", "scope": "all", **given})
    assert refused.status_code in {404, 422}, refused.text


async def test_only_a_period_that_was_missed_is_made_up_for(office):
    bob = await acting(office, "bob", Scope.REVIEW)
    await bob.post("/review-schedules", json={"name": "prod", "scope": "all"})
    refused = await bob.post("/review-schedules/prod/missed", json={"period": "2026-01-01..2026-03-31"})
    assert refused.status_code == 404
    assert (await bob.get("/reviews")).json()["items"] == []
