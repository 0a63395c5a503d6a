"""The rule language: who may have what, for how long, and who must agree. Pure: files and a question in, answer out.

`parse` reads YAML files into a `Policy` (or says everything that is wrong with them), `ask_for` puts a question
with all its facts, `decide` answers it, `evaluate` answers it with every rule's outcome, `explain_lines` puts the
answer into text.
"""

from __future__ import annotations

from lapse.policy.asks import ask_for, principal_facts
from lapse.policy.evaluator import decide, evaluate
from lapse.policy.explain import explain_lines
from lapse.policy.facts import OfferFacts, Reach, offer_facts, reaches
from lapse.policy.lint import lint
from lapse.policy.needed import NeededFacts, needed_facts
from lapse.policy.parser import parse, version_of
from lapse.policy.problems import PolicyErrors, Problem
from lapse.policy.results import Check, Evaluation, RuleResult, Status
from lapse.policy.rules import Claim, Fact, Limit, Offer, Policy, Situation
from lapse.policy.values import (
    Ask,
    EntitlementFacts,
    History,
    PastGrant,
    PastRequest,
    PrincipalFacts,
    ResourceFacts,
    TicketFacts,
    TicketStatus,
)

__all__ = [
    "Ask",
    "Check",
    "Claim",
    "EntitlementFacts",
    "Evaluation",
    "Fact",
    "History",
    "Limit",
    "NeededFacts",
    "Offer",
    "OfferFacts",
    "PastGrant",
    "PastRequest",
    "Policy",
    "PolicyErrors",
    "PrincipalFacts",
    "Problem",
    "Reach",
    "ResourceFacts",
    "RuleResult",
    "Situation",
    "Status",
    "TicketFacts",
    "TicketStatus",
    "ask_for",
    "decide",
    "evaluate",
    "explain_lines",
    "lint",
    "needed_facts",
    "offer_facts",
    "parse",
    "principal_facts",
    "reaches",
    "version_of",
]
