"""What waits, what is offered instead, and who decides for whom, through the API."""

from __future__ import annotations

from datetime import timedelta

from support.clock import START


async def test_what_waits_is_shown_to_those_who_may_decide(office):
    request = await office.ask()

    (mine,) = (await office.client("bob").get("/approvals")).json()["items"]
    assert (mine["request"]["id"], mine["stage"], mine["missing"], mine["on_behalf_of"]) == (
        request["id"],
        "dba",
        1,
        "",
    )
    for other in ("alice", "alice-admin", "dave"):
        assert (await office.client(other).get("/approvals")).json()["items"] == []
    await office.approve(request["id"])
    assert (await office.client("carol").get("/approvals")).json()["items"] == []


async def test_an_inbox_is_for_approvers(office):
    token = await office.token("dave", "request")
    assert (await office.client(token=token).get("/approvals")).status_code == 403


async def test_less_is_offered_and_accepted(office):
    request = await office.ask()
    offer, accept = f"/requests/{request['id']}/offer", f"/requests/{request['id']}/accept"

    assert (await office.client("bob").post(offer, json={"reason": "enough"})).status_code == 422
    offered = await office.client("bob").post(offer, json={"duration": "30m", "reason": "that is enough"})
    assert (offered.status_code, offered.json()["counter"]["duration"]) == (201, "PT30M")
    waits = await office.client("carol").post(f"/requests/{request['id']}/decisions", json={"verdict": "approve"})
    assert (waits.status_code, "offered less" in waits.json()["detail"]) == (403, True)
    assert (await office.client("bob").get("/approvals")).json()["items"] == []

    assert (await office.client("dave").post(accept)).status_code == 403
    accepted = (await office.client("alice").post(accept)).json()
    assert (accepted["state"], accepted["requested_duration"]) == ("approved", "PT30M")


async def test_a_request_shows_its_stages_votes_and_delegates(office):
    until = (START + timedelta(days=1)).isoformat()
    body = {"delegate": "dave", "ends_at": until, "reason": "on leave"}
    made = await office.client("olga").post("/delegations", json=body)
    assert made.status_code == 201
    request = await office.ask(what="pg-prod/writer", duration="1h")
    await office.approve(request["id"])

    detail = (await office.client("bob").get(f"/requests/{request['id']}")).json()
    first, second = detail["stages"]
    assert (first["state"], first["approved_by"], first["may_decide"]) == ("met", ["bob"], [])
    assert (second["state"], second["may_decide"], second["through"]) == ("open", ["dave", "olga"], {"dave": "olga"})
    assert (await office.approve(request["id"], "dave"))["state"] == "approved"

    detail = (await office.client("bob").get(f"/requests/{request['id']}")).json()
    assert [(one["approver"], one["on_behalf_of"]) for one in detail["decisions"]] == [("bob", ""), ("dave", "olga")]
    assert detail["counted"] == [one["id"] for one in detail["decisions"]]
    assert [one["may_decide"] for one in detail["stages"]] == [[], []]


async def test_a_request_says_when_it_can_no_longer_be_approved(office):
    request = await office.ask()
    catalog = await office.app.store.read(lambda reader: reader.catalog())
    nobody = {**catalog.groups, "dba": type(catalog.groups["dba"])(name="dba")}
    await office.app.store.write(lambda tx: tx.replace_catalog(type(catalog)(**{**_parts(catalog), "groups": nobody})))

    detail = (await office.client("bob").get(f"/requests/{request['id']}")).json()
    assert detail["dead_end"].startswith("stage `dba` needs 1 more of `group:dba`, and none of them")


async def test_a_delegation_ends_early(office):
    until = (START + timedelta(days=1)).isoformat()
    made = await office.admin.post(
        "/delegations", json={"principal": "olga", "delegate": "dave", "ends_at": until, "reason": "ill"}
    )
    listed = (await office.client("dave").get("/delegations")).json()["items"]
    assert [one["id"] for one in listed] == [made.json()["id"]]
    end = f"/delegations/{made.json()['id']}/end"
    assert (await office.client("dave").post(end)).status_code == 403
    assert (await office.client("olga").post(end)).json()["ended_early_at"]
    assert (await office.client("dave").get("/delegations")).json()["items"] == []
    assert len((await office.admin.get("/delegations?all=true")).json()["items"]) == 1


async def test_a_time_that_is_none_is_a_problem_of_the_caller(office):
    answer = await office.client("bob").post(
        "/delegations", json={"delegate": "dave", "ends_at": "tomorrow", "reason": "x"}
    )
    assert (answer.status_code, answer.json()["detail"]) == (422, "`tomorrow` is not a time")


def _parts(catalog):
    return {"principals": catalog.principals, "groups": catalog.groups, "resources": catalog.resources}
