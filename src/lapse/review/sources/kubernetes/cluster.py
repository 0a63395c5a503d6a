"""A cluster as manifests describe it: its roles with what aggregation adds, its bindings and service accounts.

Guarantee: an object that is there twice is taken together with its other copies, never instead of them, so that a
second copy hides nothing; memory is bounded by `MOST_PARTS`. Called by the kind of source `kubernetes-rbac`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from lapse.domain.errors import InvalidInput
from lapse.domain.times import parse_time
from lapse.review.sources.event_logs import tidy
from lapse.review.sources.kubernetes.names import (
    group_account,
    parts_of_service_account,
    role_name,
    service_account,
    subject_account,
)
from lapse.review.sources.kubernetes.objects import (
    Aggregation,
    Binding,
    Metadata,
    Requirement,
    Role,
    Rule,
    Secret,
    Selector,
    ServiceAccount,
    Thing,
)
from lapse.review.sources.notes import Notes

MOST_PARTS = 5_000_000
"""Verbs, resources, subjects and so on of all objects together; what is beyond is rejected."""
MOST_COMPARED = 20_000_000
"""Roles whose labels are looked at to find what is aggregated; beyond that it is said, and what the API server wrote
into the roles themselves counts."""
NO_NAMESPACE = "default"
_BOOTSTRAP = "kubernetes.io/bootstrapping"
_DEFAULT_ROLES = frozenset({"cluster-admin", "admin", "edit", "view"})
_TOKEN_SECRET = "kubernetes.io/service-account-token"  # noqa: S105  a type
_TOKEN_FOR = "kubernetes.io/service-account.name"  # noqa: S105  an annotation
_EVERYTHING = Rule(verbs=["*"], api_groups=["*"], resources=["*"])
Key: TypeAlias = tuple[str, str]
"""Namespace (empty for cluster roles) and name."""


@dataclass(slots=True)
class FoundRole:
    """A role, all copies of it together. `builtin` ones are made by the API server itself."""

    rules: list[Rule] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    selectors: list[Selector] = field(default_factory=list)
    builtin: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Holding:
    """`account` holds the role `key`, in `namespace` or (empty) the whole cluster; `role` is what that is called."""

    account: str
    role: str
    namespace: str
    key: Key


@dataclass(slots=True)
class Cluster:
    """Everything that was found in the manifests."""

    notes: Notes
    kinds: set[str] = field(default_factory=set)
    roles: dict[Key, FoundRole] = field(default_factory=dict)
    holdings: set[Holding] = field(default_factory=set)
    accounts: dict[str, datetime | None] = field(default_factory=dict)
    seen_accounts: set[str] = field(default_factory=set)
    token_holders: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    parts: int = 0
    compared: int = 0
    _met: set[tuple[str, str, str]] = field(default_factory=set)

    def take(self, kind: str, thing: Thing) -> None:
        """Take one object in.

        Raises:
            ValueError: there are more than can be held.
        """
        self.parts += _parts(thing)
        if self.parts > MOST_PARTS:
            raise ValueError("the objects are more than can be held")
        self.kinds.add(kind)
        namespace = self._namespace(kind, thing.metadata)
        self._note_copy(kind, namespace, thing.metadata.name)
        match thing:
            case Role():
                self._role(namespace, thing)
            case Binding():
                self._binding(kind, namespace, thing)
            case ServiceAccount():
                self._service_account(namespace, thing)
            case Secret():
                self._secret(namespace, thing)

    def rules_of(self, key: Key) -> list[Rule]:
        """The rules of a role with those of all that is aggregated into it, however far."""
        role = self.roles.get(key)
        if role is None:
            return [_EVERYTHING] if key == ("", "cluster-admin") else []
        if not role.selectors:
            return role.rules
        found, waiting, seen = list(role.rules), [role], {id(role)}
        while waiting and self.compared <= MOST_COMPARED:
            self.compared += len(self.roles)
            for other in self._aggregated(waiting.pop()):
                if id(other) not in seen:
                    seen.add(id(other))
                    found += other.rules
                    waiting.append(other)
        return found

    def check_references(self) -> None:
        """Find the roles that are bound and not there, and note them."""
        for holding in self.holdings:
            if holding.key not in self.roles and holding.key != ("", "cluster-admin"):
                self.missing.add(holding.role)
        for role in sorted(self.missing):
            what = "bindings refer to roles that are not in the files: what they give is not known"
            self.notes.add("access_observed", what, role)

    def check_aggregation(self) -> None:
        """Note whether `rules_of` had to leave something out."""
        if self.compared > MOST_COMPARED:
            what = "more is aggregated than is followed: only what the roles say themselves counts"
            self.notes.add("role_privileges", what)

    def _aggregated(self, role: FoundRole) -> Iterator[FoundRole]:
        for (namespace, _), other in self.roles.items():
            if not namespace and other is not role and any(_selects(one, other.labels) for one in role.selectors):
                yield other

    def _namespace(self, kind: str, metadata: Metadata) -> str:
        if kind.startswith("Cluster"):
            return ""
        if not metadata.namespace:
            what = "objects that do not say their namespace were taken to be in `default`"
            self.notes.add("", what, f"{kind} {metadata.name}")
        return metadata.namespace or NO_NAMESPACE

    def _note_copy(self, kind: str, namespace: str, name: str) -> None:
        if (kind, namespace, name) in self._met:
            what = "objects that are there more than once were taken together with their other copies"
            self.notes.add("", what, f"{kind} {namespace or '-'}/{name}")
        self._met.add((kind, namespace, name))

    def _role(self, namespace: str, role: Role) -> None:
        name, labels = role.metadata.name, role.metadata.labels or {}
        found = self.roles.setdefault((namespace, name), FoundRole())
        found.rules += map(tidied, role.rules or [])
        found.labels |= {key: value or "" for key, value in labels.items()}
        aggregation = role.aggregation_rule or Aggregation()
        found.selectors += [] if namespace else aggregation.cluster_role_selectors or []
        named = name.startswith("system:") or (not namespace and name in _DEFAULT_ROLES)
        found.builtin = named and labels.get(_BOOTSTRAP) == "rbac-defaults"

    def _binding(self, kind: str, namespace: str, binding: Binding) -> None:
        where, reference = f"{kind} {namespace or '-'}/{binding.metadata.name}", binding.role_ref
        try:
            role = role_name(reference.kind, tidy(reference.name), namespace)
        except ValueError as error:
            self.notes.add("access_observed", "bindings that can give nothing", f"{where}: {error}")
            return
        key = (namespace if reference.kind == "Role" else "", tidy(reference.name))
        for subject in binding.subjects or []:
            inside = tidy(subject.namespace or namespace)
            if subject.kind == "ServiceAccount" and not inside:
                what = "service accounts without a namespace in cluster role bindings, which then do not count"
                self.notes.add("access_observed", what, f"{where}: {subject.name}")
                continue
            try:
                account = subject_account(subject.kind, tidy(subject.name), inside)
            except ValueError as error:
                self.notes.add("access_observed", "subjects of bindings that are of no known kind", f"{where}: {error}")
                continue
            self.accounts.setdefault(account, None)
            self.holdings.add(Holding(account, role, namespace, key))

    def _service_account(self, namespace: str, thing: ServiceAccount) -> None:
        account = service_account(namespace, thing.metadata.name)
        self.accounts[account] = _time(thing.metadata.creation_timestamp)
        self.seen_accounts.add(account)
        if thing.secrets:
            self.token_holders.add(account)

    def _secret(self, namespace: str, thing: Secret) -> None:
        name = (thing.metadata.annotations or {}).get(_TOKEN_FOR)
        if thing.type == _TOKEN_SECRET and name:
            account = service_account(namespace, tidy(name))
            self.accounts.setdefault(account, None)
            self.token_holders.add(account)

    def implied(self) -> Iterator[tuple[str, str]]:
        """(service account, group) for groups that hold something and that Kubernetes itself puts the account into."""
        groups = {holding.account for holding in self.holdings}
        everyone = group_account("system:serviceaccounts")
        for account in sorted(self.accounts):
            if (parts := parts_of_service_account(account)) is not None:
                candidates = (everyone, group_account(f"system:serviceaccounts:{parts[0]}"))
                yield from ((account, group) for group in candidates if group in groups)


def tidied(rule: Rule) -> Rule:
    """`rule` with texts that evidence can hold; groups default to none and verbs are in lower case as they are used."""
    return Rule(
        verbs=[tidy(verb) for verb in rule.verbs or []],
        api_groups=[tidy(group) for group in rule.api_groups or []],
        resources=[tidy(name) for name in rule.resources or []],
        resource_names=[tidy(name) for name in rule.resource_names or []],
        urls=[tidy(url) for url in rule.urls or []],
    )


def _parts(thing: Thing) -> int:
    if isinstance(thing, Role):
        lists = ((r.verbs, r.api_groups, r.resources, r.resource_names, r.urls) for r in thing.rules or [])
        return 1 + sum(len(one or []) for rule in lists for one in rule)
    return 1 + len(thing.subjects or []) if isinstance(thing, Binding) else 1


def _selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    wanted = selector.match_labels or {}
    return all(labels.get(key) == (value or "") for key, value in wanted.items()) and all(
        _meets(requirement, labels) for requirement in selector.match_expressions or []
    )


def _meets(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(requirement.key), requirement.values or []
    return {
        "In": value is not None and value in values,
        "NotIn": value is None or value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(requirement.operator, False)


def _time(text: str | None) -> datetime | None:
    try:
        return parse_time(text) if text else None
    except InvalidInput:
        return None
