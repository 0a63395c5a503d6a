"""Whether those who may ask for something could ever get enough approvals, counted in a real directory.

Each stage needs its own distinct persons, none of them behind the request; who may decide is the domain's own answer.
Called by `proof.findings` and for the evidence of a review; needs no solver.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from lapse.domain.approvers import ON_CALL, eligible_persons, persons_of
from lapse.domain.catalog import Catalog
from lapse.domain.names import shown
from lapse.domain.requests import Request
from lapse.domain.resources import Entitlement
from lapse.domain.terms import Stage, Terms
from lapse.policy.evaluator import stages_of
from lapse.policy.facts import always_binding, selects
from lapse.policy.patterns import ANYONE
from lapse.policy.rules import Limit, Offer, Policy

_AT = datetime(2027, 3, 2, 10, tzinfo=UTC)
_EVER = timedelta.max

Candidates: TypeAlias = Mapping[Hashable, tuple[str, int]]
"""Who may ask, by what matters of them: one of them, and how many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumReach:
    """An offer of an entitlement: of `candidates` who may have it, `stuck` can never get the `needed` approvals.

    `example` is one of those, for whom at most `possible` would count. `stuck` is None where it depends on a rota.
    """

    offer: str
    file: str
    line: int
    entitlement: str
    needed: int
    candidates: int
    stuck: int | None
    example: str = ""
    possible: int = 0


def quorum_reaches(policy: Policy, catalog: Catalog) -> Iterator[QuorumReach]:
    """Every offer that takes approvals, with each entitlement it is about and the limits that bind there always."""
    people = _People(policy, catalog)
    for offer in policy.offers:
        for entitlement in catalog.entitlements():
            if selects(offer.selector, entitlement, catalog):
                reach = people.reach(offer, entitlement)
                if reach is not None:
                    yield reach


def eligible(policy: Policy, catalog: Catalog) -> Iterator[tuple[Offer, Entitlement, Sequence[str]]]:
    """Who may ask for what by which offer, conditions on the single request aside."""
    people = _People(policy, catalog)
    for offer in policy.offers:
        for entitlement in catalog.entitlements():
            if selects(offer.selector, entitlement, catalog):
                yield offer, entitlement, people.candidates(offer)


def quorum_words(reach: QuorumReach) -> str:
    """What is wrong with it, as a clause."""
    return (
        f"{reach.stuck} of {reach.candidates} who may ask for `{shown(reach.entitlement)}` can never get enough "
        f"approvals: it takes {reach.needed}, and `{shown(reach.example)}` could get {reach.possible}"
    )


def too_few_names(policy: Policy) -> Iterator[tuple[Offer | Limit, Stage, int]]:
    """Stages that name fewer persons than must agree, whatever the directory is."""
    rules: list[Offer | Limit] = [*policy.offers, *policy.limits]
    for rule in rules:
        for stage in rule.needs.stages:
            parties = {*stage.approvers, *(party for step in stage.escalations for party in step.approvers)}
            open_ended = any(":" in party or party == "owner" for party in parties)
            named = len(parties - set(stage.excluded))
            if not open_ended and named < stage.quorum:
                yield rule, stage, named


class _People:
    """The directory, as far as offers look at it. What is found is kept."""

    def __init__(self, policy: Policy, catalog: Catalog) -> None:
        self._policy, self._catalog = policy, catalog
        self._able: dict[Hashable, tuple[str, ...]] = {}
        self._known: dict[Hashable, tuple[int, int | None, str, int]] = {}

    def reach(self, offer: Offer, entitlement: Entitlement) -> QuorumReach | None:
        """How many can get enough approvals; None if none are needed."""
        binding = always_binding(offer, entitlement, self._policy, self._catalog)
        stages = stages_of([offer.needs, *(limit.needs for limit in binding)])
        if not stages:
            return None
        owner = self._catalog.resource(entitlement.resource).owner
        key = (offer.name, stages, owner)
        if key not in self._known:
            self._known[key] = self._count(offer, entitlement, stages)
        candidates, stuck, example, possible = self._known[key]
        return QuorumReach(
            offer=offer.name,
            file=offer.file,
            line=offer.line,
            entitlement=entitlement.name,
            needed=sum(stage.quorum for stage in stages),
            candidates=candidates,
            stuck=stuck,
            example=example,
            possible=possible,
        )

    def _count(
        self, offer: Offer, entitlement: Entitlement, stages: Sequence[Stage]
    ) -> tuple[int, int | None, str, int]:
        alike = self._alike(offer, entitlement, stages)
        candidates = sum(count for _, count in alike.values())
        stuck, example, fewest = 0, "", 0
        for name, count in alike.values():
            possible = self._possible(name, entitlement, stages)
            if possible < sum(stage.quorum for stage in stages):
                stuck, example, fewest = stuck + count, example or name, fewest if example else possible
        on_call = any(party.startswith(f"{ON_CALL}:") for stage in stages for party in _parties(stage))
        return candidates, None if stuck and on_call else stuck, example, fewest

    def _alike(self, offer: Offer, entitlement: Entitlement, stages: Sequence[Stage]) -> Candidates:
        """Those who may have it, put together if the same persons could decide for them."""
        parties = [party for stage in stages for party in (*_parties(stage), *stage.excluded)]
        pool = persons_of(parties, _request(entitlement, ""), self._catalog)
        managed = "manager" in parties
        counts: Counter[Hashable] = Counter()
        first: dict[Hashable, str] = {}
        for name in self.candidates(offer):
            manager = self._catalog.principals[name].manager if managed else ""
            key = (self._catalog.humans_behind(name) & (pool | self._catalog.persons_in(manager)), manager)
            counts[key] += 1
            first.setdefault(key, name)
        return {key: (first[key], count) for key, count in counts.items()}

    def candidates(self, offer: Offer) -> tuple[str, ...]:
        """Who may hold what the offer gives."""
        selector = offer.selector
        key = (selector.to, selector.kinds)
        if key not in self._able:
            principals = self._catalog.principals
            named = (
                principals
                if ANYONE in selector.to
                else {name for party in selector.to for name in self._catalog.names_in(party)}
            )
            self._able[key] = tuple(
                name
                for name in sorted(named)
                if name in principals and principals[name].kind in selector.kinds and self._catalog.may_hold(name)
            )
        return self._able[key]

    def _possible(self, name: str, entitlement: Entitlement, stages: Sequence[Stage]) -> int:
        request = _request(entitlement, name)
        able = [eligible_persons(stage, request, self._catalog, open_for=_EVER) for stage in stages]
        return most_votes([stage.quorum for stage in stages], able)


def _parties(stage: Stage) -> Iterable[str]:
    yield from stage.approvers
    for step in stage.escalations:
        yield from step.approvers


def most_votes(quorums: Sequence[int], able: Sequence[frozenset[str]]) -> int:
    """How many votes can count at most, where each person has one and no stage takes more than its quorum."""
    seats = [stage for stage, quorum in enumerate(quorums) for _ in range(quorum)]
    taken: dict[str, int] = {}
    return sum(_seated(seat, seats, able, taken, set()) for seat in range(len(seats)))


def _seated(
    seat: int, seats: Sequence[int], able: Sequence[frozenset[str]], taken: dict[str, int], tried: set[str]
) -> bool:
    """Find a person for `seat`, moving others to other seats if need be."""
    for person in able[seats[seat]]:
        if person not in tried:
            tried.add(person)
            if person not in taken or _seated(taken[person], seats, able, taken, tried):
                taken[person] = seat
                return True
    return False


def _request(entitlement: Entitlement, name: str) -> Request:
    """A request of this by `name`, as far as it matters to who may decide."""
    return Request(
        id="",
        requester=name,
        beneficiary=name,
        entitlement=entitlement.name,
        requested_duration=timedelta(hours=1),
        justification="",
        terms=Terms(offer="", max_duration=_EVER, max_total=_EVER, pending_timeout=_EVER),
        policy_version="",
        created_at=_AT,
        expires_at=_AT,
    )
