"""docs/guardrails.md is true: its catalog can be applied, and says what the page says it does."""

from __future__ import annotations

import re

from lapse.identity.catalog_files import catalog_from_files
from support.tools import ROOT

PAGE = (ROOT / "docs" / "guardrails.md").read_text(encoding="utf-8")


def test_the_catalog_of_the_page_can_be_applied():
    text = re.search(r"<!-- example: catalog -->\n\n```yaml\n(.*?)```", PAGE, re.DOTALL)[1]

    resource = catalog_from_files({"catalog.yaml": text}).resources["pg-prod"]

    assert resource.gateway.only
    assert [mask.name for mask in resource.entitlements[0].guard.masks] == ["mail", "pay", "keys"]
