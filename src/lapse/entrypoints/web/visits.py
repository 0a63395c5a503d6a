"""One call of a browser: who is there, what they sent, and the use cases it may go to. Passed to every page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from lapse.bootstrap.app import App
from lapse.control.context import Control
from lapse.domain.actors import Actor
from lapse.domain.errors import InvalidInput
from lapse.domain.sign_ins import SignIn

_MOST_BYTES = 64 << 10
_MOST_FIELDS = 200
NOBODY = Actor(name="nobody", via="web")


@dataclass(frozen=True, kw_only=True)
class Visit:
    """`sign_in` is None on the pages that are for everybody; `form` is what was sent, by the name of the field."""

    app: App
    request: Request
    actor: Actor = NOBODY
    sign_in: SignIn | None = None
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def control(self) -> Control:
        """What use cases are given."""
        return self.app.control

    @property
    def by_htmx(self) -> bool:
        """Whether a part of the page is wanted, which htmx puts in place."""
        return self.request.headers.get("hx-request") == "true"

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])


Handler = Callable[[Visit], Awaitable[Response]]


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form, of a repeated one the last.

    Raises:
        InvalidInput: it is no form, or longer than any of these pages.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            raise InvalidInput("the form is too long", hint=f"it may have {_MOST_BYTES >> 10} KB")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != "application/x-www-form-urlencoded":
        raise InvalidInput("this is no form of these pages", hint="use the page that it belongs to")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise InvalidInput("the form cannot be read", hint="load the page again, and send it once more") from None
    return dict(pairs)
