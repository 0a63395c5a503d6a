"""What keeps a browser's session its own: the cookie, the proof that a form came from these pages, the headers.

The cookie holds the secret of a sign-in and nothing else. A form proves where it came from twice: by the origin that
the browser names (`Sec-Fetch-Site`, `Origin`), and by a token made of the secret, which no other site can know.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from lapse.domain.errors import Refused

FORM_TOKEN = "form_token"  # noqa: S105  the name of a field
_LONGEST_SECRET = 100
_SAFE = "__Host-lapse"
_LOCAL = "lapse"
"""Without TLS, which is on this machine only, browsers take no cookie that is bound to TLS."""

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def secret_of(request: Request) -> str | None:
    """The secret that the browser keeps, if it sent one that can be one."""
    found = request.cookies.get(_SAFE if _tls(request) else _LOCAL)
    return found if found and len(found) <= _LONGEST_SECRET and found.isascii() else None


def keep_secret(request: Request, response: Response, secret: str) -> None:
    """Let the browser keep it until it is closed; scripts cannot read it, other sites' forms do not send it."""
    tls = _tls(request)
    response.set_cookie(_SAFE if tls else _LOCAL, secret, secure=tls, httponly=True, samesite="lax", path="/")


def drop_secret(request: Request, response: Response) -> None:
    """Let the browser forget it."""
    tls = _tls(request)
    response.delete_cookie(_SAFE if tls else _LOCAL, secure=tls, httponly=True, samesite="lax", path="/")


def form_token(secret: str) -> str:
    """What forms carry of a secret, from which it cannot be found."""
    return hmac.new(secret.encode(), b"lapse form", hashlib.sha256).hexdigest()


def require_own_form(request: Request, form: Mapping[str, str], secret: str | None) -> None:
    """A form that another site made is refused; one from before signing in needs the right origin alone.

    Raises:
        Refused: it came from elsewhere, or from a page of another sign-in.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin" or not _own_origin(request):
        raise Refused("this form was sent by another site", hint="use lapse's own page")
    if secret is None:
        return
    sent = request.headers.get("lapse-form", "") or form.get(FORM_TOKEN, "")
    if not hmac.compare_digest(sent.encode(errors="replace"), form_token(secret).encode()):
        raise Refused("this form is from another sign-in", hint="load the page again, and send it once more")


def _own_origin(request: Request) -> bool:
    origin = request.headers.get("origin")
    return origin is None or origin == f"{request.url.scheme}://{request.url.netloc}"


def _tls(request: Request) -> bool:
    return request.url.scheme == "https"
