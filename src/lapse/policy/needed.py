"""Which facts about the past and about tickets a policy needs for a question, so that nobody looks up more.

Called by `control` before it asks. A fact that is not needed may be left out; one that is needed and left out makes
the rule fail, and so denies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from lapse.policy.rules import Limit, Needs, Offer, Policy
from lapse.policy.values import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class NeededFacts:
    """`stretch` is the longest contiguous time that could be allowed: grants since then decide how long it would be.

    `lookback` is how far before the asked beginning grants and requests matter, None if they do not.

    `justifications` is how many of the requester's last ones; `pending` and `post_reviews` whether those matter;
    `ticket` whether the ticket must be looked up.
    """

    stretch: timedelta = timedelta(0)
    lookback: timedelta | None = None
    justifications: int = 0
    pending: bool = False
    post_reviews: bool = False
    ticket: bool = False

    @property
    def history(self) -> bool:
        """Whether anything of the past matters."""
        return self.lookback is not None or bool(self.justifications) or self.pending or self.post_reviews


def needed_facts(policy: Policy, ask: Ask) -> NeededFacts:
    """What the rules about the entitlement of `ask` look at; the facts themselves may still be missing from it."""
    offers, limits = policy.index.about(ask)
    rules: list[Offer | Limit] = [*(policy.offers[n] for n in offers), *(policy.limits[n] for n in limits)]
    spans = [span for rule in rules for span in _spans(rule)]
    needs = [rule.needs for rule in rules]
    return NeededFacts(
        stretch=max((n.max_total for n in needs if n.max_total is not None), default=timedelta(0)),
        lookback=max(spans, default=None),
        justifications=max((n.justification.unlike_last for n in needs if n.justification is not None), default=0),
        pending=any(n.quota is not None and n.quota.pending is not None for n in needs),
        post_reviews=any(isinstance(rule, Offer) and rule.post_review is not None for rule in rules),
        ticket=any(n.ticket is not None and n.ticket.checked for n in needs),
    )


def _spans(rule: Offer | Limit) -> Iterator[timedelta]:
    yield from _spans_of(rule.needs)
    if isinstance(rule, Offer) and rule.auto_rate is not None:
        yield rule.auto_rate.per


def _spans_of(needs: Needs) -> Iterator[timedelta]:
    if needs.budget is not None:
        yield needs.budget.per
    if needs.cooldown is not None:
        yield needs.cooldown
    if needs.quota is not None and needs.quota.rate is not None:
        yield needs.quota.rate.per
