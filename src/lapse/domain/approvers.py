"""Who may decide on a request at an instant: parties resolved to persons, exclusions, delegates.

What is not known is nobody. Called by `approval` for each vote, and by whoever tells people that they are wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta

from lapse.domain.catalog import Catalog
from lapse.domain.delegations import Delegation
from lapse.domain.requests import Request
from lapse.domain.terms import Stage, Terms
from lapse.domain.times import Instant

ON_CALL = "oncall"
NOT_OPEN = timedelta(0)
"""How long a stage has been open that has just opened, or is not open yet."""

Rota = Mapping[str, tuple[str, ...]]
"""Who is on call, by rota. A rota that is missing could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What a decision at `at` depends on beside the catalog: who is on call then, and who acts for whom.

    `delegations` may hold any; those count that are in force at `at`.
    """

    at: Instant
    on_call: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    delegations: tuple[Delegation, ...] = ()


def interested_persons(request: Request, catalog: Catalog) -> frozenset[str]:
    """The persons who may never decide on `request`: all humans behind its requester and beneficiary."""
    return catalog.humans_behind(request.requester) | catalog.humans_behind(request.beneficiary)


def eligible_persons(
    stage: Stage, request: Request, catalog: Catalog, *, on_call: Rota | None = None, open_for: timedelta = NOT_OPEN
) -> frozenset[str]:
    """The active persons who may vote in `stage` on `request` in their own right; what cannot be resolved is nobody.

    `open_for` is how long the stage has been open: escalations that are due by then count. Nobody may vote at all while
    it is not known who stands behind the requester or the beneficiary, who is excluded, or (where all must agree) who
    all are: the person who is not known could be the one who votes, or the one who would say no.
    """
    rotas = on_call or {}
    if not (catalog.answerable(request.requester) and catalog.answerable(request.beneficiary)):
        return frozenset()
    wanted = (*stage.excluded, *stage.approvers) if stage.everyone else stage.excluded
    if not all(_known(party, catalog, rotas) for party in wanted):
        return frozenset()
    able = persons_of(_approvers(stage, open_for), request, catalog, rotas)
    return able - barred_persons(stage, request, catalog, rotas)


def barred_persons(stage: Stage, request: Request, catalog: Catalog, on_call: Rota) -> frozenset[str]:
    """The persons who never count in `stage`: interested ones, and every human behind a party that is excluded."""
    names = (name for party in stage.excluded for name in _names(party, request, catalog, on_call))
    return interested_persons(request, catalog).union(*(catalog.humans_behind(name) for name in names))


def persons_of(
    parties: Iterable[str], request: Request, catalog: Catalog, on_call: Rota | None = None
) -> frozenset[str]:
    """The active persons that `parties` stand for where `request` is concerned."""
    return frozenset[str]().union(
        *(catalog.persons_in(one) for party in parties for one in _plain(party, request, catalog, on_call or {}))
    )


def rotas_of(terms: Terms) -> frozenset[str]:
    """The rotas that decide who may vote under `terms`."""
    return frozenset(
        party.partition(":")[2]
        for stage in terms.stages
        for party in (*stage.excluded, *_approvers(stage, timedelta.max))
        if party.startswith(f"{ON_CALL}:")
    )


def principals_of_delegate(person: str, moment: Moment, catalog: Catalog) -> dict[str, Delegation]:
    """For whom `person` may act at that moment, by the principal's name; nobody acts for themselves.

    Delegations do not chain: these are the ones made to the person, under any name.
    """
    return {
        one.principal: one
        for one in sorted(moment.delegations, key=lambda one: one.id, reverse=True)
        if one.in_force(moment.at) and catalog.person_of(one.delegate) == person != catalog.root_of(one.principal)
    }


def delegates_of(persons: AbstractSet[str], moment: Moment, catalog: Catalog) -> frozenset[str]:
    """Those who may act for any of `persons` at that moment."""
    found = (
        catalog.person_of(one.delegate)
        for one in moment.delegations
        if one.in_force(moment.at) and catalog.person_of(one.principal) in persons
    )
    return frozenset(person for person in found if person is not None)


def acts_for_interested(names: Iterable[str], request: Request, catalog: Catalog) -> bool:
    """Whether one of those whom somebody acts for (`names`) has a part in the request."""
    interested = interested_persons(request, catalog)
    return any(interested & catalog.humans_behind(name) for name in names)


def _approvers(stage: Stage, open_for: timedelta) -> tuple[str, ...]:
    due = (step.approvers for step in stage.escalations if step.after <= open_for)
    return (*stage.approvers, *(party for step in due for party in step))


def _known(party: str, catalog: Catalog, on_call: Rota) -> bool:
    kind, colon, name = party.partition(":")
    return not colon or name in (catalog.groups if kind == "group" else on_call)


def _names(party: str, request: Request, catalog: Catalog, on_call: Rota) -> Iterable[str]:
    """The principals' names that a party stands for."""
    return (name for one in _plain(party, request, catalog, on_call) for name in catalog.names_in(one))


def _plain(party: str, request: Request, catalog: Catalog, on_call: Rota) -> Iterable[str]:
    """The groups and names that a party stands for."""
    kind, _, rota = party.partition(":")
    if kind == ON_CALL:
        # A calendar names principals; that it could name a group, and so everybody, is not for it to say.
        return (name for name in on_call.get(rota, ()) if ":" not in name)
    if party == "owner":
        resource = catalog.resources.get(request.entitlement.partition("/")[0])
        return (resource.owner,) if resource else ()
    if party == "manager":
        beneficiary = catalog.principals.get(request.beneficiary)
        return (beneficiary.manager,) if beneficiary else ()
    return (party,)
