"""Sign-ins: begin one, find the actor behind a browser's secret, see and end them. Called by the web pages.

The secret is 256 random bits that only the browser keeps; here is its SHA-256, found by equality on an index.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from lapse.control.context import Control
from lapse.control.tokens import digest, require_active
from lapse.domain.actors import Actor, Scope, Token
from lapse.domain.data import to_data
from lapse.domain.errors import Conflict, NotFound, Refused
from lapse.domain.sign_ins import LONGEST, How, SignIn
from lapse.ledger.entry import Entry
from lapse.ports import Reader, Transaction

KEPT = timedelta(days=30)
"""How long one that is over is still listed."""
_LONGEST_AGENT = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignIn:
    """Who showed who they are, and how; `token` is what they showed, if it was one."""

    principal: str
    scopes: frozenset[Scope]
    how: How
    agent: str = ""
    token: Token | None = None


async def sign_in(control: Control, wanted: NewSignIn) -> tuple[SignIn, str]:
    """Begin one; its secret is returned once and kept nowhere. Never longer than the token it was opened with.

    Raises:
        Refused: the principal has left.
    """
    await require_active(control, Actor(name=wanted.principal, scopes=wanted.scopes, via="web"))
    secret, now = secrets.token_urlsafe(32), control.now()
    until = now + LONGEST
    made = SignIn(
        id=control.new_id("sig"),
        principal=wanted.principal,
        scopes=wanted.scopes,
        digest=digest(secret),
        how=wanted.how,
        created_at=now,
        expires_at=min(until, wanted.token.expires_at) if wanted.token else until,
        seen_at=now,
        agent="".join(c for c in wanted.agent if c.isprintable())[:_LONGEST_AGENT],
        token_id=wanted.token.id if wanted.token else "",
    )

    async def work(tx: Transaction) -> None:
        await tx.forget_sign_ins(now - KEPT)
        await tx.add_sign_in(made)
        after = {"principal": made.principal, "how": made.how.value, "scopes": to_data(made.scopes)}
        await tx.append([Entry(type="sign_in.begun", at=now, actor=made.principal, subject=made.id, after=after)])

    await control.store.write(work)
    return made, secret


async def signed_in(control: Control, secret: str) -> tuple[SignIn, Actor]:
    """The sign-in behind a browser's secret and who acts through it; notes that they were there.

    Raises:
        Refused: there is none, it is over, its token was revoked, or its owner has left.
    """
    wanted, now = digest(secret), control.now()

    async def find(reader: Reader) -> tuple[SignIn | None, bool]:
        found = await reader.sign_in_by_digest(wanted)
        return found, found is not None and await _token_stands(reader, found)

    found, stands = await control.store.read(find)
    if found is None or not hmac.compare_digest(found.digest, wanted) or not stands or not found.live(now):
        raise Refused("you are not signed in", hint="sign in again")
    actor = Actor(name=found.principal, scopes=found.scopes, via="web")
    await require_active(control, actor)
    return await _noted(control, found), actor


async def step_up(control: Control, sign_in_id: str) -> SignIn:
    """Somebody has shown a second time who they are; the caller has checked that."""

    async def work(tx: Transaction) -> SignIn:
        before = await tx.sign_in(sign_in_id)
        after, now = before.stepped_up(control.now()), control.now()
        await tx.save_sign_in(after)
        await tx.append([Entry(type="sign_in.stepped_up", at=now, actor=before.principal, subject=before.id)])
        return after

    return await control.store.write(work)


async def sign_out(control: Control, actor: Actor, sign_in_id: str) -> None:
    """End one: an own one, or as an administrator anybody's. One that is over already stays as it is.

    Raises:
        NotFound: there is none, or it is somebody else's.
    """

    async def work(tx: Transaction) -> None:
        before = await tx.sign_in(sign_in_id)
        if before.principal != actor.name and Scope.ADMIN not in actor.scopes:
            raise NotFound(f"there is no sign-in `{sign_in_id}`")
        after, now = before.ended(actor.name, control.now()), control.now()
        if after is not before:
            await tx.save_sign_in(after)
            await tx.append([Entry(type="sign_in.ended", at=now, actor=actor.name, subject=before.id)])

    await control.store.write(work)


async def sign_ins_of(control: Control, principal: str) -> Sequence[SignIn]:
    """Those of `principal` that are live now, the newest first."""
    now = control.now()
    kept = await control.store.read(lambda reader: reader.sign_ins(principal))
    return sorted((one for one in kept if one.live(now)), key=lambda one: (one.created_at, one.id), reverse=True)


async def _token_stands(reader: Reader, found: SignIn) -> bool:
    if not found.token_id:
        return True
    tokens = await reader.tokens(found.principal)
    return any(one.id == found.token_id and one.revoked_at is None for one in tokens)


async def _noted(control: Control, found: SignIn) -> SignIn:
    after = found.seen(control.now())
    if after is None:
        return found
    try:
        await control.store.write(lambda tx: tx.save_sign_in(after))
    except Conflict:
        return replace(found, seen_at=after.seen_at)  # another call of the same browser noted it
    return after
