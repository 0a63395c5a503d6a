"""Every page, by topic."""

from __future__ import annotations

from lapse.entrypoints.web.pages import approvals, asking, home, ledger, locks, resources, signing_in, style
from lapse.entrypoints.web.routing import Page

PAGES: tuple[Page, ...] = tuple(
    one
    for module in (home, asking, approvals, resources, locks, ledger, signing_in, style)
    for one in module.PAGES.found
)
