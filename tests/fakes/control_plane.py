"""A control plane in memory, for tests of gateways.

It knows the credentials it was given with `allow`, and remembers everything it was told. `away` makes every call fail
as if lapse could not be reached; `failing` are errors that the next calls of a name raise, one each, and with
`although_done` the call takes effect nevertheless. `stuck` calls wait until it is set.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lapse.domain.credentials import Credential, CredentialKind
from lapse.domain.errors import Conflict, LapseError, Refused, Unavailable
from lapse.domain.guards import GatewayRules, Guard
from lapse.domain.holds import Hold
from lapse.domain.recordings import Segment
from lapse.domain.sessions import Session, SessionEnd, SessionState, SessionUse
from lapse.ports import Admission, Attempt, Clock, Cut, Order, Upstream
from lapse.protocols.ssh.keys import public_text

NOWHERE = Upstream(host="127.0.0.1", port=1, user="app")


@dataclass(kw_only=True)
class Allowed:
    """One credential, and what it leads to."""

    credential: Credential
    upstream: Upstream = NOWHERE
    native: Mapping[str, str] = field(default_factory=dict)
    guard: Guard = field(default_factory=Guard)
    rules: GatewayRules = field(default_factory=GatewayRules)
    entitlement: str = "pg-prod/reader"
    refused: str = ""


@dataclass
class FakePlane:
    """Implements `ports.ControlPlane`."""

    clock: Clock
    allowed: dict[str, Allowed] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    segments: dict[str, Segment] = field(default_factory=dict)
    shipped: defaultdict[str, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    holds: dict[str, Hold] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    cancels: list[tuple[int, bytes]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    away: bool = False
    failing: defaultdict[str, deque[LapseError]] = field(default_factory=lambda: defaultdict(deque))
    although_done: bool = False
    stuck: dict[str, asyncio.Event] = field(default_factory=dict)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    user_ca: str = field(default_factory=lambda: public_text(Ed25519PrivateKey.generate().public_key()))
    _numbers: dict[str, int] = field(default_factory=dict)
    _told: defaultdict[str, asyncio.Queue[Order | LapseError]] = field(
        default_factory=lambda: defaultdict(asyncio.Queue)
    )
    _next: count[int] = field(default_factory=lambda: count(1))

    def allow(
        self,
        login: str,
        *,
        verifier: str = "",
        kind: CredentialKind = CredentialKind.SCRAM,
        life: timedelta = timedelta(hours=1),
        grant_id: str = "grt_1",
        single_use: bool = False,
        **leads_to: object,
    ) -> Allowed:
        """A credential for `login` from now on."""
        now = self.clock.now()
        credential = Credential(
            id=f"crd_{login}",
            grant_id=grant_id,
            resource="pg-prod",
            granted_to="alice",
            kind=kind,
            login=login,
            verifier=verifier,
            created_at=now,
            expires_at=now + life,
            single_use=single_use,
        )
        made = self.allowed[login] = Allowed(credential=credential, **leads_to)  # type: ignore[arg-type]
        return made

    def tell(self, gateway: str, order: Order | LapseError) -> None:
        """Give `gateway` an order, or break the connection that orders come by."""
        self._told[gateway].put_nowait(order)

    def cut(self, session_id: str, reason: SessionEnd = SessionEnd.REVOKED, by: str = "bob") -> None:
        """Tell the gateway that holds this session to cut it."""
        self.tell(self.sessions[session_id].gateway, Cut(session_id=session_id, reason=reason, by=by))

    @property
    def open(self) -> list[Session]:
        """Sessions that are on record as open."""
        return [one for one in self.sessions.values() if one.state is SessionState.OPEN]

    async def register(self, gateway: str, protocols: Sequence[str] = ()) -> int:
        async with self._call("register"):
            for session in [one for one in self.open if one.gateway == gateway]:
                self.sessions[session.id] = session.ended(SessionEnd.LOST, at=self.clock.now())
                self.tell(gateway, Cut(session_id=session.id, reason=SessionEnd.LOST))
            return self._numbers.setdefault(gateway, len(self._numbers) + 1)

    async def ssh_user_ca(self) -> str:
        async with self._call("ssh_user_ca"):
            return self.user_ca

    async def credential(self, login: str, protocol: str) -> Credential | None:
        async with self._call("credential"):
            allowed = self.allowed.get(login)
            return allowed.credential if allowed and allowed.credential.usable(self.clock.now()) else None

    async def admit(self, gateway: str, attempt: Attempt) -> Admission:
        async with self._call("admit"):
            allowed = next((a for a in self.allowed.values() if a.credential.id == attempt.credential_id), None)
            if allowed is None or not allowed.credential.usable(self.clock.now()):
                raise Refused("the credential is not valid any more")
            if allowed.refused:
                raise Refused(allowed.refused)
            if attempt.session_id in self.sessions:
                raise Conflict("there is a session with this id already")
            if allowed.credential.single_use:
                allowed.credential = replace(allowed.credential, used_at=self.clock.now())
            return self._opened(gateway, attempt, allowed)

    async def finish(
        self, session_id: str, reason: SessionEnd, at: datetime, use: SessionUse, *, recorded: bool, by: str = ""
    ) -> None:
        async with self._call("finish"):
            session = self.sessions.get(session_id)
            if session is not None and session.state is SessionState.OPEN:
                self.sessions[session_id] = session.ended(reason, at=at, use=use, recorded=recorded, by=by)
            elif session is not None and session.end_reason is SessionEnd.LOST and reason is not SessionEnd.LOST:
                self.sessions[session_id] = session.found(reason, at=at, use=use, recorded=recorded, by=by)
            self.finished.set()

    async def sealed(self, segment: Segment) -> None:
        async with self._call("sealed"):
            self.segments[segment.id] = segment

    async def ship(self, place: str, offset: int, data: bytes) -> None:
        async with self._call("ship"):
            there = self.shipped[place]
            if len(there) < offset:
                raise Conflict(f"`{place}` has {len(there)} bytes")
            there[offset:] = data

    async def hold(self, session_id: str, statement: str, why: str) -> Hold:
        async with self._call("hold"):
            session, now = self.sessions[session_id], self.clock.now()
            hold = Hold(
                id=f"hld_{next(self._next)}",
                session_id=session_id,
                grant_id=session.grant_id,
                resource=session.resource,
                entitlement=session.entitlement,
                principal=session.principal,
                statement=statement,
                sha256=sha256(statement.encode()).hexdigest(),
                why=why,
                approvers=("bob",),
                asked_at=now,
                expires_at=now + timedelta(minutes=5),
            )
            self.holds[hold.id] = hold
            return hold

    async def drop(self, hold_id: str) -> None:
        async with self._call("drop"):
            self.dropped.append(hold_id)

    async def cancel_elsewhere(self, process: int, key: bytes) -> None:
        async with self._call("cancel_elsewhere"):
            self.cancels.append((process, key))

    async def orders(self, gateway: str) -> AsyncIterator[Order]:
        self.calls.append("orders")
        if self.away:
            raise Unavailable("lapse cannot be reached")
        while True:
            told = await self._told[gateway].get()
            if isinstance(told, LapseError):
                raise told
            yield told

    def _call(self, name: str) -> _Call:
        return _Call(self, name)

    def _opened(self, gateway: str, attempt: Attempt, allowed: Allowed) -> Admission:
        credential = allowed.credential
        session = Session(
            id=attempt.session_id or f"ses_{next(self._next)}",
            grant_id=credential.grant_id,
            credential_id=credential.id,
            resource=credential.resource,
            entitlement=allowed.entitlement,
            principal=credential.granted_to,
            account=allowed.upstream.user,
            protocol=attempt.protocol,
            gateway=gateway,
            client=attempt.client,
            program=attempt.program,
            place=attempt.place,
            started_at=self.clock.now(),
            deadline=credential.expires_at,
        )
        self.sessions[session.id] = session
        return Admission(
            session=session,
            native=allowed.native,
            guard=allowed.guard,
            rules=allowed.rules,
            upstream=allowed.upstream,
            recording_key=sha256(session.id.encode()).digest(),
        )


@dataclass
class _Call:
    """One call: it may be stuck, fail before it took effect, or after."""

    plane: FakePlane
    name: str

    async def __aenter__(self) -> None:
        self.plane.calls.append(self.name)
        if self.name in self.plane.stuck:
            await self.plane.stuck[self.name].wait()
        if self.plane.away:
            raise Unavailable("lapse cannot be reached")
        if self.plane.failing[self.name] and not self.plane.although_done:
            raise self.plane.failing[self.name].popleft()

    async def __aexit__(self, kind: object, *_: object) -> None:
        if kind is None and self.plane.failing[self.name]:
            raise self.plane.failing[self.name].popleft()
