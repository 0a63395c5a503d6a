"""API tokens: issue, revoke, find the actor behind one, and see that somebody who left acts no more.

A token is `lapse_` and 43 characters (256 random bits, base64url). Only its SHA-256 is kept: the token has full
entropy, so a slow hash would protect nothing, and the digest is looked up by equality on an index.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import timedelta

from lapse.control.context import Control
from lapse.control.guards import refuse_locked_actor
from lapse.domain.actors import Actor, Scope, Token
from lapse.domain.data import to_data
from lapse.domain.errors import InvalidInput, Refused
from lapse.domain.names import check_name, check_text
from lapse.domain.principals import PrincipalKind
from lapse.ledger.entry import Entry
from lapse.ports import Transaction

PREFIX = "lapse_"
LONGEST_LIFE = timedelta(days=366)


async def issue_token(
    control: Control,
    actor: Actor,
    principal: str,
    scopes: Iterable[Scope],
    *,
    life: timedelta,
    note: str = "",
) -> tuple[Token, str]:
    """A new token for `principal`; its secret is returned once and kept nowhere."""
    actor.require(Scope.ADMIN)
    wanted = frozenset(scopes)
    if not wanted:
        raise InvalidInput("a token needs a scope", hint=f"choose from {', '.join(Scope)}")
    if not timedelta(0) < life <= LONGEST_LIFE:
        raise InvalidInput(f"a token lives between a second and {LONGEST_LIFE.days} days")
    secret = PREFIX + secrets.token_urlsafe(32)
    now = control.now()
    token = Token(
        id=control.new_id("tok"),
        principal=check_name(principal, what="principal name"),
        scopes=wanted,
        digest=digest(secret),
        created_at=now,
        expires_at=now + life,
        note=check_text(note, what="note", longest=200),
    )

    async def work(tx: Transaction) -> None:
        await refuse_locked_actor(tx, actor)
        await tx.add_token(token)
        await tx.append([_entry("token.issued", token, actor, control)])

    await control.store.write(work)
    return token, secret


async def revoke_token(control: Control, actor: Actor, token_id: str) -> None:
    """Stop a token at once."""
    actor.require(Scope.ADMIN)

    async def work(tx: Transaction) -> None:
        await refuse_locked_actor(tx, actor)
        now = control.now()
        await tx.revoke_token(token_id, now)
        await tx.append([Entry(type="token.revoked", at=now, actor=actor.name, subject=token_id)])

    await control.store.write(work)


async def actor_of(control: Control, secret: str, *, via: str) -> Actor:
    """The actor that a token stands for; `Refused` for anything but a known, live token."""
    wanted = digest(secret)
    token = await control.store.read(lambda reader: reader.token_by_digest(wanted))
    now = control.now()
    known = token is not None and hmac.compare_digest(token.digest, wanted)
    if token is None or not known or token.revoked_at is not None or token.expires_at <= now:
        raise Refused("the token is not valid", hint="ask an administrator for a new one")
    return Actor(name=token.principal, scopes=token.scopes, via=via)


async def require_active(control: Control, actor: Actor) -> None:
    """Somebody who left acts no more: neither under a second name of theirs, nor through an agent they answer for.

    A principal that the catalog does not know, such as the first administrator, cannot have left it.

    Raises:
        Refused: the actor is known, and has left.
    """
    catalog = await control.store.read(lambda reader: reader.catalog())
    known = catalog.principals.get(actor.name)
    if known is None:
        return
    is_person = known.kind is PrincipalKind.PERSON
    if not catalog.may_hold(known.name) or (is_person and catalog.person_of(known.name) is None):
        raise Refused(f"`{actor.name}` is not active", hint="somebody who left acts no more")


def digest(secret: str) -> str:
    """Hex SHA-256 of a token, whatever was sent as one."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def _entry(kind: str, token: Token, actor: Actor, control: Control) -> Entry:
    return Entry(
        type=kind,
        at=control.now(),
        actor=actor.name,
        subject=token.id,
        after={"principal": token.principal, "scopes": to_data(token.scopes)},
    )
