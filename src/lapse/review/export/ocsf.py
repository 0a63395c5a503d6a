"""Findings as OCSF events, one JSON object a line (Open Cybersecurity Schema Framework 1.5.0).

A finding that follows from the record, and the run of a detector that found nothing or could not run, is a Compliance
Finding (class 2003); what is only statistical is a Detection Finding (class 2004) with its confidence. A detector that
was not assessed has the status Warning, which the schema defines as no result for lack of information: never Pass.
Pure; called when a pack is sealed.
"""

from __future__ import annotations

from collections.abc import Iterator

from lapse.domain.data import Json
from lapse.domain.reviews import Confidence, Finding, FindingState, Severity
from lapse.review.export.facts import ExportFacts, line, milliseconds, one_line, stable_id
from lapse.review.model import DetectorRun, ReviewResult, RunStatus

OCSF_VERSION = "1.5.0"
_COMPLIANCE, _DETECTION, _CATEGORY = 2003, 2004, 2
_SEVERITIES = {Severity.CRITICAL: 5, Severity.HIGH: 4, Severity.MEDIUM: 3, Severity.LOW: 2}
_INFORMATIONAL = 1
_CREATE, _UPDATE, _CLOSE = (1, "Create"), (2, "Update"), (3, "Close")
_ACTIVITIES = {FindingState.NEW: _CREATE, FindingState.FIXED: _CLOSE}
_OTHER = 99
_STATUSES = {
    FindingState.NEW: (1, "New"),
    FindingState.BACK: (1, "New"),
    FindingState.OPEN: (2, "In Progress"),
    FindingState.ACCEPTED: (3, "Suppressed"),
    FindingState.FIXED: (4, "Resolved"),
}
_PASS, _WARNING, _FAIL = (1, "Pass"), (2, "Warning"), (3, "Fail")
_CONFIDENCE_MEDIUM, _RULE = 2, 1


def ocsf_lines(result: ReviewResult, facts: ExportFacts) -> Iterator[bytes]:
    """A line for each finding, each that is gone, and each detector that found nothing or could not run."""
    for finding in (*result.findings, *result.gone):
        yield line(_finding_event(finding, result, facts))
    for run in result.runs:
        if run.status is not RunStatus.FOUND:
            yield line(_run_event(run, result, facts))


def _finding_event(finding: Finding, result: ReviewResult, facts: ExportFacts) -> Json:
    advice = finding.confidence is Confidence.ADVICE
    status_id, status = _STATUSES.get(finding.state, (_OTHER, str(finding.state)))
    event = _event(_DETECTION if advice else _COMPLIANCE, _ACTIVITIES.get(finding.state, _UPDATE), result, facts)
    event |= {
        "severity_id": _SEVERITIES[finding.severity],
        "severity": str(finding.severity).capitalize(),
        "status_id": status_id,
        "status": status,
        "message": one_line(finding.summary),
        "finding_info": {
            "uid": finding.fingerprint,
            "title": one_line(finding.title),
            "desc": one_line(finding.summary),
            "types": [finding.detector],
            "created_time": milliseconds(result.snapshot.manifest.collected_at),
            "analytic": _analytic(finding.detector, finding.detector_version, finding.title),
        },
        "remediation": {"desc": one_line(finding.remediation)},
        "resources": [{"name": one_line(finding.resource)}] if finding.resource else [],
        "unmapped": {
            "subject": finding.subject,
            "principal": finding.principal,
            "would_clear": finding.would_clear,
            "coverage": finding.coverage,
            "first_found": finding.first_found,
            "evidence": [dict(row) for row in finding.evidence],
        },
    }
    if advice:
        event |= {"confidence_id": _CONFIDENCE_MEDIUM, "confidence": "Medium", "is_alert": False}
    else:
        solved = finding.state is FindingState.FIXED
        event["compliance"] = _compliance(finding.detector, finding.clauses, _PASS if solved else _FAIL, "")
    return event


def _run_event(run: DetectorRun, result: ReviewResult, facts: ExportFacts) -> Json:
    blind = run.status is RunStatus.NOT_ASSESSED
    detail = (run.reason or "there is no evidence for it") if blind else "it found nothing"
    event = _event(_COMPLIANCE, _CREATE, result, facts)
    event |= {
        "severity_id": _INFORMATIONAL,
        "severity": "Informational",
        "status_id": 1,
        "status": "New",
        "message": one_line(f"{run.title}: {'not assessed, ' if blind else ''}{detail}"),
        "finding_info": {
            "uid": stable_id("ocsf/run", result.scope.review_id, run.detector),
            "title": one_line(run.title),
            "desc": one_line(run.question),
            "types": [run.detector],
            "created_time": milliseconds(result.snapshot.manifest.collected_at),
            "analytic": _analytic(run.detector, run.version, run.title),
        },
        "compliance": _compliance(run.detector, run.clauses, _WARNING if blind else _PASS, detail),
        "unmapped": {"missing": list(run.missing), "caveats": list(run.caveats)},
    }
    return event


def _event(kind: int, activity: tuple[int, str], result: ReviewResult, facts: ExportFacts) -> dict[str, Json]:
    names = {_COMPLIANCE: "Compliance Finding", _DETECTION: "Detection Finding"}
    return {
        "category_uid": _CATEGORY,
        "category_name": "Findings",
        "class_uid": kind,
        "class_name": names[kind],
        "activity_id": activity[0],
        "activity_name": activity[1],
        "type_uid": kind * 100 + activity[0],
        "type_name": f"{names[kind]}: {activity[1]}",
        "time": milliseconds(facts.made_at),
        "start_time": milliseconds(result.scope.period.start),
        "end_time": milliseconds(result.scope.period.end),
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": "lapse", "vendor_name": "lapse", "version": facts.product_version},
            "correlation_uid": result.scope.review_id or "none",
        },
    }


def _compliance(detector: str, clauses: tuple[str, ...], status: tuple[int, str], detail: str) -> Json:
    body: dict[str, Json] = {
        "control": detector,
        "requirements": list(clauses),
        "standards": list(sorted({_standard(clause) for clause in clauses}) or ["none"]),
        "status_id": status[0],
        "status": status[1],
    }
    if detail:
        body["status_details"] = [one_line(detail)]
    return body


def _standard(clause: str) -> str:
    """The standard's part of a clause's name: `NIST 800-53` of `NIST 800-53 AC-5`."""
    head = clause.rsplit(" Art. ", 1)[0] if " Art. " in clause else clause.rpartition(" ")[0]
    return head or clause


def _analytic(detector: str, version: str, title: str) -> Json:
    return {"uid": detector, "name": one_line(title), "version": version, "type_id": _RULE, "type": "Rule"}
