"""`Idempotency-Key` on writes: the same call with the same key is carried out once and answered the same again.

Keys belong to the actor that sent them. A key that comes back with another call is refused. Answers with secrets, and
errors, are not kept: such a call is simply carried out (or refused) again.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.requests import Request

from lapse.bootstrap.app import App
from lapse.domain.actors import Actor
from lapse.domain.names import is_printable
from lapse.entrypoints.api.problems import ProblemError
from lapse.ports import Transaction

LONGEST_KEY = 200


@dataclass(frozen=True, slots=True)
class Keyed:
    """A call with its key: `key` as stored, and a hash of everything that makes it this call."""

    key: str
    call_hash: str


def keyed(request: Request, actor: Actor, raw: bytes) -> Keyed | None:
    """The call's key, if it carries one."""
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    if not given or len(given) > LONGEST_KEY or not is_printable(given):
        raise ProblemError("malformed", f"an Idempotency-Key has 1 to {LONGEST_KEY} printable characters")
    call = f"{request.method} {request.url.path}?{request.url.query}\n".encode() + raw
    return Keyed(_digest(f"{actor.name}\n{given}".encode()), _digest(call))


@dataclass
class Replies:
    """Keeps and finds answers by key; two calls with one key at the same time are told apart here."""

    app: App
    _under_way: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def alone(self, call: Keyed) -> AsyncIterator[None]:
        """Refuse a second call with the key while the first is under way."""
        if call.key in self._under_way:
            raise ProblemError("idempotency-key-in-use", "a call with this Idempotency-Key is under way")
        self._under_way.add(call.key)
        try:
            yield
        finally:
            self._under_way.discard(call.key)

    async def find(self, call: Keyed) -> bytes | None:
        """The answer that the same call got before."""
        found = await self.app.store.read(lambda reader: reader.idempotent_reply(call.key))
        if found is None:
            return None
        call_hash, reply = found
        if call_hash != call.call_hash:
            raise ProblemError(
                "idempotency-key-reused",
                "this Idempotency-Key was used for another call",
                hint="use a new key for a new call",
            )
        return reply.encode()

    async def keep(self, call: Keyed, body: bytes) -> None:
        """Remember the answer of a call that went well."""

        async def work(tx: Transaction) -> None:
            await tx.record_reply(call.key, call.call_hash, body.decode(), self.app.clock.now())

        await self.app.store.write(work)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
