"""Connectors: one kind of target each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lapse.domain.access import Applied, Assignment, Before, Failed, Fence, Observation, Removed, TargetCheck
from lapse.ports.gateway import Authority, Upstream


class Connector(Protocol):
    """One kind of target. Every call is idempotent, bounded in time, and confirms by reading back.

    A target that is not reached, or answers nonsense, gives `Failed` outcomes (bulk calls) or `Unavailable`.
    """

    @property
    def fences(self) -> frozenset[Fence]: ...

    def account_for(self, native: Mapping[str, str], login: str | None, grant_id: str) -> str:
        """The account a new grant will use: the beneficiary's `login`, or a name for an ephemeral one.

        Raises:
            Refused: the entitlement needs an existing login and the beneficiary has none linked.
        """
        ...

    async def check(self, natives: Sequence[Mapping[str, str]]) -> TargetCheck: ...
    async def look(self, assignments: Sequence[Assignment]) -> Sequence[Before]:
        """What is there before anything is applied. Raises `Unavailable`."""
        ...

    async def apply(self, assignments: Sequence[Assignment]) -> Sequence[Applied | Failed]: ...
    async def remove(self, assignments: Sequence[Assignment]) -> Sequence[Removed | Failed]:
        """Rights removed, credentials dead, sessions cut, read back; one outcome for each, in order."""
        ...

    async def issue_credential(self, assignment: Assignment) -> Mapping[str, str]:
        """A fresh secret for an ephemeral account: `user`, `password`, `host`, `port`, `dbname`.

        It kills the previous one.
        """
        ...

    async def upstream(self, assignment: Assignment, authority: Authority, public_key: str = "") -> Upstream:
        """How a gateway logs in as this grant's account, until its deadline; it sees to it that it can.

        `public_key` is of a fresh key for one session, where the target takes certificates.

        Raises:
            Refused: the entitlement says nothing that a gateway could log in with.
            Unavailable: the target had to be asked, and is not reached.
        """
        ...

    async def observe(self) -> Observation:
        """The true effective state of the whole target. Raises `Unavailable`."""
        ...

    async def close(self) -> None: ...
