"""The report as PDF/A-2a that is also PDF/UA-1 (ISO 19005-2, ISO 14289-1), set by typst: the same facts as the page.

Guarantee: the same values give the same bytes; only fonts that typst brings along are used; every value is data to the
template and never read as markup. A character that those fonts lack is shown as its escape. Needs the extra `pdf`:
without it `can_make_pdf` says so, and a pack says how to get one. Called when a pack is sealed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC
from functools import cache
from importlib.resources import files
from importlib.util import find_spec

from lapse.domain.data import Json
from lapse.domain.errors import Corrupt, Unavailable
from lapse.domain.names import is_printable, shown
from lapse.domain.reviews import Finding, Item
from lapse.review.adjust.model import PolicyProposal
from lapse.review.model import DetectorRun, ExpiryLag, ReviewResult, TableManifest
from lapse.review.report import charts, view, words
from lapse.review.report.render import ReportFacts

MOST_ITEMS = 200
MOST_FINDINGS = 30
MOST_EVIDENCE = 3
LONGEST_TEXT = 600

_COVERED = ((0x20, 0x24F), (0x370, 0x4FF), (0x1E00, 0x1EFF), (0x2010, 0x2027), (0x2030, 0x2040), (0x20A0, 0x20BF),
            (0x2190, 0x226F))  # fmt: skip
"""Code points that typst's own fonts have (each was tried); those that are no printable characters fall out before."""

_LONG_WORD = re.compile(r"[^\s\u200b]{25,}")
_BREAKABLE = re.compile(r"([/._@:+=-]|[0-9A-Fa-f]{8}|[^/._@:+=-]{16})(?=.)")


def can_make_pdf() -> bool:
    """Whether what makes PDFs is installed."""
    return find_spec("typst") is not None


def render_pdf(result: ReviewResult, facts: ReportFacts) -> bytes:
    """The report's bytes.

    Raises:
        Unavailable: the extra `pdf` is not installed.
        Corrupt: it could not be set.
    """
    try:
        import typst
    except ImportError:
        raise Unavailable("there is nothing here that makes PDFs", hint="pip install lapse[pdf]") from None
    data = json.dumps(_shown(_data(result, facts)), ensure_ascii=True)
    try:
        pdf: bytes = typst.compile(
            _template(),
            format="pdf",
            pdf_standards=["a-2a", "ua-1"],
            ignore_system_fonts=True,
            sys_inputs={"data": data},
            timestamp=int(facts.made_at.timestamp()),
        )
    except typst.TypstError as error:
        raise Corrupt(f"the report could not be set as PDF: {shown(str(error), 200)}") from None
    return pdf


@cache
def _template() -> bytes:
    return files("lapse.review.report").joinpath("report.typ").read_bytes()


def _data(result: ReviewResult, facts: ReportFacts) -> dict[str, Json]:
    seen = view.view_of(result)
    made = facts.made_at.astimezone(UTC)
    counts: list[Json] = [[f"{number:,}", str(level)] for level, number in seen.severities]
    return {
        "title": facts.title,
        "date": [made.year, made.month, made.day, made.hour, made.minute, made.second],
        "draft": not facts.evidence_sha256,
        "meta": [
            ["Scope", result.scope.selector],
            ["Period", f"{words.day(result.scope.period.start)} up to {words.day(result.scope.period.end)}"],
            ["Population read", words.moment(result.snapshot.manifest.collected_at)],
            ["Made", f"{words.moment(made)} by {facts.made_by}"],
        ],
        "verdict": [seen.verdict.tone, seen.verdict.headline, seen.verdict.detail],
        "counts": [*counts, [f"{len(seen.not_assessed):,}", "not assessed"]],
        "actions": [[_headline(a.group), str(a.group.severity), a.text] for a in seen.actions],
        "facts": _figures(result, seen),
        "exposure": _exposure(result),
        "lag": [_lag(row) for row in result.workflows.lag],
        "groups": [_group(group) for group in seen.groups],
        "items": [_item(item) for item in seen.items[:MOST_ITEMS]],
        "more_items": _more(len(result.items) - MOST_ITEMS, "item", "items.csv"),
        "approvals": _approvals(result),
        "proposals": _proposals(result),
        "clauses": [[row.title, *(f"{number:,}" for _, number in row.counts)] for row in seen.clauses],
        "gaps": [[f"{run.detector} {run.title}", run.question, _missing(run)] for run in seen.not_assessed],
        "tables": [_table(table) for table in result.snapshot.manifest.tables],
        "problems": [f"{p.table}: {p.what}" for p in result.snapshot.manifest.problems],
        "runs": [[f"{r.detector} {r.title}", r.version, str(r.status), _parameters(r)] for r in result.runs],
        "policies": [f"{version}, activated {words.moment(at)} by {by}" for version, at, by in facts.policies],
        "seal": _seal(facts),
        "version": facts.product_version,
    }


def _figures(result: ReviewResult, seen: view.View) -> Json:
    names = {"used": "Used", "unused": "Not used, fully covered", "unknown": "Use unknown"}
    usage: list[Json] = [[names[value], f"{number:,}"] for value, number in seen.usage]
    return [
        ["Permissions", f"{len(result.items):,}"],
        *usage,
        ["Never expire", f"{len(result.audit.standing):,}"],
        ["Grants in force", f"{len(result.audit.active_grants):,}"],
        ["Decided", f"{seen.decided:,} of {len(result.items):,}"],
    ]


def _exposure(result: ReviewResult) -> Json:
    ranked = sorted(result.audit.exposure, key=lambda e: (-(e.standing_hours + e.granted_hours), e.resource, e.role))
    rows = ranked[: charts.MOST_ROLES]
    top = max((max(e.standing_hours, e.granted_hours, e.used_hours or 0) for e in rows), default=0) or 1
    return [
        [
            f"{e.resource} / {e.role}",
            [[kind, _hours(value), None if value is None else round(100 * value / top, 2)] for kind, value in bars],
        ]
        for e in rows
        for bars in [(("standing", e.standing_hours), ("granted", e.granted_hours), ("used", e.used_hours))]
    ]


def _hours(value: float | None) -> str:
    return "unknown" if value is None else words.hours(value)


def _lag(row: ExpiryLag) -> Json:
    quantiles = [charts.quantile_text(quantile) for _, quantile in charts.quantiles(row)]
    return [row.resource or "everything", f"{row.ended:,}", f"{row.not_ended:,}", *quantiles]


def _headline(group: view.Group) -> str:
    return f"{group.title[:1].upper()}{group.title[1:]} ({words.count(group.size, 'finding')})"


def _group(group: view.Group) -> Json:
    return {
        "title": _headline(group),
        "severity": str(group.severity),
        "tags": f"{group.detector}, {group.confidence}",
        "question": group.question,
        "clauses": ", ".join(group.clauses),
        "do": group.findings[0].remediation,
        "clears": group.findings[0].would_clear,
        "findings": [[f.subject, f.summary, _proofs(f), f.fingerprint] for f in group.findings[:MOST_FINDINGS]],
        "more": _more(group.size - MOST_FINDINGS, "finding", "findings.csv"),
    }


def _proofs(finding: Finding) -> Json:
    return [words.evidence_text(dict(row)) for row in finding.evidence[:MOST_EVIDENCE]]


def _item(item: Item) -> Json:
    until = f"until {words.day(item.ends_at)}" if item.ends_at else "no end"
    decided = "not decided"
    if item.decision is not None:
        decided = f"{item.decision} by {item.decided_by}, {words.day(item.decided_at)}"
        decided += f", {done.replace('not', 'NOT')}" if (done := words.carried_out(item)) else ""
    return [
        [item.principal or "nobody known", item.account],
        [f"{item.resource} / {item.role}", item.holding],
        [words.day(item.since) if item.since else "unknown", until],
        [str(item.usage), item.usage_coverage],
        [str(item.recommendation), item.recommendation_reason],
        [decided, item.decision_reason],
    ]


def _approvals(result: ReviewResult) -> Json:
    w = result.workflows
    return {
        "facts": [
            ["Decided again", f"{w.rederived:,}"],
            ["Same outcome", f"{w.same:,}"],
            ["Different outcome", f"{len(w.different):,}"],
            ["Record lacks what is needed", f"{len(w.not_derivable):,}"],
        ],
        "different": [[r.request_id, r.recorded, r.derived or words.NONE, "; ".join(r.differences)]
                      for r in (*w.different, *w.not_derivable)[: view.MOST_EVIDENCE_SHOWN]],
        "patterns": [[p.title, words.figure(p.value, p.unit), f"{p.population:,}"] for p in w.patterns],
    }  # fmt: skip


def _proposals(result: ReviewResult) -> Json:
    return [
        [p.subject, p.title, _from_to(p), words.hours(p.saved_hours), p.reason] for p in result.adjustments.proposals
    ]


def _from_to(proposal: PolicyProposal) -> str:
    if proposal.proposed is None:
        return words.NONE
    return f"{words.duration(proposal.current)}, then {words.duration(proposal.proposed)}"


def _missing(run: DetectorRun) -> str:
    return run.reason or f"there is no evidence in {', '.join(run.missing)}"


def _table(table: TableManifest) -> Json:
    recount = "none offered" if table.recount is None else f"{table.recount:,}"
    if not table.reconciled:
        recount += " DIFFERS"
    return [table.table, str(table.coverage), f"{table.rows:,}" if table.file else words.NONE, recount, table.source]


def _parameters(run: DetectorRun) -> str:
    return ", ".join(f"{words.label(name)}: {words.evidence_text(v)}" for name, v in sorted(run.parameters.items()))


def _seal(facts: ReportFacts) -> Json:
    if not facts.evidence_sha256:
        return []
    ledger = facts.ledger
    about = "none: this review was made without one, so nothing proves that the history behind it is complete"
    if ledger is not None:
        about = f"{ledger['origin']}, {ledger['checkpoint_size']:,} entries, {ledger['entries']:,} of them in the pack"
    return [["Evidence hash", facts.evidence_sha256], ["Signing key", facts.key], ["Ledger", about],
            ["Verify", "python3 verify.py --key VKEY, offline, with the key from a source you trust"]]  # fmt: skip


def _more(number: int, thing: str, place: str) -> str:
    return f"{words.count(number, 'more ' + thing)} in {place}." if number > 0 else ""


def _shown(value: Json) -> Json:
    """Every text in `value` as it can be set."""
    if isinstance(value, str):
        return set_text(value)
    if isinstance(value, list):
        return [_shown(part) for part in value]
    if isinstance(value, dict):
        return {name: _shown(part) for name, part in value.items()}
    return value


def set_text(text: str) -> str:
    """`text` in characters that the fonts have, with places where a long word may break; too much of it is cut."""
    if len(text) > LONGEST_TEXT:
        text = text[: LONGEST_TEXT - 1] + "…"
    seen = "".join(c if _has_glyph(c) else c.encode("unicode_escape").decode("ascii") for c in text)
    return _LONG_WORD.sub(lambda word: _BREAKABLE.sub("\\1\u200b", word[0]), seen)


def _has_glyph(letter: str) -> bool:
    return letter == "\n" or (is_printable(letter) and _within(ord(letter), _COVERED))


def _within(point: int, ranges: Iterable[tuple[int, int]]) -> bool:
    return any(first <= point <= last for first, last in ranges)
