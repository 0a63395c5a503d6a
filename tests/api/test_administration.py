"""Catalog, policy, targets, locks, tokens, drift and ledger through the API."""

from __future__ import annotations

from datetime import timedelta

from fakes.connector import FakeAccount
from lapse.domain.actors import Scope
from support.api import SECRET_DSN

CATALOG = """
principals:
  - {name: alice}
  - {name: olga}
resources:
  - {name: pg-test, connector: postgresql, owner: olga}
"""


async def test_a_catalog_is_planned_applied_and_applied_again_without_effect(office):
    files = {"files": {"catalog.yaml": CATALOG}}

    plan = await office.admin.put("/catalog", params={"dry_run": 1}, json=files)
    assert not plan.json()["applied"]
    assert {"change": "add", "kind": "resource", "name": "pg-test", "fields": []} in plan.json()["changes"]
    assert (await office.admin.get("/resources/pg-test")).status_code == 404

    assert (await office.admin.put("/catalog", json=files)).json()["changes"] == plan.json()["changes"]
    assert (await office.admin.put("/catalog", json=files)).json()["changes"] == []
    assert (await office.admin.get("/resources/pg-test")).json()["owner"] == "olga"


async def test_everything_wrong_with_a_catalog_is_said_with_its_place(office):
    files = {"files": {"c.yaml": "principals:\n  - {nam: alice}\n  - {name: bob, manager: nobody}\n"}}

    answer = await office.admin.put("/catalog", json=files)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-input")
    places = [(e["file"], e["line"], e["column"]) for e in answer.json()["errors"]]
    assert places == [("c.yaml", 2, 5), ("c.yaml", 2, 6), ("c.yaml", 3, 26)]


async def test_a_policy_is_checked_and_its_versions_are_kept(office):
    active = (await office.admin.get("/policy")).json()
    wrong = await office.admin.post("/policy/check", json={"files": {"p.yaml": "version: 1\noffers: 7\n"}})
    assert (wrong.status_code, wrong.json()["ok"]) == (200, False)
    assert wrong.json()["problem"].startswith("p.yaml:2:")

    again = await office.admin.put("/policy", json={"files": active["files"]})
    assert (again.json()["changed"], again.json()["policy"]["version"]) == (False, active["version"])
    assert [one["version"] for one in (await office.admin.get("/policy/versions")).json()["items"]] == [
        active["version"]
    ]
    assert (await office.admin.get(f"/policy/versions/{active['version']}")).json() == active


async def test_a_dsn_is_sealed_and_never_shown(office):
    shown = await office.admin.get("/targets/pg-prod")
    stored = await office.app.store.read(lambda reader: reader.target("pg-prod"))

    assert shown.json()["dsn"] == "sealed"
    assert stored.dsn_ref.startswith("sealed:")
    assert "hunter2" not in stored.dsn_ref + str(office.app.store.recorded)
    assert office.app.keyring.unseal(stored.dsn_ref.removeprefix("sealed:")) == SECRET_DSN


async def test_a_target_takes_exactly_one_way_to_its_dsn(office):
    both = await office.admin.put("/targets/pg-prod", json={"dsn": SECRET_DSN, "dsn_env": "X"})
    unknown = await office.admin.put("/targets/nothing", json={"dsn": SECRET_DSN})

    assert (both.status_code, unknown.status_code) == (422, 404)


async def test_a_target_that_cannot_be_set_up_says_why_when_it_is_used(office):
    put = await office.admin.put("/targets/pg-prod", json={"dsn_env": "LAPSE_TEST_NOT_SET"})
    assert put.status_code == 200

    answer = await office.admin.post("/targets/pg-prod/check")

    assert answer.status_code == 503
    assert "`LAPSE_TEST_NOT_SET` is not set" in answer.json()["detail"]


async def test_a_lock_ends_what_it_covers_and_takes_another_to_remove(office):
    grant = await office.active_grant()

    locked = (
        await office.admin.post("/locks", json={"kind": "principal", "target": "alice", "reason": "laptop"})
    ).json()
    assert locked["grants"] == [grant["id"]]
    await office.app.settle()
    assert (await office.client("alice").get(f"/grants/{grant['id']}")).json()["end_reason"] == "locked"

    assert (await office.admin.post(f"/locks/{locked['lock']['id']}/remove")).status_code == 403
    assert [one["id"] for one in (await office.client("bob").get("/locks")).json()["items"]] == [locked["lock"]["id"]]


async def test_a_grant_is_released_once_and_stays_over(office):
    grant = await office.active_grant()
    release = f"/grants/{grant['id']}/release"

    assert (await office.client("dave").post(release)).status_code == 403
    assert (await office.client("alice").post(release)).json()["state"] == "revoking"
    await office.app.settle()
    assert (await office.client("alice").post(release)).json()["state"] == "ended"


async def test_a_grant_is_extended_by_a_new_request(office):
    grant = await office.active_grant()

    body = {"duration": "1h", "justification": "the migration takes longer"}
    answer = await office.client("alice").post(f"/grants/{grant['id']}/extend", json=body)

    assert (answer.status_code, answer.json()["extends"]) == (201, grant["id"])


async def test_a_token_is_shown_once(office):
    body = {"principal": "alice", "scopes": ["request"], "life": "30d", "note": "laptop"}
    answer = await office.admin.post("/tokens", json=body)

    secret = answer.json()["secret"]
    assert answer.headers["cache-control"] == "no-store"
    assert (await office.client(token=secret).get("/me")).json()["scopes"] == ["request"]
    assert secret not in (await office.admin.get("/tokens")).text


async def test_secrets_are_not_kept_for_replay(office):
    key = {"Idempotency-Key": "1"}
    body = {"principal": "alice", "scopes": ["request"]}

    secrets = [(await office.admin.post("/tokens", json=body, headers=key)).json()["secret"] for _ in range(2)]

    assert secrets[0] != secrets[1]
    assert not any(secret in str(office.app.store.tables) for secret in secrets)


async def test_drift_is_planned_recorded_and_listed(office):
    office.target.target.accounts["mallory"] = FakeAccount()
    assert (await office.admin.post("/targets/pg-prod/reconciliation")).status_code == 200
    office.target.target.grant("mallory", "app_reader")
    await office.clock.advance(timedelta(minutes=1))

    plan = (await office.admin.get("/targets/pg-prod/reconciliation")).json()
    assert [(d["account"], d["kind"]) for d in plan["found"]] == [("mallory", "unknown_access")]
    assert (await office.admin.get("/drift")).json()["items"] == []

    await office.admin.post("/targets/pg-prod/reconciliation")
    (drift,) = (await office.admin.get("/drift")).json()["items"]
    assert (drift["account"], drift["role"]) == ("mallory", "app_reader")


async def test_the_ledger_is_listed_proved_and_verified(office):
    grant = await office.active_grant()

    listed = (await office.admin.get("/ledger/entries", params={"subject": grant["id"]})).json()["items"]
    assert [one["entry"]["type"] for one in listed] == ["grant.active", "grant.activating", "grant.scheduled"]
    proof = (await office.admin.get(f"/ledger/entries/{listed[0]['seq']}/proof")).json()
    assert proof

    checkpoint = (await office.admin.get("/ledger/checkpoint")).json()
    verdict = (await office.admin.post("/ledger/verify", json={"checkpoints": [checkpoint["note"]]})).json()
    assert (verdict["ok"], verdict["first_broken"], verdict["key"]) == (True, None, checkpoint["key"])
    assert (await office.client("alice").get("/ledger/entries/99999/proof")).status_code == 404


async def test_a_forged_checkpoint_is_refused(office):
    await office.active_grant()
    note = (await office.admin.get("/ledger/checkpoint")).json()["note"]

    verdict = (await office.admin.post("/ledger/verify", json={"checkpoints": [note.replace("\n", "\n1", 1)]})).json()

    assert not verdict["ok"]


async def test_the_ledger_is_for_auditors(office):
    request_only = office.client(token=await office.token("dave", Scope.REQUEST))

    for path in ("/ledger/entries", "/ledger/checkpoint", "/targets", "/drift", "/reviews"):
        assert (await request_only.get(path)).status_code == 403
