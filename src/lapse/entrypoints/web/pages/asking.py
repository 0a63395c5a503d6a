"""Asking for access: pick it, see what the policy says before sending, send."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from starlette.responses import RedirectResponse, Response

from lapse.control.questions import NewRequest
from lapse.control.requests import cancel_request, create_request, preview_request
from lapse.domain.actors import Scope
from lapse.domain.durations import parse_duration
from lapse.domain.errors import InvalidInput, LapseError
from lapse.domain.requests import Ticket
from lapse.entrypoints.web.rendering import page
from lapse.entrypoints.web.routing import Pages
from lapse.entrypoints.web.visits import Visit
from lapse.policy import explain_lines

PAGES = Pages()
_USUAL = "1h"


@PAGES.get("/ask", Scope.REQUEST)
async def ask_page(visit: Visit) -> Response:
    """The form; what is named in the address is filled in, so that it can be linked to."""
    return await _form(visit, dict(visit.request.query_params))


@PAGES.post("/ask/preview", Scope.REQUEST)
async def preview(visit: Visit) -> Response:
    """What the policy would say to the form as it is now. Nothing is recorded."""
    if not visit.form.get("entitlement"):
        return page(visit, "ask_preview", answer=None, lines=(), said="", hint="")
    try:
        answer = await preview_request(visit.control, visit.actor, _wanted(visit))
    except LapseError as error:
        return page(visit, "ask_preview", answer=None, lines=(), said=error.message, hint=error.hint)
    return page(visit, "ask_preview", answer=answer, lines=explain_lines(answer), said="", hint="")


@PAGES.post("/ask", Scope.REQUEST)
async def ask(visit: Visit) -> Response:
    """Send it; what cannot be sent comes back filled in, with the reason."""
    try:
        await create_request(visit.control, visit.actor, _wanted(visit))
    except LapseError as error:
        return await _form(visit, visit.form, said=error.message, hint=error.hint)
    return RedirectResponse("/", 303)


@PAGES.post("/requests/{request_id}/cancel", Scope.REQUEST)
async def cancel(visit: Visit) -> Response:
    """Withdraw an own request."""
    await cancel_request(visit.control, visit.actor, visit.path("request_id"), visit.form.get("reason", ""))
    return RedirectResponse("/", 303)


def _wanted(visit: Visit) -> NewRequest:
    form = visit.form
    return NewRequest(
        entitlement=form.get("entitlement", ""),
        duration=_duration(form.get("duration", "")),
        justification=form.get("justification", ""),
        ticket=_ticket(form.get("ticket", "")),
        break_glass=form.get("break_glass") == "yes",
    )


def _duration(text: str) -> timedelta:
    if not text.strip():
        raise InvalidInput("no duration was given", hint="say how long, such as `1h` or `30m`")
    return parse_duration(text)


def _ticket(text: str) -> Ticket | None:
    system, _, number = text.strip().partition(":")
    if not text.strip():
        return None
    if not system or not number:
        raise InvalidInput(f"`{text.strip()}` is no ticket", hint="write it as `jira:OPS-1234`")
    return Ticket(system=system, number=number)


async def _form(visit: Visit, filled: Mapping[str, str], said: str = "", hint: str = "") -> Response:
    catalog = await visit.app.store.read(lambda reader: reader.catalog())
    resources = sorted(catalog.resources.values(), key=lambda one: one.name)
    known = {"entitlement": "", "duration": _USUAL, "justification": "", "ticket": ""}
    shown = known | {name: value for name, value in filled.items() if name in known}
    return page(visit, "ask", 422 if said else 200, resources=resources, filled=shown, said=said, hint=hint)
