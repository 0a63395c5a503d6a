"""Signing in and out: with a token, or by name where there are local users (demos on this machine)."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from lapse.control.sign_ins import NewSignIn, sign_in, sign_out
from lapse.control.tokens import actor_of, digest
from lapse.domain.actors import LOCAL_SCOPES, Token
from lapse.domain.errors import InvalidInput, LapseError, NotFound, Refused
from lapse.domain.sign_ins import How
from lapse.entrypoints.web.browser import drop_secret, keep_secret
from lapse.entrypoints.web.rendering import page
from lapse.entrypoints.web.routing import Pages
from lapse.entrypoints.web.visits import Visit

PAGES = Pages()


@PAGES.get("/sign-in", public=True)
async def sign_in_page(visit: Visit) -> Response:
    """Where somebody shows who they are."""
    return await _page(visit)


@PAGES.post("/sign-in", public=True)
async def do_sign_in(visit: Visit) -> Response:
    """Begin, and go where somebody wanted to."""
    agent = visit.request.headers.get("user-agent", "")
    try:
        wanted = await (_by_name(visit, agent) if visit.form.get("name") else _by_token(visit, agent))
        _, secret = await sign_in(visit.control, wanted)
    except LapseError as error:
        return await _page(visit, said=error.message, hint=error.hint)
    response = RedirectResponse(_own_path(visit.form.get("then", "")), 303)
    keep_secret(visit.request, response, secret)
    return response


@PAGES.post("/sign-out")
async def do_sign_out(visit: Visit) -> Response:
    """End this one."""
    if visit.sign_in is not None:
        await sign_out(visit.control, visit.actor, visit.sign_in.id)
    response = RedirectResponse("/sign-in", 303)
    drop_secret(visit.request, response)
    return response


async def _by_token(visit: Visit, agent: str) -> NewSignIn:
    secret = visit.form.get("token", "").strip()
    if not secret:
        raise InvalidInput("no token was given", hint="paste one; an administrator makes it with `lapse token create`")
    actor = await actor_of(visit.control, secret, via="web")
    token = await _token(visit, secret)
    return NewSignIn(principal=actor.name, scopes=actor.scopes, how=How.TOKEN, agent=agent, token=token)


async def _token(visit: Visit, secret: str) -> Token:
    found = await visit.app.store.read(lambda reader: reader.token_by_digest(digest(secret)))
    if found is None:
        raise Refused("the token is not valid", hint="ask an administrator for a new one")
    return found


async def _by_name(visit: Visit, agent: str) -> NewSignIn:
    if not _local(visit):
        raise Refused("this lapse has no local users", hint="sign in with a token")
    name = visit.form["name"]
    catalog = await visit.app.store.read(lambda reader: reader.catalog())
    if name not in catalog.principals:
        raise NotFound("nobody of this name is in the catalog", hint="choose one of the list")
    return NewSignIn(principal=name, scopes=LOCAL_SCOPES, how=How.LOCAL, agent=agent)


async def _page(visit: Visit, said: str = "", hint: str = "") -> Response:
    names: list[str] = []
    if _local(visit):
        catalog = await visit.app.store.read(lambda reader: reader.catalog())
        names = sorted(name for name in catalog.principals if catalog.person_of(name) is not None)
    then = _own_path(visit.form.get("then") or visit.request.query_params.get("then", ""))
    return page(visit, "sign_in", 422 if said else 200, said=said, hint=hint, names=names, then=then)


def _local(visit: Visit) -> bool:
    """Only where the settings say so, and only for a browser on this machine that asks for this machine."""
    client = visit.request.client
    try:
        here = client is not None and ipaddress.ip_address(client.host).is_loopback
    except ValueError:
        here = False
    forwarded = any(name in visit.request.headers for name in ("forwarded", "x-forwarded-for", "x-real-ip"))
    named = visit.request.url.hostname in {"localhost", "127.0.0.1", "::1"}
    return visit.app.settings.local_users and here and named and not forwarded


def _own_path(wanted: str) -> str:
    """A path of these pages, whatever was asked for: nobody is sent to another site."""
    plain = wanted.isprintable() and "\\" not in wanted and wanted.startswith("/") and not wanted.startswith("//")
    own = plain and not any(urlsplit(wanted)[:2])
    return wanted if own else "/"
