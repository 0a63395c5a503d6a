"""The narrower role of Kubernetes, as a manifest for `kubectl apply`. Pure; called by `spelling`.

Guarantee: every rule is inside a rule that the role has. Every text is a quoted scalar, so that none is read as YAML.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.roles.matching import KubernetesObject, kubernetes_parts
from lapse.review.roles.model import Right, RightState

_CORE = "core"
_ALL = "*"


class _Subject(NamedTuple):
    """What verbs are allowed on: a group's resource (with subresource), of one name or of all; or a URL."""

    group: str
    resource: str
    name: str
    url: str = ""


def parts_of_role(role: str) -> tuple[str, str, str]:
    """Kind, namespace and name of `role/NAMESPACE/NAME`, `clusterrole/NAME` or `clusterrole/NAME@NAMESPACE`.

    Raises:
        InvalidInput: it is none of these.
    """
    kind, _, rest = role.partition("/")
    if kind == "role" and rest.count("/") == 1:
        namespace, _, name = rest.partition("/")
        return "Role", namespace, name
    if kind == "clusterrole" and rest:
        name, at, namespace = rest.partition("@")
        return ("Role", namespace, name) if at else ("ClusterRole", "", name)
    raise InvalidInput(f"`{shown(role)}` is not a role of Kubernetes")


def manifest_of(role: str, name: str, rights: Iterable[Right]) -> str:
    """The manifest of the role called `name`, with what `role` was used for.

    Raises:
        InvalidInput: `role` is none of Kubernetes.
    """
    kind, namespace, _ = parts_of_role(role)
    lines = ["apiVersion: rbac.authorization.k8s.io/v1", f"kind: {kind}", "metadata:", f"  name: {_text(name)}"]
    lines += [f"  namespace: {_text(namespace)}"] if namespace else []
    lines += ["rules:", *_rules(rights)]
    return "\n".join(lines) + "\n"


def _rules(rights: Iterable[Right]) -> Iterator[str]:
    verbs: dict[_Subject, set[str]] = defaultdict(set)
    for right in rights:
        if right.state is RightState.USED:
            for verb, subject in _exact(right):
                verbs[subject].add(verb)
    for subject in sorted(verbs):
        if subject.url:
            yield f"  - nonResourceURLs: {_list([subject.url])}"
        else:
            yield f"  - apiGroups: {_list([subject.group])}"
            yield f"    resources: {_list([subject.resource])}"
        if subject.name:
            yield f"    resourceNames: {_list([subject.name])}"
        yield f"    verbs: {_list(sorted(verbs[subject]))}"


def _exact(right: Right) -> Iterator[tuple[str, _Subject]]:
    """Verbs and subjects that were used; single objects only where the right itself is on single ones."""
    pairs = right.used_as if right.wildcard else ((right.action, right.object),)
    allowed = kubernetes_parts(right.object)
    for verb, text in pairs:
        if text.startswith("/"):
            yield verb, _Subject("", "", "", text)
        elif text == _ALL:
            yield verb, _Subject(_ALL, _ALL, "")
        else:
            yield verb, _subject(kubernetes_parts(text), allowed)


def _subject(done: KubernetesObject, allowed: KubernetesObject) -> _Subject:
    name = allowed.name if allowed.name not in {"", _ALL} else ""
    resource = f"{done.resource}/{done.sub}" if done.sub else done.resource
    return _Subject("" if done.group == _CORE else done.group, resource, name)


def _list(texts: Iterable[str]) -> str:
    return "[" + ", ".join(map(_text, texts)) + "]"


def _text(text: str) -> str:
    """A scalar in double quotes: JSON's escapes are YAML's."""
    return json.dumps(text)
