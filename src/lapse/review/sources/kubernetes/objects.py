"""The objects of RBAC in manifest files: roles, bindings and service accounts, out of lists and documents.

Guarantee: every object is given once or rejected with its place; objects of other kinds are counted, not read. Called
by the kind of source `kubernetes-rbac`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec

from lapse.domain.names import shown
from lapse.review.sources.aws.unpacked import unpacked
from lapse.review.sources.event_logs import tidy
from lapse.review.sources.kubernetes.documents import Unreadable, documents_of, is_utf8
from lapse.review.sources.reading import Reading

Texts: TypeAlias = list[str] | None
T = TypeVar("T")
OTHER_KIND = "an object that is no role, binding or service account"
_GROUP = "rbac.authorization.k8s.io"
_MOST_NAME = 1_000


class Metadata(msgspec.Struct, rename="camel"):
    """What names an object."""

    name: str
    namespace: str | None = None
    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | None = None
    creation_timestamp: str | None = None


class Rule(msgspec.Struct, rename="camel"):
    """One rule of a role: all verbs on all resources of all groups that it names; the same for URLs."""

    verbs: Texts = None
    api_groups: Texts = None
    resources: Texts = None
    resource_names: Texts = None
    urls: Texts = msgspec.field(name="nonResourceURLs", default=None)


class Requirement(msgspec.Struct):
    """A requirement of a label selector."""

    key: str
    operator: str
    values: Texts = None


class Selector(msgspec.Struct, rename="camel"):
    """A label selector: all of what it says must hold."""

    match_labels: dict[str, str | None] | None = None
    match_expressions: list[Requirement] | None = None


class Aggregation(msgspec.Struct, rename="camel"):
    """Which cluster roles a cluster role is put together from."""

    cluster_role_selectors: list[Selector] | None = None


class Role(msgspec.Struct, rename="camel"):
    """A Role or ClusterRole."""

    metadata: Metadata
    rules: list[Rule] | None = None
    aggregation_rule: Aggregation | None = None


class Subject(msgspec.Struct):
    """Whom a binding is about."""

    kind: str
    name: str
    namespace: str | None = None


class RoleRef(msgspec.Struct):
    """Which role a binding gives."""

    kind: str
    name: str


class Binding(msgspec.Struct, rename="camel"):
    """A RoleBinding or ClusterRoleBinding."""

    metadata: Metadata
    role_ref: RoleRef
    subjects: list[Subject] | None = None


class Reference(msgspec.Struct):
    """A secret that a service account names."""

    name: str | None = None


class ServiceAccount(msgspec.Struct):
    """A ServiceAccount, with the secrets that hold tokens for it in old clusters."""

    metadata: Metadata
    secrets: list[Reference] | None = None


class Secret(msgspec.Struct):
    """A Secret: only of which type it is, and for whom."""

    metadata: Metadata
    type: str | None = None


Thing: TypeAlias = Role | Binding | ServiceAccount | Secret
_KINDS: dict[str, type[Thing]] = {
    "Role": Role,
    "ClusterRole": Role,
    "RoleBinding": Binding,
    "ClusterRoleBinding": Binding,
    "ServiceAccount": ServiceAccount,
    "Secret": Secret,
}


def objects_of(file: Path, name: str, reading: Reading) -> Iterator[tuple[str, str, Thing]]:
    """(place, kind, object) of each object in the file, which is registered with `reading` as `name`."""
    try:
        reading.file(name, file)
        content = unpacked(file)
    except OSError as error:
        reading.reject(name, f"the file cannot be read: {error}")
        return
    reading.tell(len(content.data))
    if content.too_large:
        reading.reject(name, content.fault)
        return
    if not (content.fault or is_utf8(content.data)):
        reading.problem("", "files that are not UTF-8 were read as Windows-1252", rows=1, examples=[name])
    for place, value in documents_of(content.data, name):
        if isinstance(value, Unreadable):
            reading.reject(place, value.why)
        else:
            yield from _things(value, place, "", reading)
    if content.fault:
        reading.reject(name, content.fault)


def _things(value: Any, place: str, kind: str, reading: Reading) -> Iterator[tuple[str, str, Thing]]:
    """Goes through lists, which may be within one another."""
    waiting = [(value, place, kind)]
    while waiting:
        value, place, kind = waiting.pop()
        if isinstance(value, list):
            waiting += [(one, f"{place} item {n}", kind) for n, one in reversed(list(enumerate(value, start=1)))]
            continue
        if not isinstance(value, dict):
            if value is not None:
                reading.reject(place, "it is no object")
            continue
        own = value.get("kind") or kind
        if isinstance(own, str) and own.endswith("List") and "items" in value:
            waiting.append((value["items"], place, "" if own == "List" else own.removesuffix("List")))
        else:
            yield from _thing(value, own, place, reading)


def _thing(value: dict[str, Any], kind: Any, place: str, reading: Reading) -> Iterator[tuple[str, str, Thing]]:
    if not isinstance(kind, str) or not kind:
        reading.reject(place, "it does not say what kind of object it is")
        return
    version = value.get("apiVersion") or _GROUP
    if kind not in _KINDS or (_KINDS[kind] in {Role, Binding} and not str(version).startswith(_GROUP)):
        reading.skip(OTHER_KIND)
        return
    try:
        found = msgspec.convert(value, _KINDS[kind])
        _check(found.metadata)
    except (msgspec.ValidationError, ValueError) as error:
        reading.reject(place, f"{kind} `{shown(_name_in(value))}`: {error}")
        return
    yield place, kind, found


def _check(metadata: Metadata) -> None:
    for text in (metadata.name, metadata.namespace or ""):
        if len(text) > _MOST_NAME or "/" in text:
            raise ValueError(f"`{shown(text)}` is no name")
    metadata.name = tidy(metadata.name)
    metadata.namespace = tidy(metadata.namespace or "")
    if not metadata.name:
        raise ValueError("it has no name")


def _name_in(value: dict[str, Any]) -> str:
    metadata = value.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""
