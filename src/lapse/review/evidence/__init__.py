"""The evidence tables, version 1: the one declaration of what a review's population looks like.

Everything that collects writes these tables, every detector reads only these, and anyone may supply one as a
CSV or Parquet file. `docs/evidence.md` is generated from here. A table that was not collected has no file;
that is different from a table with no rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from lapse.review.evidence.columns import Table
from lapse.review.evidence.flow import FLOW
from lapse.review.evidence.inventory import INVENTORY
from lapse.review.evidence.people import PEOPLE
from lapse.review.evidence.reviews import REVIEWS
from lapse.review.evidence.rules import RULES
from lapse.review.evidence.use import USE

TABLES: Mapping[str, Table] = {t.name: t for t in (*PEOPLE, *INVENTORY, *FLOW, *USE, *RULES, *REVIEWS)}
