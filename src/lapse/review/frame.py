"""What is collected for a review, and what it is compared with. Passed through by everything that reads the store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lapse.domain.catalog import Catalog
from lapse.review.collection.ledger_rows import LedgerFacts
from lapse.review.scope import ReviewScope


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """What is collected and what it is compared with; `at` is now."""

    at: datetime
    catalog: Catalog
    resources: frozenset[str]
    scope: ReviewScope
    facts: LedgerFacts
