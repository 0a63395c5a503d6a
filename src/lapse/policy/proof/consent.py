"""Who would have to agree to a case: as few persons as can be, counted as the domain counts votes.

In a case that is made up, the persons are added to it; in a real directory they have to be there. Called by `replay`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from lapse.domain.approval import tally
from lapse.domain.approvers import ON_CALL, Moment, eligible_persons
from lapse.domain.catalog import Catalog
from lapse.domain.principals import Group, Principal
from lapse.domain.requests import Decision, Request, Verdict
from lapse.domain.terms import Stage, Terms
from lapse.policy.proof.cases import Case
from lapse.policy.proof.world import around
from lapse.policy.rules import Fact

NAMES = ("kim", "lee", "max", "nina", "otto", "pia", "rita", "tom", "ute", "vic", "will", "yael", "zoe")
OWNERS = "group:owners"
_MOST = 200


@dataclass(frozen=True, slots=True)
class Consent:
    """`persons` agree to what is asked in `catalog`; `on_call` says who is, by rota."""

    catalog: Catalog
    persons: tuple[str, ...]
    on_call: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class Electorate:
    """The persons who can agree; `open` says that more can be made up. Those who are remembered are asked first."""

    catalog: Catalog
    facts: tuple[Fact, ...] = ()
    open: bool = True
    fixed: frozenset[str] = frozenset()
    on_call: dict[str, tuple[str, ...]] = field(default_factory=dict)
    agreed: list[str] = field(default_factory=list)

    def agree(self, case: Case, terms: Terms) -> Consent | None:
        """As few persons as can be who agree to `case` under `terms`; None if not enough can."""
        if self.open:
            self._found(terms)
        request = _request(case, terms)
        decisions: list[Decision] = []
        for stage in terms.stages:
            persons = self._persons(stage, request, {decision.person for decision in decisions})
            decisions += [self._vote(stage, person, case, len(decisions) + at) for at, person in enumerate(persons)]
        result = tally(request, decisions, self.catalog, Moment(at=case.at, on_call=self.on_call))
        if not result.approved:
            return None
        return Consent(self.catalog, tuple(decision.person for decision in decisions), dict(self.on_call))

    def remember(self, persons: Sequence[str]) -> None:
        """Ask these first from now on."""
        self.agreed += [person for person in persons if person not in self.agreed]

    def _persons(self, stage: Stage, request: Request, taken: set[str]) -> list[str]:
        able = self._able(stage, request) - taken
        while self.open and len(able) < stage.quorum and self._another(stage, request):
            before, able = able, self._able(stage, request) - taken
            if len(able) <= len(before):
                break
        known = [person for person in self.agreed if person in able]
        ranked = [*known, *sorted(able - set(known))]
        return ranked if stage.everyone else ranked[: stage.quorum]

    def _found(self, terms: Terms) -> None:
        """What is excluded, or asked as a whole, has to be there, with nobody in it if need be."""
        parties = {party for stage in terms.stages for party in (*stage.excluded, *stage.approvers)}
        for kind, name in sorted((kind, name) for kind, _, name in (party.partition(":") for party in parties)):
            if kind == "group" and name not in self.catalog.groups:
                self.catalog = replace(self.catalog, groups={**self.catalog.groups, name: Group(name=name)})
            if kind == ON_CALL:
                self.on_call.setdefault(name, ())

    def _able(self, stage: Stage, request: Request) -> frozenset[str]:
        return eligible_persons(stage, request, self.catalog, on_call=self.on_call)

    def _vote(self, stage: Stage, person: str, case: Case, number: int) -> Decision:
        return Decision(
            id=f"dec_{number:03}",
            request_id="req_1",
            approver=person,
            person=person,
            verdict=Verdict.APPROVE,
            stage=stage.name,
            decided_at=case.at + timedelta(seconds=number),
            on_call=self.on_call,
        )

    def _another(self, stage: Stage, request: Request) -> bool:
        """Make up one more person who may decide in `stage`; whether that could be."""
        several = stage.quorum > 1
        return any(self._joins(party, request, several=several) for party in sorted(stage.approvers, key=_rank))

    def _joins(self, party: str, request: Request, *, several: bool) -> bool:
        kind, colon, name = party.partition(":")
        if colon and kind == ON_CALL:
            self.on_call[name] = (*self.on_call.get(name, ()), self._newcomer())
            return True
        if colon:
            return self._into_group(name)
        if party == "owner":
            return self._owns(request, several=several)
        if party == "manager":
            return self._manages(request)
        return self._with(principals={party: Principal(name=party)}) if party not in self.catalog.principals else False

    def _owns(self, request: Request, *, several: bool) -> bool:
        resource = self.catalog.resources[request.entitlement.partition("/")[0]]
        if resource.owner.startswith("group:"):
            return self._into_group(resource.owner[6:])
        if resource.owner or "resource.owner" in self.fixed:
            return False
        owner = OWNERS if several else self._newcomer()
        owned = replace(resource, owner=owner)
        self.catalog = replace(self.catalog, resources={**self.catalog.resources, resource.name: owned})
        return self._into_group(OWNERS[6:]) if several else True

    def _manages(self, request: Request) -> bool:
        holder = self.catalog.principals[request.beneficiary]
        if holder.manager or "manager" in self.fixed:
            return False
        return self._with(principals={holder.name: replace(holder, manager=self._newcomer())})

    def _into_group(self, name: str) -> bool:
        """A new person in the group, and in all that its members are in."""
        wider = {party[6:] for party in around(f"group:{name}", self.facts)}
        if any(len({f"group:{one}" for one in wider}.intersection(fact.disjoint)) > 1 for fact in self.facts):
            return False
        person = self._newcomer()
        groups = {one: self.catalog.groups.get(one, Group(name=one)) for one in sorted(wider)}
        joined = {one: replace(group, members=(*group.members, person)) for one, group in groups.items()}
        self.catalog = replace(self.catalog, groups={**self.catalog.groups, **joined})
        return True

    def _newcomer(self) -> str:
        name = next(name for name in _names() if name not in self.catalog.principals)
        self._with(principals={name: Principal(name=name)})
        return name

    def _with(self, *, principals: Mapping[str, Principal]) -> bool:
        self.catalog = replace(self.catalog, principals={**self.catalog.principals, **principals})
        return True


def most_persons(stage: Stage) -> int | None:
    """How many persons could ever decide in `stage`; None if there is no telling."""
    if any(":" in party or party == "owner" for party in stage.approvers):
        return None
    return len(stage.approvers)


def _rank(party: str) -> int:
    """Groups first: anybody can be in one."""
    kind, colon, _ = party.partition(":")
    return 0 if kind == "group" else 1 if colon else 2


def _names() -> Iterator[str]:
    yield from NAMES
    yield from (f"person-{number}" for number in range(1, _MOST))


def _request(case: Case, terms: Terms) -> Request:
    return Request(
        id="req_1",
        requester=case.requester,
        beneficiary=case.beneficiary,
        entitlement=case.entitlement,
        requested_duration=case.duration,
        justification=case.justification,
        terms=terms,
        policy_version="",
        created_at=case.at,
        expires_at=case.at + terms.pending_timeout,
    )


def count(consents: Iterable[Sequence[str]]) -> int:
    """How many distinct persons agreed to any of it."""
    return len({person for persons in consents for person in persons})
