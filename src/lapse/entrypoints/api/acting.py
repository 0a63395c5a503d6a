"""Who acts in a call: the owner of its token, or (in demos, on this machine only) whoever it says it is."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

from lapse.bootstrap.app import App
from lapse.control.tokens import actor_of, require_active
from lapse.domain.actors import LOCAL_SCOPES, Actor
from lapse.domain.errors import Refused
from lapse.domain.names import check_name
from lapse.entrypoints.api.problems import ProblemError

_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]", "lapse"})
_LONGEST_TOKEN = 200


async def acting(app: App, request: Request) -> Actor:
    """The actor of this call.

    Raises:
        ProblemError: there is no valid token (status 401), or its owner has left.
        Refused: the call names a local user where that is not possible.
    """
    actor = await _named(app, request)
    try:
        await require_active(app.control, actor)
    except Refused as error:
        raise _not_authenticated(error.message, error.hint) from None
    return actor


async def _named(app: App, request: Request) -> Actor:
    via = "cli" if request.headers.get("user-agent", "").startswith("lapse-cli/") else "api"
    name = request.headers.get("lapse-as")
    if name is not None:
        _require_local(app, request)
        return Actor(name=check_name(name, what="principal name"), scopes=LOCAL_SCOPES, via=via)
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret:
        raise _not_authenticated("the call carries no token", "send `Authorization: Bearer lapse_…`")
    if len(secret) > _LONGEST_TOKEN or not secret.isascii():
        raise _not_authenticated("the token is not valid", "ask an administrator for a new one")
    try:
        return await actor_of(app.control, secret.strip(), via=via)
    except Refused as error:
        raise _not_authenticated(error.message, error.hint) from None


def _require_local(app: App, request: Request) -> None:
    """Only from this machine, not through a proxy, and not from a web page that rebinds its name to loopback."""
    if not app.settings.local_users:
        raise Refused("this lapse has no local users", hint="act with a token; `local_users` is for demos")
    forwarded = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip", "origin"))
    host = request.headers.get("host", "").rpartition("@")[2]
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if forwarded or name.lower() not in _LOCAL_NAMES or not _is_loopback(request):
        raise Refused("local users act from this machine only", hint="act with a token")


def _is_loopback(request: Request) -> bool:
    if request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _not_authenticated(detail: str, hint: str) -> ProblemError:
    return ProblemError("not-authenticated", detail, hint=hint, headers={"WWW-Authenticate": 'Bearer realm="lapse"'})
