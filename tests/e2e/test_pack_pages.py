"""The page of a framework in a real browser: no accessibility violation (axe-core), no overflow, links that lead."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lapse.review.seal import seal
from support.browser import OVERFLOW, chromium, faults, needs_browser
from support.sample_review import SampleSigner, sample_contents

pytestmark = needs_browser
PAGE = "frameworks/nist-800-53-r5/index.html"


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place, signer = tmp_path_factory.mktemp("pack"), SampleSigner()
    return seal(sample_contents(place / "snapshot", signer), signer=signer, into=place / "sealed").folder


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_the_page_of_a_framework_is_accessible_and_fits(browser, folder, theme, width):
    # axe is injected as a script, which the page's own policy forbids.
    context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900}, bypass_csp=True)
    page = context.new_page()
    page.goto((folder / PAGE).as_uri())
    assert faults(page) == []
    assert page.evaluate(OVERFLOW) == 0
    context.close()


def test_every_link_leads_to_a_file_of_the_pack(browser, folder):
    page = browser.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((folder / PAGE).as_uri())
    links = page.eval_on_selector_all("main a[href]", "all => all.map(a => a.href)")
    assert len(links) > 10
    assert all(Path(urlsplit(link).path).is_file() for link in links)
    assert asked == [(folder / PAGE).as_uri()]
    page.close()
