"""Source `kubernetes-rbac`: who may do what in a cluster, from manifests of RBAC or what `kubectl get` writes.

Guarantee: every object is used, counted as of another kind, or rejected; a role that is bound but not there, and
groups whose members the cluster does not know, are said and never taken for nothing. Called through `SOURCE`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.review.sources.clocks import taken_at
from lapse.review.sources.files import files_below, name_below
from lapse.review.sources.kubernetes.cluster import Cluster, Holding
from lapse.review.sources.kubernetes.escalation import Known, edges_between, edges_of
from lapse.review.sources.kubernetes.names import POWER, RESOURCE_OPTIONS, parts_of_service_account, resource_of
from lapse.review.sources.kubernetes.objects import Rule, objects_of
from lapse.review.sources.kubernetes.owners import PREFIX_OPTION, Owners
from lapse.review.sources.kubernetes.rights import ANY, Ask, allows, is_everything, rights_of
from lapse.review.sources.notes import Notes
from lapse.review.sources.reading import Reading
from lapse.review.sources.source import Options, Source

_NAMES = (".yaml", ".yml", ".json", ".yaml.gz", ".yml.gz", ".json.gz")
_KINDS = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount")
_RBAC = "rbac.authorization.k8s.io"
_PASSES_ON = ("create", "update", "patch")


@dataclass(frozen=True, slots=True)
class _BoundRole:
    """A role as it is held: `name` says where. `passes_on`: its holders can give what they hold to others there."""

    name: str
    namespace: str
    rules: Sequence[Rule]
    builtin: bool | None
    powers: str | None
    passes_on: bool


def read(path: Path, options: Options, reading: Reading) -> None:
    """Read the manifests in `path`.

    Raises:
        InvalidInput: an option makes no sense, the resource is missing, or there is no manifest.
    """
    resource, at, notes = resource_of(options), taken_at(options), Notes()
    cluster = Cluster(notes)
    for file in _files(path, reading):
        _read_file(file, name_below(path, file), cluster, reading)
    cluster.check_references()
    _Writer(cluster, Owners(reading, resource, options), at, reading).write()
    cluster.check_aggregation()
    notes.report(reading)


def _files(path: Path, reading: Reading) -> list[Path]:
    if path.is_file():
        return [path]
    found = files_below(path)
    manifests = [file for file in found if file.name.lower().endswith(_NAMES)]
    if not manifests:
        raise InvalidInput(f"`{shown(str(path), 200)}` has no `.yaml` or `.json` file in it", hint="give manifests")
    others = [name_below(path, file) for file in found if file not in set(manifests)]
    if others:
        what = "files that are no manifests by their names were not read"
        reading.problem("", what, rows=len(others), examples=others[:5])
    return manifests


def _read_file(file: Path, name: str, cluster: Cluster, reading: Reading) -> None:
    for place, kind, thing in objects_of(file, name, reading):
        try:
            cluster.take(kind, thing)
        except ValueError as error:
            reading.reject(place, str(error))
            continue
        reading.used()


class _Writer:
    """Writes what a cluster comes to."""

    def __init__(self, cluster: Cluster, owners: Owners, at: datetime, reading: Reading) -> None:
        self._cluster, self._owners, self._at, self._reading = cluster, owners, at, reading
        self._resource = owners.resource
        self._holdings = sorted(cluster.holdings)
        self._roles = {one.name: one for one in self._found_roles()}
        self._direct: dict[str, list[Holding]] = {}
        for holding in self._holdings:
            self._direct.setdefault(holding.account, []).append(holding)

    def write(self) -> None:
        """Fill all tables."""
        for row in self._accounts():
            self._reading.add("accounts", row | {"observed": True, "observed_at": self._at})
        for row in self._access():
            self._reading.add("access_observed", row | {"observed_at": self._at})
        self._privileges()
        self._edges()
        self._say_groups()
        self._target_read()

    def _found_roles(self) -> Iterator[_BoundRole]:
        """Every role by itself, and once more for each namespace in which a cluster role is held."""
        held = {(one.role, one.namespace, one.key) for one in self._holdings}
        for key in self._cluster.roles:
            namespace, name = key
            held.add((f"role/{namespace}/{name}" if namespace else f"clusterrole/{name}", namespace, key))
        for role, namespace, key in sorted(held):
            rules, found = self._cluster.rules_of(key), self._cluster.roles.get(key)
            bindings = "rolebindings" if namespace else "clusterrolebindings"
            yield _BoundRole(
                name=role,
                namespace=namespace,
                rules=rules,
                builtin=found.builtin if found else None,
                powers=POWER if not namespace and is_everything(rules) else None,
                passes_on=allows(rules, Ask(_PASSES_ON, bindings, _RBAC)),
            )

    def _row(self, account: str, **more: Any) -> dict[str, Any]:
        return {"resource": self._resource, "account": account, **more}

    def _accounts(self) -> Iterator[dict[str, Any]]:
        for account, created_at in sorted(self._cluster.accounts.items()):
            powers = any(self._roles[one.role].powers for one in self._direct.get(account, ()))
            is_service, is_group = parts_of_service_account(account) is not None, account.startswith("group/")
            yield self._row(
                account,
                principal=self._owners.of(account),
                can_login=False if is_group else account in self._cluster.seen_accounts or None,
                powers=POWER if powers else None,
                builtin=not is_service and account.removeprefix("group/").startswith("system:"),
                kind="service" if is_service else None,
                created_at=created_at,
            )
        for name, role in self._roles.items():
            yield self._row(name, can_login=False, powers=role.powers, builtin=role.builtin)

    def _access(self) -> Iterator[dict[str, Any]]:
        for account, holdings in self._direct.items():
            roles = [self._roles[one.role] for one in holdings]
            passes_on = {role.namespace for role in roles if role.passes_on}
            for role in roles:
                yield self._access_row(account, role, passes_on)
        for account, group in self._cluster.implied():
            yield self._row(account, role=group, holding="direct", depth=0, principal=self._owners.of(account))
            for one in self._direct[group]:
                row = self._access_row(account, self._roles[one.role], set())
                yield row | {"holding": "nested", "depth": 1, "via": group}

    def _access_row(self, account: str, role: _BoundRole, passes_on: set[str]) -> dict[str, Any]:
        return self._row(
            account,
            role=role.name,
            holding="direct",
            depth=0,
            principal=self._owners.of(account),
            can_login=account in self._cluster.seen_accounts or None,
            admin_option=bool(passes_on & {"", role.namespace}) or None,
            inherits=True,
            powers=role.powers,
        )

    def _privileges(self) -> None:
        cut = []
        for role in self._roles.values():
            rights, complete = rights_of(role.rules)
            cut += [] if complete else [role.name]
            for verb, thing in rights:
                row = {"resource": self._resource, "role": role.name, "action": verb, "object": thing}
                wildcard = ANY in verb or ANY in thing
                self._reading.add("role_privileges", row | {"origin": "observed", "wildcard": wildcard})
        if cut:
            self._reading.gap("role_privileges", f"{len(cut)} roles have more rights than are listed")
            what = "roles with more rights than are listed"
            self._reading.problem("role_privileges", what, rows=len(cut), examples=cut[:5])

    def _edges(self) -> None:
        known = Known(self._cluster.accounts, self._cluster.token_holders)
        held = {one.role for one in self._holdings}
        reached = set()
        for role in self._roles.values():
            if role.name in held:
                for edge in edges_of(role.name, role.namespace, role.rules, known):
                    reached.add(edge[1])
                    self._edge(*edge)
        for edge in edges_between(reached, known):
            self._edge(*edge)

    def _edge(self, start: str, to: str, how: str) -> None:
        row = {"resource": self._resource, "from_name": start, "to_name": to, "how": how}
        self._reading.add("escalation_edges", row)

    def _say_groups(self) -> None:
        groups = [one for one in self._direct if one.startswith("group/")]
        unknown = [one for one in groups if not one.startswith("group/system:serviceaccounts")]
        if unknown:
            what = "groups hold access, and who is in them is not known to the cluster"
            self._reading.problem("access_observed", what, rows=len(unknown), examples=unknown[:5])
            self._reading.gap("access_observed", f"who is in {len(unknown)} groups that hold access is not known")

    def _target_read(self) -> None:
        gaps = [f"no {kind} is in the files" for kind in _KINDS if kind not in self._cluster.kinds]
        if self._cluster.missing:
            gaps.append(f"{len(self._cluster.missing)} roles that are bound are not in the files")
        if self._reading.rejected:
            gaps.append(f"{self._reading.rejected} objects could not be read")
        row = {
            "resource": self._resource,
            "finished_at": self._at,
            "complete": not gaps,
            "gaps": "; ".join(gaps) or None,
        }
        counts = {"accounts": len(self._cluster.accounts), "memberships": len(self._holdings)}
        self._reading.add("target_reads", row | counts)


SOURCE = Source(
    kind="kubernetes-rbac",
    title="Kubernetes: roles and bindings of RBAC",
    tables=("accounts", "access_observed", "role_privileges", "escalation_edges", "target_reads"),
    read=read,
    options={
        **RESOURCE_OPTIONS,
        **PREFIX_OPTION,
        "taken_at": "when the manifests were exported (default now)",
    },
)
