"""What the solver found, as people and things: a small catalog and the question, for the evaluator to answer.

The catalog is as small as can be: whoever asks and benefits, who stands behind them, the groups they need to be in, and
the one entitlement. Approvers are added when it is known whose approval it takes. Called by `decide` and `sequences`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from lapse.domain.catalog import Catalog
from lapse.domain.principals import Group, Principal, PrincipalKind
from lapse.domain.requests import Ticket
from lapse.domain.resources import Entitlement, Resource
from lapse.policy.asks import ask_for
from lapse.policy.proof.asked import AskedModel, PrincipalModel, TagsModel, moment
from lapse.policy.proof.solver import Found
from lapse.policy.proof.world import around
from lapse.policy.rules import Fact
from lapse.policy.values import Ask, History, PastGrant, PastRequest, TicketFacts, TicketStatus

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
USUAL_TIME = datetime(2027, 3, 2, 10, tzinfo=UTC)
"""A Tuesday: when a counter-example takes place if any time will do."""

_SENTENCE = "restoring the orders that were lost in incident 4711"
_SENTENCES = (_SENTENCE, *(" and ".join([_SENTENCE] * count) for count in (2, 4, 20)))
PREFERRED: Mapping[str, tuple[str, ...]] = {
    "requester.name": ("ann", "anna"),
    "beneficiary.name": ("ann", "bea", "anna"),
    "requester.person": ("ann", "adam"),
    "beneficiary.person": ("ann", "bea", "adam"),
    "requester.sponsor": ("sue", "susan"),
    "beneficiary.sponsor": ("sue", "susan"),
    "requester.manager": ("max",),
    "beneficiary.manager": ("max",),
    "resource.owner": ("group:owners", "olga"),
    "resource.name": ("db", "db-1", "system-1"),
    "entitlement.role": ("use", "role-1"),
    "justification": _SENTENCES,
    "ticket.number": ("OPS-1",),
    "ticket.system": ("jira",),
}
"""How unknown texts are spelled where it does not matter."""

_LINKS = ("sponsor", "owner")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A catalog, and the question that somebody in it asks; `held_from` is when the access would begin."""

    catalog: Catalog
    requester: str
    beneficiary: str
    entitlement: str
    duration: timedelta
    total: timedelta
    at: datetime
    begins_at: datetime
    held_from: datetime
    is_extension: bool = False
    break_glass: bool = False
    justification: str = ""
    ticket: Ticket | None = None
    ticket_status: TicketStatus = TicketStatus.OPEN
    held: tuple[PastGrant, ...] = ()
    requests: tuple[PastRequest, ...] = ()
    justifications: tuple[str, ...] = ()

    def ask(self) -> Ask:
        """The question with all its facts."""
        return ask_for(
            self.catalog,
            requester=self.requester,
            beneficiary=self.beneficiary,
            entitlement=self.entitlement,
            duration=self.duration,
            total_duration=self.total,
            at=self.at,
            starts_at=self.begins_at if self.begins_at > self.at else None,
            is_extension=self.is_extension,
            break_glass=self.break_glass,
            justification=self.justification,
            ticket=self.ticket,
            ticket_facts=TicketFacts(status=self.ticket_status) if self.ticket else None,
            history=History(
                since=BEGINNING, grants=self.held, requests=self.requests, justifications=self.justifications
            ),
        )


def case_of(asked: AskedModel, found: Found, facts: Iterable[Fact] = ()) -> Case:
    """What was found, as a case. `facts` are respected where it is open who is in which group."""
    people = _People(asked, found, tuple(facts))
    for principal in asked.principals:
        people.add(principal)
    resource = _resource(asked, found)
    return Case(
        catalog=people.catalog(resource),
        requester=people.name(asked.requester),
        beneficiary=people.name(asked.beneficiary),
        entitlement=resource.entitlements[0].name,
        duration=timedelta(seconds=found.number(asked.duration)),
        total=timedelta(seconds=found.number(asked.total)),
        at=moment(found.number(asked.at)),
        begins_at=moment(found.number(asked.begins_at)),
        held_from=moment(found.number(asked.held_from)),
        is_extension=found.true(asked.is_extension),
        break_glass=found.true(asked.break_glass),
        justification=found.texts.get("justification", _SENTENCE),
        ticket=_ticket(found),
        ticket_status=_ticket_status(asked, found),
    )


def _ticket(found: Found) -> Ticket | None:
    number, system = found.texts.get("ticket.number", ""), found.texts.get("ticket.system", "")
    return Ticket(system=system or "jira", number=number) if number or system else None


def _ticket_status(asked: AskedModel, found: Found) -> TicketStatus:
    if "ticket is unreachable" in asked.looks and found.true(asked.looks["ticket is unreachable"].holds):
        return TicketStatus.UNREACHABLE
    shut = "ticket is open" in asked.looks and not found.true(asked.looks["ticket is open"].holds)
    return TicketStatus.CLOSED if shut else TicketStatus.OPEN


def _resource(asked: AskedModel, found: Found) -> Resource:
    name, role = found.text(asked.resource("name")), found.text(asked.entitlement("role"))
    entitlement = Entitlement(
        resource=name,
        role=role,
        title=found.texts.get("entitlement.title", ""),
        tags=_tags(asked.entitlement_tags, found),
    )
    return Resource(
        name=name,
        connector=found.texts.get("resource.connector") or "postgresql",
        title=found.texts.get("resource.title", ""),
        owner=found.texts.get("resource.owner", ""),
        tags=_tags(asked.resource_tags, found),
        entitlements=(entitlement,),
    )


def _tags(tags: TagsModel, found: Found) -> dict[str, str]:
    return {key: found.text(tags.value(key)) for key in sorted(tags.keys) if found.true(tags.has(key))}


class _People:
    """Principals and their groups, as they are needed."""

    def __init__(self, asked: AskedModel, found: Found, facts: tuple[Fact, ...]) -> None:
        self._asked, self._found, self._facts = asked, found, facts
        self._principals: dict[str, Principal] = {}
        self._groups: dict[str, set[str]] = {}

    def name(self, principal: PrincipalModel) -> str:
        """The principal's name."""
        return self._found.text(principal.text("name"))

    def add(self, principal: PrincipalModel) -> None:
        """Add a principal with all that stands behind it."""
        name, person = self.name(principal), self._found.text(principal.text("person"))
        if name in self._principals:
            return
        kind = PrincipalKind(self._found.text(principal.text("kind")))
        texts = {
            attribute: self._found.text(principal.text(attribute))
            for attribute in sorted(principal.used - {"name", "person", "kind"})
        }
        humans = [human for human in self._members(principal, "humans") if human not in {person, name}]
        if kind is PrincipalKind.AGENT and not texts.get("sponsor"):
            texts["sponsor"] = humans.pop(0) if humans else "sue"
        if kind is PrincipalKind.SERVICE and not self._found.true(principal.plain) and not texts.get("owner"):
            texts["owner"] = humans.pop(0) if humans else "olga"
        alias = person if person != name else ""
        self._principals[name] = replace(Principal(name=name, kind=kind, alias_of=alias), **texts)  # type: ignore[arg-type]
        if alias:
            self._principals.setdefault(person, Principal(name=person))
        own = self._members(principal, "groups")
        for group in own:
            self._groups.setdefault(group, set()).add(name)
        behind = [*(texts[link] for link in _LINKS if texts.get(link)), *humans]
        self._stand_behind(name, behind, [g for g in self._members(principal, "human_groups") if g not in own])

    def _stand_behind(self, name: str, behind: list[str], groups: list[str]) -> None:
        """Let these persons answer for one another in a row, and be in these groups between them."""
        last = name
        for human in dict.fromkeys(behind):
            last = self._answerable(last, human)
        holders = list(dict.fromkeys(behind))
        for group in groups:
            holder = next((human for human in holders if self._may_join(human, group)), None)
            if holder is None:
                holder = next(free for number in range(1, 99) if (free := f"other-{number}") not in self._principals)
                last = self._answerable(last, holder)
                holders.append(holder)
            self._groups.setdefault(group, set()).add(holder)

    def _answerable(self, name: str, human: str) -> str:
        """Make `human` one who stands behind `name`."""
        self._principals.setdefault(human, Principal(name=human))
        holder = self._principals[name]
        if human not in {holder.sponsor, holder.owner}:
            self._principals[name] = replace(holder, owner=human)
        return human

    def _may_join(self, human: str, group: str) -> bool:
        mine = {name for name, members in self._groups.items() if human in members} | {group}
        wider = {other for one in mine for other in around(f"group:{one}", self._facts)}
        return not any(len(wider.intersection(fact.disjoint)) > 1 for fact in self._facts)

    def _members(self, principal: PrincipalModel, name: str) -> list[str]:
        members = principal.lists[name]
        texts = [text for text in members.asked.values() if self._found.true(members.has(text))]
        return sorted({self._found.text(text) for text in texts} - {""})

    def catalog(self, resource: Resource) -> Catalog:
        """All of them with `resource`; whoever is only mentioned is there too."""
        for mentioned in self._mentioned(resource):
            self._principals.setdefault(mentioned, Principal(name=mentioned))
        groups = {name: Group(name=name, members=tuple(sorted(who))) for name, who in sorted(self._groups.items())}
        return Catalog(principals=self._principals, groups=groups, resources={resource.name: resource})

    def _mentioned(self, resource: Resource) -> Iterator[str]:
        for principal in list(self._principals.values()):
            yield from filter(None, (principal.manager, principal.sponsor, principal.owner, principal.alias_of))
        if resource.owner and ":" not in resource.owner:
            yield resource.owner
