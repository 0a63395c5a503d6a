"""Tests of a policy: questions in YAML files with what is expected of the answers. Used by `lapse policy test`."""

from __future__ import annotations

from lapse.policy.cases.judge import CaseResult, Difference, TestReport, run_cases
from lapse.policy.cases.reader import read_cases
from lapse.policy.cases.values import CaseFile

__all__ = ["CaseFile", "CaseResult", "Difference", "TestReport", "read_cases", "run_cases"]
