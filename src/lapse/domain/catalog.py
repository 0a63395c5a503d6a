"""The catalog: every principal, group and resource lapse knows, as one value; and the plan between two.

Lookups fail closed: what cannot be resolved (a missing alias target, a cycle, an unknown group) is nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from lapse.domain.data import changed_fields
from lapse.domain.errors import NotFound
from lapse.domain.names import shown, split_entitlement
from lapse.domain.principals import Group, Principal, PrincipalKind
from lapse.domain.resources import Entitlement, Resource

T = TypeVar("T")
_PARTIES_KEPT = 256
"""Parties whose persons are remembered at a time: a large group takes longer to go through than to count."""


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All known principals, groups and resources, by name."""

    principals: Mapping[str, Principal] = field(default_factory=dict)
    groups: Mapping[str, Group] = field(default_factory=dict)
    resources: Mapping[str, Resource] = field(default_factory=dict)

    def principal(self, name: str) -> Principal:
        """The principal called `name`, or `NotFound`."""
        return _lookup(self.principals, name, "principal")

    def resource(self, name: str) -> Resource:
        """The resource called `name`, or `NotFound`."""
        return _lookup(self.resources, name, "resource")

    def entitlement(self, name: str) -> Entitlement:
        """The entitlement called `resource/role`, or `NotFound`."""
        known = self._entitlements.get(name)
        if known is not None:
            return known
        resource_name, role = split_entitlement(name)
        resource = self.resource(resource_name)
        found = resource.entitlement(role)
        if found is None:
            roles = ", ".join(f"`{e.name}`" for e in resource.entitlements) or "none yet"
            raise NotFound(f"there is no entitlement `{name}`", hint=f"entitlements there: {roles}")
        return found

    def entitlements(self) -> Iterator[Entitlement]:
        """Every entitlement of every resource."""
        for resource in self.resources.values():
            yield from resource.entitlements

    def person_of(self, name: str) -> str | None:
        """The person who is `name` after aliases are followed; None if that is no active person.

        Services and agents are nobody here: they cannot decide for a human. An identity that is switched off
        decides nothing, whether or not the person behind it is still active.
        """
        chain = self._identities(name)
        if all(one.kind is PrincipalKind.PERSON and one.active for one in chain):
            return chain[-1].name if chain else None
        return None

    def root_of(self, name: str) -> str:
        """The principal that `name` is an alias of, in the end; itself if it is none, empty if that is not known."""
        chain = self._identities(name)
        return chain[-1].name if chain else ""

    def names_of(self, name: str) -> frozenset[str]:
        """`name` and all other names of the same principal: what is a person's is not an account's."""
        root = self.root_of(name)
        return frozenset({name, root, *self._aliases.get(root, ())}) if root else frozenset({name})

    def humans_behind(self, name: str) -> frozenset[str]:
        """Every person behind `name`: itself after aliases, and sponsor or owner of agents and services."""
        return self._behind(name)[0]

    def everyone_behind(self, name: str) -> frozenset[str]:
        """All names of `name` and of whoever it stands or acts for, in the end: what a lock may name to stop it."""
        found: set[str] = set()
        queue = [name]
        while queue:
            current = queue.pop()
            if current not in found:
                found |= self.names_of(current)
                queue += [other for one in self._identities(current) for other in (one.sponsor, one.owner) if other]
        return frozenset(found)

    def answerable(self, name: str) -> bool:
        """Whether every human behind `name` is known: at least one, and no link leads nowhere."""
        persons, lost = self._behind(name)
        return bool(persons) and not lost

    def may_hold(self, name: str) -> bool:
        """Whether `name` may hold access: it is active, and so is whoever it is an alias of or acts for."""
        queue, seen = [name], set[str]()
        while queue:
            current = queue.pop()
            if current in seen:
                continue
            seen.add(current)
            chain = self._identities(current)
            if not chain or not all(one.active for one in chain):
                return False
            queue += [one.sponsor for one in chain if one.sponsor]
        return True

    def members_of(self, group: str) -> frozenset[str]:
        """All principals in `group`, through nested groups; a group that does not exist has no members."""
        within = _reached([group], lambda name: self.groups[name].groups if name in self.groups else ())
        return frozenset[str]().union(*(self.groups[name].members for name in within if name in self.groups))

    def groups_of(self, name: str) -> frozenset[str]:
        """The groups that contain `name`, directly or through nested groups."""
        return _reached(self._groups_of_members.get(name, ()), lambda group: self._groups_of_groups.get(group, ()))

    def persons_in(self, party: str) -> frozenset[str]:
        """The active persons a party stands for: `group:NAME`, or a principal's name."""
        known = self._persons.get(party)
        if known is None:
            if len(self._persons) >= _PARTIES_KEPT:
                self._persons.clear()
            known = self._persons[party] = self._persons_in(party)
        return known

    def names_in(self, party: str) -> frozenset[str]:
        """The names a party stands for, known or not: the members of `group:NAME`, or the one that it is."""
        kind, colon, group = party.partition(":")
        return self.members_of(group) if colon and kind == "group" else frozenset({party})

    def _persons_in(self, party: str) -> frozenset[str]:
        return frozenset(person for name in self.names_in(party) if (person := self.person_of(name)))

    def account_owner(self, resource: str, login: str) -> str | None:
        """The principal that owns `login` on `resource`; None if none is linked, or more than one."""
        return self._owners.get((resource, login))

    @cached_property
    def _persons(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def _entitlements(self) -> dict[str, Entitlement]:
        return {entitlement.name: entitlement for entitlement in self.entitlements()}

    @cached_property
    def _owners(self) -> dict[tuple[str, str], str | None]:
        owners: dict[tuple[str, str], str | None] = {}
        for principal in self.principals.values():
            for key in {(account.resource, account.login) for account in principal.accounts}:
                owners[key] = None if key in owners else principal.name
        return owners

    @cached_property
    def _aliases(self) -> dict[str, list[str]]:
        aliases = (name for name, principal in self.principals.items() if principal.alias_of)
        return _inverted({name: (self.root_of(name),) for name in aliases})

    @cached_property
    def _groups_of_members(self) -> dict[str, list[str]]:
        return _inverted({name: group.members for name, group in self.groups.items()})

    @cached_property
    def _groups_of_groups(self) -> dict[str, list[str]]:
        return _inverted({name: group.groups for name, group in self.groups.items()})

    def _behind(self, name: str) -> tuple[frozenset[str], bool]:
        """The persons behind `name`, and whether any link on the way could not be followed."""
        found: set[str] = set()
        lost = False
        queue, seen = [name], set[str]()
        while queue:
            current = queue.pop()
            if current in seen:
                continue
            seen.add(current)
            chain = self._identities(current)
            lost = lost or not chain
            found |= {one.name for one in chain[-1:] if one.kind is PrincipalKind.PERSON}
            queue += [other for one in chain for other in (one.sponsor, one.owner) if other]
        return frozenset(found), lost

    def _identities(self, name: str) -> tuple[Principal, ...]:
        """`name` and every principal it is an alias of, the real one last; () for a missing one or a cycle."""
        chain: dict[str, Principal] = {}
        while name in self.principals and name not in chain:
            chain[name] = self.principals[name]
            name = self.principals[name].alias_of
            if not name:
                return tuple(chain.values())
        return ()


def _inverted(links: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Who links to each."""
    found: dict[str, list[str]] = {}
    for name, others in links.items():
        for other in others:
            found.setdefault(other, []).append(name)
    return found


def _reached(start: Iterable[str], links: Callable[[str], Iterable[str]]) -> frozenset[str]:
    """`start` and all that it leads to, also where it goes round in circles."""
    queue, seen = list(start), set[str]()
    while queue:
        current = queue.pop()
        if current not in seen:
            seen.add(current)
            queue.extend(links(current))
    return frozenset(seen)


class Change(StrEnum):
    """What applying a catalog does to one thing."""

    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogChange:
    """One line of a catalog plan; `fields` names what differs for a change."""

    change: Change
    kind: str
    name: str
    fields: tuple[str, ...] = ()


def plan_catalog(current: Catalog, wanted: Catalog) -> tuple[CatalogChange, ...]:
    """What changes from `current` to `wanted`, ordered by kind and name. Equal catalogs give ()."""
    changes: list[CatalogChange] = []
    for kind, before, after in (
        ("principal", current.principals, wanted.principals),
        ("group", current.groups, wanted.groups),
        ("resource", current.resources, wanted.resources),
    ):
        changes += _plan_kind(kind, before, after)
    return tuple(changes)


def _plan_kind(kind: str, before: Mapping[str, object], after: Mapping[str, object]) -> Iterator[CatalogChange]:
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield CatalogChange(change=Change.ADD, kind=kind, name=name)
        elif name not in after:
            yield CatalogChange(change=Change.REMOVE, kind=kind, name=name)
        elif before[name] != after[name]:
            fields = changed_fields(before[name], after[name])
            yield CatalogChange(change=Change.CHANGE, kind=kind, name=name, fields=fields)


def _lookup(things: Mapping[str, T], name: str, what: str) -> T:
    found = things.get(name)
    if found is None:
        raise NotFound(f"there is no {what} `{shown(name)}`", hint=f"`lapse {what} list` shows those that are known")
    return found
