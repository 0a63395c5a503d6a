"""Which entitlements somebody in a real directory can get with nobody deciding, before or after.

Asked for each kind of entitlement that rules tell apart; what is shown was asked of the evaluator with real people.
Called for the evidence of a review.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lapse.domain.catalog import Catalog
from lapse.policy.proof.diff import EACH
from lapse.policy.proof.differences import votes
from lapse.policy.proof.logic import both
from lapse.policy.proof.question import Allowance, Answers, Inquiry, NotKnown, Shown
from lapse.policy.proof.solver import Clock
from lapse.policy.proof.words import asked_words
from lapse.policy.rules import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalPath:
    """Whether an entitlement can be had `unattended`; None where that is not known, with the reason in `detail`.

    If so, `offer` gives it, and `detail` is such a request.
    """

    entitlement: str
    unattended: bool | None
    offer: str = ""
    detail: str = ""


def approval_paths(policy: Policy, catalog: Catalog, *, clock: Clock, timeout: float = 60.0) -> Iterator[ApprovalPath]:
    """Every entitlement of `catalog`, within `timeout` seconds on `clock`."""
    allowance = Allowance(clock, clock() + timeout, EACH)
    inquiry = Inquiry({"policy": policy}, (), allowance, catalog)
    side = inquiry.sides[0]
    unattended = both(side.allowed, side.votes == 0, side.way == 0)
    inquiry.close()
    if inquiry.directory is None:  # pragma: no cover  there is a catalog, so there is a directory
        raise RuntimeError("the catalog was not looked at")
    for here, names in inquiry.directory.kinds_of_entitlements():
        outcome = NotKnown("the time for it is over") if allowance.over else inquiry.look_for([unattended, here], _free)
        for name in names:
            if isinstance(outcome, NotKnown):
                yield ApprovalPath(entitlement=name, unattended=None, detail=outcome.why)
            elif isinstance(outcome, Shown):
                answer = outcome.answers[0]
                yield ApprovalPath(
                    entitlement=name, unattended=True, offer=answer.chosen, detail=asked_words(outcome.ask)
                )
            else:
                yield ApprovalPath(entitlement=name, unattended=False)


def _free(answers: Answers) -> bool:
    terms = answers[0].terms
    return terms is not None and not terms.break_glass and votes(terms) == 0
