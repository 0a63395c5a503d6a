"""Cancel requests of clients: each session has a key of the gateway's own, which cancels on its own backend alone.

A client is told the process id of the target's backend, so that it is what `pg_backend_pid()` says, with a random key
of the gateway's. A request for a session of another process of the gateway is passed on through lapse.
"""

from __future__ import annotations

import hmac
import secrets
import struct
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from lapse.protocols.postgres.backend import BackendKeyData
from lapse.protocols.postgres.startup import LONG_KEYS_MINOR, CancelRequest

SHORT_KEY, LONG_KEY = 4, 32
_PROCESS = struct.Struct("!I")

Cancel = Callable[[], Awaitable[None]]


@dataclass(eq=False)
class Cancellable:
    """A session that can be cancelled with `key`."""

    process: int
    key: bytes = field(repr=False)
    cancel: Cancel

    @property
    def told(self) -> BackendKeyData:
        """What its client is told."""
        return BackendKeyData(self.process, self.key)


class Cancels:
    """The sessions of one gateway process, by the process id that their clients know."""

    def __init__(self) -> None:
        self._by_process: defaultdict[int, list[Cancellable]] = defaultdict(list)

    def add(self, process: int, minor: int, cancel: Cancel) -> Cancellable:
        """A session that speaks version 3.`minor`; `cancel` is called for it when its client asks."""
        size = LONG_KEY if minor >= LONG_KEYS_MINOR else SHORT_KEY
        one = Cancellable(process, secrets.token_bytes(size), cancel)
        self._by_process[process].append(one)
        return one

    def discard(self, one: Cancellable) -> None:
        """It is over."""
        left = self._by_process.get(one.process, [])
        if one in left:
            left.remove(one)
        if not left:
            self._by_process.pop(one.process, None)

    async def cancel(self, request: CancelRequest) -> bool:
        """Cancel what the session with this key runs; whether there is one.

        Returns when the target's server has acted, so that whoever asked can go on: what runs next is not cancelled.
        """
        found = [one for one in self._by_process.get(request.process, ()) if hmac.compare_digest(one.key, request.key)]
        for one in found:
            await one.cancel()
        return bool(found)


def packed(request: CancelRequest) -> bytes:
    """A request as it is passed on to other processes."""
    return _PROCESS.pack(request.process) + request.key


def unpacked(key: bytes) -> CancelRequest | None:
    """What another process passed on; None if it is none."""
    if len(key) <= _PROCESS.size:
        return None
    return CancelRequest(_PROCESS.unpack_from(key)[0], key[_PROCESS.size :])
