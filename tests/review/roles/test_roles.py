"""What roles allow against what was used, and the narrower role in the words of each target."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from ruamel.yaml import YAML

from lapse.domain.data import from_data, to_data
from lapse.identity.catalog_files import catalog_from_files
from lapse.policy import parse, version_of
from lapse.review.roles.model import RightState, RoleState, RoleValidation
from lapse.review.roles.validation import validate_roles
from support.evidence_rows import evidence

START = datetime(2026, 7, 1, tzinfo=UTC)
EVERYTHING = {"from_at": START, "to_at": START + timedelta(days=100), "complete": True, "actions": True}
POLICY = """\
version: 1
offers:
  - name: writers
    description: Writing orders.
    entitlements: pg/writer
    to: group:dev
    max_duration: 2h
    approvals: [{from: owner}]
"""


def right(action, thing, *, role="writer", resource="pg", **more):
    return {"resource": resource, "role": role, "action": action, "object": thing, "origin": "observed", **more}


def use(action, thing, *, account="ann", resource="pg", **more):
    row = {"resource": resource, "account": account, "action": action, "object": thing}
    return row | {"started_at": START + timedelta(days=3)} | more


def holder(account="ann", *, role="writer", resource="pg", **more):
    return {"resource": resource, "account": account, "role": role, "can_login": True, "holding": "direct"} | more


def tables(rights, uses, *, connector="postgresql", resource="pg", holders=None, **more):
    return {
        "role_privileges": rights,
        "usage": uses,
        "coverage": [EVERYTHING | {"resource": resource}],
        "access_observed": [holder(resource=resource)] if holders is None else holders,
        "resources": [{"resource": resource, "connector": connector}],
        **more,
    }


def validated(tmp_path, found) -> RoleValidation:
    with evidence(tmp_path / "s", found) as (engine, snapshot):
        result = validate_roles(engine, snapshot)
    assert from_data(RoleValidation, to_data(result)) == result
    return result


def only(tmp_path, found):
    [check] = validated(tmp_path, found).checks
    return check


PG_RIGHTS = [
    *(right(action, "public.orders") for action in ("SELECT", "INSERT", "UPDATE", "DELETE")),
    right("SELECT", "public.people"),
    right("USAGE", "public"),
    right("USAGE", "audit"),
]
PG_OBJECTS = [
    {"resource": "pg", "grantee": "writer", "object_kind": kind, "object_name": name, "privileges": rights}
    for kind, name, rights in (
        ("table", "public.orders", "SELECT;INSERT;UPDATE;DELETE"),
        ("table", "public.people", "SELECT"),
        ("schema", "public", "USAGE"),
        ("schema", "audit", "USAGE"),
    )
]


def states(check):
    rights = (*check.used_rights, *check.kept_rights, *check.unused_rights)
    return {(one.action, one.object): one.state for one in rights}


def test_what_was_used_stays_what_that_needs_is_kept_and_the_rest_is_unused(tmp_path):
    uses = [use("UPDATE", "public.orders"), use("SELECT", None), use("connect", "shop")]
    check = only(tmp_path, tables(PG_RIGHTS, uses, object_privileges=PG_OBJECTS))
    assert check.state is RoleState.NARROWER
    assert states(check) == {
        ("UPDATE", "public.orders"): RightState.USED,
        ("SELECT", "public.orders"): RightState.KEPT,
        ("USAGE", "public"): RightState.KEPT,
        ("INSERT", "public.orders"): RightState.UNUSED,
        ("DELETE", "public.orders"): RightState.UNUSED,
        ("SELECT", "public.people"): RightState.UNUSED,
        ("USAGE", "audit"): RightState.UNUSED,
    }
    assert (check.rights, check.used, check.kept, check.unused) == (7, 1, 2, 4)
    assert check.reason == "4 of 7 rights were not used, by any of its 1 holders"
    assert check.spellings[0].text == (
        'REVOKE USAGE ON SCHEMA "audit" FROM "writer";\n'
        'REVOKE DELETE, INSERT ON TABLE "public"."orders" FROM "writer";\n'
        'REVOKE SELECT ON TABLE "public"."people" FROM "writer";\n'
    )
    assert check.spellings[1].text == (
        "-- what writer was used for\n"
        'CREATE ROLE "writer_narrow" NOLOGIN;\n'
        'GRANT USAGE ON SCHEMA "public" TO "writer_narrow";\n'
        'GRANT SELECT, UPDATE ON TABLE "public"."orders" TO "writer_narrow";\n'
    )


@pytest.mark.parametrize(
    ("coverage", "reason"),
    [
        ([], "nothing says that every use is on record"),
        ([EVERYTHING | {"resource": "pg", "actions": False}], "single actions are not"),
        ([EVERYTHING | {"resource": "pg", "to_at": START + timedelta(days=9)}], "a part of the period only"),
        ([EVERYTHING | {"resource": "my"}], "nothing says"),
    ],
)
def test_without_complete_telemetry_nothing_is_proposed_and_the_reason_is_said(tmp_path, coverage, reason):
    check = only(tmp_path, tables(PG_RIGHTS, [use("UPDATE", "public.orders")]) | {"coverage": coverage})
    assert check.state is RoleState.UNKNOWN
    assert reason in check.reason
    assert check.spellings == check.unused_rights == ()


def test_telemetry_that_does_not_name_tables_takes_no_right_on_tables_away(tmp_path):
    rights = [*PG_RIGHTS, right("TRUNCATE", "public.orders"), right("TRIGGER", "public.orders")]
    check = only(tmp_path, tables(rights, [use("UPDATE", None)], object_privileges=PG_OBJECTS))
    assert check.state is RoleState.NEVER_USED
    check = only(
        tmp_path / "b",
        tables(rights, [use("UPDATE", None), use("SELECT", "public.orders")], object_privileges=PG_OBJECTS),
    )
    assert {(one.action, one.object) for one in check.unused_rights} == {
        ("TRUNCATE", "public.orders"),
        ("TRIGGER", "public.orders"),
    }


def test_a_role_that_nobody_holds_or_uses_or_that_fits_has_no_proposal(tmp_path):
    assert only(tmp_path / "a", tables(PG_RIGHTS, [], holders=[])).state is RoleState.NOT_HELD
    never = only(tmp_path / "b", tables(PG_RIGHTS, [use("SELECT", "other.thing")]))
    assert (never.state, never.used) == (RoleState.NEVER_USED, 0)
    fits = only(tmp_path / "c", tables([right("SELECT", "public.orders")], [use("SELECT", "public.orders")]))
    assert fits.state is RoleState.FITS


def test_a_grant_makes_a_holder_and_use_in_it_counts(tmp_path):
    grant = {
        "grant_id": "gra_1", "beneficiary": "ann", "account": "ann", "resource": "pg", "role": "writer",
        "entitlement": "pg/writer", "state": "ended", "activated_at": START, "ended_at": START + timedelta(days=9),
    }  # fmt: skip
    found = tables(PG_RIGHTS, [use("UPDATE", "public.orders")], holders=[], grants=[grant])
    assert only(tmp_path, found).state is RoleState.NARROWER


def test_names_from_targets_never_become_sql(tmp_path):
    evil = 'x"; DROP ROLE postgres; --'
    rights = [
        right("SELECT", f"public.{evil}", role=evil),
        right("SELECT", "public.orders", role=evil),
        right("SELECT; DROP TABLE a", "public.orders", role=evil),
        right("SELECT", "a.b.c", role=evil),
        right("EXECUTE", "public.f(); DROP TABLE a", role=evil),
    ]
    objects = [
        {"resource": "pg", "grantee": evil, "object_kind": kind, "object_name": name, "privileges": privileges}
        for kind, name, privileges in (
            ("table", f"public.{evil}", "SELECT"),
            ("table", "a.b.c", "SELECT"),
            ("function", "public.f(); DROP TABLE a", "EXECUTE"),
        )
    ]
    found = tables(rights, [use("SELECT", "public.orders")], holders=[holder(role=evil)], object_privileges=objects)
    check = only(tmp_path, found)
    text = "".join(one.text for one in check.spellings)
    statements = [line for line in text.splitlines() if not line.startswith("--")]
    assert all("DROP" not in line.replace(evil.replace('"', '""'), "") for line in statements)
    assert any(line.startswith("-- by hand: EXECUTE") for line in text.splitlines())
    assert any(line.startswith("-- by hand: SELECT on table a.b.c") for line in text.splitlines())


def test_an_entitlement_has_its_narrower_one_with_an_offer_on_the_same_terms(tmp_path):
    files = {"policy.yaml": POLICY}
    found = tables(
        PG_RIGHTS,
        [use("UPDATE", "public.orders")],
        object_privileges=PG_OBJECTS,
        entitlements=[
            {
                "entitlement": "pg/writer",
                "resource": "pg",
                "role": "writer",
                "native_role": "writer",
                "mode": "membership",
            }
        ],
        offers=[{"policy_version": "v", "offer": "writers", "entitlement": "pg/writer", "resource": "pg"}],
        policies=[{"policy_version": version_of(files), "files": json.dumps(files), "active": True}],
    )
    check = only(tmp_path, found)
    assert check.entitlement == "pg/writer"
    catalog, offer = (one.text for one in check.spellings if one.format == "lapse")
    [entitlement] = catalog_from_files({"a.yaml": catalog}).entitlements()
    assert (entitlement.name, entitlement.native) == (
        "pg/writer-narrow",
        {"role": "writer_narrow", "mode": "membership"},
    )
    [new] = parse({"new.yaml": offer}).offers
    [old] = parse(files).offers
    assert (new.name, [p.text for p in new.selector.entitlements]) == ("writers-narrow", ["pg/writer-narrow"])
    assert (new.needs, new.selector.to) == (old.needs, old.selector.to)


def test_an_aws_policy_has_exactly_what_was_used(tmp_path):
    role = "arn:aws:iam::123456789012:policy/Data"
    rights = [
        right("s3:*", "arn:aws:s3:::data/*", role=role, resource="aws", wildcard=True),
        right("dynamodb:GetItem", "*", role=role, resource="aws"),
        right("kms:Decrypt", "*", role=role, resource="aws"),
    ]
    uses = [
        use("s3:GetObject", "arn:aws:s3:::data/a", resource="aws"),
        use("s3:GetObject", "arn:aws:s3:::data/b", resource="aws"),
        use("s3:ListBucket", None, resource="aws"),
        use("kms:Decrypt", "arn:aws:kms:eu:1:key/2", resource="aws"),
        use("ec2:RunInstances", None, resource="aws"),
    ]
    found = tables(rights, uses, connector="aws", resource="aws", holders=[holder(role=role, resource="aws")])
    check = only(tmp_path, found)
    [policy] = [json.loads(one.text) for one in check.spellings if one.format == "aws-iam"]
    assert policy["Version"] == "2012-10-17"
    assert policy["Statement"] == [
        {"Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": ["*"]},
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::data/*"]},
        {
            "Effect": "Allow",
            "Action": ["s3:GetObject"],
            "Resource": ["arn:aws:s3:::data/a", "arn:aws:s3:::data/b"],
        },
    ]
    assert any("conditions" in note for note in check.notes)


def test_many_objects_of_one_action_become_a_pattern_inside_what_was_allowed(tmp_path):
    rights = [right("s3:Get*", "arn:aws:s3:::data/*", resource="aws", wildcard=True)]
    uses = [use("s3:GetObject", f"arn:aws:s3:::data/in/2026/{n}", resource="aws") for n in range(30)]
    check = only(tmp_path, tables(rights, uses, connector="aws", resource="aws"))
    policy = json.loads(check.spellings[0].text)
    assert policy["Statement"][0]["Resource"] == ["arn:aws:s3:::data/in/2026/*"]


def test_a_kubernetes_role_has_exactly_what_was_used(tmp_path):
    role = "role/shop/operators"
    rights = [
        right("*", "*/*", role=role, resource="k8s", wildcard=True),
        right("get", "core/secrets/token", role=role, resource="k8s"),
        right("delete", "core/pods", role=role, resource="k8s"),
        right("create", "core/pods/*/exec", role=role, resource="k8s"),
        right("get", "/healthz", role=role, resource="k8s"),
    ]
    uses = [
        use("get", "core/pods/web-1", resource="k8s"),
        use("list", "core/pods", resource="k8s"),
        use("patch", "apps/deployments/web", resource="k8s"),
        use("create", "core/pods/web-1/exec", resource="k8s"),
        use("get", "core/secrets/token", resource="k8s"),
        use("get", "/healthz", resource="k8s"),
    ]
    found = tables(rights, uses, connector="kubernetes", resource="k8s", holders=[holder(role=role, resource="k8s")])
    check = only(tmp_path, found)
    assert [(one.action, one.object) for one in check.unused_rights] == [("delete", "core/pods")]
    [text] = [one.text for one in check.spellings if one.format == "kubernetes"]
    manifest = YAML(typ="safe", pure=True).load(StringIO(text))
    assert (manifest["kind"], manifest["metadata"]) == ("Role", {"name": "operators-narrow", "namespace": "shop"})
    rules = manifest["rules"]
    assert {"nonResourceURLs": ["/healthz"], "verbs": ["get"]} in rules
    assert {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]} in rules
    assert {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]} in rules
    assert {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["patch"]} in rules
    assert {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["token"], "verbs": ["get"]} in rules


def test_a_target_of_another_kind_has_its_rights_listed(tmp_path):
    rights = [right("read", "docs"), right("write", "docs")]
    check = only(tmp_path, tables(rights, [use("READ", "docs")], connector="wiki"))
    assert (check.state, check.unused) == (RoleState.NARROWER, 1)
    assert [one.format for one in check.spellings] == []
    assert check.notes == ("the role is no entitlement of the catalog: what is not granted through lapse has no offer",)


def person(name, title="engineer", **more):
    return {"principal": name, "kind": "person", "active": True, "department": "shop", "title": title} | more


def test_movers_are_compared_with_the_peers_of_their_new_job(tmp_path):
    people = [person(f"p{n}") for n in range(6)]
    found = {
        "principals": [*people, person("mia"), person("lone", "lead")],
        "people_events": [
            {"principal": "mia", "event": "moved", "happened_at": START, "detail": "from finance to shop"},
            {"principal": "lone", "event": "moved", "happened_at": START},
        ],
        "access_observed": [
            *(holder(f"p{n}", role="reader", principal=f"p{n}") for n in range(6)),
            holder("mia", role="reader", principal="mia"),
            holder("mia", role="ledger", principal="mia", since=START - timedelta(days=50)),
            holder("mia", role="new", principal="mia", since=START + timedelta(days=2)),
            holder("lone", role="ledger", principal="lone"),
        ],
    }
    result = validated(tmp_path, found)
    mia = next(mover for mover in result.movers if mover.principal == "mia")
    assert [one.role for one in mia.unusual] == ["ledger"]
    assert [(one.role, one.peers_holding, one.peers) for one in mia.usual] == [("reader", 6, 6)]
    assert mia.change == "from finance to shop"
    lone = next(mover for mover in result.movers if mover.principal == "lone")
    assert (lone.peers, lone.unusual, [one.role for one in lone.not_comparable]) == (0, (), ["ledger"])
    [team] = result.teams
    assert (team.team, team.people, [one.role for one in team.usual]) == ("shop / engineer", 7, ["reader"])


def test_what_was_not_collected_is_named(tmp_path):
    result = validated(tmp_path, {"grants": []})
    assert len(result.missing) == 5
    assert result.checks == result.movers == result.teams == ()
