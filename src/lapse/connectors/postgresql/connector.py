"""`ports.Connector` for PostgreSQL 13 and newer: validates, routes by mode, bounds, and turns trouble into outcomes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from lapse.connectors.postgresql import ending, ephemeral, gateway, membership
from lapse.connectors.postgresql.check import check_target
from lapse.connectors.postgresql.holdings import holdings
from lapse.connectors.postgresql.native import Mode, Native, account_for, check_account, parse_native
from lapse.connectors.postgresql.observe import observe_target
from lapse.connectors.postgresql.server import Limits, Server
from lapse.domain.access import (
    Applied,
    Assignment,
    Before,
    Failed,
    Fence,
    Observation,
    Removed,
    TargetCheck,
)
from lapse.domain.errors import LapseError, Refused
from lapse.ports import Authority, Clock, Upstream

Outcome = TypeVar("Outcome", Applied, Removed)
Work = Callable[[Server, Clock, Sequence[Assignment]], Awaitable[Sequence[Outcome | Failed]]]


class SystemClock:
    """The clock that is used where none is given."""

    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)

    async def wait_until(self, at: datetime) -> None:
        """Sleep until `at`."""
        await asyncio.sleep(max(0.0, (at - self.now()).total_seconds()))


class PostgresConnector:
    """One PostgreSQL server as a target. Belongs to the event loop in which it is first used."""

    def __init__(self, resource: str, dsn: str, *, clock: Clock | None = None, limits: Limits | None = None) -> None:
        self._server = Server(resource, dsn, limits or Limits())
        self._clock: Clock = clock or SystemClock()
        self._logins = gateway.GatewayLogins()

    @property
    def fences(self) -> frozenset[Fence]:
        """What every grant has. An ephemeral login also has `TARGET`: see `check`, which knows the modes."""
        return frozenset({Fence.RECONCILER})

    def account_for(self, native: Mapping[str, str], login: str | None, grant_id: str) -> str:
        """See `ports.Connector`."""
        return account_for(parse_native(native), login, grant_id)

    async def check(self, natives: Sequence[Mapping[str, str]]) -> TargetCheck:
        """Whether lapse has the rights that these entitlements take; what misses comes with its remedy."""
        return await self._server.bounded(check_target(self._server, natives))

    async def look(self, assignments: Sequence[Assignment]) -> Sequence[Before]:
        """What is there now; `held` counts nested memberships and superusers."""
        for a in assignments:
            check_account(parse_native(a.native), a.account)
        pairs = [(a.account, a.native["role"]) for a in assignments]

        async def work() -> list[Before]:
            async with self._server.connection() as connection:
                found = await holdings(connection, pairs)
            return [
                Before(grant_id=a.grant_id, held=h.effective, account_exists=h.account_exists)
                for a, h in zip(assignments, found, strict=True)
            ]

        return await self._server.bounded(work())

    async def apply(self, assignments: Sequence[Assignment]) -> Sequence[Applied | Failed]:
        """See `ports.Connector`."""
        return await self._by_mode(assignments, membership.apply, ephemeral.apply)

    async def remove(self, assignments: Sequence[Assignment]) -> Sequence[Removed | Failed]:
        """See `ports.Connector`."""
        return await self._by_mode(assignments, membership.remove, ending.remove)

    async def issue_credential(self, assignment: Assignment) -> Mapping[str, str]:
        """See `ports.Connector`. `Refused` for a membership, which is used with the person's own login."""
        native = parse_native(assignment.native)
        check_account(native, assignment.account)
        if native.mode is not Mode.EPHEMERAL:
            raise Refused(
                f"`{native.role}` is used with the login `{assignment.account}` and its own password",
                hint="log in as usual",
            )
        self._logins.forget(assignment.account)
        return await self._server.bounded(ephemeral.issue_credential(self._server, assignment))

    async def upstream(self, assignment: Assignment, authority: Authority, public_key: str = "") -> Upstream:  # noqa: ARG002  it takes no SSH keys
        """See `ports.Connector`."""
        native = parse_native(assignment.native)
        check_account(native, assignment.account)
        work = gateway.upstream(self._server, self._logins, native, assignment, authority)
        return await self._server.bounded(work)

    async def observe(self) -> Observation:
        """See `ports.Connector`."""
        work = observe_target(self._server, self._clock)
        return await self._server.bounded(work, self._server.limits.observe)

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()

    async def _by_mode(
        self, assignments: Sequence[Assignment], member: Work[Outcome], login: Work[Outcome]
    ) -> list[Outcome | Failed]:
        """Run each mode's assignments in one batch; outcomes come back in the order of `assignments`."""
        outcomes: dict[int, Outcome | Failed] = {}
        batches: dict[Mode, list[int]] = {Mode.MEMBERSHIP: [], Mode.EPHEMERAL: []}
        parsed: dict[int, Native] = {}
        for place, a in enumerate(assignments):
            try:
                # Thousands of grants share the native of one entitlement; it is the same object and is read once.
                native = parsed.get(id(a.native)) or parsed.setdefault(id(a.native), parse_native(a.native))
                check_account(native, a.account)
                batches[native.mode].append(place)
            except LapseError as error:
                outcomes[place] = Failed(grant_id=a.grant_id, error=error.message, maybe_applied=False)

        async def run(mode: Mode, work: Work[Outcome]) -> None:
            places = batches[mode]
            found = await self._outcomes([assignments[p] for p in places], work)
            outcomes.update(zip(places, found, strict=True))

        await asyncio.gather(run(Mode.MEMBERSHIP, member), run(Mode.EPHEMERAL, login))
        return [outcomes[place] for place in range(len(assignments))]

    async def _outcomes(self, batch: Sequence[Assignment], work: Work[Outcome]) -> Sequence[Outcome | Failed]:
        async def run() -> Sequence[Outcome | Failed]:
            return await work(self._server, self._clock, batch)

        if not batch:
            return []
        try:
            return await self._server.bounded(run())
        except LapseError as error:
            return [Failed(grant_id=a.grant_id, error=error.message) for a in batch]
