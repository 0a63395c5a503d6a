"""API tokens, and who the caller is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lapse.control import tokens
from lapse.domain.actors import Scope, Token
from lapse.domain.durations import parse_duration
from lapse.entrypoints.api.operations import Body, Call, Listing, Routes

ROUTES = Routes("tokens")


class NewTokenBody(Body, frozen=True, kw_only=True):
    """Whose token, for what, and for how long (at most a year)."""

    principal: str
    scopes: list[Scope]
    life: str = "P90D"
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A token without its digest."""

    id: str
    principal: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token with its secret, shown once."""

    token: TokenView
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Who the caller is, and whether the catalog knows them as an active principal."""

    name: str
    scopes: tuple[Scope, ...]
    in_catalog: bool
    active: bool
    person: str | None
    groups: tuple[str, ...]


@ROUTES.post("/api/v1/tokens", NewToken, body=NewTokenBody, status=201, secret=True)
async def create_token(call: Call) -> NewToken:
    """Issue a token. Its secret is in this answer and nowhere else."""
    body: NewTokenBody = call.body
    token, secret = await tokens.issue_token(
        call.control, call.actor, body.principal, body.scopes, life=parse_duration(body.life), note=body.note
    )
    return NewToken(token=_view(token), secret=secret)


@ROUTES.get("/api/v1/tokens", Listing[TokenView])
async def list_tokens(call: Call) -> Listing[TokenView]:
    """Tokens: one's own, or for auditors and administrators all."""
    sees_all = bool(call.actor.scopes & {Scope.ADMIN, Scope.AUDIT})
    owner = None if sees_all else call.actor.name
    return Listing([_view(token) for token in await call.app.store.read(lambda reader: reader.tokens(owner))])


@ROUTES.delete("/api/v1/tokens/{token_id}", None, status=200)
async def revoke_token(call: Call) -> None:
    """Stop a token at once."""
    await tokens.revoke_token(call.control, call.actor, call.path["token_id"])


@ROUTES.get("/api/v1/me", Me)
async def show_me(call: Call) -> Me:
    """Who the caller is, and what their token allows."""
    catalog = await call.app.store.read(lambda reader: reader.catalog())
    principal = catalog.principals.get(call.actor.name)
    return Me(
        name=call.actor.name,
        scopes=tuple(sorted(call.actor.scopes)),
        in_catalog=principal is not None,
        active=principal is not None and principal.active,
        person=catalog.person_of(call.actor.name),
        groups=tuple(sorted(catalog.groups_of(call.actor.name))),
    )


def _view(token: Token) -> TokenView:
    return TokenView(
        id=token.id,
        principal=token.principal,
        scopes=tuple(sorted(token.scopes)),
        created_at=token.created_at,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        note=token.note,
    )
