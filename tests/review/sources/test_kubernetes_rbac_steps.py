"""Steps by which whoever holds a role in a cluster gets more than it says."""

from __future__ import annotations

import pytest

from lapse.review.detection.escalation import admin_path_rows
from support.kubernetes_files import (
    RBAC,
    account,
    binding,
    edges,
    read_objects,
    role,
    rule,
    sa,
    user,
)

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
