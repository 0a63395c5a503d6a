"""A claim as formulas: what it is about, and for each situation the requests that would be it. Called by `decide`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from lapse.domain.approvers import ON_CALL
from lapse.domain.catalog import Catalog
from lapse.domain.terms import Stage
from lapse.policy.proof.asked import MICROSECONDS, AskedModel, microseconds, seconds
from lapse.policy.proof.calendar import Calendar
from lapse.policy.proof.cases import PREFERRED, USUAL_TIME, Case
from lapse.policy.proof.conditions import ConditionModel
from lapse.policy.proof.consent import Electorate, most_persons
from lapse.policy.proof.directory import Directory
from lapse.policy.proof.logic import Formula, all_of, both, either, implies, no
from lapse.policy.proof.rules import RulesModel
from lapse.policy.proof.solver import Clock, Solver
from lapse.policy.proof.world import world
from lapse.policy.rules import Claim, Fact, Limit, Offer, Policy, Situation


@dataclass(frozen=True)
class Part:
    """What a request has to be, and the ways in which it can be allowed: one for each offer that is left."""

    asked_so: Formula
    ways: list[Formula]


@dataclass
class Question:
    """A claim as formulas: `about` selects, `allowed` lets through, and each situation has its ways to come about.

    A situation is in parts (`parts_of`), of which each must be possible.
    """

    claim: Claim
    about: Formula
    allowed: Formula
    situations: list[tuple[Situation, list[Part]]] = field(default_factory=list)


@dataclass
class Problem:
    """The rules that matter to some claims, as formulas, and a solver that knows them."""

    policy: Policy
    facts: tuple[Fact, ...]
    asked: AskedModel = field(default_factory=AskedModel)

    def __post_init__(self) -> None:
        self.conditions = ConditionModel(self.asked)
        self.rules = RulesModel(self.policy, self.asked, self.conditions)
        self.solver: Solver | None = None
        self.directory: Directory | None = None

    def question(self, claim: Claim) -> Question:
        """`claim` as formulas."""
        rules, about = self.rules, claim.about
        selects = both(rules.about(about), rules.benefits(about.to), rules.of_kind(about), rules.when(about).yes)
        question = Question(claim, selects, self._allowed)
        for situation in claim.never:
            parts = [Part(self._asked_so(part), [*self._ways(part)]) for part in parts_of(situation)]
            question.situations.append((situation, parts))
        return question

    @cached_property
    def _allowed(self) -> Formula:
        """No limit is in the way, nor asks for more people than there could be."""
        hopeless = [limit.binds for limit in self.rules.limits if _hopeless(limit.limit.needs.stages)]
        return both(self.rules.sound, no(self.rules.denied), *map(no, hopeless))

    def _asked_so(self, situation: Situation) -> Formula:
        """What the request itself has to be, whatever the offer."""
        asked, parts = self.asked, list[Formula]()
        if situation.longer_than is not None:
            parts.append(asked.duration > seconds(situation.longer_than))
        if situation.total_longer_than is not None:
            parts.append(asked.total > seconds(situation.total_longer_than))
        if situation.outside:
            parts.append(no(self.rules.within(situation.outside)))
        else:
            parts.append(self._at_once)
        return all_of(parts)

    def _ways(self, situation: Situation) -> Iterator[Formula]:
        """For each offer, when a request gets its terms and is as `situation` says."""
        for offer in self.policy.offers:
            if not _hopeless(offer.needs.stages):
                yield self._way(offer, situation)

    def _way(self, offer: Offer, situation: Situation) -> Formula:
        votes, parts = self.rules.votes(offer), [self.rules.satisfied(offer)]
        if situation.fewer_persons_than is not None:
            parts.append(votes < situation.fewer_persons_than)
        if situation.automatic:
            parts += [offer.post_review is None, votes <= 0]
        if situation.break_glass:
            parts += [offer.post_review is not None, *self._not_instead(offer)]
        if situation.outside:
            parts.append(self._held(offer))
        if not situation.automatic:
            parts.append(either(votes <= 0, self._answered_for))
        return all_of(parts)

    @cached_property
    def _answered_for(self) -> Formula:
        """A person stands behind everybody in it: else nobody knows who may not agree, and so nobody may."""
        words, principals = self.asked.words, self.asked.principals
        services = [(words.equal(one.text("kind"), words.written("service")), one) for one in principals]
        return all_of(implies(service, no(one.plain)) for service, one in services)

    @cached_property
    def _at_once(self) -> Formula:
        return self.asked.held_from == self.asked.begins_at

    def _held(self, offer: Offer) -> Formula:
        """From when access could be held: at once, or once the last vote came in time."""
        asked = self.asked
        in_time = asked.held_from <= asked.at + seconds(offer.pending_timeout) * MICROSECONDS
        later = both(self.rules.votes(offer) > 0, asked.held_from >= asked.begins_at, in_time)
        return either(self._at_once, later)

    def _not_instead(self, offer: Offer) -> Iterator[Formula]:
        """No offer that is not break-glass asks as little of people, and so would be chosen."""
        for other in self.policy.offers:
            if other.post_review is None and offer.post_review is not None:
                less = self.rules.votes(other) <= self.rules.votes(offer)
                yield no(both(self.rules.satisfied(other), less))

    def ready(self, clock: Clock, catalog: Catalog | None) -> Solver:
        """The solver, when all questions were made; with a `catalog` for what is in it."""
        asked = self.asked
        self.directory = Directory(asked, catalog) if catalog is not None else None
        there = self.directory.formulas() if self.directory is not None else ()
        budgets = (
            implies(left, asked.total <= seconds(budget.most))
            for budget, left in asked.budgets.items()
            if budget.most < budget.per
        )
        if asked.windows and asked.phases:
            asked.phase(asked.held_from)
        background = [*self.conditions.finish(), *world(asked, self.facts), *budgets, *there]
        theories = [Calendar(asked).lemmas]
        self.solver = Solver(asked, background, clock=clock, theories=theories, prefer=PREFERRED)
        return self.solver

    def rather(self) -> list[Formula]:
        """What makes a counter-example easy to read."""
        asked, words = self.asked, self.asked.words
        person = words.equal(asked.beneficiary.text("kind"), words.written("person"))
        tags = [
            no(tags.has(key)) for tags in (asked.entitlement_tags, asked.resource_tags) for key in sorted(tags.keys)
        ]
        return [
            asked.for_self,
            both(person, asked.beneficiary.plain),
            words.equal(asked.beneficiary.text("name"), asked.beneficiary.text("person")),
            no(asked.break_glass),
            asked.begins_at == asked.at,
            asked.held_from == asked.begins_at,
            asked.at == microseconds(USUAL_TIME),
            asked.duration % 1800 == 0,
            *self.asked.words.asked.get("justification", {}).values(),
            *tags,
        ]


def electorate(problem: Problem, case: Case) -> Electorate:
    """Those who can agree: whoever is needed, or those of the directory."""
    if problem.directory is None:
        fixed = {"resource.owner"} & problem.asked.words.unknown.keys()
        fixed |= {"manager"} & problem.asked.beneficiary.used
        return Electorate(case.catalog, problem.facts, fixed=frozenset(fixed))
    return Electorate(case.catalog, problem.facts, open=False, on_call=_anybody(problem))


def _anybody(problem: Problem) -> dict[str, tuple[str, ...]]:
    """Rotas are not in the directory: on call may be anybody who is a person."""
    catalog = case_catalog = problem.directory.catalog if problem.directory else Catalog()
    persons = tuple(name for name in sorted(catalog.principals) if case_catalog.person_of(name) == name)
    rules: tuple[Offer | Limit, ...] = (*problem.policy.offers, *problem.policy.limits)
    stages = [stage for rule in rules for stage in rule.needs.stages]
    rotas = {party for stage in stages for party in stage.approvers if party.startswith(f"{ON_CALL}:")}
    return {rota.partition(":")[2]: persons for rota in rotas}


def parts_of(situation: Situation) -> tuple[Situation, ...]:
    """What must be possible, each by itself, for `situation` to be.

    Of several requests in a row, one can be too long or outside the windows, and another be the last.
    """
    if situation.total_longer_than is None or (situation.longer_than is None and not situation.outside):
        return (situation,)
    return (replace(situation, longer_than=None, outside=()), replace(situation, total_longer_than=None))


def _hopeless(stages: Sequence[Stage]) -> bool:
    """Whether nobody's approval could be enough, so that nothing comes of it."""
    return any((most := most_persons(stage)) is not None and most < stage.quorum for stage in stages)
