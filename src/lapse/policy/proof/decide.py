"""Decide the claims of a policy: `Prover(policy, ...).proofs()`.

For each situation that must never be, the solver is asked for a request that would be one. If there is none, it is
proved. For contiguous time that is enough: the request of a stretch that was allowed last saw all of the stretch, and
was bound by its own `max_total`; so a stretch that is too long needs a request with a total that is too long. What is
found is replayed (`replay`); only then is the claim refuted, and else unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property

from lapse.domain.catalog import Catalog
from lapse.domain.durations import human_duration
from lapse.policy.effects import ProofOutcome
from lapse.policy.proof.cases import case_of
from lapse.policy.proof.directory import untrue
from lapse.policy.proof.logic import Formula, any_of, both, no
from lapse.policy.proof.problem import Part, Problem, Question, electorate
from lapse.policy.proof.relevant import relevant
from lapse.policy.proof.replay import Goal, replayed
from lapse.policy.proof.results import CounterExample, Proof
from lapse.policy.proof.solver import Clock, Found, OutOfTime, Solver
from lapse.policy.proof.texts import TooHard
from lapse.policy.proof.world import contradictions
from lapse.policy.rules import Claim, Fact, Policy, Situation

MOST_ATTEMPTS, MOST_PEOPLE = 8, 40
"""Cases that are replayed for one situation before it counts as unknown; in a directory, kinds of people and things."""


class Prover:
    """Decides the claims of `policy`, each within `timeout` on `clock` (which counts seconds).

    With a `catalog` they are decided for the principals, groups and entitlements in it, else for all there could be.
    """

    def __init__(self, policy: Policy, *, clock: Clock, timeout: timedelta, catalog: Catalog | None = None) -> None:
        self._policy, self._clock, self._timeout, self._catalog = policy, clock, timeout, catalog
        self._problems: dict[tuple[str, ...], tuple[Problem, dict[str, Question]]] = {}

    def proofs(self, names: Sequence[str] = ()) -> Iterator[Proof]:
        """The proof of every claim, or of those called `names`, one after the other."""
        wrong = _contradictory(self._policy.facts, self._catalog)
        for claim in self._policy.claims:
            if not names or claim.name in names:
                yield _unknown(claim, wrong) if wrong else self._prove(claim)

    def _prove(self, claim: Claim) -> Proof:
        until = self._clock() + self._timeout.total_seconds()
        try:
            problem, question = self._problem(claim)
            solver = problem.solver or problem.ready(self._clock, self._catalog)
            solver.until = until
            return self._decided(problem, solver, question)
        except OutOfTime:
            return _unknown(claim, f"it was not decided within {human_duration(self._timeout)}; allow more time")
        except (TooHard, RecursionError):
            return _unknown(claim, "what its rules ask of texts is too hard to decide")

    def _problem(self, claim: Claim) -> tuple[Problem, Question]:
        """The claim as formulas, together with all claims to which the same rules matter."""
        key = self._relevant[claim.name]
        if key not in self._problems:
            names = set(key)
            offers = tuple(offer for offer in self._policy.offers if offer.name in names)
            limits = tuple(limit for limit in self._policy.limits if limit.name in names)
            problem = Problem(replace(self._policy, offers=offers, limits=limits), self._policy.facts)
            claims = [one for one in self._policy.claims if self._relevant[one.name] == key]
            self._problems[key] = problem, {one.name: problem.question(one) for one in claims}
        problem, questions = self._problems[key]
        return problem, questions[claim.name]

    @cached_property
    def _relevant(self) -> dict[str, tuple[str, ...]]:
        """By claim, the names of the rules that matter to it."""
        return {claim.name: relevant(self._policy, claim.about) for claim in self._policy.claims}

    def _decided(self, problem: Problem, solver: Solver, question: Question) -> Proof:
        claim, failed = question.claim, False
        for situation, parts in question.situations:
            search = _Search(problem, solver, question, situation)
            example = search.refutation(self._policy, parts)
            if example is not None:
                return _refuted(claim, situation, example)
            failed = failed or search.possible
        if failed:
            return _not_replayed(problem, claim)
        return self._proved(problem, solver, question)

    def _proved(self, problem: Problem, solver: Solver, question: Question) -> Proof:
        claim = question.claim
        if solver.find([question.about]) is None:
            detail = "holds, but of nothing: no request can be such a one"
            return Proof(claim=claim.name, outcome=ProofOutcome.PROVED, detail=detail, vacuous=True)
        any_offer = any_of(map(problem.rules.satisfied, problem.policy.offers))
        offered = solver.find([question.about, question.allowed, any_offer]) is not None
        detail = "holds of every request" if offered else "holds: nothing it speaks of is allowed to anybody"
        return Proof(claim=claim.name, outcome=ProofOutcome.PROVED, detail=detail)


@dataclass
class _Search:
    """Looks for one situation of a claim. `possible` says afterwards whether it may come about."""

    problem: Problem
    solver: Solver
    question: Question
    situation: Situation
    possible: bool = False

    def refutation(self, policy: Policy, parts: Sequence[Part]) -> CounterExample | None:
        """How the situation comes about under `policy`; None if it does not, or nobody knows how."""
        others = []
        for part in parts[1:]:
            found = self._find(part.asked_so, part.ways)
            if found is None:
                return None
            others.append(found)
        ways, attempts = parts[0].ways, MOST_ATTEMPTS if self.problem.directory is None else MOST_PEOPLE
        for _ in range(attempts):
            found = self._find(parts[0].asked_so, ways)
            if found is None:
                return None
            self.possible = True
            examples = (self._replayed(policy, one) for one in (found, *others))
            example = next((one for one in examples if one is not None), None)
            if example is not None:
                return example
            ways = self._others(ways, found)
        return None

    def _others(self, ways: Sequence[Formula], found: Found) -> list[Formula]:
        """The ways that are left once `found` was none: other offers, or in a directory other people and things."""
        directory = self.problem.directory
        if directory is None:
            return [way for way in ways if not found.true(way)]
        elsewhere = no(directory.these(found))
        return [both(way, elsewhere) if found.true(way) else way for way in ways]

    def _find(self, asked_so: Formula, ways: Sequence[Formula]) -> Found | None:
        wanted = [self.question.about, self.question.allowed, asked_so, any_of(ways)]
        return self.solver.find(wanted, self.problem.rather())

    def _replayed(self, policy: Policy, found: Found) -> CounterExample | None:
        problem = self.problem
        case = case_of(problem.asked, found, problem.facts)
        if problem.directory is not None:
            who = problem.directory.who(found)
            if who is None:
                return None
            requester, beneficiary, entitlement = who
            case = replace(
                case,
                catalog=problem.directory.catalog,
                requester=requester,
                beneficiary=beneficiary,
                entitlement=entitlement,
            )
        goal = Goal(policy, self.question.claim.about, self.situation)
        return replayed(goal, case, electorate(problem, case))


def _contradictory(facts: Sequence[Fact], catalog: Catalog | None) -> str:
    """Why nothing can be said under these facts; empty if they can be true."""
    for group, reasons in contradictions(facts):
        places = ", ".join(f"{fact.file}:{fact.line}" for fact in reasons)
        return f"the facts contradict one another: nobody could be in `{group}` ({places})"
    for fact, name in untrue(facts, catalog) if catalog is not None else ():
        return f"the fact at {fact.file}:{fact.line} is not true in the directory: see `{name}`"
    return ""


def _unknown(claim: Claim, detail: str, unmodelled: tuple[str, ...] = ()) -> Proof:
    return Proof(claim=claim.name, outcome=ProofOutcome.UNKNOWN, detail=detail, unmodelled=unmodelled)


def _not_replayed(problem: Problem, claim: Claim) -> Proof:
    """Something may be possible, and the evaluator did not confirm it."""
    found = problem.conditions.unmodelled
    parts = tuple(f"{what} in `{' '.join(text.split())}`" for text in sorted(found) for what in sorted(found[text]))
    if parts:
        return _unknown(claim, f"it depends on what the model does not cover: {parts[0]}", parts)
    return _unknown(claim, "the model finds a way, but no sequence of requests that takes it was found")


def _refuted(claim: Claim, situation: Situation, example: CounterExample) -> Proof:
    return Proof(
        claim=claim.name,
        outcome=ProofOutcome.REFUTED,
        detail=_what_is_possible(situation, example),
        counter_example=example,
    )


def _what_is_possible(situation: Situation, example: CounterExample) -> str:
    last = example.steps[-1]
    who, what = last.ask.beneficiary.name, last.ask.entitlement.name
    if situation.total_longer_than is not None:
        return f"`{who}` can hold `{what}` for {human_duration(example.total)} without a gap"
    return f"`{who}` can get `{what}` for {human_duration(last.ask.duration)}"
