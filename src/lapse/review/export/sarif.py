"""Findings about the policy, for code review: SARIF 2.1.0 (OASIS Standard with Errata 01), file and line if known.

A rule's place comes from the finding's own evidence, else from the evidence table `rule_effects`. A detector that was
not assessed is a notification of the run, never silence. Pure but for reading that table; called when a pack is sealed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from lapse.domain.data import Json
from lapse.domain.reviews import Confidence, Finding, FindingState, Severity
from lapse.domain.times import format_time
from lapse.review.export.facts import ExportFacts, document, one_line, stable_id
from lapse.review.model import DetectorRun, ReviewResult, RunStatus, Snapshot

POLICY_DETECTORS = ("M7", "M8", "M9", "M10", "C25", "C26")
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "note"}
_SECURITY = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.0"}
_BASELINE = {
    FindingState.NEW: "new",
    FindingState.BACK: "new",
    FindingState.OPEN: "unchanged",
    FindingState.ACCEPTED: "unchanged",
    FindingState.FIXED: "absent",
}


class Place(NamedTuple):
    """Where in the policy's files a rule begins; `line` counts from 1, 0 is not known."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Places:
    """Where rules are: by kind and name."""

    rules: Mapping[tuple[str, str], Place] = field(default_factory=dict)

    def of(self, finding: Finding) -> Place | None:
        """Where the rule is that a finding is about, as far as that is known."""
        for row in finding.evidence:
            if place := _place(row.get("file"), row.get("line")):
                return place
            kind, name = ("offer", row.get("offer")) if row.get("offer") else (row.get("kind"), row.get("rule"))
            if place := self.rules.get((str(kind), str(name))):
                return place
        return None


def places_of(snapshot: Snapshot) -> Places:
    """Where the rules of the policy in force are, by the table `rule_effects`; nowhere if there is none."""
    table = snapshot.manifest.table("rule_effects")
    if table is None or not table.file:
        return Places()
    import pyarrow.parquet as pq

    wanted = ["kind", "rule", "file", "line"]
    path = Path(snapshot.folder) / table.file
    names = set(pq.read_schema(path).names)
    if not names.issuperset(wanted):
        return Places()
    rows = pq.read_table(path, columns=wanted).to_pylist()
    found = {(row["kind"], row["rule"]): place for row in rows if (place := _place(row["file"], row["line"]))}
    return Places(found)


def sarif_document(result: ReviewResult, facts: ExportFacts, places: Places | None = None) -> bytes:
    """The log with one run: rules, results, and what could not be assessed."""
    runs = [run for run in result.runs if run.detector in POLICY_DETECTORS]
    findings = [f for f in (*result.findings, *result.gone) if f.detector in POLICY_DETECTORS]
    rules = {name: _rule(name, runs, findings) for name in POLICY_DETECTORS if _known(name, runs, findings)}
    order = list(rules)
    where = places or places_of(result.snapshot)
    body: dict[str, Json] = {
        "tool": {"driver": {"name": "lapse", "version": facts.product_version, "rules": list(rules.values())}},
        "automationDetails": {
            "id": f"lapse/policy/{result.scope.review_id or 'none'}",
            "guid": stable_id("sarif/run", result.scope.review_id, facts.title),
        },
        "invocations": [_invocation(runs, facts, order)],
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"POLICY": {"description": {"text": "The folder of the policy's files."}}},
        "results": [_result(finding, order.index(finding.detector), where) for finding in findings],
    }
    return document({"$schema": _SCHEMA, "version": "2.1.0", "runs": [body]})


def _known(name: str, runs: Iterable[DetectorRun], findings: Iterable[Finding]) -> bool:
    return any(run.detector == name for run in runs) or any(finding.detector == name for finding in findings)


def _rule(name: str, runs: Iterable[DetectorRun], findings: Iterable[Finding]) -> Json:
    run = next((run for run in runs if run.detector == name), None)
    example = next((finding for finding in findings if finding.detector == name), None)
    title = run.title if run else example.title if example else name
    severity = run.severity if run else example.severity if example else Severity.MEDIUM
    rule: dict[str, Json] = {
        "id": name,
        "shortDescription": {"text": one_line(title)},
        "fullDescription": {"text": one_line(run.question if run else title)},
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {"security-severity": _SECURITY[severity], "tags": ["security", "access"]},
    }
    if example is not None:
        rule["help"] = {"text": one_line(example.remediation)}
    return rule


def _result(finding: Finding, rule: int, places: Places) -> Json:
    body: dict[str, Json] = {
        "ruleId": finding.detector,
        "ruleIndex": rule,
        "level": _LEVELS[finding.severity],
        "message": {"text": one_line(finding.summary)},
        "guid": stable_id("sarif/result", finding.fingerprint),
        "partialFingerprints": {"lapse/v1": finding.fingerprint},
        "properties": {
            "subject": finding.subject,
            "resource": finding.resource,
            "confidence": str(finding.confidence),
            "statistical": finding.confidence is Confidence.ADVICE,
            "wouldClear": finding.would_clear,
        },
    }
    if finding.state in _BASELINE:
        body["baselineState"] = _BASELINE[finding.state]
    if finding.state is FindingState.ACCEPTED:
        body["suppressions"] = [{"kind": "external", "status": "accepted"}]
    if place := places.of(finding):
        region: dict[str, Json] = {"region": {"startLine": place.line}} if place.line else {}
        region["artifactLocation"] = {"uri": quote(place.file), "uriBaseId": "POLICY"}
        body["locations"] = [{"physicalLocation": region}]
    return body


def _invocation(runs: Iterable[DetectorRun], facts: ExportFacts, order: list[str]) -> Json:
    blind = [run for run in runs if run.status is RunStatus.NOT_ASSESSED]
    notes: list[Json] = [
        {
            "level": "warning",
            "message": {"text": one_line(f"{run.title} was not assessed: {run.reason or 'there is no evidence'}")},
            "associatedRule": {"id": run.detector, "index": order.index(run.detector)},
        }
        for run in blind
    ]
    body: dict[str, Json] = {"executionSuccessful": not blind, "endTimeUtc": format_time(facts.made_at)}
    if notes:
        body["toolConfigurationNotifications"] = notes
    return body


def _place(file: object, line: object) -> Place | None:
    if not isinstance(file, str) or not file:
        return None
    return Place(file, line if isinstance(line, int) and line > 0 else 0)
