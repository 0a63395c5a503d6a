"""What a review is started with besides scope and period: its title, how it is decided, whose clauses it answers.

Called when a review or a schedule is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from lapse.domain.catalog import Catalog
from lapse.domain.errors import InvalidInput
from lapse.domain.names import shown
from lapse.domain.reviews import ItemDecision, ReviewPlan
from lapse.review.detection.detector import all_detectors
from lapse.review.figures.settings import NAME as FIGURES
from lapse.review.figures.settings import read_settings
from lapse.review.frameworks import frameworks_named

LONGEST = timedelta(days=180)
MOST_STAGES, MOST_CANARIES = 3, 200
_DEFAULTS = (None, ItemDecision.KEEP, ItemDecision.REVOKE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewTerms:
    """`thresholds` overrides parameters of detectors and figures, by detector and name; `frameworks` none means all."""

    title: str = ""
    plan: ReviewPlan = field(default_factory=ReviewPlan)
    frameworks: tuple[str, ...] = ()
    thresholds: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    schedule: str = ""


NO_TERMS = ReviewTerms()


def check_terms(terms: ReviewTerms, catalog: Catalog) -> None:
    """See that a review can be decided like this.

    Raises:
        InvalidInput: it cannot, or names a framework that there is not.
    """
    _check_plan(terms.plan)
    frameworks_named(terms.frameworks)
    if terms.plan.fallback and not catalog.persons_in(terms.plan.fallback):
        raise InvalidInput(
            f"`{shown(terms.plan.fallback)}` is nobody who could be asked", hint="name a person, or `group:NAME`"
        )
    known = {detector.id: detector.parameters for detector in all_detectors()}
    read_settings(terms.thresholds.get(FIGURES, {}))
    for detector, given in terms.thresholds.items():
        if detector == FIGURES:
            continue
        unknown = detector if detector not in known else next((n for n in given if n not in known[detector]), None)
        if unknown is not None:
            raise InvalidInput(
                f"there is no threshold `{shown(unknown)}` of detector `{shown(detector)}`",
                hint="`lapse detector show ID` lists its parameters",
            )


def _check_plan(plan: ReviewPlan) -> None:
    if not timedelta() < plan.within <= LONGEST:
        raise InvalidInput(f"a review is decided within {LONGEST.days} days", hint="give a shorter time")
    if not 1 <= plan.stages <= MOST_STAGES:
        raise InvalidInput(f"a review has 1 to {MOST_STAGES} stages of decision")
    if not 0 <= plan.canaries <= MOST_CANARIES:
        raise InvalidInput(f"a review has at most {MOST_CANARIES} canaries")
    if plan.by_default not in _DEFAULTS:
        raise InvalidInput("what nobody decides can be kept, revoked, or left undecided", hint="keep, revoke or none")
    if min(plan.escalate_after, plan.reversible_for, plan.carry_out_within) < timedelta():
        raise InvalidInput("the times of a review's plan are not negative")
