"""What every call has in common: who acts, bad input, problems, idempotency, validators, headers."""

from __future__ import annotations

from datetime import timedelta

import pytest

from fakes.connector import Fault
from lapse.domain.actors import Scope
from lapse.entrypoints.api.idempotency import Replies

NEW = {"entitlement": "pg-prod/reader", "duration": "2h", "justification": "incident 4711 in billing"}


async def test_without_a_token_there_is_no_answer(office):
    answer = await office.client().get("/requests")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "not-authenticated"


@pytest.mark.parametrize("header", ["Bearer", "Bearer x", "Basic eDp5", "bearer lapse_" + "a" * 43, "Bearer \u00e9"])
async def test_anything_but_a_known_token_is_refused(office, header):
    answer = await office.client().get("/requests", headers={"Authorization": header.encode()})

    assert answer.status_code == 401


async def test_a_token_stops_at_its_end_and_when_it_is_revoked(office):
    token = await office.token("alice", Scope.REQUEST, life=timedelta(hours=1))
    assert (await office.client(token=token).get("/me")).status_code == 200

    (listed,) = [t for t in (await office.admin.get("/tokens")).json()["items"] if t["principal"] == "alice"]
    assert "digest" not in listed
    assert (await office.admin.delete(f"/tokens/{listed['id']}")).status_code == 200
    assert (await office.client(token=token).get("/me")).status_code == 401

    another = await office.token("alice", Scope.REQUEST, life=timedelta(hours=1))
    await office.clock.advance(timedelta(hours=1))
    assert (await office.client(token=another).get("/me")).status_code == 401


@pytest.mark.parametrize(
    "circumstances",
    [
        {"peer": ("192.0.2.7", 4711)},
        {"base_url": "http://attacker.example:7380/api/v1"},
        {"proxied": {"X-Forwarded-For": "192.0.2.7"}},
        {"proxied": {"Origin": "http://127.0.0.1:7380"}},
    ],
    ids=["from another machine", "a name that was rebound", "through a proxy", "from a page"],
)
async def test_a_local_user_acts_from_this_machine_only(office, circumstances):
    proxied = circumstances.pop("proxied", {})

    answer = await office.client("alice", **circumstances).get("/me", headers=proxied)

    assert (answer.status_code, answer.json()["detail"]) == (403, "local users act from this machine only")


async def test_a_local_user_administers_nothing(office):
    answer = await office.client("root").post("/locks", json={"kind": "everything", "reason": "fire"})

    assert answer.status_code == 403


async def test_without_local_users_nobody_can_be_named(office, tmp_path):
    from support.api import open_office

    (tmp_path / "other").mkdir()
    async with open_office(tmp_path / "other", local_users=False) as strict:
        assert (await strict.client("alice").get("/me")).status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "not JSON"),
        (b"[]", 422, "expected"),
        (b'{"entitlement": "pg-prod/reader"}', 422, "duration"),
        (b'{"entitlement": "pg-prod/reader", "duration": "2h", "approved": true}', 422, "approved"),
        (b'{"entitlement": "pg-prod/reader", "duration": 2}', 422, "duration"),
        (b'{"entitlement": "pg-prod/reader", "duration": "-2h"}', 422, "not a duration"),
        (b'{"entitlement": "pg-prod/reader", "duration": "0s"}', 422, "not longer than zero"),
        (b'{"entitlement": "pg-prod/reader", "duration": "1000000d"}', 422, "longer than"),
        (b'{"entitlement": "nothing", "duration": "2h"}', 422, "not an entitlement"),
        (b'{"entitlement": "pg-prod/nothing", "duration": "2h"}', 404, "no entitlement"),
        (b'{"entitlement": "pg-prod/reader\\u0000", "duration": "2h"}', 422, "not a role name"),
        (b'{"entitlement": "pg-prod/reader", "duration": "2h", "starts_at": "yesterday"}', 422, "not a time"),
        (b'{"entitlement": "pg-prod/reader", "duration": "2h", "starts_at": "2001-01-01T00:00:00Z"}', 422, "past"),
        (b'{"entitlement": "pg-prod/reader", "duration": "2h", "justification": "\\u001b[2J"}', 422, "control"),
        (b"[" * 100_000, 422, "expected"),
        (b"\xff\xfe", 400, "not JSON"),
    ],
)
async def test_bad_input_is_one_clear_sentence(office, body, status, said):
    answer = await office.client("alice").post("/requests", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
    assert "Traceback" not in answer.text


async def test_a_body_that_is_too_large_is_not_read(office):
    huge = await office.client("alice").post("/requests", json={**NEW, "justification": "x" * (1 << 20)})

    assert (huge.status_code, huge.json()["code"]) == (413, "too-large")


async def test_a_body_without_a_length_is_cut_off_as_well(office):
    async def endless():
        while True:
            yield b"x" * 65_536

    answer = await office.client("alice").post("/requests", content=endless())

    assert answer.status_code == 413


async def test_a_body_that_is_not_json_is_refused(office):
    answer = await office.client("alice").post("/requests", data={"entitlement": "pg-prod/reader"})

    assert (answer.status_code, answer.json()["code"]) == (415, "not-json")


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x", "colour=red", "state=open", "limit=1&limit=2"])
async def test_a_query_that_cannot_be_right_is_refused(office, query):
    assert (await office.client("alice").get(f"/requests?{query}")).status_code == 422


async def test_a_query_that_lacks_what_it_needs_is_refused(office):
    answer = await office.admin.get("/reviews/rev_1/diff")
    assert answer.status_code == 422
    assert "against" in answer.json()["detail"]


async def test_paths_and_methods_that_do_not_exist_are_problems(office):
    nothing = await office.client("alice").get("/nothing")
    wrong = await office.client("alice").delete("/requests")

    assert (nothing.status_code, nothing.json()["code"]) == (404, "not-found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method-not-allowed")
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert nothing.headers["content-type"] == wrong.headers["content-type"] == "application/problem+json"


async def test_a_bug_shows_an_id_and_nothing_else(office, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(office.app.store, "read", broken)
    answer = await office.client("alice").get("/me")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert answer.json()["instance"].startswith("urn:lapse:bug:")
    assert [type(bug) for bug in office.bugs] == [ZeroDivisionError]
    office.bugs.clear()


async def test_a_target_that_does_not_answer_is_unavailable_and_worth_a_retry(office):
    office.target.inject(Fault.UNREACHABLE, on="check")

    answer = await office.admin.post("/targets/pg-prod/check")

    assert (answer.status_code, answer.json()["retry"]) == (503, True)
    assert answer.headers["retry-after"] == "1"


async def test_the_same_call_with_the_same_key_is_carried_out_once(office):
    alice, key = office.client("alice"), {"Idempotency-Key": "4711"}

    first = await alice.post("/requests", json=NEW, headers=key)
    again = await alice.post("/requests", json=NEW, headers=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len((await alice.get("/requests")).json()["items"]) == 1


async def test_a_key_is_for_one_call_of_one_caller(office):
    key = {"Idempotency-Key": "4711"}
    await office.client("alice").post("/requests", json=NEW, headers=key)

    other_call = await office.client("alice").post("/requests", json={**NEW, "duration": "1h"}, headers=key)
    other_caller = await office.client("bob").post("/requests", json=NEW, headers=key)

    assert (other_call.status_code, other_call.json()["code"]) == (422, "idempotency-key-reused")
    assert (other_caller.status_code, other_caller.json()["requester"]) == (201, "bob")


async def test_a_refusal_is_not_kept_under_its_key(office):
    alice, key = office.client("alice"), {"Idempotency-Key": "4711"}
    lock = (await office.admin.post("/locks", json={"kind": "everything", "reason": "fire"})).json()["lock"]
    assert (await alice.post("/requests", json=NEW, headers=key)).status_code == 403

    other = office.client(token=await office.token("root2", Scope.ADMIN))
    assert (await other.post(f"/locks/{lock['id']}/remove")).status_code == 200
    assert (await alice.post("/requests", json=NEW, headers=key)).status_code == 201


async def test_a_policy_refusal_is_an_outcome_and_is_answered_again(office):
    alice, key = office.client("alice"), {"Idempotency-Key": "4711"}
    too_long = {**NEW, "duration": "1d"}

    first = await alice.post("/requests", json=too_long, headers=key)
    again = await alice.post("/requests", json=too_long, headers=key)

    assert (first.status_code, again.status_code, again.json()) == (403, 403, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert [entry.type for entry in office.app.store.recorded].count("request.refused") == 1


async def test_a_call_whose_answer_was_lost_is_not_carried_out_a_second_time(office, monkeypatch):
    alice, key = office.client("alice"), {"Idempotency-Key": "4711"}

    async def crash(*_):
        raise ZeroDivisionError

    with monkeypatch.context() as crashing:
        crashing.setattr(Replies, "keep", crash)
        assert (await alice.post("/requests", json=NEW, headers=key)).status_code == 500
    office.bugs.clear()

    again = await alice.post("/requests", json=NEW, headers=key)

    assert (again.status_code, again.json()["code"]) == (409, "idempotency-key-in-use")
    assert len((await alice.get("/requests")).json()["items"]) == 1


async def test_somebody_who_left_acts_no_more(office):
    token = await office.token("gone", Scope.ADMIN)

    answer = await office.client(token=token).post("/locks", json={"kind": "everything", "reason": "revenge"})

    assert (answer.status_code, answer.json()["detail"]) == (401, "`gone` is not active")


async def test_what_did_not_change_is_not_sent_again(office):
    request = await office.ask()
    url, alice = f"/requests/{request['id']}", office.client("alice")
    tag = (await alice.get(url)).headers["etag"]

    assert (await alice.get(url, headers={"If-None-Match": tag})).status_code == 304
    await office.approve(request["id"])
    changed = await alice.get(url, headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["state"]) == (200, "approved")


async def test_answers_carry_headers_that_keep_them_safe(office):
    for answer in (await office.client("alice").get("/me"), await office.client().get("/me")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-frame-options"] == "DENY"


async def test_health_needs_no_token(office):
    client = office.client(base_url="http://127.0.0.1:7380")

    assert (await client.get("/healthz")).json()["status"] == "ok"
    assert (await client.get("/readyz")).json()["status"] == "ready"


async def test_every_kind_of_problem_explains_itself(office):
    problem = (await office.client().get("/me")).json()

    explained = await office.client(base_url="http://127.0.0.1:7380").get(problem["type"])

    assert explained.json()["title"] == problem["title"]
