"""A question about one or two policies: is there such a request, and does the evaluator say so too?

`Inquiry` puts the policies over one request of which nothing is known, asks the solver, makes a question with people
and things of what it finds, and has the evaluator judge. What the evaluator does not confirm does not count: it is
looked for again a few times, and then said to be unknown. Called by `diff` and `findings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product

from lapse.domain.catalog import Catalog
from lapse.policy.evaluator import evaluate
from lapse.policy.proof.asked import KINDS, AskedModel, microseconds, seconds
from lapse.policy.proof.calendar import Calendar
from lapse.policy.proof.cases import PREFERRED, USUAL_TIME, Case, case_of
from lapse.policy.proof.conditions import ConditionModel
from lapse.policy.proof.directory import Directory
from lapse.policy.proof.logic import Formula, any_of, both, implies, no, same
from lapse.policy.proof.past import Look, lemmas, looks, pasts
from lapse.policy.proof.sides import Keys, Side
from lapse.policy.proof.solver import Clock, Found, OutOfTime, Solver
from lapse.policy.proof.texts import TooHard
from lapse.policy.proof.world import contradictions, world
from lapse.policy.results import Evaluation
from lapse.policy.rules import Fact, Policy
from lapse.policy.values import Ask

Answers = tuple[Evaluation, ...]
Judge = Callable[[Answers], bool]
Alike = Callable[[Found, Answers], tuple[Formula, bool]]

MOST_TRIES = 6
"""How often something else is looked for when the evaluator does not confirm what was found."""


_A_WEEK = timedelta(days=7)
_USUAL_LENGTHS = tuple(timedelta(minutes=minutes) for minutes in (60, 30, 15, 120, 180, 240, 300, 360, 480, 540))
_WHY: Mapping[type[Exception], str] = {
    OutOfTime: "the time for it is over",
    TooHard: "what rules ask of texts is too hard to tell",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A question that shows what was looked for, the people in it, and what each policy answers."""

    case: Case
    ask: Ask
    answers: Answers


@dataclass(frozen=True, slots=True)
class NotKnown:
    """There may be such a request or not; `why` is a clause."""

    why: str


Outcome = Shown | NotKnown | None
"""None: there is no such request, which is proved."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much time there is: `until` on `clock` for everything, `each` second for one question."""

    clock: Clock
    until: float
    each: float

    @property
    def over(self) -> bool:
        """Whether there is no time left."""
        return self.clock() >= self.until


class Inquiry:
    """Policies over one request. Ask for the formulas that are wanted first, then `close`, then `look_for`.

    With a `catalog` it is a request of principals, and for an entitlement, that are in it.
    """

    def __init__(
        self,
        policies: Mapping[str, Policy],
        facts: Iterable[Fact],
        allowance: Allowance,
        catalog: Catalog | None = None,
    ) -> None:
        self.asked = AskedModel()
        self.conditions = ConditionModel(self.asked)
        keys = Keys({})
        self.sides = tuple(Side(name, each, self.asked, self.conditions, keys) for name, each in policies.items())
        self._facts, self._allowance = tuple(facts), allowance
        self._policies: Sequence[Policy] = tuple(policies.values())
        self._looks: tuple[Look, ...] = ()
        self._catalog = catalog
        self.directory: Directory | None = None
        self._solver: Solver | None = None

    def judged_by(self, policies: Iterable[Policy]) -> None:
        """Let the evaluator answer with these policies instead of those that were put over the request."""
        self._policies = tuple(policies)

    def close(self) -> None:
        """Complete the formulas. What is made later is made of the same unknowns."""
        asked = self.asked
        meaning = [part for side in self.sides for part in side.meaning()]
        self._looks = looks(asked, [side.rules for side in self.sides])
        past = [*lemmas(asked, self._looks), asked.held_from == asked.begins_at]
        self._ask_both()
        conditions = [*self.conditions.finish(), *self._humans()]
        if self._catalog is not None:
            self.directory = Directory(asked, self._catalog)
        there = self.directory.formulas() if self.directory is not None else ()
        background = [*meaning, *past, *conditions, *world(asked, self._facts), *there]
        calendar = Calendar(asked)
        theories = [calendar.lemmas] if asked.windows else []
        clock = self._allowance.clock
        self._solver = Solver(asked, background, clock=clock, theories=theories, prefer=PREFERRED)

    def look_for(self, wanted: Sequence[Formula], judge: Judge, rather: Sequence[Formula] = ()) -> Outcome:
        """A request for which `wanted` is true, and the answers to which `judge` confirms."""
        if any(part is False for part in wanted):
            return None
        wanted, why = list(wanted), ""
        for _ in range(MOST_TRIES):
            try:
                found = self._find(wanted, rather)
            except (OutOfTime, TooHard) as error:
                return NotKnown(why or _WHY[type(error)])
            if found is None:
                return NotKnown(why) if why else None
            shown = self._shown(found, judge)
            if shown is not None:
                return shown
            why = self._doubt()
            wanted.append(no(self._assumed(found)))
        return NotKnown(why)

    def look_past(self, wanted: Sequence[Formula], judge: Judge, alike: Alike, most: int) -> Outcome:
        """As `look_for`, among requests of which most may turn out not to be such.

        `alike` says which other requests get the same answers as the one that was found, and if they surely do.
        """
        wanted, why = list(wanted), ""
        for _ in range(most):
            try:
                found = self._find(wanted, ())
            except (OutOfTime, TooHard) as error:
                return NotKnown(_WHY[type(error)])
            if found is None:
                return NotKnown(why) if why else None
            case = self._case(found)
            if case is None:
                return NotKnown(self._doubt())
            others: Formula = True
            surely = False
            for ask in pasts(case.ask(), self._wanted(found)):
                answers = self._answers(ask)
                if judge(answers):
                    return Shown(case, ask, answers)
                others, sure = alike(found, answers)
                surely = surely or sure
            why = why if surely else self._doubt()
            wanted.append(no(others))
        return NotKnown("there are too many ways of approval to look at")

    def _answers(self, ask: Ask) -> Answers:
        return tuple(evaluate(policy, ask) for policy in self._policies)

    def _find(self, wanted: Sequence[Formula], rather: Sequence[Formula]) -> Found | None:
        if self._solver is None:
            raise RuntimeError("the inquiry was not closed")
        left = self._allowance
        self._solver.until = min(left.until, left.clock() + left.each)
        return self._solver.find(wanted, [*rather, *self._usual()])

    def _usual(self) -> list[Formula]:
        """What makes an example easy to read."""
        asked, usual = self.asked, microseconds(USUAL_TIME)
        person = asked.words.equal(asked.beneficiary.text("kind"), asked.words.written("person"))
        alone = both(asked.for_self, asked.beneficiary.plain, person, no(asked.break_glass))
        at_once = both(asked.begins_at == asked.at, asked.total == asked.duration, no(asked.is_extension))
        soon = both(asked.at >= usual, asked.at < usual + microseconds(_A_WEEK))
        untagged = both(*(no(asked.entitlement_tags.has(key)) for key in sorted(asked.entitlement_tags.keys)))
        lengths = [asked.duration == seconds(length) for length in _USUAL_LENGTHS]
        return [alone, at_once, untagged, both(asked.at == usual, soon), soon, any_of(lengths), *lengths[:1]]

    def _shown(self, found: Found, judge: Judge) -> Shown | None:
        case = self._case(found)
        if case is None:
            return None
        for ask in pasts(case.ask(), self._wanted(found)):
            answers = self._answers(ask)
            if judge(answers):
                return Shown(case, ask, answers)
        return None

    def _wanted(self, found: Found) -> dict[Look, bool]:
        """What is to be met of the past."""
        return {look: found.true(look.holds) for look in self._looks}

    def _case(self, found: Found) -> Case | None:
        """What was found; None if it is of nobody in the catalog."""
        case = case_of(self.asked, found, self._facts)
        if self.directory is None:
            return case
        who = self.directory.who(found)
        if who is None:
            return None
        requester, beneficiary, entitlement = who
        catalog = self.directory.catalog
        return replace(case, catalog=catalog, requester=requester, beneficiary=beneficiary, entitlement=entitlement)

    def _assumed(self, found: Found) -> Formula:
        """What the solver took for granted and the evaluator may see otherwise."""
        asked, words = self.asked, self.asked.words
        assumed = [*self.conditions.free, *(looked.holds for looked in asked.looks.values())]
        assumed += [asked.for_self, asked.answers, *(principal.plain for principal in asked.principals)]
        kinds = [words.equal(one.text("kind"), words.written(kind)) for one in asked.principals for kind in KINDS]
        if self.directory is not None:
            return self.directory.these(found)
        return both(*(same(formula, found.true(formula)) for formula in (*assumed, *kinds)))

    def _ask_both(self) -> None:
        """What a list of one principal is asked, that of the other is asked too: they may be one principal."""
        one, other = self.asked.principals
        for mine, theirs in ((one.lists[name], other.lists[name]) for name in one.lists):
            for text in [*mine.asked.values(), *theirs.asked.values()]:
                mine.has(text)
                theirs.has(text)

    def _humans(self) -> Iterator[Formula]:
        """Who stands behind anybody is a person, under the person's own name."""
        words = self.asked.words
        for behind, one in product(self.asked.principals, repeat=2):
            name, person, listed = one.text("name"), one.text("person"), behind.lists["humans"]
            itself, is_person = words.equal(name, person), words.equal(one.text("kind"), words.written("person"))
            yield implies(both(listed.has(person), itself), is_person)
            if name.name in listed.asked:
                yield implies(listed.has(name), both(itself, is_person))

    def _doubt(self) -> str:
        unmodelled = self.conditions.unmodelled
        if unmodelled:
            text, parts = next(iter(sorted(unmodelled.items())))
            return f"the condition `{text}` has {', '.join(sorted(parts))}, which is not modelled"
        return "what was found cannot be shown with the evaluator"


def usable(facts: Iterable[Fact]) -> tuple[tuple[Fact, ...], str]:
    """The facts, or none of them and the sentence that says how they contradict one another."""
    facts = tuple(facts)
    for group, blamed in contradictions(facts):
        lines = ", ".join(f"{fact.file}:{fact.line}" for fact in blamed)
        return (), f"the facts leave no member for `{group}` ({lines}), so none of them was used"
    return facts, ""
