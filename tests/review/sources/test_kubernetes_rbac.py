"""RBAC of Kubernetes as evidence: who holds which role where, and what it allows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lapse.review.model import Coverage
from lapse.review.sources.kubernetes import cluster, rights
from lapse.review.sources.kubernetes.objects import Rule
from lapse.review.sources.kubernetes.rights import Ask, allows, rights_of
from support.aws_files import problems
from support.kubernetes_files import (
    RBAC,
    account,
    binding,
    group,
    held,
    read_objects,
    read_yaml,
    role,
    rule,
    sa,
    user,
)

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
