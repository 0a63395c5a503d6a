"""Small manifests of Kubernetes, and reading them."""

from __future__ import annotations

import json

from support.aws_files import read_as, write

TAKEN = "2026-09-30T12:00:00Z"
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
