"""Who may decide on a request, and whether the votes suffice. Two humans are two humans.

Votes count distinct persons after aliases are followed; never the requester, the beneficiary or a human
behind either (an agent's sponsor, a service's owner), whatever their rights. Stages are met in order: a vote
counts only in the first stage that is still open, and one person counts once per request. Called by `control`
at each decision, and by the review when it re-derives old ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lapse.domain.catalog import Catalog
from lapse.domain.requests import Decision, Request, Verdict
from lapse.domain.terms import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTally:
    """One stage with the persons who approved in it and those who still could."""

    stage: Stage
    approved_by: tuple[str, ...]
    may_decide: frozenset[str]

    @property
    def met(self) -> bool:
        """Whether the quorum is reached."""
        return len(self.approved_by) >= self.stage.quorum


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """All stages of a request in order; `denied_by` is the first eligible person who said no."""

    stages: tuple[StageTally, ...]
    denied_by: str | None = None

    @property
    def approved(self) -> bool:
        """Every stage has its quorum and nobody said no."""
        return self.denied_by is None and all(stage.met for stage in self.stages)

    @property
    def open_stage(self) -> StageTally | None:
        """The first stage that still needs votes; None when denied or complete."""
        if self.denied_by is not None:
            return None
        return next((stage for stage in self.stages if not stage.met), None)


def interested_persons(request: Request, catalog: Catalog) -> frozenset[str]:
    """The persons who may never decide on `request`: all humans behind its requester and beneficiary."""
    return catalog.humans_behind(request.requester) | catalog.humans_behind(request.beneficiary)


def eligible_persons(stage: Stage, request: Request, catalog: Catalog) -> frozenset[str]:
    """The active persons who may vote in `stage` on `request`; what cannot be resolved is nobody.

    Nobody may vote at all while it is not known who stands behind the requester or the beneficiary: the person
    who is not known could be the one who votes.
    """
    if not (catalog.answerable(request.requester) and catalog.answerable(request.beneficiary)):
        return frozenset()
    return persons_of(stage.approvers, request, catalog) - interested_persons(request, catalog)


def persons_of(parties: Iterable[str], request: Request, catalog: Catalog) -> frozenset[str]:
    """The active persons that `parties` stand for where `request` is concerned."""
    return frozenset[str]().union(*(catalog.persons_in(_resolve(party, request, catalog)) for party in parties))


def tally(request: Request, decisions: Iterable[Decision], catalog: Catalog) -> Tally:
    """Count `decisions` on `request` in time order, under the catalog as it is now."""
    eligible = [eligible_persons(stage, request, catalog) for stage in request.terms.stages]
    approved: list[list[str]] = [[] for _ in eligible]
    counted: set[str] = set()
    denied_by = None
    for decision in sorted(decisions, key=lambda d: (d.decided_at, d.id)):
        person = catalog.person_of(decision.approver)
        index = _open_index(request.terms.stages, approved)
        if person is None or person in counted or index is None or person not in eligible[index]:
            continue
        counted.add(person)
        if decision.verdict is Verdict.DENY:
            denied_by = person
            break
        approved[index].append(person)
    return Tally(
        stages=tuple(
            StageTally(stage=stage, approved_by=tuple(yes), may_decide=frozenset(may - counted))
            for stage, yes, may in zip(request.terms.stages, approved, eligible, strict=True)
        ),
        denied_by=denied_by,
    )


def _open_index(stages: Sequence[Stage], approved: Sequence[Sequence[str]]) -> int | None:
    return next((i for i, stage in enumerate(stages) if len(approved[i]) < stage.quorum), None)


def _resolve(party: str, request: Request, catalog: Catalog) -> str:
    if party == "owner":
        resource = catalog.resources.get(request.entitlement.partition("/")[0])
        return resource.owner if resource else ""
    if party == "manager":
        beneficiary = catalog.principals.get(request.beneficiary)
        return beneficiary.manager if beneficiary else ""
    return party
