"""Whether the votes on a request suffice, and who may still vote. Two humans are two humans.

Votes are counted in time order, each under what it was cast under (`Decision` pins who was on call and who acted for
whom), in the stage it was cast in, and under the catalog as it is now: who lost their standing counts no more. A
request hears each person once, and takes each mandate once: a delegate's yes uses the mandate of whom they act for.
Stages are met in order, or in parallel. Called by `control` at each decision, and by the review when it re-derives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from lapse.domain.approvers import (
    NOT_OPEN,
    Moment,
    acts_for_interested,
    barred_persons,
    eligible_persons,
    principals_of_delegate,
)
from lapse.domain.catalog import Catalog
from lapse.domain.delegations import Delegation
from lapse.domain.requests import Decision, Request, Verdict
from lapse.domain.terms import Stage
from lapse.domain.times import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTally:
    """One stage: the persons who approved in it, how many are `missing`, and those who could say yes now.

    `through` has those of `may_decide` who could only do so as a delegate, and for whom. `opened_at` is None while an
    earlier stage is not met.
    """

    stage: Stage
    approved_by: tuple[str, ...]
    missing: int
    may_decide: frozenset[str]
    through: Mapping[str, str] = field(default_factory=dict)
    opened_at: Instant | None = None
    met_at: Instant | None = None

    @property
    def met(self) -> bool:
        """Whether enough persons said yes."""
        return self.met_at is not None

    @property
    def needed(self) -> int:
        """How many persons must say yes, as far as is known now."""
        return len(self.approved_by) + self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All stages of a request in order; `denied_by` is the first eligible person who said no.

    `counted` names the stage in which a decision counted, by its id; a decision that is not there did not.
    `mandates` are used up by the yes votes.
    """

    stages: tuple[StageTally, ...]
    denied_by: str | None = None
    counted: Mapping[str, str] = field(default_factory=dict)
    mandates: frozenset[str] = frozenset()

    @property
    def approved(self) -> bool:
        """Every stage has its quorum and nobody said no."""
        return self.denied_by is None and all(stage.met for stage in self.stages)

    @property
    def open_stages(self) -> tuple[StageTally, ...]:
        """The stages that take votes now; () when denied or complete."""
        if self.denied_by is not None:
            return ()
        return tuple(stage for stage in self.stages if stage.opened_at is not None and not stage.met)

    @property
    def open_stage(self) -> StageTally | None:
        """The first stage that takes votes now; None when denied or complete."""
        return next(iter(self.open_stages), None)

    @property
    def may_decide(self) -> frozenset[str]:
        """The persons who could say yes now, in any stage."""
        return frozenset[str]().union(*(stage.may_decide for stage in self.open_stages))


def tally(request: Request, decisions: Iterable[Decision], catalog: Catalog, moment: Moment | None = None) -> Tally:
    """Count `decisions` on `request`, under the catalog as it is now; `moment` says who could vote next.

    Without a moment that is the one of the last decision, with nobody acting for anybody.
    """
    cast = sorted((d for d in decisions if d.id not in request.void), key=lambda d: (d.decided_at, d.id))
    count = _Count(request, catalog)
    for decision in cast:
        count.take(decision)
        if count.denied_by is not None:
            break
    return count.tally(moment or _moment_of(request, cast))


def cast(
    request: Request, earlier: Sequence[Decision], vote: Decision, catalog: Catalog, moment: Moment
) -> tuple[Decision, Tally] | None:
    """`vote` as it counts, with the count that includes it; None if it does not count.

    It is cast in the person's own right if that counts, else as the delegate of the first by name for whom it does. Of
    stages that are open at the same time it is cast in the one that has fewest others who could.
    """
    person = catalog.person_of(vote.approver)
    acting = principals_of_delegate(person, moment, catalog) if person else {}
    draft = replace(vote, on_call=moment.on_call, acts_for=tuple(sorted(acting)))
    before = tally(request, earlier, catalog, moment)
    stages = [one.stage.name for one in sorted(before.open_stages, key=lambda one: len(one.may_decide))]
    for name in ("", *sorted(acting)):
        delegation = acting[name].id if name else ""
        for stage in stages:
            ballot = replace(draft, stage=stage, on_behalf_of=name, delegation=delegation)
            result = tally(request, [*earlier, ballot], catalog, moment)
            if result.counted.get(ballot.id) == stage:
                return ballot, result
    return None


def _moment_of(request: Request, cast: Sequence[Decision]) -> Moment:
    return Moment(at=cast[-1].decided_at, on_call=cast[-1].on_call) if cast else Moment(at=request.created_at)


@dataclass(frozen=True, slots=True)
class _Yes:
    """A yes that counts: who said it, on whose mandate, and whether as one who was asked only after a while."""

    person: str
    mandate: str
    stands_in: bool


class _Count:
    """The votes counted so far."""

    def __init__(self, request: Request, catalog: Catalog) -> None:
        self._request, self._catalog = request, catalog
        self._stages = request.terms.stages
        self._yes: list[list[_Yes]] = [[] for _ in self._stages]
        self._met_at: list[datetime | None] = [None for _ in self._stages]
        self._heard: set[str] = set()
        self._counted: dict[str, str] = {}
        self.denied_by: str | None = None

    def take(self, decision: Decision) -> None:
        """Count one vote, if it counts."""
        person = self._catalog.person_of(decision.approver)
        if person is None or person in self._heard:
            return
        if acts_for_interested(decision.acts_for, self._request, self._catalog):
            return
        mandate = self._mandate(decision, person)
        index = next((i for i in self._open_for(decision.stage) if self._may(i, decision, person, mandate)), None)
        if index is None or mandate is None:
            return
        if decision.verdict is Verdict.DENY:
            self.denied_by = person
        elif mandate in self._mandates():
            return
        else:
            self._approve(index, decision, person, mandate)
        self._heard.add(person)
        self._counted[decision.id] = self._stages[index].name

    def tally(self, moment: Moment) -> Tally:
        """The result, with those who could vote at `moment`."""
        acting = _acting(moment, self._catalog)
        return Tally(
            stages=tuple(self._stage(index, moment, acting) for index in range(len(self._stages))),
            denied_by=self.denied_by,
            counted=self._counted,
            mandates=frozenset(self._mandates()),
        )

    def _mandate(self, decision: Decision, person: str) -> str | None:
        """The person in whose right the vote is cast."""
        if not decision.on_behalf_of:
            return person
        known = decision.on_behalf_of in decision.acts_for
        return self._catalog.person_of(decision.on_behalf_of) if known else None

    def _open_for(self, named: str) -> list[int]:
        """The stages that are open to a vote: the one it was cast in, or any where that is none of these."""
        found = [i for i in range(len(self._stages)) if self._opened_at(i) is not None and self._met_at[i] is None]
        if named not in {stage.name for stage in self._stages}:
            return found
        return [i for i in found if self._stages[i].name == named]

    def _opened_at(self, index: int) -> datetime | None:
        if index == 0 or self._request.terms.in_parallel:
            return self._request.created_at
        return self._met_at[index - 1]

    def _may(self, index: int, decision: Decision, person: str, mandate: str | None) -> bool:
        stage = self._stages[index]
        if mandate not in self._eligible(index, decision.on_call, decision.decided_at):
            return False
        barred = barred_persons(stage, self._request, self._catalog, decision.on_call)
        return person == mandate or person not in barred

    def _eligible(self, index: int, on_call: Mapping[str, tuple[str, ...]], at: datetime) -> frozenset[str]:
        opened = self._opened_at(index)
        open_for = at - opened if opened is not None else NOT_OPEN
        return eligible_persons(self._stages[index], self._request, self._catalog, on_call=on_call, open_for=open_for)

    def _approve(self, index: int, decision: Decision, person: str, mandate: str) -> None:
        first = eligible_persons(self._stages[index], self._request, self._catalog, on_call=decision.on_call)
        self._yes[index].append(_Yes(person, mandate, mandate not in first))
        if not self._missing(index, decision.on_call):
            self._met_at[index] = decision.decided_at

    def _missing(self, index: int, on_call: Mapping[str, tuple[str, ...]]) -> int:
        """How many more must say yes in a stage."""
        stage, said = self._stages[index], self._yes[index]
        missing = stage.quorum - len(said)
        if stage.everyone:
            everyone = eligible_persons(stage, self._request, self._catalog, on_call=on_call)
            elsewhere = {who for i, yes in enumerate(self._yes) if i != index for one in yes for who in _both(one)}
            silent = everyone - elsewhere - {one.mandate for one in said}
            missing = max(missing, len(silent) - sum(one.stands_in for one in said))
        return max(missing, 0)

    def _mandates(self) -> set[str]:
        return {one.mandate for said in self._yes for one in said}

    def _stage(self, index: int, moment: Moment, acting: Mapping[str, Mapping[str, Delegation]]) -> StageTally:
        over = self._met_at[index] is not None or self.denied_by is not None
        own, through = (frozenset[str](), dict[str, str]()) if over else self._could(index, moment, acting)
        return StageTally(
            stage=self._stages[index],
            approved_by=tuple(one.person for one in self._yes[index]),
            missing=0 if self._met_at[index] else self._missing(index, moment.on_call),
            may_decide=own | through.keys(),
            through=through,
            opened_at=self._opened_at(index),
            met_at=self._met_at[index],
        )

    def _could(
        self, index: int, moment: Moment, acting: Mapping[str, Mapping[str, Delegation]]
    ) -> tuple[frozenset[str], dict[str, str]]:
        """Who could say yes in a stage in their own right, and who else as whose delegate."""
        free = self._eligible(index, moment.on_call, moment.at) - self._mandates()
        bound = {who for who, names in acting.items() if acts_for_interested(names, self._request, self._catalog)}
        own = free - self._heard - bound
        barred = barred_persons(self._stages[index], self._request, self._catalog, moment.on_call)
        others = {who: names for who, names in acting.items() if who not in own | self._heard | bound | barred}
        through = {who: next(self._usable(names, free), "") for who, names in others.items()}
        return own, {who: name for who, name in through.items() if name}

    def _usable(self, names: Iterable[str], free: frozenset[str]) -> Iterator[str]:
        return (name for name in sorted(names) if self._catalog.person_of(name) in free)


def _both(one: _Yes) -> tuple[str, str]:
    return one.person, one.mandate


def _acting(moment: Moment, catalog: Catalog) -> dict[str, dict[str, Delegation]]:
    """Whom each delegate may act for at that moment."""
    delegates = {catalog.person_of(one.delegate) for one in moment.delegations if one.in_force(moment.at)}
    return {who: principals_of_delegate(who, moment, catalog) for who in delegates if who is not None}
