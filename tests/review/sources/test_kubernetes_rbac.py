"""RBAC of Kubernetes as evidence: who holds which role where, what it allows, and by which steps it leads further."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lapse.domain.errors import InvalidInput
from lapse.review.escalation import admin_path_rows
from lapse.review.model import Coverage
from lapse.review.sources.kubernetes import cluster, documents, rights
from lapse.review.sources.kubernetes.documents import Unreadable, documents_of
from lapse.review.sources.kubernetes.objects import Rule
from lapse.review.sources.kubernetes.rights import Ask, allows, rights_of
from support.aws_files import problems, read_as, write
from support.kubernetes_files import RBAC, account, binding, group, listed, role, rule, sa, user

TAKEN = "2026-09-30T12:00:00Z"


def read(place, tmp_path, **options):
    return read_as("kubernetes-rbac", place, tmp_path, **({"cluster": "prod", "taken_at": TAKEN} | options))


def read_objects(tmp_path, *objects, **options):
    write(tmp_path, all__json=listed(*objects))
    return read(tmp_path / "all.json", tmp_path, **options)


def read_yaml(tmp_path, text, **options):
    write(tmp_path, all__yaml=text.encode() if isinstance(text, str) else text)
    return read(tmp_path / "all.yaml", tmp_path, **options)


def held(result):
    return [(row["account"], row["role"], row["holding"]) for row in result.access_observed]


def edges(result, start=None):
    found = [(row["from_name"], row["to_name"]) for row in result.escalation_edges]
    return sorted(to for name, to in found if name == start) if start else found


# Who holds what


def test_a_binding_gives_a_role_to_users_service_accounts_and_groups(tmp_path):
    result = read_yaml(
        tmp_path,
        """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: shop}
rules:
- apiGroups: [""]
  resources: [pods, pods/log]
  verbs: [get, list]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects:
- {kind: User, name: ann@example.com, apiGroup: rbac.authorization.k8s.io}
- {kind: ServiceAccount, name: build, namespace: ci}
- {kind: Group, name: developers, apiGroup: rbac.authorization.k8s.io}
""",
    )
    assert held(result) == [
        ("ann@example.com", "role/shop/reader", "direct"),
        ("group/developers", "role/shop/reader", "direct"),
        ("system:serviceaccount:ci:build", "role/shop/reader", "direct"),
    ]
    first = result.access_observed[0]
    assert (first["resource"], first["principal"], first["depth"]) == ("k8s-prod", "ann", 0)
    assert first["observed_at"] == datetime(2026, 9, 30, 12, tzinfo=UTC)
    assert [(row["action"], row["object"], row["wildcard"]) for row in result.role_privileges] == [
        ("get", "core/pods", False),
        ("get", "core/pods/*/log", True),
        ("list", "core/pods", False),
        ("list", "core/pods/*/log", True),
    ]
    assert (result.report.records, result.report.used) == (2, 2)


def test_accounts_are_users_groups_service_accounts_and_the_roles_themselves(tmp_path):
    result = read_objects(
        tmp_path,
        account("build", "ci"),
        role("reader", namespace="shop"),
        binding("b", "Role/reader", user("ann"), group("dev"), sa("build", "ci"), namespace="shop"),
    )
    rows = {row["account"]: (row["can_login"], row["kind"], row["principal"]) for row in result.accounts}
    assert rows == {
        "ann": (None, None, "ann"),
        "group/dev": (False, None, None),
        "system:serviceaccount:ci:build": (True, "service", None),
        "role/shop/reader": (False, None, None),
    }
    (build,) = [row for row in result.accounts if row["kind"] == "service"]
    assert build["created_at"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_user_who_is_named_like_a_group_is_told_apart_from_it(tmp_path):
    result = read_objects(tmp_path, role("r"), binding("b", "ClusterRole/r", user("group/admins"), group("admins")))
    assert [row[0] for row in held(result)] == ["group/admins", "user/group/admins"]


def test_a_cluster_role_in_one_namespace_is_another_thing_than_in_the_whole_cluster(tmp_path):
    result = read_objects(
        tmp_path,
        role("everything", rule("*", "*", "*")),
        binding("all", "ClusterRole/everything", user("ann")),
        binding("some", "ClusterRole/everything", user("bob"), namespace="dev"),
    )
    powers = {row["account"]: (row["role"], row["powers"]) for row in result.access_observed}
    assert powers == {"ann": ("clusterrole/everything", "cluster-admin"), "bob": ("clusterrole/everything@dev", None)}
    assert {row["account"]: row["powers"] for row in result.accounts} == {
        "ann": "cluster-admin",
        "bob": None,
        "clusterrole/everything": "cluster-admin",
        "clusterrole/everything@dev": None,
    }


@pytest.mark.parametrize(
    "rules",
    [
        [rule("*", "*", "apps")],
        [rule("*", "pods", "*")],
        [rule("get list", "*", "*")],
        [rule("*", "*", "*", resourceNames=["only"])],
        [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    ],
)
def test_only_everything_on_everything_is_the_power_of_the_administrator(tmp_path, rules):
    result = read_objects(tmp_path, role("r", *rules), binding("b", "ClusterRole/r", user("ann")))
    assert result.access_observed[0]["powers"] is None


def test_several_bindings_of_one_role_are_one_holding(tmp_path):
    result = read_objects(
        tmp_path,
        role("r", namespace="a"),
        binding("one", "Role/r", user("ann"), user("ann"), namespace="a"),
        binding("two", "Role/r", user("ann"), namespace="a"),
    )
    assert held(result) == [("ann", "role/a/r", "direct")]


def test_service_accounts_are_in_the_groups_that_kubernetes_puts_them_into(tmp_path):
    result = read_objects(
        tmp_path,
        account("web", "shop"),
        account("db", "data"),
        role("r"),
        binding("b", "ClusterRole/r", group("system:serviceaccounts:shop")),
    )
    web = [row for row in result.access_observed if row["account"] == "system:serviceaccount:shop:web"]
    assert [(row["role"], row["holding"], row["via"]) for row in web] == [
        ("group/system:serviceaccounts:shop", "direct", None),
        ("clusterrole/r", "nested", "group/system:serviceaccounts:shop"),
    ]
    assert not [row for row in result.access_observed if row["account"] == "system:serviceaccount:data:db"]
    assert result.manifest.table("access_observed").coverage is Coverage.COMPLETE


def test_a_service_account_subject_without_a_namespace_is_of_the_binding_s(tmp_path):
    result = read_objects(
        tmp_path,
        role("r", namespace="a"),
        binding("b", "Role/r", sa("web"), namespace="a"),
        role("r"),
        binding("c", "ClusterRole/r", sa("web")),
    )
    assert held(result) == [("system:serviceaccount:a:web", "role/a/r", "direct")]
    assert problems(result) == {
        "service accounts without a namespace in cluster role bindings, which then do not count": 1
    }


def test_who_is_in_a_group_is_not_known_and_that_is_said(tmp_path):
    result = read_objects(tmp_path, role("r"), binding("b", "ClusterRole/r", group("admins"), group("oidc:ops")))
    assert problems(result) == {"groups hold access, and who is in them is not known to the cluster": 2}
    assert result.manifest.table("access_observed").coverage is Coverage.PARTIAL
    assert result.access_observed[0]["can_login"] is None  # nobody logs in as a group, and yet it must be reviewed


def test_who_may_write_bindings_can_pass_on_what_they_hold_there(tmp_path):
    result = read_objects(
        tmp_path,
        role("lead", rule("create", "rolebindings", RBAC), namespace="a"),
        role("reader", namespace="a"),
        role("reader", namespace="b"),
        *(
            binding(f"b{n}", f"Role/{name}", user("ann"), namespace=ns)
            for n, (name, ns) in enumerate([("lead", "a"), ("reader", "a"), ("reader", "b")])
        ),
    )
    assert {row["role"]: row["admin_option"] for row in result.access_observed} == {
        "role/a/lead": True,
        "role/a/reader": True,
        "role/b/reader": None,
    }


# Roles


def test_aggregated_roles_have_the_rules_of_what_their_selectors_choose_however_far(tmp_path):
    def chooses(**labels):
        return {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": labels}]}}

    result = read_objects(
        tmp_path,
        role("admin", **chooses(to="admin")),
        role("edit", labels={"to": "admin"}, **chooses(to="edit")),
        role("write", rule("update", "pods"), labels={"to": "edit"}),
        role("loop", labels={"to": "edit"}, **chooses(to="admin")),
        role("other", rule("delete", "pods"), labels={"to": "nobody"}),
    )
    assert {row["role"]: row["action"] for row in result.role_privileges} == {
        "clusterrole/admin": "update",
        "clusterrole/edit": "update",
        "clusterrole/write": "update",
        "clusterrole/loop": "update",
        "clusterrole/other": "delete",
    }


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ({"key": "x", "operator": "In", "values": ["1", "2"]}, True),
        ({"key": "x", "operator": "NotIn", "values": ["1"]}, False),
        ({"key": "y", "operator": "NotIn", "values": ["1"]}, True),
        ({"key": "x", "operator": "Exists"}, True),
        ({"key": "x", "operator": "DoesNotExist"}, False),
        ({"key": "x", "operator": "Whatever"}, False),
    ],
)
def test_selectors_of_aggregation_may_be_expressions(tmp_path, expression, chosen):
    result = read_objects(
        tmp_path,
        role("sum", aggregationRule={"clusterRoleSelectors": [{"matchExpressions": [expression]}]}),
        role("part", rule("get", "pods"), labels={"x": "1"}),
    )
    assert ("clusterrole/sum" in {row["role"] for row in result.role_privileges}) is chosen


def test_what_aggregates_endlessly_is_not_followed_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "MOST_COMPARED", 30)
    every = {"aggregationRule": {"clusterRoleSelectors": [{}]}}
    result = read_objects(tmp_path, *(role(f"r{n}", rule("get", f"x{n}"), **every) for n in range(10)))
    assert "more is aggregated than is followed: only what the roles say themselves counts" in problems(result)
    assert {row["role"] for row in result.role_privileges} == {f"clusterrole/r{n}" for n in range(10)}


def test_roles_that_are_bound_but_not_there_are_counted_and_the_read_was_not_complete(tmp_path):
    result = read_objects(
        tmp_path,
        binding("a", "ClusterRole/gone", user("ann")),
        binding("b", "Role/lost", user("ann"), namespace="x"),
        binding("c", "ClusterRole/cluster-admin", user("bob")),
    )
    what = "bindings refer to roles that are not in the files: what they give is not known"
    assert problems(result)[what] == 2
    powers = {row["role"]: row["powers"] for row in result.access_observed}
    assert powers == {"clusterrole/gone": None, "role/x/lost": None, "clusterrole/cluster-admin": "cluster-admin"}
    (read_of,) = result.target_reads
    assert not read_of["complete"]
    assert "2 roles that are bound are not in the files" in read_of["gaps"]


def test_a_read_of_everything_is_complete(tmp_path):
    result = read_objects(
        tmp_path,
        account("web", "a"),
        role("r"),
        role("r", namespace="a"),
        binding("b", "ClusterRole/r", user("ann")),
        binding("b", "Role/r", user("ann"), namespace="a"),
    )
    (row,) = result.target_reads
    assert (row["complete"], row["accounts"], row["memberships"], row["gaps"]) == (True, 2, 2, None)


def test_what_the_api_server_brings_along_is_marked_and_what_only_calls_itself_so_is_not(tmp_path):
    own = {"kubernetes.io/bootstrapping": "rbac-defaults"}
    result = read_objects(
        tmp_path,
        role("system:node", labels=own),
        role("admin", labels=own),
        role("system:evil"),
        role("mine", labels=own),
        binding("b", "ClusterRole/system:node", user("system:kube-scheduler"), sa("x", "kube-system")),
    )
    assert {row["account"]: row["builtin"] for row in result.accounts} == {
        "system:kube-scheduler": True,
        "system:serviceaccount:kube-system:x": False,
        "clusterrole/system:node": True,
        "clusterrole/admin": True,
        "clusterrole/system:evil": False,
        "clusterrole/mine": False,
    }


def test_rights_are_verbs_on_objects_with_wildcards_as_they_are():
    rules = [
        Rule(verbs=["get"], api_groups=["", "apps"], resources=["secrets"], resource_names=["db", "web"]),
        Rule(verbs=["*"], api_groups=["*"], resources=["*"]),
        Rule(verbs=["update"], api_groups=["*"], resources=["*/scale"]),
        Rule(verbs=["get"], urls=["/metrics", "/healthz/*"]),
    ]
    assert rights_of(rules) == (
        [
            ("*", "*"),
            ("get", "/healthz/*"),
            ("get", "/metrics"),
            ("get", "apps/secrets/db"),
            ("get", "apps/secrets/web"),
            ("get", "core/secrets/db"),
            ("get", "core/secrets/web"),
            ("update", "*/*/*/scale"),
        ],
        True,
    )


@pytest.mark.parametrize(
    ("resources", "wanted", "yes"),
    [
        ("*", "pods/exec", True),
        ("*/exec", "pods/exec", True),
        ("pods/*", "pods/exec", False),
        ("pods", "pods/exec", False),
        ("pods/exec", "pods", False),
    ],
)
def test_subresources_match_as_the_api_server_matches_them(resources, wanted, yes):
    rules = [Rule(verbs=["create"], api_groups=[""], resources=[resources])]
    assert allows(rules, Ask(("create",), wanted)) is yes


def test_a_role_with_endless_rights_is_cut_and_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(rights, "MOST_RIGHTS", 10)
    result = read_objects(tmp_path, role("r", rule("a b c d e", "v w x y z")))
    assert len(result.role_privileges) == 10
    assert problems(result) == {"roles with more rights than are listed": 1}
    assert result.manifest.table("role_privileges").coverage is Coverage.PARTIAL


# Steps to more


@pytest.mark.parametrize(
    ("rules", "leads_to"),
    [
        ([rule("create", "pods")], ["(service accounts of a)"]),
        ([rule("create", "cronjobs", "batch")], ["(service accounts of a)"]),
        ([rule("patch", "deployments", "apps")], ["(service accounts of a)"]),
        ([rule("create", "pods/exec")], ["(service accounts of a)"]),
        ([rule("create", "serviceaccounts/token")], ["(service accounts of a)"]),
        (
            [rule("create", "serviceaccounts/token", resourceNames=["web", "no-such"])],
            ["system:serviceaccount:a:no-such", "system:serviceaccount:a:web"],
        ),
        ([rule("impersonate", "serviceaccounts")], ["(service accounts of a)"]),
        ([rule("get", "secrets")], ["(tokens in secrets of a)"]),
        ([rule("get create", "secrets")], ["(service accounts of a)", "(tokens in secrets of a)"]),
        ([rule("bind", "clusterroles", RBAC), rule("create", "rolebindings", RBAC)], ["(administration of a)"]),
        (
            [rule("bind", "clusterroles", RBAC, resourceNames=["edit"]), rule("create", "rolebindings", RBAC)],
            ["clusterrole/edit@a"],
        ),
        ([rule("escalate update", "roles", RBAC)], ["(administration of a)"]),
        ([rule("get list watch", "pods pods/log deployments", ",apps")], []),
        ([rule("create patch", "rolebindings", RBAC)], []),  # only what one holds can be bound
        ([rule("bind", "clusterroles", RBAC)], []),
        ([rule("escalate", "roles", RBAC)], []),
        ([rule("get", "nodes/proxy")], []),  # nodes are in no namespace
        ([rule("impersonate", "users groups")], []),
    ],
)
def test_steps_that_a_role_in_a_namespace_makes_possible(tmp_path, rules, leads_to):
    result = read_objects(
        tmp_path,
        account("web", "a", secrets=[{"name": "web-token"}]),
        role("r", *rules, namespace="a"),
        binding("b", "Role/r", user("ann"), namespace="a"),
    )
    assert edges(result, "role/a/r") == leads_to


@pytest.mark.parametrize(
    ("rules", "leads_to"),
    [
        ([rule("create", "pods")], ["(service accounts)"]),
        ([rule("get", "nodes/proxy")], ["(service accounts)"]),
        ([rule("list", "secrets")], ["(tokens in secrets)"]),
        ([rule("impersonate", "users")], ["(users)"]),
        ([rule("impersonate", "users groups")], ["(cluster-admin)", "(users)"]),
        ([rule("impersonate", "users", resourceNames=["bob"])], ["bob"]),
        (
            [rule("impersonate", "users groups", resourceNames=["dev", "system:masters"])],
            ["(cluster-admin)", "dev", "group/dev", "system:masters"],
        ),
        ([rule("impersonate", "groups")], []),  # a group alone cannot be impersonated
        ([rule("bind", "clusterroles", RBAC), rule("create", "clusterrolebindings", RBAC)], ["(cluster-admin)"]),
        ([rule("escalate patch", "clusterroles", RBAC)], ["(cluster-admin)"]),
        (
            [
                rule("create", "certificatesigningrequests", "certificates.k8s.io"),
                rule("update", "certificatesigningrequests/approval", "certificates.k8s.io"),
                rule(
                    "approve", "signers", "certificates.k8s.io", resourceNames=["kubernetes.io/kube-apiserver-client"]
                ),
            ],
            ["(users)"],
        ),
        ([rule("patch", "mutatingwebhookconfigurations", "admissionregistration.k8s.io")], ["(cluster-admin)"]),
        ([rule("create", "serviceaccounts/token", resourceNames=["web"])], ["system:serviceaccount:a:web"]),
    ],
)
def test_steps_that_a_role_in_the_whole_cluster_makes_possible(tmp_path, rules, leads_to):
    result = read_objects(
        tmp_path,
        account("web", "a", secrets=[{"name": "web-token"}]),
        role("r", *rules),
        binding("b", "ClusterRole/r", user("ann")),
    )
    assert edges(result, "clusterrole/r") == leads_to


def test_what_stands_for_many_leads_to_each_of_them(tmp_path):
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "t", "namespace": "b", "annotations": {"kubernetes.io/service-account.name": "db"}},
    }
    result = read_objects(
        tmp_path,
        account("web", "a"),
        account("db", "b"),
        secret,
        role("r", rule("create get", "pods secrets"), rule("impersonate", "users")),
        binding("x", "ClusterRole/r", user("ann"), user("bob")),
    )
    assert edges(result, "(service accounts)") == ["(service accounts of a)", "(service accounts of b)"]
    assert edges(result, "(service accounts of a)") == ["system:serviceaccount:a:web"]
    assert edges(result, "(tokens in secrets of b)") == ["system:serviceaccount:b:db"]
    assert edges(result, "(users)") == ["ann", "bob"]


def test_a_way_to_the_administrator_is_found_over_several_steps(tmp_path):
    result = read_objects(
        tmp_path,
        account("robot", "ci"),
        role("deployer", rule("create", "deployments", "apps"), namespace="ci"),
        role("all", rule("*", "*", "*")),
        binding("a", "Role/deployer", user("ann"), namespace="ci"),
        binding("b", "ClusterRole/all", sa("robot", "ci")),
    )
    (way,) = [w for w in admin_path_rows(result.access_observed, result.escalation_edges) if w["account"] == "ann"]
    robot = "system:serviceaccount:ci:robot"
    assert (
        way["path"]
        == f"ann > role/ci/deployer > (service accounts of ci) > {robot} > clusterrole/all > (cluster-admin)"
    )


def test_a_role_that_nobody_holds_leads_nowhere(tmp_path):
    result = read_objects(tmp_path, account("web", "a"), role("r", rule("create", "pods")))
    assert result.escalation_edges == []


# Files


def test_lists_of_lists_typed_lists_and_documents_after_one_another_are_read(tmp_path):
    typed = {"kind": "RoleList", "apiVersion": f"{RBAC}/v1", "items": [{"metadata": {"name": "t", "namespace": "n"}}]}
    write(
        tmp_path,
        in_S_a__json=listed({"kind": "List", "items": [role("deep")]}, typed),
        in_S_b__json=json.dumps(role("one")).encode() + b"\n" + json.dumps(role("two")).encode(),
        in_S_c__yaml__gz=b"kind: ClusterRole\nmetadata:\n  name: packed\n",
        in_S_d__json=json.dumps([role("in-a-list")]).encode(),
        in_S_notes__txt=b"not a manifest",
        in_S_e__yaml=(
            "\ufeff" + "# only a comment\n---\n%YAML 1.2\n---\nkind: Deployment\nmetadata: {name: x}\n...\n"
        ).encode(),
    )
    result = read(tmp_path / "in", tmp_path)
    assert {row["account"] for row in result.accounts} == {
        "clusterrole/deep",
        "role/n/t",
        "clusterrole/one",
        "clusterrole/two",
        "clusterrole/packed",
        "clusterrole/in-a-list",
    }
    assert result.report.skipped == {"an object that is no role, binding or service account": 1}
    assert problems(result) == {"files that are no manifests by their names were not read": 1}
    assert result.report.files == 5


def test_anchors_and_merges_are_followed(tmp_path):
    result = read_yaml(
        tmp_path,
        """
kind: Role
metadata: {name: r, namespace: n}
rules:
- &read {apiGroups: [""], resources: [pods], verbs: &v [get]}
- <<: *read
  resources: [secrets]
- *read
- {apiGroups: [apps], resources: [deployments], verbs: *v}
""",
    )
    assert [row["object"] for row in result.role_privileges] == ["apps/deployments", "core/pods", "core/secrets"]


def test_a_bomb_of_aliases_costs_neither_memory_nor_time(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "MOST_NODES", 100_000)
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)
    )
    result = read_yaml(tmp_path, text + "---\n" + json.dumps(role("fine")))
    assert result.report.rejected == 1
    assert "it has more than 100000 values" in result.report.examples[0]
    assert [row["account"] for row in result.accounts] == ["clusterrole/fine"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kind: Role\nkind: ClusterRole\nmetadata: {name: r}", "the key `kind` is there twice, in line 2"),
        ("a: *b", "the alias `b` stands for nothing that is complete"),
        ("a: &a [*a]", "the alias `a` stands for nothing that is complete"),
        ("a: [1, 2", "it is no YAML in line"),
        ("a: \x00", "it is no YAML"),
        ("? [a, b]\n: c", "a key is no text"),
        ("a: " + "[" * 200 + "]" * 200, "it is nested more than 100 deep"),
        ("- 1\n- 2", "it is no object"),
        ("just words", "it is no object"),
        ("<<: [1]", "`<<` merges something that is no map"),
        ("metadata: {name: x}", "it does not say what kind of object it is"),
        ("kind: [Role]", "it does not say what kind of object it is"),
        ("kind: Role", "Role ``: Object missing required field `metadata`"),
        ("kind: Role\nmetadata: {name: [x]}", "Expected `str`, got `array`"),
        ("kind: Role\nmetadata: {name: a/b}", "`a/b` is no name"),
        ("kind: Role\nmetadata: {name: }", "Expected `str`, got `null`"),
        ("kind: Role\nmetadata: {name: x}\nrules: [{verbs: get}]", "Expected `array | null`, got `str`"),
        ("kind: RoleBinding\nmetadata: {name: x}", "missing required field `roleRef`"),
    ],
)
def test_a_document_that_cannot_be_read_is_rejected_and_the_next_one_is_read(tmp_path, text, why):
    result = read_yaml(tmp_path, f"{text}\n---\n{json.dumps(role('fine'))}\n")
    assert any(why in example for example in result.report.examples), result.report.examples
    assert [row["account"] for row in result.accounts] == ["clusterrole/fine"]
    assert result.manifest.table("accounts").coverage is Coverage.PARTIAL
    assert not result.target_reads[0]["complete"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"kind": "Role", "kind": "Role"}', "the key `kind` is there twice"),
        (b'{"kind": "List", "items": [', "it is no JSON"),
        (b"[" * 100_000, "it is nested too deeply"),
        (listed(role("x"))[:-1], "it is no JSON"),
        (b'{"kind": "List", "items": [1, null, "x"]}', "it is no object"),
    ],
)
def test_json_that_cannot_be_read_is_rejected(tmp_path, content, why):
    write(tmp_path, all__json=content)
    result = read(tmp_path / "all.json", tmp_path)
    assert any(why in example for example in result.report.examples), result.report.examples


def test_a_packed_file_that_ends_early_gives_what_there_is(tmp_path):
    whole = ("---\n".join(json.dumps(role(f"r{n}", rule("get", f"x{n}"))) + "\n" for n in range(2000))).encode()
    text = b"# manifests\n" + whole.replace(b"{", b"{ ", 1)
    (tmp_path / "all.yaml.gz").write_bytes(gzip.compress(text)[:-3000])
    result = read(tmp_path / "all.yaml.gz", tmp_path)
    assert 0 < len(result.accounts) < 2000
    assert "the file cannot be read further" in " ".join(result.report.examples)


def test_copies_of_an_object_are_taken_together_so_that_none_hides_the_other(tmp_path):
    result = read_objects(
        tmp_path,
        role("r", rule("*", "*", "*")),
        role("r", rule("get", "pods")),
        binding("b", "ClusterRole/r", user("ann")),
        binding("b", "ClusterRole/r", user("bob")),
    )
    assert {row["account"]: row["powers"] for row in result.access_observed} == {
        "ann": "cluster-admin",
        "bob": "cluster-admin",
    }
    assert problems(result)["objects that are there more than once were taken together with their other copies"] == 2


def test_names_are_kept_as_they_are_and_shown_safely(tmp_path):
    names = ['=cmd()|"/c calc"!A1', "<script>alert(1)</script>", "a\u202eb", "zero\x00byte", "\ud800half"]
    result = read_objects(tmp_path, role("r"), binding("b", "ClusterRole/r", *map(user, names)))
    assert {row["account"] for row in result.access_observed} == {
        '=cmd()|"/c calc"!A1',
        "<script>alert(1)</script>",
        "a\u202eb",
        "zero\ufffdbyte",
        "?half",
    }


def test_texts_that_look_like_other_things_stay_texts(tmp_path):
    result = read_yaml(tmp_path, "kind: ClusterRole\nmetadata: {name: 123}\nrules: [{verbs: [on, 1e3, ~, '']}]\n")
    assert result.report.rejected == 1  # null is no verb
    result = read_yaml(
        tmp_path, "kind: Role\nmetadata: {name: 123}\nrules: [{verbs: [on], apiGroups: [''], resources: [1e3]}]\n"
    )
    assert [(row["role"], row["action"], row["object"]) for row in result.role_privileges] == [
        ("role/default/123", "on", "core/1e3")
    ]
    assert problems(result) == {"objects that do not say their namespace were taken to be in `default`": 1}


def test_more_than_can_be_held_is_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "MOST_PARTS", 20)
    result = read_objects(tmp_path, *(role(f"r{n}", rule("a b", "c d")) for n in range(10)))
    assert (result.report.used, result.report.rejected) == (3, 7)
    assert "more than can be held" in result.report.examples[0]


def test_bindings_that_can_give_nothing_are_reported(tmp_path):
    strange = binding("s", "ClusterRole/r", {"kind": "Robot", "name": "x"})
    result = read_objects(tmp_path, role("r"), binding("b", "Role/r", user("ann")), strange)
    assert held(result) == []
    assert problems(result) == {
        "bindings that can give nothing": 1,
        "subjects of bindings that are of no known kind": 1,
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cluster": ""}, "do not say of which cluster"),
        ({"cluster": "No Name"}, "is not a resource name"),
        ({"taken_at": "yesterday"}, "is not a time"),
        ({"other": "1"}, "has no option `other`"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path, options, words):
    with pytest.raises(InvalidInput, match=words):
        read_objects(tmp_path, role("r"), **options)


def test_a_folder_without_manifests_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"has no `.yaml` or `.json` file"):
        read(tmp_path / "empty", tmp_path)


texts = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)
objects = st.fixed_dictionaries(
    {"kind": st.sampled_from(["Role", "ClusterRole", "RoleBinding", "ServiceAccount", "Secret", "List", "Pod"])},
    optional={
        "metadata": st.fixed_dictionaries({"name": texts}, optional={"namespace": texts, "labels": values}) | values,
        "rules": st.lists(st.fixed_dictionaries({"verbs": st.lists(texts), "resources": st.lists(texts)})) | values,
        "roleRef": st.fixed_dictionaries({"kind": st.sampled_from(["Role", "ClusterRole"]), "name": texts}) | values,
        "subjects": st.lists(st.fixed_dictionaries({"kind": texts, "name": texts})) | values,
        "aggregationRule": values,
        "items": st.lists(values, max_size=3),
    },
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(objects | values, max_size=6))
def test_any_objects_are_read_or_rejected_and_none_is_lost(tmp_path, things):
    (tmp_path / "all.json").write_text(json.dumps(things), "utf-8")
    result = read(tmp_path / "all.json", tmp_path)
    assert result.report.records == result.report.used + result.report.rejected + sum(result.report.skipped.values())


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(alphabet="-&*a:{}[]\n <|>'\"%#?!", max_size=60).map(str.encode))
def test_any_bytes_are_documents_or_said_to_be_none(data):
    for place, value in documents_of(data, "file"):
        assert place.startswith("file")
        assert isinstance(value, Unreadable) or value is None or isinstance(value, (dict, list, str, int, float, bool))
