"""A protected target in memory, and a connector to it that can be made to fail in every way that matters.

`FakeTarget` is the truth (what a real server's catalog would say); tests read and change it directly.
`FakeConnector` passes the same contract as the real connectors (tests/contract/test_connector.py).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from lapse.domain.access import (
    Applied,
    Assignment,
    Before,
    CheckItem,
    Failed,
    Fence,
    Observation,
    ObservedAccount,
    ObservedMembership,
    Removed,
    TargetCheck,
)
from lapse.domain.errors import NotFound, Refused, Unavailable
from lapse.ports import Authority, Clock, Upstream


class Fault(StrEnum):
    """How a call goes wrong."""

    UNREACHABLE = "unreachable"  # nothing happens on the target, and it cannot be read
    NOT_APPLIED = "not_applied"  # nothing happens, the target was read and says so
    APPLIED = "applied"  # all of it happens, and the caller hears of a failure
    SLOW = "slow"  # waits until `release` is called, then works
    NONSENSE = "nonsense"  # the target answers what cannot be understood


@dataclass
class FakeAccount:
    can_login: bool = True
    valid_until: datetime | None = None
    password: str | None = None
    powers: tuple[str, ...] = ()
    last_activity: datetime | None = None


@dataclass
class FakeTarget:
    """Accounts, who holds which role, and who is connected.

    A login that nobody mentioned exists as soon as it is granted something, unless it is in `absent`.
    """

    accounts: dict[str, FakeAccount] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    memberships: set[tuple[str, str]] = field(default_factory=set)
    sessions: dict[str, list[int]] = field(default_factory=dict)
    _pids: Iterable[int] = field(default_factory=lambda: itertools.count(1000))

    def add_login(self, *names: str) -> None:
        for name in names:
            self.accounts[name] = FakeAccount()

    def grant(self, account: str, role: str) -> None:
        """By hand, behind the connector's back."""
        self.memberships.add((account, role))

    def revoke(self, account: str, role: str) -> None:
        self.memberships.discard((account, role))

    def holds(self, account: str, role: str) -> bool:
        return (account, role) in self.memberships

    def open_session(self, account: str) -> int:
        pid = next(iter(self._pids))
        self.sessions.setdefault(account, []).append(pid)
        return pid


@dataclass
class _Injected:
    fault: Fault
    on: str
    times: int | None
    grants: frozenset[str] | None


class FakeConnector:
    """Implements `ports.Connector` over a `FakeTarget`. `calls` lists (method, grant ids) in order.

    `inject(Fault.APPLIED, on="remove", times=2)` makes the next two removes fail that way; `times=None` lasts until
    `heal()`. With `grants` only those are hit, the others of the same call succeed.
    """

    def __init__(
        self,
        target: FakeTarget | None = None,
        *,
        resource: str = "pg-prod",
        clock: Clock | None = None,
    ) -> None:
        self.target = target or FakeTarget()
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.closed = False
        self._resource = resource
        self._clock = clock
        self._injected: list[_Injected] = []
        self._gate = asyncio.Event()
        self._secrets = itertools.count(1)

    def inject(
        self, fault: Fault, *, on: str = "*", times: int | None = 1, grants: Iterable[str] | None = None
    ) -> None:
        self._injected.append(_Injected(fault, on, times, None if grants is None else frozenset(grants)))

    def holds(self, account: str, role: str) -> bool:
        """What the target's own catalog says."""
        return self.target.holds(account, role)

    def heal(self) -> None:
        """Take back every fault and let slow calls go on."""
        self._injected.clear()
        self.release()

    def release(self) -> None:
        """Let slow calls go on."""
        self._gate.set()

    @property
    def fences(self) -> frozenset[Fence]:
        return frozenset({Fence.RECONCILER})

    def account_for(self, native: Mapping[str, str], login: str | None, grant_id: str) -> str:
        if native.get("mode") == "ephemeral":
            return f"lapse_{grant_id.lower()}"
        if login is None:
            raise Refused("this role needs an existing login", hint="link the beneficiary's login in the catalog")
        return login

    async def check(self, natives: Sequence[Mapping[str, str]]) -> TargetCheck:
        await self._meet("check")
        items = tuple(
            CheckItem(name=f"role {n.get('role', '')}", ok=bool(n.get("role")), needed_for="") for n in natives
        )
        return TargetCheck(server="fake 1", items=items, fences=self.fences)

    async def look(self, assignments: Sequence[Assignment]) -> Sequence[Before]:
        await self._meet("look", assignments)
        return [
            Before(
                grant_id=a.grant_id,
                held=self.target.holds(a.account, a.native["role"]),
                account_exists=a.account in self.target.accounts
                or (a.native.get("mode") != "ephemeral" and a.account not in self.target.absent),
            )
            for a in assignments
        ]

    async def apply(self, assignments: Sequence[Assignment]) -> Sequence[Applied | Failed]:
        fault, hit = await self._next_fault("apply", assignments)
        return [
            self._fails(a, fault, self._apply_one) if a.grant_id in hit else self._apply_one(a) for a in assignments
        ]

    async def remove(self, assignments: Sequence[Assignment]) -> Sequence[Removed | Failed]:
        fault, hit = await self._next_fault("remove", assignments)
        return [
            self._fails(a, fault, self._remove_one) if a.grant_id in hit else self._remove_one(a) for a in assignments
        ]

    async def issue_credential(self, assignment: Assignment) -> Mapping[str, str]:
        await self._meet("issue_credential", [assignment])
        if assignment.native.get("mode") != "ephemeral":
            raise Refused("this role is used with the beneficiary's own login")
        account = self.target.accounts.get(assignment.account)
        if account is None:
            raise NotFound(f"`{assignment.account}` does not exist on the target")
        account.password = f"secret-{next(self._secrets)}"
        return {
            "user": assignment.account,
            "password": account.password,
            "host": "127.0.0.1",
            "port": "5432",
            "dbname": assignment.native.get("database", "postgres"),
        }

    async def upstream(self, assignment: Assignment, authority: Authority, public_key: str = "") -> Upstream:
        await self._meet("upstream", [assignment])
        if assignment.account not in self.target.accounts:
            raise NotFound(f"`{assignment.account}` does not exist on the target")
        return Upstream(host="127.0.0.1", port=5432, user=assignment.account, secret="known to lapse alone")

    async def observe(self) -> Observation:
        await self._meet("observe")
        target = self.target
        return Observation(
            resource=self._resource,
            observed_at=self._now(),
            server="fake 1",
            accounts=tuple(
                ObservedAccount(
                    name=name,
                    can_login=account.can_login,
                    powers=account.powers,
                    valid_until=account.valid_until,
                    last_activity=account.last_activity,
                    sessions=len(target.sessions.get(name, ())),
                )
                for name, account in sorted(target.accounts.items())
            ),
            memberships=tuple(
                ObservedMembership(member=member, role=role) for member, role in sorted(target.memberships)
            ),
            evidence={"accounts": "the fake's memory", "memberships": "the fake's memory"},
            own_account="lapse",
        )

    async def close(self) -> None:
        self.closed = True

    def _now(self) -> datetime:
        return self._clock.now() if self._clock else datetime.now(UTC)

    def _apply_one(self, a: Assignment) -> Applied | Failed:
        if a.native.get("mode") == "ephemeral":
            account = self.target.accounts.setdefault(a.account, FakeAccount())
            account.valid_until = a.ends_at
        elif a.account in self.target.absent:
            error = f"role `{a.account}` does not exist"
            return Failed(grant_id=a.grant_id, error=error, maybe_applied=False)
        self.target.accounts.setdefault(a.account, FakeAccount())
        self.target.grant(a.account, a.native["role"])
        return Applied(grant_id=a.grant_id, confirmed_at=self._now())

    def _remove_one(self, a: Assignment) -> Removed:
        self.target.revoke(a.account, a.native["role"])
        cut = len(self.target.sessions.pop(a.account, ()))
        if a.native.get("mode") == "ephemeral":
            self.target.accounts.pop(a.account, None)
        return Removed(grant_id=a.grant_id, refused_at=self._now(), proof=("catalog: not a member",), sessions_cut=cut)

    def _fails(
        self, a: Assignment, fault: Fault | None, do: Callable[[Assignment], Applied | Removed | Failed]
    ) -> Failed:
        if fault is Fault.APPLIED:
            do(a)
        return Failed(
            grant_id=a.grant_id,
            error=f"injected: {fault}",
            maybe_applied=fault is not Fault.NOT_APPLIED or self.target.holds(a.account, a.native["role"]),
        )

    async def _meet(self, method: str, assignments: Sequence[Assignment] = ()) -> None:
        """For calls that raise instead of returning outcomes."""
        fault, _ = await self._next_fault(method, assignments)
        if fault is not None:
            raise Unavailable(f"injected: {fault}")

    async def _next_fault(self, method: str, assignments: Sequence[Assignment]) -> tuple[Fault | None, frozenset[str]]:
        ids = tuple(a.grant_id for a in assignments)
        self.calls.append((method, ids))
        # Real connectors never answer within the same turn of the loop.
        await asyncio.sleep(0)
        found = self._take(method, frozenset(ids))
        if found is None:
            return None, frozenset()
        if found.fault is Fault.SLOW:
            await self._gate.wait()
            return None, frozenset()
        hit = frozenset(ids) if found.grants is None else found.grants & frozenset(ids)
        return found.fault, hit

    def _take(self, method: str, ids: frozenset[str]) -> _Injected | None:
        for one in self._injected:
            if one.on in {method, "*"} and (one.grants is None or one.grants & ids):
                if one.times is not None:
                    one.times -= 1
                    if one.times <= 0:
                        self._injected.remove(one)
                return one
        return None
