"""What figures, roles and proposals ask is understood by every engine, not only by the one that tests run on."""

from __future__ import annotations

import pytest

from lapse.engines.duckdb_engine import DuckDbEngine
from lapse.review.adjust.stage import propose
from lapse.review.collection.snapshot import register_all
from lapse.review.evidence import TABLES
from lapse.review.figures.approvals import approval_figures, stages_of_offers
from lapse.review.figures.exposure import exposure_figures
from lapse.review.figures.settings import FigureSettings
from lapse.review.figures.trend import trend
from lapse.review.model import PastReview
from lapse.review.roles.validation import validate_roles
from support.evidence_rows import AS_OF, snapshot_of

dialect = pytest.importorskip("lapse.engines.dialect", exc_type=ImportError)


class Translating(DuckDbEngine):
    """Says everything that it is asked in Spark's words as well."""

    def query(self, sql, parameters=None):
        whole = [name for name, value in (parameters or {}).items() if isinstance(value, int)]
        self.said = [*getattr(self, "said", []), dialect.to_spark(sql, tables=TABLES, whole=whole)]
        return super().query(sql, parameters)


NOW = PastReview(review_id="rev_1", at=AS_OF)
PARTS = {
    "exposure": lambda engine, snapshot: exposure_figures(engine, snapshot, FigureSettings()),
    "approvals": lambda engine, snapshot: approval_figures(engine, snapshot, {}),
    "stages": stages_of_offers,
    "trend": lambda engine, snapshot: trend(engine, snapshot, [], NOW),
    "roles": validate_roles,
    "proposals": propose,
}
EVIDENCE = {
    **{name: [] for name in TABLES},
    "access_observed": [
        {"resource": "pg", "account": "ann", "role": "app", "holding": "direct", "can_login": True, "principal": "ann"}
    ],
    "entitlements": [{"entitlement": "pg/app", "resource": "pg", "role": "app"}],
    "principals": [{"principal": "ann", "kind": "person", "active": True}],
    "role_privileges": [{"resource": "pg", "role": "app", "action": "read", "object": "x", "origin": "observed"}],
    "coverage": [
        {"resource": "pg", "from_at": AS_OF.replace(month=1), "to_at": AS_OF, "complete": True, "actions": True}
    ],
}


@pytest.mark.parametrize("part", PARTS)
def test_every_query_can_be_said_to_another_engine(tmp_path, part):
    snapshot = snapshot_of(tmp_path / "s", EVIDENCE)
    engine = Translating(threads=1)
    register_all(engine, snapshot)
    try:
        PARTS[part](engine, snapshot)
    finally:
        engine.close()
    assert engine.said
