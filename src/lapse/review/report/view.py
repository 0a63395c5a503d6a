"""What the report says and in which order: the verdict, what to do first, groups of findings, honest gaps.

Called by `render`. Pure: the same result gives the same view.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from lapse.domain.reviews import Confidence, Finding, Item, Severity, Usage
from lapse.review.model import Coverage, DetectorRun, ReviewResult, RunStatus, TableManifest
from lapse.review.report import words
from lapse.review.report.clause_view import ClauseRow, clause_rows

MOST_FINDINGS_SHOWN = 50
MOST_ITEMS_SHOWN = 300
MOST_EVIDENCE_SHOWN = 20
MOST_ACTIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer in one sentence, the figures behind it, and its tone: `bad`, `warn`, `open` or `good`."""

    tone: str
    headline: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """All findings of one detector. `anchor` is its place on the page."""

    anchor: str
    detector: str
    title: str
    question: str
    severity: Severity
    confidence: Confidence
    findings: tuple[Finding, ...]
    clauses: tuple[str, ...]

    @property
    def size(self) -> int:
        """How many there are."""
        return len(self.findings)

    @property
    def shown(self) -> tuple[Finding, ...]:
        """The findings that the report prints; all are in `findings.json`."""
        return self.findings[:MOST_FINDINGS_SHOWN]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to do, in the order of urgency."""

    group: Group
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that the templates print and the values do not say by themselves.

    `found_in` gives, for a finding's fingerprint, the group that it is shown in.
    """

    verdict: Verdict
    severities: tuple[tuple[Severity, int], ...]
    actions: tuple[Action, ...]
    groups: tuple[Group, ...]
    items: tuple[Item, ...]
    found_in: Mapping[str, Group]
    items_hidden: int
    usage: tuple[tuple[Usage, int], ...]
    decided: int
    not_assessed: tuple[DetectorRun, ...]
    unreconciled: tuple[TableManifest, ...]
    clauses: tuple[ClauseRow, ...] = ()

    def kinds_of(self, item: Item) -> tuple[Group, ...]:
        """The groups in which the findings about an item are shown, each once."""
        groups = {g.anchor: g for name in item.findings if (g := self.found_in.get(name)) is not None}
        return tuple(groups.values())


def view_of(result: ReviewResult) -> View:
    """The view of a whole review."""
    groups = tuple(_groups(result))
    counted = Counter(finding.severity for finding in result.findings)
    by_usage = Counter(item.usage for item in result.items)
    items = sorted(result.items, key=lambda item: (-item.risk, item.resource, item.account, item.role))
    return View(
        verdict=_verdict(result, counted),
        severities=tuple((severity, counted[severity]) for severity in Severity),
        actions=tuple(Action(group=g, text=g.findings[0].remediation) for g in _urgent(groups)),
        groups=groups,
        items=tuple(items[:MOST_ITEMS_SHOWN]),
        found_in={finding.fingerprint: group for group in groups for finding in group.findings},
        items_hidden=max(0, len(items) - MOST_ITEMS_SHOWN),
        usage=tuple((usage, by_usage[usage]) for usage in Usage),
        decided=sum(item.decision is not None for item in items),
        not_assessed=result.not_assessed,
        unreconciled=tuple(t for t in result.snapshot.manifest.tables if not t.reconciled),
        clauses=clause_rows(result),
    )


def by_severity(groups: Iterable[Group]) -> tuple[tuple[Severity, tuple[Group, ...]], ...]:
    """Groups under their severity, in the order they come."""
    return tuple((severity, tuple(several)) for severity, several in groupby(groups, key=lambda g: g.severity))


def _groups(result: ReviewResult) -> Iterable[Group]:
    runs = {run.detector: run for run in result.runs}
    order = list(Severity)
    found = sorted(result.findings, key=lambda f: (order.index(f.severity), f.detector))
    kinds = groupby(found, key=lambda f: (f.severity, f.detector))
    for number, ((severity, detector), several) in enumerate(kinds, start=1):
        findings, run = tuple(several), runs.get(detector)
        yield Group(
            anchor=f"found-{number}",
            detector=detector,
            title=run.title if run else findings[0].title,
            question=run.question if run else "",
            severity=severity,
            confidence=findings[0].confidence,
            findings=findings,
            clauses=tuple(sorted({clause for finding in findings for clause in finding.clauses})),
        )


def _urgent(groups: Sequence[Group]) -> Sequence[Group]:
    """Facts before advice, worst first; low ones do not belong under "first"."""
    order = list(Severity)
    serious = [g for g in groups if g.severity is not Severity.LOW]
    ranked = sorted(serious, key=lambda g: (order.index(g.severity), g.confidence is Confidence.ADVICE))
    return ranked[:MOST_ACTIONS]


def _verdict(result: ReviewResult, counted: Counter[Severity]) -> Verdict:
    tone, headline = _headline(counted, blind=bool(result.not_assessed) or _partial(result))
    parts = [_holdings(result), _endings(result), _assessed(result)]
    return Verdict(tone=tone, headline=headline, detail=" ".join(part for part in parts if part))


def _headline(counted: Counter[Severity], *, blind: bool) -> tuple[str, str]:
    critical, high = counted[Severity.CRITICAL], counted[Severity.HIGH]
    if critical:
        rest = f" and {words.count(high, 'high one')}" if high else ""
        needs = "needs" if critical + high == 1 else "need"
        return "bad", f"{words.count(critical, 'critical finding')}{rest} {needs} action."
    if high:
        return (
            "warn",
            f"{words.count(high, 'high finding')} {'needs' if high == 1 else 'need'} action; none is critical.",
        )
    if counted.total():
        return "open", "Nothing critical or high was found; smaller things were."
    if blind:
        return "open", "Nothing was found, but not everything could be looked at."
    return "good", "Nothing was found, and everything in scope could be looked at."


def _partial(result: ReviewResult) -> bool:
    return any(table.coverage is Coverage.PARTIAL or not table.reconciled for table in result.snapshot.manifest.tables)


def _holdings(result: ReviewResult) -> str:
    standing = len(result.audit.standing)
    were = "was" if len(result.items) == 1 else "were"
    bypass = f"{words.count(standing, 'case')} of standing access {'bypasses' if standing == 1 else 'bypass'} expiry."
    text = f"{words.count(len(result.items), 'permission')} {were} reviewed; "
    return text + (bypass if standing else "none bypasses expiry.")


def _endings(result: ReviewResult) -> str:
    if not result.workflows.lag:
        return "No access was due to end in the period."
    lag = result.workflows.lag[0]
    if not lag.ended + lag.not_ended:
        return "No access was due to end in the period."
    if lag.not_ended:
        due = lag.ended + lag.not_ended
        have = "has" if lag.not_ended == 1 else "have"
        return f"Of {words.count(due, 'grant')} due to end, {lag.not_ended:,} {have} not been seen to end."
    return f"All {words.count(lag.ended, 'grant')} due to end did."


def _assessed(result: ReviewResult) -> str:
    missing = sum(run.status is RunStatus.NOT_ASSESSED for run in result.runs)
    if not missing:
        return f"All {words.count(len(result.runs), 'detector')} could be run."
    return f"{missing:,} of {words.count(len(result.runs), 'detector')} could not be run for lack of data."
