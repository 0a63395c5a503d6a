"""A review as OSCAL assessment results (NIST OSCAL 1.1.3, assessment-results model, JSON).

Each finding of the review is an observation and a risk; each clause of NIST SP 800-53 is an OSCAL finding about a
statement of a control. What was not assessed is an observation that says so, and its clause is `not-satisfied` for the
reason `other`, marked `not-assessed`: OSCAL knows no third state, and "satisfied" would be a lie. Pure; called when a
pack is sealed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from lapse.domain.data import Json
from lapse.domain.reviews import Finding, FindingState
from lapse.domain.times import format_time
from lapse.review.export.facts import ExportFacts, document, one_line, stable_id
from lapse.review.frameworks import ClauseResult, Outcome, clause_results, frameworks_named
from lapse.review.model import DetectorRun, ReviewResult, RunStatus

OSCAL_VERSION = "1.1.3"
NS = "https://lapse.local/ns/oscal"
NIST = "nist-800-53-r5"
_CLAUSE = re.compile(r"NIST 800-53 ([A-Z]{2})-(\d+)(?:\((\d+)\))?(?:([a-z])|\(([a-z])\))?")
_MEDIA = {
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_RISK = {
    FindingState.ACCEPTED: "deviation-approved",
    FindingState.FIXED: "closed",
    FindingState.UNKNOWN: "investigating",
}


def oscal_document(result: ReviewResult, facts: ExportFacts) -> bytes:
    """The assessment results of a review, as bytes."""
    clauses = _clauses(result)
    body: dict[str, Json] = {
        "uuid": _id("assessment-results", result.scope.review_id, facts.title),
        "metadata": _metadata(facts),
        "import-ap": {
            "href": f"#{_file_id('review.json')}",
            "remarks": "There is no separate assessment plan: scope, period and thresholds are in review.json.",
        },
        "results": [_result(result, facts, clauses)],
        "back-matter": {"resources": [_resource(path, facts) for path in _files(facts)]},
    }
    return document({"assessment-results": body})


def target_of(clause: str) -> tuple[str, str] | None:
    """Control id and statement id in NIST's catalog of a clause: `NIST 800-53 AC-2(3)(a)` is ac-2.3, ac-2.3_smt.a."""
    found = _CLAUSE.fullmatch(clause)
    if found is None:
        return None
    family, number, enhancement, letter, bracketed = found.groups()
    control = f"{family.lower()}-{number}" + (f".{enhancement}" if enhancement else "")
    item = letter or bracketed
    return control, f"{control}_smt" + (f".{item}" if item else "")


def _clauses(result: ReviewResult) -> list[tuple[str, str, ClauseResult]]:
    (framework,) = frameworks_named([NIST])
    judged = ((target_of(one.clause.id), one) for one in clause_results(result, framework))
    return [(*target, one) for target, one in judged if target is not None]


def _metadata(facts: ExportFacts) -> Json:
    tool = _id("party", "lapse")
    return {
        "title": one_line(facts.title),
        "last-modified": format_time(facts.made_at),
        "version": "1",
        "oscal-version": OSCAL_VERSION,
        "roles": [{"id": "assessor", "title": "What made these results"}],
        "parties": [{"uuid": tool, "type": "organization", "name": f"lapse {facts.product_version}"}],
        "responsible-parties": [{"role-id": "assessor", "party-uuids": [tool]}],
    }


def _result(result: ReviewResult, facts: ExportFacts, clauses: Sequence[tuple[str, str, ClauseResult]]) -> Json:
    found = [*result.findings, *result.gone]
    body: dict[str, Json] = {
        "uuid": _id("result", result.scope.review_id, facts.title),
        "title": one_line(f"Access review of {result.scope.selector}, {result.scope.period.text}"),
        "description": "What the detectors of this review found in the frozen population, and what they could not see.",
        "start": format_time(result.scope.period.start),
        "end": format_time(result.scope.period.end),
        "props": [_prop("review-id", result.scope.review_id or "none"), _prop("scope", result.scope.selector)],
        "local-definitions": {"components": [_tool(facts), *(_component(name) for name in _resources(result))]},
        "reviewed-controls": _reviewed(clauses),
        "observations": [*(_observed(f, result, facts) for f in found), *(_ran(run, result) for run in result.runs)],
    }
    if found:
        body["risks"] = [_risk(finding) for finding in found]
    body["findings"] = [_judged(*clause) for clause in clauses]
    return body


def _reviewed(clauses: Iterable[tuple[str, str, ClauseResult]]) -> Json:
    controls: dict[str, list[str]] = {}
    for control, statement, _ in clauses:
        controls.setdefault(control, []).append(statement)
    chosen: list[Json] = [{"control-id": name, "statement-ids": list(ids)} for name, ids in sorted(controls.items())]
    return {"control-selections": [{"include-controls": chosen}]}


def _observed(finding: Finding, result: ReviewResult, facts: ExportFacts) -> Json:
    """One finding of the review."""
    body: dict[str, Json] = {
        "uuid": _id("observation", finding.fingerprint),
        "title": one_line(finding.title),
        "description": one_line(finding.summary),
        "props": _properties(finding),
        "methods": ["EXAMINE"],
        "types": ["finding"],
        "origins": [_origin()],
        "relevant-evidence": _evidence(facts, f"Evidence rows of finding {finding.fingerprint}"),
        "collected": format_time(result.snapshot.manifest.collected_at),
    }
    if finding.resource:
        body["subjects"] = [{"subject-uuid": _id("resource", finding.resource), "type": "component"}]
    return body


def _ran(run: DetectorRun, result: ReviewResult) -> Json:
    """That a detector ran, or why it could not: never a pass."""
    blind = run.status is RunStatus.NOT_ASSESSED
    said = f"Not assessed: {run.reason or 'there is no evidence for it'}." if blind else f"Assessed: {run.status}."
    return {
        "uuid": _id("run", result.scope.review_id, run.detector),
        "title": one_line(f"{run.detector} {run.title}"),
        "description": one_line(f"{run.question} {said} {' '.join(run.caveats)}"),
        "props": [
            _prop("detector", run.detector),
            _prop("assessment", "not-assessed" if blind else "assessed"),
            _prop("outcome", str(run.status).replace(" ", "-")),
        ],
        "methods": ["EXAMINE"],
        "types": ["control-objective"],
        "origins": [_origin()],
        "collected": format_time(result.snapshot.manifest.collected_at),
    }


def _risk(finding: Finding) -> Json:
    observation = _id("observation", finding.fingerprint)
    return {
        "uuid": _id("risk", finding.fingerprint),
        "title": one_line(finding.title),
        "description": one_line(finding.summary),
        "statement": one_line(f"It would clear if: {finding.would_clear}"),
        "props": _properties(finding),
        "status": _RISK.get(finding.state, "open"),
        "origins": [_origin()],
        "characterizations": [
            {
                "origin": _origin(),
                "facets": [{"name": "severity", "system": NS, "value": str(finding.severity)}],
            }
        ],
        "remediations": [
            {
                "uuid": _id("remediation", finding.fingerprint),
                "lifecycle": "recommendation",
                "title": "What to do",
                "description": one_line(finding.remediation),
            }
        ],
        "related-observations": [{"observation-uuid": observation}],
    }


def _judged(control: str, statement: str, judged: ClauseResult) -> Json:
    """One clause as an OSCAL finding about a statement of a control."""
    met = judged.outcome is Outcome.MET
    failed = judged.outcome is Outcome.FINDINGS
    reason = "pass" if met else "fail" if failed else "other"
    body: dict[str, Json] = {
        "uuid": _id("finding", judged.clause.id),
        "title": one_line(f"{judged.clause.id}: {judged.clause.title}"),
        "description": one_line(judged.sentence),
        "props": [_prop("result", str(judged.outcome).replace(" ", "-"))],
        "target": {
            "type": "statement-id",
            "target-id": statement,
            "title": f"{control}, in words of ours: {judged.clause.title}",
            "status": {"state": "satisfied" if met else "not-satisfied", "reason": reason, "remarks": judged.sentence},
        },
    }
    if judged.findings:
        ids = list(dict.fromkeys(finding.fingerprint for finding in judged.findings))
        body["related-observations"] = [{"observation-uuid": _id("observation", one)} for one in ids]
        body["related-risks"] = [{"risk-uuid": _id("risk", one)} for one in ids]
    return body


def _properties(finding: Finding) -> list[Json]:
    known: Mapping[str, str] = {
        "detector": finding.detector,
        "detector-version": finding.detector_version,
        "severity": str(finding.severity),
        "confidence": str(finding.confidence),
        "fingerprint": finding.fingerprint,
        "state": str(finding.state).replace(" ", "-"),
        "subject": finding.subject,
        "principal": finding.principal,
        "resource": finding.resource,
    }
    return [_prop(name, value) for name, value in known.items() if value]


def _prop(name: str, value: str) -> Json:
    return {"name": name, "ns": NS, "value": one_line(value)}


def _origin() -> Json:
    return {"actors": [{"type": "tool", "actor-uuid": _id("component", "lapse")}]}


def _tool(facts: ExportFacts) -> Json:
    return {
        "uuid": _id("component", "lapse"),
        "type": "software",
        "title": "lapse",
        "description": "Collected the population and ran the detectors.",
        "props": [{"name": "version", "value": one_line(facts.product_version)}],
        "status": {"state": "operational"},
    }


def _component(name: str) -> Json:
    return {
        "uuid": _id("resource", name),
        "type": "system",
        "title": one_line(name),
        "description": "A resource in the scope of the review.",
        "status": {"state": "operational"},
    }


def _resources(result: ReviewResult) -> list[str]:
    found = (finding.resource for finding in (*result.findings, *result.gone))
    return sorted({*result.snapshot.manifest.resources, *(name for name in found if name)})


def _evidence(facts: ExportFacts, text: str) -> Json:
    return [{"href": f"#{_file_id('findings.json')}", "description": one_line(text)}] if _files(facts) else []


def _files(facts: ExportFacts) -> list[str]:
    return sorted({*facts.files, "review.json", "findings.json"})


def _resource(path: str, facts: ExportFacts) -> Json:
    entry = facts.files.get(path)
    link: dict[str, Json] = {"href": f"../{path}"}
    media = _MEDIA.get(path[path.rfind(".") :])
    if media:
        link["media-type"] = media
    if entry is not None:
        link["hashes"] = [{"algorithm": "SHA-256", "value": entry.sha256}]
    return {"uuid": _file_id(path), "title": one_line(path), "rlinks": [link]}


def _file_id(path: str) -> str:
    return _id("file", path)


def _id(kind: str, *parts: str) -> str:
    return stable_id(f"oscal/{kind}", *parts)
