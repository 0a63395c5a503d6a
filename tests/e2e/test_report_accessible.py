"""The report in a real browser: no accessibility violation (axe-core), no overflow, no request, in both themes."""

from __future__ import annotations

import pytest

from lapse.review.report import ReportFacts, render_report
from support.browser import OVERFLOW, chromium, faults, needs_browser
from support.sample_review import MADE, renamed, sample_result

pytestmark = needs_browser
OPEN_ALL = "document.querySelectorAll('details').forEach(d => d.open = true)"
FACTS = ReportFacts(
    title="Production databases, third quarter 2026",
    made_at=MADE,
    made_by="olga.petrova",
    product_version="0.1.0",
    key="lapse.example.com/ledger+b5860354",
    evidence_sha256="ab" * 32,
)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return sample_result(tmp_path_factory.mktemp("snapshot"))


@pytest.fixture
def report(result, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(render_report(result, FACTS))
    return path


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_the_report_is_accessible_and_fits(browser, report, theme, width):
    # axe is injected as a script, which the page's own policy forbids.
    context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900}, bypass_csp=True)
    page = context.new_page()
    page.goto(report.as_uri())
    assert page.evaluate(OVERFLOW) == 0
    page.evaluate(OPEN_ALL)
    assert faults(page) == []
    assert page.evaluate(OVERFLOW) == 0
    context.close()


def test_the_report_asks_for_nothing_and_runs_nothing(browser, result, tmp_path):
    hostile = '<script>document.title="run"</script><img src="https://example.com/x" onerror=alert(1)>'
    path = tmp_path / "report.html"
    path.write_text(render_report(renamed(result, hostile), FACTS))
    page = browser.new_page()
    requests, dialogs, errors = [], [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.on("console", lambda message: errors.append(message.text))
    page.goto(path.as_uri())
    assert requests == [path.as_uri()]
    assert dialogs == errors == []
    assert page.title() == f"{FACTS.title} \N{EN DASH} access review"
    page.close()


def test_everything_is_open_on_paper(browser, report):
    page = browser.new_page(viewport={"width": 690, "height": 1000})
    page.goto(report.as_uri())
    page.emulate_media(media="print")
    assert all(cell.is_visible() for cell in page.get_by_text("Would clear if").all())
    assert page.evaluate(OVERFLOW) == 0
    page.close()
