"""Bundles, repetitions, emergencies, templates, agents and the red button, through the API."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lapse.control import catalogs
from lapse.domain.actors import Scope, system_actor
from support.api import open_office
from support.world import CATALOG, POLICY

WHY = {"justification": "incident 4711 in billing"}
MORE = (
    POLICY.replace("kinds: [person, service, agent]", "kinds: [person, service]").replace(
        "    purpose: looking into orders\n", "", 1
    )
    + """
  - name: agents
    entitlements: pg-prod/reader
    to: anyone
    kinds: agent
    purpose: looking into orders
    max_duration: 30m
    approvals: [{from: group:dba}]
  - name: emergency
    entitlements: pg-prod/writer
    to: anyone
    max_duration: 1h
    break_glass: {review_within: 24h, reviewers: [group:dba]}
limits:
  - {name: few, quota: {pending: 3}}
"""
)


@pytest.fixture
async def office(tmp_path):
    async with open_office(tmp_path, policy=MORE) as office:
        yield office


async def post(client, path, body=None, status=201):
    answer = await client.post(path, json=body or {})
    assert answer.status_code == status, answer.text
    return answer.json()


async def bundle(office, *roles, who="alice", **more):
    names = [f"pg-prod/{role}" for role in roles]
    return await post(office.client(who), "/bundles", {"entitlements": names, "duration": "30m", **WHY, **more})


# several at once


async def test_a_bundle_is_asked_for_shown_and_granted_together(office):
    made = await bundle(office, "metrics", "reader")
    assert [request["state"] for request in made["requests"]] == ["approved", "pending"]
    assert {request["bundle"] for request in made["requests"]} == {made["id"]}
    shown = (await office.client("alice").get(f"/bundles/{made['id']}")).json()
    assert shown == made
    assert (await office.client("alice").get("/grants")).json()["items"] == []

    await office.approve(made["requests"][1]["id"])
    assert len((await office.client("alice").get("/grants")).json()["items"]) == 2


async def test_a_bundle_of_others_does_not_exist_for_who_may_only_ask(office):
    made = await bundle(office, "metrics", "reader")
    dave = office.client(token=await office.token("dave", Scope.REQUEST))
    assert (await dave.get(f"/bundles/{made['id']}")).status_code == 404
    assert (await office.admin.get("/bundles/bun_none")).status_code == 404


async def test_one_is_taken_out_of_a_bundle_or_all_are_withdrawn(office):
    one, other = (await bundle(office, "reader", "writer"))["requests"]
    taken = await post(office.client("alice"), f"/requests/{one['id']}/cancel", {"alone": True}, 200)
    assert (taken["state"], taken["bundle"]) == ("cancelled", "")
    assert (await office.client("alice").get(f"/requests/{other['id']}")).json()["state"] == "pending"
    one, other = (await bundle(office, "reader", "metrics", who="dave"))["requests"]
    await post(office.client("dave"), f"/requests/{one['id']}/cancel", {"reason": "not needed"}, 200)
    assert (await office.client("dave").get("/grants")).json()["items"] == []


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "nothing is asked for"),
        (["pg-prod/reader"] * 2, "an entitlement is asked for twice"),
        ([f"pg-prod/r{n}" for n in range(21)], "these are 21 entitlements, 20 at most"),
    ],
)
async def test_what_is_no_bundle(office, names, words):
    problem = await post(office.client("alice"), "/bundles", {"entitlements": names, "duration": "1h", **WHY}, 422)
    assert problem["detail"] == words


# again and again

NIGHTLY = {"days": "mon-wed", "at": "22:00", "timezone": "Europe/Berlin", "until": "2026-03-05"}


async def test_what_repeats_is_a_grant_for_each_time_and_given_back_in_one_call(office):
    body = {"entitlement": "pg-prod/reader", "duration": "1h", "repeats": NIGHTLY, **WHY}
    request = await post(office.client("alice"), "/requests", body)
    assert request["repeats"] == {
        "days": [0, 1, 2],
        "at_minute": 1320,
        "timezone": "Europe/Berlin",
        "until": "2026-03-05T22:59:59.000000Z",
    }
    await office.approve(request["id"])
    detail = (await office.client("alice").get(f"/requests/{request['id']}")).json()
    assert len(detail["grants"]) == 3
    ended = await post(office.client("alice"), f"/requests/{request['id']}/release", None, 200)
    assert [(grant["state"], grant["end_reason"]) for grant in ended["items"]] == [("ended", "released")] * 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"days": "someday"}, "`someday` is no day"),
        ({"at": "25:00"}, "`25:00` is not a time of day"),
        ({"timezone": "Mars/Base"}, "`Mars/Base` is not a time zone"),
        ({"until": "2026-13-01"}, "`2026-13-01` is not a day"),
        ({"until": "2026-09-01"}, "is more than 90 days away"),
        ({"until": "2020-01-01"}, "there is no such day before the end"),
    ],
)
async def test_what_is_no_repetition(office, change, words):
    body = {"entitlement": "pg-prod/reader", "duration": "1h", "repeats": {**NIGHTLY, **change}, **WHY}
    problem = await post(office.client("alice"), "/requests", body, 422)
    assert words in problem["detail"]
    assert "\n" not in problem["detail"]


@pytest.mark.parametrize("duration", ["0s", "P400D", "P999999999W", "-PT1H", "999999999w999999999d", "1 fortnight", ""])
async def test_durations_that_are_none_or_too_long_are_one_sentence(office, duration):
    body = {"entitlement": "pg-prod/reader", "duration": duration, **WHY}
    for path, asked in (("/requests", body), ("/templates/x/requests", {"duration": duration or "0s"})):
        problem = await post(office.client("alice"), path, asked, 422)
        assert "\n" not in problem["detail"]


# emergencies


async def test_break_glass_is_at_once_marked_told_and_reviewed_by_somebody_else(office):
    body = {"entitlement": "pg-prod/writer", "duration": "30m", "break_glass": True, **WHY}
    request = await post(office.client("alice"), "/requests", body)
    assert (request["state"], request["terms"]["post_review"]["reviewers"]) == ("approved", ["group:dba"])
    (grant,) = (await office.client("alice").get("/grants")).json()["items"]
    assert grant["break_glass"] is True

    (use,) = (await office.client("bob").get("/breakglass")).json()["items"]
    assert (use["requester"], use["justification"], use["is_overdue"]) == ("alice", WHY["justification"], False)
    assert use["grants"] == [grant["id"]]
    said = {"judgement": "justified", "note": "saw the incident"}
    review = f"/breakglass/{use['id']}/review"
    assert (await post(office.client("alice"), review, said, 403))["detail"].endswith("own use of break-glass")
    assert (await post(office.client("bob"), review, {**said, "note": " "}, 422))["detail"] == "a review needs a note"
    judged = await post(office.client("bob"), review, said, 200)
    assert (judged["judgement"], judged["reviewed_by"]) == ("justified", "bob")
    assert (await office.client("bob").get("/breakglass")).json()["items"] == []
    assert len((await office.client("bob").get("/breakglass?all=true")).json()["items"]) == 1
    assert (await post(office.client("carol"), review, said, 403))["detail"].endswith("already, by `bob`")


async def test_who_may_only_ask_sees_own_emergencies(office):
    await post(
        office.client("alice"),
        "/requests",
        {"entitlement": "pg-prod/writer", "duration": "30m", "break_glass": True, **WHY},
    )
    alice, dave = [office.client(token=await office.token(who, Scope.REQUEST)) for who in ("alice", "dave")]
    (use,) = (await alice.get("/breakglass")).json()["items"]
    assert (await dave.get("/breakglass")).json()["items"] == []
    assert (await dave.get(f"/breakglass/{use['id']}")).status_code == 404
    assert (await alice.get(f"/breakglass/{use['id']}")).json()["id"] == use["id"]


# templates


async def test_a_template_is_kept_used_and_removed(office):
    alice = office.client("alice")
    kept = {"entitlements": ["pg-prod/reader", "pg-prod/metrics"], "duration": "20m", "justification": "monthly report"}
    assert (await alice.put("/templates/report", json=kept)).status_code == 200
    assert [one["name"] for one in (await alice.get("/templates")).json()["items"]] == ["report"]
    assert (
        await office.client(token=await office.token("dave", Scope.REQUEST)).get("/templates/report")
    ).status_code == 404
    made = await post(alice, "/templates/report/requests", {"justification": "quarterly report"})
    assert [request["justification"] for request in made["requests"]] == ["quarterly report"] * 2
    again = await post(alice, f"/requests/{made['requests'][0]['id']}/again", {"duration": "10m"})
    assert [request["requested_duration"] for request in again["requests"]] == ["PT10M"] * 2
    assert (await alice.delete("/templates/report")).status_code == 200
    assert (await alice.get("/templates/report")).status_code == 404


# agents


async def test_an_agent_asks_with_its_own_token_and_shows_whom_it_acts_for(office):
    bot = office.client(token=await office.token("bot", Scope.REQUEST, Scope.APPROVE, Scope.ADMIN))
    too_long = await post(bot, "/requests", {"entitlement": "pg-prod/reader", "duration": "2h", **WHY}, 403)
    assert "`agents` allows at most 30m" in too_long["detail"]
    wider = await post(bot, "/requests", {"entitlement": "pg-prod/metrics", "duration": "20m", **WHY}, 403)
    assert "no offer is about `pg-prod/metrics` for `bot`" in wider["detail"]

    request = await post(bot, "/requests", {"entitlement": "pg-prod/reader", "duration": "30m", **WHY})
    assert (request["requester"], request["sponsor"], request["terms"]["purpose"]) == (
        "bot",
        "bob",
        "looking into orders",
    )
    own = await post(office.client("bob"), f"/requests/{request['id']}/decisions", {"verdict": "approve"}, 403)
    assert own["detail"] == "`bob` cannot decide on an own request"
    await office.approve(request["id"], "carol")
    await office.app.settle()
    bob = office.client(token=await office.token("bob", Scope.REQUEST))
    (grant,) = (await bob.get("/grants", params={"beneficiary": "bot"})).json()["items"]
    assert (grant["state"], grant["sponsor"], grant["purpose"]) == ("active", "bob", "looking into orders")

    theirs = await office.ask("dave")
    assert (await post(bot, f"/requests/{theirs['id']}/decisions", {"verdict": "approve"}, 403))["detail"].startswith(
        "`bot` "
    )
    lock = await post(office.admin, "/locks", {"kind": "resource", "target": "pg-prod", "reason": "breach"})
    assert "no active person" in (await post(bot, f"/locks/{lock['lock']['id']}/remove", None, 403))["detail"]


@pytest.mark.parametrize("how", ["leaves", "is locked"])
async def test_an_agent_loses_access_with_its_sponsor(office, how):
    bot = office.client(token=await office.token("bot", Scope.REQUEST))
    request = await post(bot, "/requests", {"entitlement": "pg-prod/reader", "duration": "30m", **WHY})
    await office.approve(request["id"], "carol")
    await office.app.settle()
    assert office.target.holds("bot_login", "app_reader")

    if how == "leaves":
        gone = replace(CATALOG.principals["bob"], active=False)
        wanted = replace(CATALOG, principals={**CATALOG.principals, "bob": gone})
        await catalogs.apply(office.app.control, system_actor("test"), wanted)
        status = 401
    else:
        await post(office.admin, "/locks", {"kind": "principal", "target": "bob", "reason": "laptop stolen"})
        status = 403
    await office.app.settle()
    assert not office.target.holds("bot_login", "app_reader")
    await post(bot, "/requests", {"entitlement": "pg-prod/reader", "duration": "30m", **WHY}, status)


# limits


async def test_nobody_floods_those_who_decide(office):
    asked = [
        await office.client("alice").post(
            "/requests", json={"entitlement": "pg-prod/reader", "duration": f"{n + 1}m", **WHY}
        )
        for n in range(5)
    ]
    assert [answer.status_code for answer in asked] == [201] * 3 + [403] * 2
    assert "limit `few` lets 3 requests of one requester wait at a time (3 so far)" in asked[-1].json()["detail"]
    assert (await office.ask("dave"))["state"] == "pending"


# the red button


async def test_a_lock_is_shown_before_it_is_set_and_removed_by_a_second_person(office):
    grant = await office.active_grant()
    body = {"kind": "principal", "target": "alice"}
    seen = await post(office.admin, "/locks/preview", body, 200)
    assert [one["id"] for one in seen["ends"]] == [grant["id"]]
    assert (await office.client("alice").get(f"/grants/{grant['id']}")).json()["state"] == "active"

    made = await post(office.admin, "/locks", {**body, "reason": "laptop stolen"})
    assert made["grants"] == [grant["id"]]
    own = await post(office.admin, f"/locks/{made['lock']['id']}/remove", None, 403)
    assert own["detail"].startswith("`root` set lock")
    second = office.client(token=await office.token("root2", Scope.ADMIN))
    assert (await post(second, f"/locks/{made['lock']['id']}/remove", None, 200))["removed_by"] == "root2"
    assert (await post(office.client("alice"), "/locks/preview", body, 403))["detail"] == "`alice` may not do this"


async def test_what_is_scheduled_waits_under_a_lock_and_goes_on_after_it(office):
    starts = (office.clock.now() + timedelta(hours=1)).isoformat()
    request = await post(
        office.client("alice"),
        "/requests",
        {"entitlement": "pg-prod/reader", "duration": "1h", "starts_at": starts, **WHY},
    )
    await office.approve(request["id"])
    made = await post(office.admin, "/locks", {"kind": "everything", "reason": "breach"})
    (grant,) = (await office.client("alice").get("/grants")).json()["items"]
    assert (made["waiting"], grant["suspended_by"]) == ([grant["id"]], made["lock"]["id"])
    second = office.client(token=await office.token("root2", Scope.ADMIN))
    assert (await post(second, f"/locks/{made['lock']['id']}/remove", None, 200))["resumed"] == [grant["id"]]
