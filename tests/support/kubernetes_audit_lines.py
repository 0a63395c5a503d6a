"""Events of the audit log of Kubernetes, and reading them."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta

from support.aws_files import read_as, write
from support.kubernetes_files import binding

TAKEN = "2026-08-01T00:00:00Z"
_ids = itertools.count(1)


def at(text):
    return datetime.fromisoformat(f"2026-07-{text}").replace(tzinfo=UTC)


def allowed(who, role="ClusterRole/edit", through="ClusterRoleBinding/b"):
    kind, name = through.split("/", 1)
    role_kind, role_name = role.split("/")
    subject_kind, subject = who.split("/", 1)
    reason = f'RBAC: allowed by {kind} "{name}" of {role_kind} "{role_name}" to {subject_kind} "{subject}"'
    return {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": reason}


def event(verb="get", resource="pods", name="web", when="01T10:00:00", **more):
    """One event; `namespace` `shop` unless given."""
    moment = at(when)
    about = {"resource": resource, "namespace": more.pop("namespace", "shop"), "name": name, "apiVersion": "v1"}
    about["apiGroup"] = "rbac.authorization.k8s.io" if "binding" in resource else ""
    return {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"id-{next(_ids)}",
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/namespaces/shop/{resource}/{name}?watch=1",
        "verb": verb,
        "user": {"username": "ann@example.com", "groups": ["dev", "system:authenticated"]},
        "sourceIPs": ["198.51.100.7", "10.0.0.1"],
        "userAgent": "kubectl/v1.31.0",
        "objectRef": about,
        "responseStatus": {"code": 200},
        "requestReceivedTimestamp": moment.isoformat().replace("+00:00", ".123456Z"),
        "stageTimestamp": (moment + timedelta(seconds=2)).isoformat().replace("+00:00", ".5Z"),
        "annotations": allowed("User/ann@example.com"),
    } | more


def jsonl(*events):
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)


def read(place, tmp_path, **options):
    return read_as("kubernetes-audit", place, tmp_path, **({"cluster": "prod", "taken_at": TAKEN} | options))


def read_events(tmp_path, *events, **options):
    write(tmp_path, audit__log=jsonl(*events))
    return read(tmp_path / "audit.log", tmp_path, **options)


def periods(result):
    return [(row["account"], row["role"], row["from_at"], row["to_at"]) for row in result.access_periods]


def written(verb, when, *subjects, ref="ClusterRole/edit", namespace="shop", name="b", level="request", **more):
    thing = binding(name, ref, *subjects, namespace=namespace)
    kind = "rolebindings" if namespace else "clusterrolebindings"
    bodies = {"request": {"requestObject": thing}, "response": {"responseObject": thing}, "": {}}[level]
    return event(verb, kind, name, when, namespace=namespace or "", user={"username": "root-ops"}, **(bodies | more))
