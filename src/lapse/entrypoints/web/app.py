"""The web pages as an ASGI application: every page of `pages`, wrapped in the same steps.

One call: who is there, did the form come from these pages, may they be here, the page. Every error on the way becomes
a page that says what to do next; what nobody expected is logged under an id, and the visitor sees only that id.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lapse.bootstrap.app import App
from lapse.control.sign_ins import signed_in
from lapse.domain.errors import Conflict, Corrupt, InvalidInput, LapseError, NotFound, Refused, Unavailable
from lapse.entrypoints.web.browser import HEADERS, require_own_form, secret_of
from lapse.entrypoints.web.pages import PAGES
from lapse.entrypoints.web.rendering import page, static_files
from lapse.entrypoints.web.routing import Page
from lapse.entrypoints.web.visits import Visit, read_form

OnBug = Callable[[str, Exception], None]
_FOR_EVER = "public, max-age=31536000, immutable"
_STATUS: Mapping[type[LapseError], int] = {
    InvalidInput: 422, NotFound: 404, Refused: 403, Conflict: 409, Unavailable: 503, Corrupt: 500
}  # fmt: skip


def create_web(app: App, *, on_bug: OnBug = lambda _id, _error: None) -> Starlette:
    """The ASGI application of `app`'s pages. `on_bug` is told what nobody expected, with the id shown."""
    by_path: dict[str, dict[str, Page]] = {}
    for one in PAGES:
        by_path.setdefault(one.path, {})[one.method] = one
    routes = [Route(path, _Endpoint(app, pages, on_bug), methods=list(pages)) for path, pages in by_path.items()]
    routes.append(Route("/static/{name:path}", _static, methods=["GET"]))

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        said = "There is no such page." if status == 404 else "This is not possible here."  # noqa: PLR2004  HTTP
        return _dressed(_error_page(Visit(app=app, request=request), status, said, "Go back to the start."))

    return Starlette(routes=routes, exception_handlers={HTTPException: refused})


@dataclass(frozen=True)
class _Endpoint:
    """All pages on one path, as an ASGI application."""

    app: App
    pages: Mapping[str, Page]
    on_bug: OnBug

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        response = await self._guarded(request, self.pages["GET" if request.method == "HEAD" else request.method])
        await _dressed(response)(scope, receive, send)

    async def _guarded(self, request: Request, wanted: Page) -> Response:
        nobody = Visit(app=self.app, request=request)
        try:
            return await self._answered(request, wanted)
        except ClientDisconnect:
            return Response(status_code=400)
        except LapseError as error:
            return _error_page(nobody, _STATUS.get(type(error), 500), error.message, error.hint)
        except Exception as error:  # noqa: BLE001  a visitor must never see a traceback
            instance = f"urn:lapse:bug:{secrets.token_hex(6)}"
            self.on_bug(instance, error)
            return _error_page(nobody, 500, "Something went wrong inside lapse.", f"Tell an administrator: {instance}")

    async def _answered(self, request: Request, wanted: Page) -> Response:
        secret = secret_of(request)
        form = await read_form(request) if wanted.method == "POST" else {}
        if wanted.public:
            if wanted.method == "POST":
                require_own_form(request, form, None)
            return await wanted.handler(Visit(app=self.app, request=request, form=form))
        try:
            sign_in, actor = await signed_in(self.app.control, secret or "")
        except Refused:
            return _to_sign_in(request)
        if wanted.method == "POST":
            require_own_form(request, form, secret)
        if wanted.scopes:
            actor.require(*wanted.scopes)
        visit = Visit(app=self.app, request=request, actor=actor, sign_in=sign_in, form=form)
        return await self._said(visit, wanted)

    async def _said(self, visit: Visit, wanted: Page) -> Response:
        """An error of somebody who is signed in keeps the frame of their pages."""
        try:
            return await wanted.handler(visit)
        except LapseError as error:
            return _error_page(visit, _STATUS.get(type(error), 500), error.message, error.hint)


def _error_page(visit: Visit, status: int, said: str, hint: str) -> Response:
    return page(visit, "error_part" if visit.by_htmx else "error", status, said=said, hint=hint)


def _to_sign_in(request: Request) -> Response:
    """To the page for signing in, and from there back to where somebody wanted to go."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = f"?then={quote(here, safe='')}" if request.method == "GET" and here != "/" else ""
    if request.headers.get("hx-request") == "true":
        return Response(status_code=200, headers={"HX-Redirect": "/sign-in"})
    return RedirectResponse(f"/sign-in{back}", 303)


async def _static(request: Request) -> Response:
    found = static_files().get(str(request.path_params["name"]))
    if found is None:
        raise HTTPException(404)
    return Response(found[0], media_type=found[1], headers={"Cache-Control": _FOR_EVER, **HEADERS})


def _dressed(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-store")
    return response
