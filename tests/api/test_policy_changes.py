"""A change of the policy over the API: replay, proposal with its effects, and the second person."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from lapse.domain.actors import Scope
from support.world import POLICY

SHORTER = POLICY.replace("max_duration: 4h", "max_duration: 1h")
CLAIMING = SHORTER + "claims:\n  - name: nobody-stays\n    never: {total_longer_than: 24h}\n"


def files(text=SHORTER):
    return {"policy.yaml": text}


@pytest.fixture
async def second(office):
    await office.token("root2", Scope.ADMIN, Scope.AUDIT)
    return office.client(token=office.tokens["root2"])


async def proposed(office, text=SHORTER, **more):
    body = {"files": files(text), "reason": "an hour is enough"} | more
    return (await office.admin.post("/policy/proposals", json=body)).raise_for_status().json()


async def replayed(office, text=SHORTER, **more):
    answer = await office.admin.post("/policy/replay", json={"files": files(text)} | more)
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_a_replay_tells_how_far_it_is_and_then_what_it_found(office):
    await office.active_grant()
    await office.clock.advance(timedelta(hours=1))
    *progress, end = await replayed(office)
    assert progress
    assert all(line["progress"]["done"] <= line["progress"]["total"] for line in progress)
    report = end["report"]
    assert (report["requests"], report["persons_affected"]) == (1, 1)
    assert report["groups"][0]["effect"] == "shortened"
    assert report["groups"][0]["examples"][0]["beneficiary"] == "alice"


async def test_a_replay_needs_files_without_mistakes_and_a_time_to_look_back_to(office):
    answer = await office.admin.post("/policy/replay", json={"files": files("version: 1\n")})
    assert answer.json()["errors"]
    for since, why in (
        ("soon", "says no time"),
        ("2999-01-01", "is not in the last ten years"),
        ("0d", "says no time"),
    ):
        answer = await office.admin.post("/policy/replay", json={"files": files(), "since": since})
        assert (answer.status_code, why in answer.json()["detail"]) == (422, True), answer.text


async def test_a_replay_shows_people_and_is_for_who_may_audit(office):
    for who in ("alice", "bob"):
        token = await office.token(who, Scope.REQUEST, Scope.APPROVE, Scope.REVIEW)
        for answer in (
            await office.client(token=token).post("/policy/replay", json={"files": files()}),
            await office.client(token=token).get("/policy/proposals"),
            await office.client(token=token).post("/policy/proposals", json={"files": files(), "reason": "x"}),
        ):
            assert answer.status_code == 403


async def test_a_change_goes_from_one_administrator_to_another(office, second):
    await office.active_grant()
    await office.clock.advance(timedelta(hours=1))
    proposal = await proposed(office)
    assert (proposal["state"], proposal["proposed_by"]) == ("pending", "root")

    shown = (await second.get(f"/policy/proposals/{proposal['id']}")).json()
    assert (shown["stale"], shown["base_files"]) == (False, {"policy.yaml": POLICY})
    assert shown["effects"]["replay"]["requests"] == 1

    own = await office.admin.post(f"/policy/proposals/{proposal['id']}/activation", json={})
    assert (own.status_code, "a second person" in own.json()["detail"]) == (403, True)
    done = (await second.post(f"/policy/proposals/{proposal['id']}/activation", json={"reason": "agreed"})).json()
    assert done["proposal"]["state"] == "activated"
    assert (await second.get("/policy")).json()["version"] == proposal["policy_version"]


async def test_what_comes_too_late_is_marked(office, second):
    first, late = await proposed(office), await proposed(office, POLICY.replace("8h", "9h"))
    await second.post(f"/policy/proposals/{first['id']}/activation", json={})
    listed = {one["id"]: one for one in (await second.get("/policy/proposals")).json()["items"]}
    assert (listed[first["id"]]["state"], listed[first["id"]]["stale"]) == ("activated", False)
    assert listed[late["id"]]["stale"]
    assert [one["id"] for one in (await second.get("/policy/proposals?open_only=true")).json()["items"]] == [late["id"]]
    assert (await second.post(f"/policy/proposals/{late['id']}/activation", json={})).status_code == 403


async def test_a_claim_nobody_decided_is_shown_and_takes_a_word(office, second):
    proposal = await proposed(office, CLAIMING.replace("24h", "1h"))
    shown = (await second.get(f"/policy/proposals/{proposal['id']}")).json()
    assert [claim["name"] for claim in shown["effects"]["claims"]] == ["nobody-stays"]
    listed = (await second.get("/policy/proposals")).json()["items"][0]
    assert sum(listed["claims"].values()) == 1


async def test_no_and_taking_back(office, second):
    first, other = await proposed(office), await proposed(office, POLICY.replace("8h", "9h"))
    assert (await second.post(f"/policy/proposals/{first['id']}/rejection", json={"reason": " "})).status_code == 422
    said = await second.post(f"/policy/proposals/{first['id']}/rejection", json={"reason": "restores take longer"})
    assert (said.status_code, said.json()["state"]) == (201, "rejected")
    back = await office.admin.post(f"/policy/proposals/{other['id']}/withdrawal", json={})
    assert back.json()["state"] == "withdrawn"


async def test_warnings_of_the_catalog_are_part_of_the_effects(office, second):
    proposal = await proposed(office, SHORTER.replace("[group:dba]", "[group:dbas]"))
    shown = (await second.get(f"/policy/proposals/{proposal['id']}")).json()
    assert any("there is no group `dbas`" in warning for warning in shown["effects"]["warnings"])


async def test_the_same_call_with_the_same_key_proposes_once(office):
    body = {"files": files(), "reason": "an hour is enough"}
    headers = {"Idempotency-Key": "once"}
    first = await office.admin.post("/policy/proposals", json=body, headers=headers)
    again = await office.admin.post("/policy/proposals", json=body, headers=headers)
    assert first.json() == again.json()
    assert len((await office.admin.get("/policy/proposals")).json()["items"]) == 1


async def test_schemas_for_editors_are_served_to_anybody(office):
    for name, title in (("policy.json", "lapse policy"), ("policy-cases.json", "test cases of a lapse policy")):
        assert (await office.client().get(f"/schemas/{name}")).json()["title"] == title
    assert (await office.client().get("/schemas/other.json")).status_code == 404
