"""Asking, deciding and following a request through the API."""

from __future__ import annotations

NEW = {"entitlement": "pg-prod/reader", "duration": "2h", "justification": "incident 4711 in billing"}


async def test_a_request_is_asked_approved_and_active(office):
    request = await office.ask()
    assert (request["state"], request["requested_duration"]) == ("pending", "PT2H")

    detail = (await office.client("alice").get(f"/requests/{request['id']}")).json()
    assert detail["stages"][0]["may_decide"] == ["bob", "carol"]

    assert (await office.approve(request["id"]))["state"] == "approved"
    await office.app.settle()
    (grant,) = (await office.client("alice").get("/grants", params={"request_id": request["id"]})).json()["items"]
    assert (grant["state"], grant["account"]) == ("active", "alice_login")
    assert (await office.client("alice").get(f"/requests/{request['id']}")).json()["grants"] == [grant["id"]]


async def test_a_policy_refusal_is_a_problem_with_its_reason(office):
    answer = await office.client("alice").post("/requests", json={**NEW, "duration": "P2D"})

    assert answer.status_code == 403
    problem = answer.json()
    assert (problem["code"], problem["type"]) == ("refused", "/api/v1/problems/refused")
    assert "4h" in problem["detail"]


async def test_nobody_decides_on_an_own_request(office):
    request = await office.ask(who="bob")

    answer = await office.client("bob").post(f"/requests/{request['id']}/decisions", json={"verdict": "approve"})

    assert answer.status_code == 403
    assert answer.json()["detail"] == "`bob` cannot decide on an own request"


async def test_a_denial_needs_a_reason(office):
    request = await office.ask()
    decisions = f"/requests/{request['id']}/decisions"

    assert (await office.client("bob").post(decisions, json={"verdict": "deny"})).status_code == 422
    denied = await office.client("bob").post(decisions, json={"verdict": "deny", "reason": "use the replica"})
    assert (denied.status_code, denied.json()["state"]) == (201, "denied")


async def test_a_preview_explains_and_records_nothing(office):
    answer = await office.client("alice").post("/requests/preview", json={**NEW, "duration": "9h"})

    assert answer.status_code == 200
    assert any("readers" in line for line in answer.json()["lines"])
    assert (await office.admin.get("/requests")).json() == {"items": [], "next": None}


async def test_what_somebody_else_would_be_answered_is_for_auditors_and_administrators(office):
    about_alice = {**NEW, "requester": "alice"}

    request_only = office.client(token=await office.token("dave", "request"))
    assert (await request_only.post("/requests/preview", json=about_alice)).status_code == 403
    explained = await office.admin.post("/requests/preview", json=about_alice)
    assert explained.json()["evaluation"]["terms"]["offer"] == "readers"


async def test_who_may_only_ask_sees_own_requests_only(office):
    mine, theirs = await office.ask("dave"), await office.ask("alice")
    dave = office.client(token=await office.token("dave", "request"))

    assert [one["id"] for one in (await dave.get("/requests")).json()["items"]] == [mine["id"]]
    assert (await dave.get(f"/requests/{theirs['id']}")).status_code == 404
    assert (await dave.get("/requests", params={"requester": "alice"})).status_code == 403


async def test_listings_come_in_pages_with_links(office):
    asked = [(await office.ask())["id"] for _ in range(5)]
    alice, seen, url = office.client("alice"), [], "/requests?limit=2&state=pending"

    while url:
        page = await alice.get(url)
        seen += [one["id"] for one in page.json()["items"]]
        link = page.links.get("next")
        assert (link is None) == (page.json()["next"] is None)
        url = f"http://127.0.0.1:7380{link['url']}" if link else None

    assert seen == sorted(asked, reverse=True)


async def test_a_cancelled_request_stays_cancelled(office):
    request = await office.ask()
    cancel = f"/requests/{request['id']}/cancel"

    assert (await office.client("alice").post(cancel, json={"reason": "solved"})).json()["state"] == "cancelled"
    assert (await office.client("alice").post(cancel)).status_code == 403
