"""`Idempotency-Key` on writes: the same call with the same key is carried out once and answered the same again.

Keys belong to the actor that sent them; a key that comes back with another call is refused. That a call was carried
out is on record in the same transaction as what it did, so that a crash before the answer cannot let it happen twice.
Answers with secrets are not kept. A call that changed nothing is simply carried out again.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from starlette.requests import Request

from lapse.bootstrap.app import App
from lapse.domain.actors import Actor
from lapse.domain.errors import LapseError
from lapse.domain.names import is_printable
from lapse.entrypoints.api.problems import ProblemError
from lapse.ports import Clock, LedgerStore, Reader, Store, Transaction

T = TypeVar("T")
LONGEST_KEY = 200


@dataclass(frozen=True, slots=True)
class Keyed:
    """A call with its key: `key` as stored, and a hash of everything that makes it this call."""

    key: str
    call_hash: str

    @property
    def claim(self) -> str:
        """The key under which it is on record that the call was carried out."""
        return f"{self.key}.carried-out"


def keyed(request: Request, actor: Actor, raw: bytes) -> Keyed | None:
    """The call's key, if it carries one."""
    given = request.headers.get("idempotency-key")
    if given is None:
        return None
    if not given or len(given) > LONGEST_KEY or not is_printable(given):
        raise ProblemError("malformed", f"an Idempotency-Key has 1 to {LONGEST_KEY} printable characters")
    call = f"{request.method} {request.url.path}?{request.url.query}\n".encode() + raw
    return Keyed(_digest(f"{actor.name}\n{given}".encode()), _digest(call))


class Kept(msgspec.Struct, frozen=True):
    """An answer as it is kept: its status and its JSON."""

    status: int
    body: msgspec.Raw


class ClaimingStore:
    """A `ports.Store` for one keyed call: its first transaction also records that the call was carried out."""

    def __init__(self, store: Store, clock: Clock, call: Keyed) -> None:
        self._store, self._clock, self._call = store, clock, call
        self.claimed = False

    @property
    def ledger(self) -> LedgerStore:
        """The store's own."""
        return self._store.ledger

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """As the store does."""
        return await self._store.read(work)

    async def write(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        """As the store does, with the claim in the first transaction that commits."""
        if self.claimed:
            return await self._store.write(work)

        async def claiming(tx: Transaction) -> T:
            await tx.record_reply(self._call.claim, self._call.call_hash, "null", self._clock.now())
            return await work(tx)

        result = await self._store.write(claiming)
        self.claimed = True
        return result

    async def close(self) -> None:
        """Nothing: the store is not this call's."""


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

    async def find(self, call: Keyed) -> Kept | None:
        """The answer that the same call got before."""
        kept = await self._recorded(call, call.key)
        if kept is not None:
            return msgspec.json.decode(kept, type=Kept)
        if await self._recorded(call, call.claim) is not None:
            raise ProblemError(
                "idempotency-key-in-use",
                "this call was carried out before, and its answer was lost",
                hint="look at what it was about; use a new key for a new call",
            )
        return None

    async def keep(self, call: Keyed, status: int, body: bytes) -> None:
        """Remember the answer. If that fails, the claim still prevents a second time, and the caller has the answer."""
        reply = msgspec.json.encode(Kept(status, msgspec.Raw(body))).decode()

        async def work(tx: Transaction) -> None:
            await tx.record_reply(call.key, call.call_hash, reply, self.app.clock.now())

        with suppress(LapseError):
            await self.app.store.write(work)

    async def _recorded(self, call: Keyed, key: str) -> str | None:
        found = await self.app.store.read(lambda reader: reader.idempotent_reply(key))
        if found is None:
            return None
        call_hash, reply = found
        if call_hash != call.call_hash:
            raise ProblemError(
                "idempotency-key-reused",
                "this Idempotency-Key was used for another call",
                hint="use a new key for a new call",
            )
        return reply


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
