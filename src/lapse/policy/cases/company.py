"""The catalog that cases speak of: from files, with what the case file and a case itself describe put over it.

Every name must lead somewhere: a misspelt one would test something else. Called by `judge`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from lapse.domain.catalog import Catalog
from lapse.domain.principals import Group, Principal, PrincipalKind
from lapse.domain.resources import Entitlement, Resource
from lapse.policy.cases.values import Asked, CaseFile, Placed, SomeGroup, Someone, SomeResource
from lapse.policy.problems import Problem, nearest
from lapse.policy.yaml_tree import Place


@dataclass
class Builder:
    """Puts what a case file describes over a catalog; collects what leads nowhere."""

    file: str
    catalog: Catalog
    problems: list[Problem] = field(default_factory=list)

    def add_file(self, file: CaseFile) -> None:
        """The people, groups and resources of the file."""
        self.add(file.people, file.groups, file.resources)
        self._check_circles(file.groups)

    def add(
        self,
        people: Iterable[Someone] = (),
        groups: Iterable[SomeGroup] = (),
        resources: Iterable[SomeResource] = (),
    ) -> None:
        """These as well; what has the name of something known takes its place."""
        people, groups, resources = tuple(people), tuple(groups), tuple(resources)
        self.catalog = Catalog(
            principals={**self.catalog.principals, **{one.name: _principal(one) for one in people}},
            groups=_joined(self.catalog.groups, groups, people),
            resources={**self.catalog.resources, **{one.name: _resource(one) for one in resources}},
        )
        for someone in people:
            for what, link in someone.links.items():
                self._principal(link, what)
        for group in groups:
            for member in group.members:
                self._principal(member, "members")
            for inner in group.groups:
                self._known(inner, "group", "groups", self.catalog.groups)
        for resource in resources:
            if resource.owner is not None:
                self._party(resource.owner)

    def asked(self, asked: Asked) -> tuple[str, str, str]:
        """The names of requester, beneficiary and entitlement; those that are described in the case are added."""
        described = [one for one in (asked.requester, asked.beneficiary) if isinstance(one, Someone)]
        here = [asked.entitlement] if isinstance(asked.entitlement, SomeResource) else []
        self.add(described, (), here)
        requester = self._name(asked.requester, "requester")
        beneficiary = requester if asked.beneficiary is None else self._name(asked.beneficiary, "beneficiary")
        return requester, beneficiary, self._entitlement(asked.entitlement)

    def report(self, place: Place, message: str, hint: str = "") -> None:
        """Note a problem."""
        self.problems.append(Problem(file=self.file, line=place.line, column=place.column, message=message, hint=hint))

    def _name(self, who: Someone | Placed[str], what: str) -> str:
        if isinstance(who, Someone):
            return who.name
        self._principal(who, what)
        return who.value

    def _entitlement(self, what: SomeResource | Placed[str]) -> str:
        if isinstance(what, SomeResource):
            return f"{what.name}/{next(iter(what.roles))}"
        names = [entitlement.name for entitlement in self.catalog.entitlements()]
        self._known(what, "entitlement", "entitlement", dict.fromkeys(names))
        return what.value

    def _principal(self, name: Placed[str], what: str) -> None:
        self._known(name, "principal", what, self.catalog.principals)

    def _party(self, party: Placed[str]) -> None:
        if party.value.startswith("group:"):
            bare = Placed(party.value.removeprefix("group:"), party.place)
            self._known(bare, "group", "owner", self.catalog.groups)
        else:
            self._principal(party, "owner")

    def _known(self, name: Placed[str], kind: str, what: str, known: Mapping[str, object]) -> None:
        if name.value in known:
            return
        near = nearest(name.value, known)
        hint = near if near.startswith("did you") else f"describe it here, or name a `catalog` that has the {kind}"
        self.report(name.place, f"`{what}` names the {kind} `{name.value}`, which is not known", hint)

    def _check_circles(self, groups: Iterable[SomeGroup]) -> None:
        for group in groups:
            reached: set[str] = set()
            queue = list(self.catalog.groups[group.name].groups)
            while queue:
                name = queue.pop()
                if name not in reached and name in self.catalog.groups:
                    reached.add(name)
                    queue += self.catalog.groups[name].groups
            if group.name in reached:
                self.report(group.place, f"the group `{group.name}` is inside itself", "take one link out")
                return


def _principal(someone: Someone) -> Principal:
    named: dict[str, Any] = {name: link.value for name, link in someone.links.items()} | dict(someone.texts)
    return Principal(name=someone.name, kind=PrincipalKind(someone.kind), active=someone.active, **named)


def _resource(some: SomeResource) -> Resource:
    return Resource(
        name=some.name,
        connector=some.connector,
        owner=some.owner.value if some.owner else "",
        tags=some.tags,
        entitlements=tuple(Entitlement(resource=some.name, role=role, tags=tags) for role, tags in some.roles.items()),
    )


def _joined(known: Mapping[str, Group], groups: Iterable[SomeGroup], people: Iterable[Someone]) -> dict[str, Group]:
    joined = dict(known)
    for group in groups:
        members, inner = (tuple(one.value for one in names) for names in (group.members, group.groups))
        joined[group.name] = Group(name=group.name, members=members, groups=inner)
    for someone in people:
        for name in someone.groups:
            before = joined.get(name, Group(name=name))
            joined[name] = replace(before, members=(*before.members, someone.name))
    return joined
