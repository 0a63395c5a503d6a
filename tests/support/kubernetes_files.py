"""Small manifests of Kubernetes."""

from __future__ import annotations

import json

RBAC = "rbac.authorization.k8s.io"


def rule(verbs, resources, groups="", **more):
    return {"verbs": verbs.split(), "resources": resources.split(), "apiGroups": groups.split(",")} | more


def role(name, *rules, namespace=None, labels=None, **more):
    kind = "Role" if namespace else "ClusterRole"
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": metadata, "rules": list(rules)} | more


def binding(name, ref, *subjects, namespace=None):
    kind, target = ref.split("/")
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": target},
        "subjects": list(subjects),
    }


def user(name):
    return {"kind": "User", "apiGroup": RBAC, "name": name}


def group(name):
    return {"kind": "Group", "apiGroup": RBAC, "name": name}


def sa(name, namespace=None):
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def account(name, namespace, **more):
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": "2026-01-02T03:04:05Z"}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata} | more


def listed(*objects):
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}).encode()
