"""One sample review for all exports, with every kind of finding and a place in a policy file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lapse.domain.reviews import Confidence, FindingState, Severity
from lapse.review.export.facts import ExportFacts
from lapse.review.model import RunStatus
from support.sample_findings import FINDINGS
from support.sample_review import MADE, sample_result

RULE = {"offer": "readers", "entitlement": "pg-prod/reader", "file": "policies/prod rules.yaml", "line": 12}


@pytest.fixture(scope="session")
def facts():
    return ExportFacts(title="Production databases", made_at=MADE, product_version="0.1.0")


@pytest.fixture(scope="session")
def result(tmp_path_factory):
    sample = sample_result(tmp_path_factory.mktemp("snapshot"))
    states = (FindingState.NEW, FindingState.OPEN, FindingState.ACCEPTED, FindingState.BACK)
    changed = {
        name: replace(
            getattr(sample, name),
            findings=tuple(replace(f, state=states[n % 4]) for n, f in enumerate(getattr(sample, name).findings)),
        )
        for name in ("audit", "validation", "workflows", "adjustments")
    }
    policy = replace(
        FINDINGS[0], fingerprint="m8" * 16, detector="M8", title="unbounded duration", evidence=(RULE,), state="open"
    )
    policy = replace(policy, state=FindingState.OPEN, severity=Severity.HIGH, resource="", principal="")
    run = replace(sample.runs[0], detector="M8", title="unbounded duration", step=5, status=RunStatus.FOUND)
    blind = replace(run, detector="M9", status=RunStatus.NOT_ASSESSED, reason="there is no evidence")
    changed["adjustments"] = replace(changed["adjustments"], findings=(policy,), runs=(run, blind))
    gone = (
        replace(FINDINGS[1], fingerprint="a" * 32, state=FindingState.FIXED),
        replace(FINDINGS[2], fingerprint="b" * 32, state=FindingState.UNKNOWN, confidence=Confidence.ADVICE),
    )
    return replace(sample, gone=gone, **changed)
