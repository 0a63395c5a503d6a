"""All components on one page, to look at them side by side."""

from __future__ import annotations

from datetime import timedelta

from starlette.responses import Response

from lapse.entrypoints.web.rendering import page
from lapse.entrypoints.web.routing import Pages
from lapse.entrypoints.web.visits import Visit

PAGES = Pages()


@PAGES.get("/style")
async def style_page(visit: Visit) -> Response:
    """The page."""
    return page(visit, "style", until=visit.control.now() + timedelta(minutes=42))
