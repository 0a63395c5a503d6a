"""Whether the solver's model of a policy and the evaluator give the same answers to the same questions."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from lapse.policy import Ask, Evaluation, Policy, Status, evaluate
from lapse.policy.proof.asked import AskedModel, seconds
from lapse.policy.proof.conditions import ConditionModel
from lapse.policy.proof.logic import both, no, same
from lapse.policy.proof.rules import RulesModel
from lapse.policy.proof.solver import Solver
from lapse.policy.proof.world import world
from support.policy_world import GROUPS, PEOPLE

ALSO_UNIQUE = 10
"""Every so many questions it is also asked whether the model has another answer beside the one it gave."""


@dataclass
class Agreement:
    """The model of one policy, and how often it agreed with the evaluator."""

    policy: Policy
    asked: AskedModel = field(default_factory=AskedModel)
    compared: int = 0

    def __post_init__(self) -> None:
        self.conditions = ConditionModel(self.asked)
        self.rules = RulesModel(self.policy, self.asked, self.conditions)
        self.allowed = self.rules.allowed
        self.parts = {offer.name: self._offer(offer) for offer in self.policy.offers}
        for principal in self.asked.principals:
            for name, members in principal.lists.items():
                for one in PEOPLE if name == "humans" else GROUPS:
                    members.has(self.asked.words.written(one.name))
        background = [*self.conditions.finish(), *world(self.asked, ())]
        self.solver = Solver(self.asked, background, clock=time.monotonic)

    def _offer(self, offer):
        rules = self.rules
        return (
            rules.satisfied(offer),
            rules.chosen(offer),
            rules.votes(offer),
            rules.longest(offer),
            rules.longest_total(offer),
        )

    def differs(self, ask: Ask) -> str:
        """How the two differ about `ask`; empty if they do not."""
        answer = evaluate(self.policy, ask)
        if any(check.status is not Status.SATISFIED for check in answer.basics):
            return ""
        pinned, expected = list(self.asked.pinned(ask)), both(*self.expected(answer))
        self.compared += 1
        if self.conditions.unmodelled:
            same_answer = self.solver.find([*pinned, expected]) is not None
            return "" if same_answer else f"the model cannot answer as the evaluator does: {answer.reason}"
        found = self.solver.find(pinned)
        if found is None or not found.true(expected):
            return f"the model answers otherwise than the evaluator: {answer.reason}"
        if self.compared % ALSO_UNIQUE == 0 and self.solver.find([*pinned, no(expected)]) is not None:
            return f"the model has a second answer: {answer.reason}"
        return ""

    def expected(self, answer: Evaluation):
        """What the answer means in the model."""
        yield same(self.allowed, answer.allowed)
        for offer in answer.offers:
            satisfied, chosen, votes, longest, total = self.parts[offer.name]
            yield same(satisfied, offer.status is Status.SATISFIED)
            yield same(chosen, answer.chosen == offer.name)
            if offer.terms is not None:
                yield votes == sum(stage.quorum for stage in offer.terms.stages)
                yield longest == seconds(offer.terms.max_duration)
                yield total == seconds(offer.terms.max_total)
        for limit, model in zip(answer.limits, self.rules.limits, strict=True):
            yield same(model.denies, limit.status in {Status.UNSATISFIED, Status.FAILED})
            yield same(model.binds, limit.status is Status.SATISFIED)
