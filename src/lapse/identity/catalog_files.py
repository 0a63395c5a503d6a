"""The catalog as YAML files: principals, groups and resources. All problems at once, each with file, line, column.

What is read is whole or nothing: no unknown keys, no duplicates, no reference that leads nowhere, no login that two
principals claim. Called by the API when a catalog is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.domain.principals import Account, Group, Principal, PrincipalKind
from lapse.domain.resources import Entitlement, OnDrift, Resource
from lapse.identity.gateway_files import read_gateway_rules, read_guard
from lapse.identity.located import Reader, Reference, Spot
from lapse.policy.problems import PolicyErrors, Problem, nearest
from lapse.policy.yaml_tree import Map, Tree, read_tree

MOST_FILES = 200
_TEXTS = ("display_name", "email", "department", "title")
_LINKS = ("alias_of", "sponsor", "owner", "manager")


class CatalogErrors(InvalidInput):
    """The catalog cannot be used; `problems` has everything that was found, in order of file and line."""

    code = "invalid-catalog"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        first, count = self.problems[0], len(self.problems)
        more = f"; {count - 1} more" if count > 1 else ""
        super().__init__(f"{first.file}:{first.line}:{first.column}: {first.message}{more}", hint=first.hint)


@dataclass
class _Found:
    """What all files said, with where each thing stands."""

    principals: dict[str, Principal] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    spots: dict[tuple[str, str], Spot] = field(default_factory=dict)
    mentioned: set[tuple[str, str]] = field(default_factory=set)
    logins: dict[tuple[str, str], Spot] = field(default_factory=dict)
    references: list[Reference] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def report(self, spot: Spot, message: str, hint: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(file=spot.file, line=spot.line, column=spot.column, message=message, hint=hint))


def catalog_from_files(files: Mapping[str, str]) -> Catalog:
    """The catalog that `files` (text by file name) describe together.

    Raises:
        CatalogErrors: everything that is wrong with them.
        InvalidInput: there are no files, or far too many.
    """
    if not 0 < len(files) <= MOST_FILES:
        raise InvalidInput(f"a catalog is made of 1 to {MOST_FILES} files", hint="name them, e.g. `catalog.yaml`")
    found = _Found()
    for name, text in files.items():
        _read_file(found, shown(name, longest=300), text)
    _check_references(found)
    _check_agents(found)
    _check_cycles(found, "principal", {p.name: (p.alias_of,) for p in found.principals.values()})
    _check_cycles(found, "group", {g.name: g.groups for g in found.groups.values()})
    if found.problems:
        raise CatalogErrors(found.problems)
    return Catalog(principals=found.principals, groups=found.groups, resources=found.resources)


def _read_file(found: _Found, name: str, text: str) -> None:
    reader = Reader(name, found.problems, found.references)
    try:
        tree = read_tree(name, text)
    except PolicyErrors as error:
        found.problems.extend(replace(p, message=p.message.replace("policies", "a catalog")) for p in error.problems)
        return
    if tree is None:
        return
    file = _File(reader, found)
    readers = {"version": file.version, "principals": file.principals, "groups": file.groups}
    reader.fields(tree, {**readers, "resources": file.resources}, "catalog")


@dataclass
class _File:
    """Reads the sections of one file into what was found so far."""

    reader: Reader
    found: _Found

    def version(self, node: Tree) -> None:
        """Only this one is known."""
        if self.reader.scalar(node) not in {"1", None}:
            self.reader.report(node, "this version of the catalog format is not known", "write `version: 1`")

    def principals(self, node: Tree) -> None:
        """The list of principals."""
        for item in self.reader.items(node, "`principals`"):
            values = self._principal(item)
            if self._complete(item, values, ("name",), "principal"):
                self._keep(item, "principal", self.found.principals, Principal(**values))

    def groups(self, node: Tree) -> None:
        """The list of groups."""
        read = self.reader
        for item in read.items(node, "`groups`"):
            values = read.fields(
                item,
                {
                    "name": lambda n: read.name(n, "group name"),
                    "description": lambda n: read.prose(n, "description"),
                    "members": lambda n: read.references_in(n, "members", "principal"),
                    "groups": lambda n: read.references_in(n, "groups", "group"),
                },
                "group",
            )
            if self._complete(item, values, ("name",), "group"):
                self._keep(item, "group", self.found.groups, Group(**values))

    def resources(self, node: Tree) -> None:
        """The list of resources."""
        for item in self.reader.items(node, "`resources`"):
            values = self._resource(item)
            if self._complete(item, values, ("name", "connector"), "resource"):
                resource = Resource(**values | {"entitlements": self._entitlements(item, values["name"])})
                self._keep(item, "resource", self.found.resources, resource)

    def _principal(self, item: Tree) -> dict[str, Any]:
        read = self.reader
        return read.fields(
            item,
            {
                "name": lambda n: read.name(n, "principal name"),
                "kind": lambda n: read.choice(n, PrincipalKind),
                "active": read.flag,
                "left_at": read.time,
                "accounts": self._accounts,
                **{text: partial(read.prose, what=text) for text in _TEXTS},
                **{link: partial(read.reference, what=link, kind="principal") for link in _LINKS},
            },
            "principal",
        )

    def _accounts(self, node: Tree) -> tuple[Account, ...]:
        read, accounts = self.reader, []
        for item in read.items(node, "`accounts`"):
            fields = {"resource": lambda n: read.reference(n, "resource", "resource"), "login": read.native}
            values = read.fields(item, fields, "account")
            if read.required(item, values, ("resource", "login"), "account"):
                account = Account(**values)
                accounts.append(account)
                self._claim(item, account)
        return tuple(accounts)

    def _claim(self, item: Tree, account: Account) -> None:
        """One login is one principal's: who else could say whose access it is?"""
        spot = self.reader.spot(item)
        first = self.found.logins.setdefault((account.resource, account.login), spot)
        if first is not spot:
            message = f"the login `{shown(account.login)}` on `{account.resource}` is claimed twice"
            self.found.report(spot, message, f"it is claimed at {first} already; one login belongs to one principal")

    def _resource(self, item: Tree) -> dict[str, Any]:
        read = self.reader
        return read.fields(
            item,
            {
                "name": lambda n: read.name(n, "resource name"),
                "connector": lambda n: read.name(n, "connector kind"),
                "title": lambda n: read.prose(n, "title"),
                "owner": lambda n: read.reference(n, "owner", "party"),
                "tags": lambda n: read.pairs(n, "tags"),
                "on_drift": lambda n: read.choice(n, OnDrift),
                "gateway": partial(read_gateway_rules, read),
                "entitlements": lambda _node: None,
            },
            "resource",
        )

    def _entitlements(self, resource: Tree, name: str) -> tuple[Entitlement, ...]:
        listed = resource.entries.get("entitlements") if isinstance(resource, Map) else None
        kept: dict[str, Entitlement] = {}
        for item in self.reader.items(listed[1], "`entitlements`") if listed else ():
            values = self._entitlement(item)
            if not self.reader.required(item, values, ("role",), "entitlement"):
                continue
            if values["role"] in kept:
                self.reader.report(item, f"the entitlement `{name}/{values['role']}` is here twice", "keep one")
            kept[values["role"]] = Entitlement(resource=name, **values)
        return tuple(kept.values())

    def _entitlement(self, item: Tree) -> dict[str, Any]:
        read = self.reader
        return read.fields(
            item,
            {
                "role": lambda n: read.name(n, "role name"),
                "title": lambda n: read.prose(n, "title"),
                "tags": lambda n: read.pairs(n, "tags"),
                "native": lambda n: read.pairs(n, "native names"),
                "guard": partial(read_guard, read),
            },
            "entitlement",
        )

    def _complete(self, item: Tree, values: dict[str, Any], names: tuple[str, ...], kind: str) -> bool:
        """Whether nothing essential is missing. What is incomplete is still known by name to those that refer to it."""
        self.found.mentioned.add((kind, values.get("name", "")))
        return self.reader.required(item, values, names, kind)

    def _keep(self, item: Tree, kind: str, things: dict[str, Any], thing: Any) -> None:
        spot = self.reader.spot(item)
        first = self.found.spots.setdefault((kind, thing.name), spot)
        if first is not spot:
            self.found.report(spot, f"the {kind} `{thing.name}` is here twice", f"the first is at {first}; keep one")
            return
        things[thing.name] = thing


def _check_references(found: _Found) -> None:
    known: dict[str, Mapping[str, object]] = {
        "principal": found.principals,
        "group": found.groups,
        "resource": found.resources,
    }
    for reference in found.references:
        is_group = reference.kind == "party" and reference.name.startswith("group:")
        kind = {"party": "group" if is_group else "principal"}.get(reference.kind, reference.kind)
        name = reference.name.removeprefix("group:") if is_group else reference.name
        if name not in known[kind] and (kind, name) not in found.mentioned:
            found.report(
                reference.spot, f"`{reference.what}` names the {kind} `{name}`, which is not in the catalog",
                _near(name, known[kind]),
            )  # fmt: skip


def _near(name: str, known: Iterable[str]) -> str:
    near = nearest(name, known)
    return near if near.startswith("did you mean") else "add it, or take the name out"


def _check_agents(found: _Found) -> None:
    """An agent acts for a person: without one nobody answers for what it does."""
    for principal in found.principals.values():
        spot = found.spots["principal", principal.name]
        sponsor = found.principals.get(principal.sponsor)
        if principal.kind is PrincipalKind.AGENT and not principal.sponsor:
            found.report(spot, f"the agent `{principal.name}` has no sponsor", "add `sponsor: …`, a person")
        elif sponsor is not None and sponsor.kind is not PrincipalKind.PERSON:
            found.report(spot, f"the sponsor of `{principal.name}` is no person", "name the person it acts for")


def _check_cycles(found: _Found, kind: str, links: Mapping[str, tuple[str, ...]]) -> None:
    """A chain of aliases or groups that comes back to itself leads to nobody."""
    done: set[str] = set()
    for start in links:
        trail: list[str] = []
        stack = [(start, 0)]
        while stack:
            name, depth = stack.pop()
            del trail[depth:]
            if name in trail:
                loop = " → ".join([*trail[trail.index(name) :], name])
                found.report(found.spots[kind, name], f"the {kind}s {loop} form a circle", "take one link out")
                return
            if name in done or name not in links:
                continue
            trail.append(name)
            done.add(name)
            stack += [(after, depth + 1) for after in links[name] if after]
