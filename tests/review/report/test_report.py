"""The report: safe with hostile names, complete in itself, and honest about what it does not know."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from lapse.domain.reviews import ItemDecision, Severity, Usage
from lapse.review.model import Adjustments, AuditResult, Coverage, RunStatus, ValidationResult, WorkflowResult
from lapse.review.report import ReportFacts, render_report
from lapse.review.report.view import MOST_ITEMS_SHOWN, view_of
from support.sample_findings import FINDINGS
from support.sample_review import ITEMS, MADE, renamed, sample_result

FACTS = ReportFacts(
    title="Production databases, third quarter 2026",
    made_at=MADE,
    made_by="olga.petrova",
    product_version="0.1.0",
    key="lapse.example.com/ledger+b5860354",
    evidence_sha256="ab" * 32,
    ledger={"origin": "lapse.example.com/ledger", "checkpoint_size": 40, "entries": 14, "root_sha256": "cd" * 32},
)
VOID = {"meta", "link", "br", "path", "rect", "circle"}


class Page(HTMLParser):
    """What a browser would build: open elements must close in order; text by section."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.ids, self._open = [], [], [], []
        self.text = ""
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" not in self._open:
            self.text += data


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return sample_result(tmp_path_factory.mktemp("snapshot"))


@pytest.fixture(scope="module")
def page(result):
    return Page(render_report(result, FACTS))


def words_of(text):
    return re.sub(r"\s+", " ", Page(text).text)


def empty(result, **more):
    """A review of a population in which nothing was found."""
    tables = tuple(
        replace(t, coverage=Coverage.COMPLETE, recount=None, gaps=()) for t in result.snapshot.manifest.tables
    )
    snapshot = replace(result.snapshot, manifest=replace(result.snapshot.manifest, tables=tables, problems=()))
    stages = {
        "audit": AuditResult(),
        "validation": ValidationResult(),
        "workflows": WorkflowResult(),
        "adjustments": Adjustments(),
        "items": (),
        "snapshot": snapshot,
    }
    return replace(result, **(stages | more))


def test_the_page_needs_nothing_else(page):
    assert {"script", "link", "img", "iframe", "form", "object"} & set(page.tags) == set()
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    links = [value for _, name, value in page.attributes if name in {"href", "src", "action", "data"}]
    assert links
    assert all(link.startswith("#") for link in links)


def test_every_link_and_label_has_its_target(page):
    assert len(page.ids) == len(set(page.ids))
    links = {value[1:] for _, name, value in page.attributes if name == "href"}
    labels = {i for _, name, value in page.attributes if name == "aria-labelledby" for i in value.split()}
    assert links | labels <= set(page.ids)


def test_tables_say_what_they_are(page):
    assert page.tags.count("caption") >= page.tags.count("table") - sum(1 for f in FINDINGS if f.evidence)
    assert page.tags.count("th") == sum(1 for tag, name, _ in page.attributes if (tag, name) == ("th", "scope"))
    assert page.tags.count("svg") > 2


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "'</style></title></textarea><svg onload=alert(1)>",
        "{{ 7*7 }}{% raw %}",
        "`<b>`",
        "\u202egnihtemos\0\x1b[31m",
        "javascript:alert(1)//",
        "&lt;script&gt;",
    ],
)
def test_hostile_names_are_shown_and_do_nothing(result, hostile):
    plain = Page(render_report(result, FACTS))
    text = render_report(renamed(result, hostile), replace(FACTS, title=FACTS.title + hostile, made_by=hostile))
    page = Page(text)
    assert set(page.tags) <= set(plain.tags) | {"code"}
    assert {name for _, name, _ in page.attributes} <= {name for _, name, _ in plain.attributes}
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", text)
    assert all(v.startswith("#") for _, name, v in page.attributes if name == "href")


def test_the_summary_comes_first_and_says_what_is_wrong(result):
    text = words_of(render_report(result, FACTS))
    assert "2 critical findings and 5 high ones need action." in text
    assert "Of 215 grants due to end, 3 have not been seen to end." in text
    assert "2 of 12 detectors could not be run for lack of data." in text
    assert text.index("What to do first") < text.index("Exposure as a table") < text.index("Items to decide")


def test_what_to_do_first_is_facts_before_advice_and_worst_first(result):
    actions = view_of(result).actions
    assert [a.group.severity for a in actions] == sorted((a.group.severity for a in actions), key=list(Severity).index)
    assert len(actions) == 5
    assert all(a.group.confidence == "fact" for a in actions)


def test_unknown_use_never_looks_like_unused(result):
    item = replace(ITEMS[0], usage=Usage.UNKNOWN, usage_coverage="no telemetry before 12 Sep", last_used=None)
    text = render_report(empty(result, items=(item,)), FACTS)
    row = text[text.index('<tr role="row">\n<th role="rowheader"') :].partition("</tr>")[0]
    assert "use-unknown" in row
    assert "use-unused" not in row
    assert "no telemetry before 12 Sep" in row


def test_unknown_use_has_no_bar_of_its_own_length(result):
    text = words_of(render_report(result, FACTS))
    assert "use unknown" in text


def test_late_and_open_endings_are_shown_as_at_least(result):
    text = words_of(render_report(result, FACTS))
    assert "≥ 9.4 d" in text
    assert "3, still open" in text


def test_not_assessed_is_neither_a_finding_nor_a_pass(result):
    text = words_of(render_report(result, FACTS))
    gaps = text[text.rindex("Not assessed") :]
    assert "They are neither findings nor passes." in gaps
    assert "identity_history" in gaps
    assert "tickets" in gaps


def test_a_table_that_does_not_reconcile_is_said_so(result):
    text = words_of(render_report(result, FACTS))
    assert "1 table does not reconcile." in text
    assert "90 differs" in text


def test_a_clean_review_is_called_clean_only_if_everything_was_looked_at(result):
    runs = tuple(replace(run, status=RunStatus.CLEAR) for run in result.runs)
    clean = empty(result, audit=AuditResult(runs=runs))
    assert view_of(clean).verdict.headline == "Nothing was found, and everything in scope could be looked at."
    blind = replace(runs[0], status=RunStatus.NOT_ASSESSED, missing=("usage",))
    partly = empty(result, audit=AuditResult(runs=(blind, *runs[1:])))
    assert view_of(partly).verdict.headline == "Nothing was found, but not everything could be looked at."
    lost = replace(clean, snapshot=result.snapshot)
    assert view_of(lost).verdict.tone == "open"


@pytest.mark.parametrize(
    ("severity", "tone", "headline"),
    [
        (Severity.CRITICAL, "bad", "1 critical finding needs action."),
        (Severity.HIGH, "warn", "1 high finding needs action; none is critical."),
        (Severity.LOW, "open", "Nothing critical or high was found; smaller things were."),
    ],
)
def test_the_verdict_follows_the_worst_finding(result, severity, tone, headline):
    found = empty(result, audit=AuditResult(findings=(replace(FINDINGS[0], severity=severity),)))
    verdict = view_of(found).verdict
    assert (verdict.tone, verdict.headline) == (tone, headline)


def test_a_review_of_nothing_renders(result):
    text = words_of(render_report(empty(result), replace(FACTS, evidence_sha256="", ledger=None)))
    assert "draft, not sealed" in text
    assert "No permission in scope was found in the population." in text


def test_a_decision_that_was_not_carried_out_is_visible(result):
    text = words_of(render_report(result, FACTS))
    assert "not carried out yet" in text
    assert "carried out 2 Oct 2026, 08:32 UTC: login refused, read back" in text


def test_endings_of_none_are_no_success(result):
    nothing_due = replace(result.workflows.lag[0], ended=0, not_ended=0)
    quiet = replace(result, workflows=replace(result.workflows, lag=(nothing_due,)))
    text = words_of(render_report(quiet, FACTS))
    assert "No access was due to end in the period." in text
    assert "All 0 grants" not in text


def test_what_a_target_said_is_set_like_every_other_sentence(result):
    told = replace(result.items[0], decision=ItemDecision.REVOKE, outcome="`ann` is no member of `dba`")
    page = render_report(replace(result, items=(told, *result.items[1:])), FACTS)
    assert "<code>ann</code> is no member of <code>dba</code>" in page


def test_a_kept_item_is_not_called_open(result):
    kept = replace(ITEMS[0], decision=ItemDecision.KEEP, carried_out_at=None, outcome="")
    assert "not carried out" not in words_of(render_report(empty(result, items=(kept,)), FACTS))


def test_very_many_items_and_findings_stay_readable_and_are_counted(result):
    items = tuple(replace(ITEMS[0], id=f"it_{n}", risk=n, findings=()) for n in range(5_000))
    findings = tuple(replace(FINDINGS[0], fingerprint=f"{n:016}") for n in range(2_000))
    text = render_report(empty(result, items=items, audit=AuditResult(findings=findings)), FACTS)
    assert len(text) < 2_000_000
    shown = words_of(text)
    assert f"{5_000 - MOST_ITEMS_SHOWN:,} more items, of lower risk, in items.csv." in shown
    assert "1,950 more findings of this kind" in shown


def test_the_same_review_gives_the_same_page(result):
    assert render_report(result, FACTS) == render_report(result, FACTS)
