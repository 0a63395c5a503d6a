"""By which steps whoever holds a role can get more than it says: the table `escalation_edges`.

Only steps that the API server really lets happen: creating a binding is none by itself, because nobody can bind what
they do not hold without the verb `bind`. Steps lead to accounts, to roles, to the power of a cluster's administrator,
and to what stands for many: `(users)`, `(service accounts)`, `(service accounts of NS)`, `(tokens in secrets of NS)`
and `(administration of NS)`. The list follows "Role Based Access Control Good Practices" of the Kubernetes
documentation. Called by `kubernetes-rbac`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from lapse.review.sources.kubernetes.names import (
    POWER,
    group_account,
    parts_of_service_account,
    service_account,
    user_account,
)
from lapse.review.sources.kubernetes.objects import Rule
from lapse.review.sources.kubernetes.rights import Ask, allows, named

Edge: TypeAlias = tuple[str, str, str]
"""From, to, how."""
Step: TypeAlias = tuple[str, str]
"""To, how."""
ADMINISTRATOR = f"({POWER})"
USERS = "(users)"
SERVICE_ACCOUNTS = "(service accounts)"
_RBAC = "rbac.authorization.k8s.io"
_CERTIFICATES = "certificates.k8s.io"
_CHANGE = ("create", "update", "patch")
_READ = ("get", "list", "watch")
_WORKLOADS = (
    ("pods", ""),
    ("replicationcontrollers", ""),
    ("deployments", "apps"),
    ("daemonsets", "apps"),
    ("statefulsets", "apps"),
    ("replicasets", "apps"),
    ("jobs", "batch"),
    ("cronjobs", "batch"),
)
_CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"


class Known:
    """The accounts of a cluster, and for which service accounts a secret holds a token."""

    def __init__(self, accounts: Iterable[str], token_holders: Iterable[str]) -> None:
        self.users: list[str] = []
        self.by_namespace: dict[str, list[str]] = {}
        self.by_name: dict[str, list[str]] = {}
        self.tokens: dict[str, list[str]] = {}
        for account in sorted(accounts):
            parts = parts_of_service_account(account)
            if parts is not None:
                self.by_namespace.setdefault(parts[0], []).append(account)
                self.by_name.setdefault(parts[1], []).append(account)
            elif not account.startswith("group/"):
                self.users.append(account)
        for account in sorted(token_holders):
            if (parts := parts_of_service_account(account)) is not None:
                self.tokens.setdefault(parts[0], []).append(account)


def edges_of(role: str, namespace: str, rules: Sequence[Rule], known: Known) -> Iterator[Edge]:
    """The steps from `role`, which holds in `namespace` or (empty) in the whole cluster."""
    steps = dict[Step, None]()
    for found in (_workloads, _tokens, _secrets, _bindings, _impersonation_of_service_accounts):
        steps |= dict.fromkeys(found(namespace, rules, known))
    if not namespace:
        for everywhere in (_cluster, _impersonation, _certificates):
            steps |= dict.fromkeys(everywhere(rules))
    yield from ((role, to, how) for to, how in steps)


def edges_between(used: Iterable[str], known: Known) -> Iterator[Edge]:
    """The steps from what stands for many, as far as steps to it are among `used`, to each of them."""
    many, waiting, seen = _many(known), sorted(set(used)), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            targets, how = many.get(name, ([], ""))
            yield from ((name, to, how) for to in targets)
            waiting += targets


def service_accounts_of(namespace: str) -> str:
    """What stands for every service account of `namespace`, or (empty) of the cluster."""
    return f"(service accounts of {namespace})" if namespace else SERVICE_ACCOUNTS


def tokens_of(namespace: str) -> str:
    """What stands for the tokens of service accounts in secrets of `namespace`, or (empty) of the cluster."""
    return f"(tokens in secrets of {namespace})" if namespace else "(tokens in secrets)"


def administration_of(namespace: str) -> str:
    """What stands for every right in `namespace`."""
    return f"(administration of {namespace})"


def _many(known: Known) -> Mapping[str, tuple[Sequence[str], str]]:
    """What each name that stands for many leads to, and how."""
    inside, holds = "is one of the service accounts", "has a token in one of the secrets"
    found: dict[str, tuple[Sequence[str], str]] = {
        USERS: (known.users, "is one of the users"),
        SERVICE_ACCOUNTS: (
            [service_accounts_of(one) for one in known.by_namespace],
            "are some of the service accounts",
        ),
        tokens_of(""): ([tokens_of(one) for one in known.tokens], "are some of the tokens"),
    }
    for namespace, accounts in known.by_namespace.items():
        found[service_accounts_of(namespace)] = (accounts, inside)
        found[administration_of(namespace)] = (accounts, "can run what it likes as the service account")
    for namespace, accounts in known.tokens.items():
        found[tokens_of(namespace)] = (accounts, holds)
    return found


def _workloads(namespace: str, rules: Sequence[Rule], _: Known) -> Iterator[Step]:
    target = service_accounts_of(namespace)
    for resource, group in _WORKLOADS:
        if allows(rules, Ask(("create",), resource, group)):
            yield target, f"can create {resource} that run as any service account"
            return
    for resource, group in _WORKLOADS[1:]:
        if allows(rules, Ask(("update", "patch"), resource, group)):
            yield target, f"can change {resource} to run as any service account"
            return
    for sub in ("exec", "attach"):
        if allows(rules, Ask(("create", "get"), f"pods/{sub}")):
            yield target, "can run commands in pods, which hold the tokens of the service accounts they run as"
            return
    if allows(rules, Ask(("update", "patch"), "pods/ephemeralcontainers")):
        yield target, "can add containers to pods, which hold the tokens of the service accounts they run as"


def _tokens(namespace: str, rules: Sequence[Rule], known: Known) -> Iterator[Step]:
    ask = Ask(("create",), "serviceaccounts/token")
    if allows(rules, ask):
        yield service_accounts_of(namespace), "can create tokens for service accounts"
    for account in _named_service_accounts(named(rules, ask), namespace, known):
        yield account, "can create tokens for it"


def _secrets(namespace: str, rules: Sequence[Rule], known: Known) -> Iterator[Step]:
    reads, creates = allows(rules, Ask(_READ, "secrets")), allows(rules, Ask(("create",), "secrets"))
    if reads and creates:
        yield service_accounts_of(namespace), "can create secrets that get tokens of service accounts, and read them"
    if reads and (known.tokens if not namespace else namespace in known.tokens):
        yield tokens_of(namespace), "can read secrets that hold tokens of service accounts"


def _bindings(namespace: str, rules: Sequence[Rule], _: Known) -> Iterator[Step]:
    """`bind` and `escalate` lift the rule that nobody gives what they do not hold."""
    target = administration_of(namespace) if namespace else ADMINISTRATOR
    where = "rolebindings" if namespace else "clusterrolebindings"
    binds = allows(rules, Ask(_CHANGE, where, _RBAC))
    kinds = ("clusterroles", "roles") if namespace else ("clusterroles",)
    for kind in kinds:
        if binds and allows(rules, Ask(("bind",), kind, _RBAC)):
            yield target, f"can bind {kind} that it does not hold"
        if binds and kind == "clusterroles":
            suffix = f"@{namespace}" if namespace else ""
            for name in named(rules, Ask(("bind",), kind, _RBAC)):
                yield f"clusterrole/{name}{suffix}", "can bind it without holding it"
    kind = "roles" if namespace else "clusterroles"
    if allows(rules, Ask(("escalate",), kind, _RBAC)) and allows(rules, Ask(_CHANGE, kind, _RBAC)):
        yield target, f"can write rights into {kind} that it does not hold"


def _impersonation_of_service_accounts(namespace: str, rules: Sequence[Rule], known: Known) -> Iterator[Step]:
    ask = Ask(("impersonate",), "serviceaccounts")
    if allows(rules, ask):
        yield service_accounts_of(namespace), "can impersonate service accounts"
    for account in _named_service_accounts(named(rules, ask), namespace, known):
        yield account, "can impersonate it"


def _impersonation(rules: Sequence[Rule]) -> Iterator[Step]:
    users, groups = Ask(("impersonate",), "users"), Ask(("impersonate",), "groups")
    some_user = allows(rules, users) or bool(named(rules, users))
    if allows(rules, users):
        yield USERS, "can impersonate users"
    for name in named(rules, users):
        yield user_account(name), "can impersonate it"
    if some_user and allows(rules, groups):
        yield ADMINISTRATOR, "can impersonate any group, `system:masters` among them"
    for name in named(rules, groups) if some_user else ():
        step = ADMINISTRATOR if name == "system:masters" else group_account(name)
        yield step, f"can impersonate the group `{name}`"


def _certificates(rules: Sequence[Rule]) -> Iterator[Step]:
    asks = (
        Ask(("create",), "certificatesigningrequests", _CERTIFICATES),
        Ask(("update", "patch"), "certificatesigningrequests/approval", _CERTIFICATES),
    )
    signs = Ask(("approve",), "signers", _CERTIFICATES)
    approves = allows(rules, signs) or bool({_CLIENT_SIGNER, "kubernetes.io/*"} & set(named(rules, signs)))
    if approves and all(allows(rules, ask) for ask in asks):
        yield USERS, "can issue certificates for any user"


def _cluster(rules: Sequence[Rule]) -> Iterator[Step]:
    if allows(rules, Ask(("get", "create"), "nodes/proxy")):
        yield SERVICE_ACCOUNTS, "can run commands in every pod through the kubelets"
    hooks = "admissionregistration.k8s.io"
    if allows(rules, Ask(_CHANGE, "mutatingwebhookconfigurations", hooks)):
        yield ADMINISTRATOR, "can change what everybody else creates, by a webhook"


def _named_service_accounts(names: Iterable[str], namespace: str, known: Known) -> Iterator[str]:
    for name in names:
        yield from [service_account(namespace, name)] if namespace else known.by_name.get(name, [])
