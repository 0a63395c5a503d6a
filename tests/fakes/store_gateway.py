"""The part of the in-memory store that knows of gateways. Used by `fakes.store` alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from lapse.domain.credentials import Credential
from lapse.domain.gateways import GatewayRun
from lapse.domain.grants import GrantState
from lapse.domain.holds import Hold, HoldState
from lapse.domain.recordings import Segment
from lapse.domain.sessions import Session, SessionEnd, SessionState
from lapse.ports import Page

GATEWAY_TABLES = ("credential", "session", "segment", "hold", "gateway_run")


class FakeGatewayTransaction:
    """Reads and writes what gateways do; the tables are those of the transaction that inherits it."""

    tables: dict[str, dict[Any, Any]]

    async def credential(self, credential_id: str) -> Credential:
        return self._one("credential", credential_id)

    async def credential_by_login(self, login: str) -> Credential | None:
        return next(iter(self._where("credential", login=login)), None)

    async def credentials(
        self, page: Page, *, grant_id: str | None = None, granted_to: str | None = None, live_only: bool = False
    ) -> Sequence[Credential]:
        found = self._where("credential", grant_id=grant_id, granted_to=granted_to)
        return self._page_of(page, (c for c in found if not live_only or not _spent(c)))

    async def credentials_in_force(self, now: datetime) -> Sequence[Credential]:
        found = [c for c in self._where("credential") if not _spent(c) and c.expires_at > now]
        return sorted(found, key=lambda c: (c.expires_at, c.id))

    async def session(self, session_id: str) -> Session:
        return self._one("session", session_id)

    async def sessions(
        self,
        page: Page,
        *,
        states: Iterable[SessionState] = (),
        grant_id: str | None = None,
        principal: str | None = None,
        resource: str | None = None,
        gateway: str | None = None,
    ) -> Sequence[Session]:
        wanted = frozenset(states)
        found = self._where("session", grant_id=grant_id, principal=principal, resource=resource, gateway=gateway)
        return self._page_of(page, (s for s in found if not wanted or s.state in wanted))

    async def sessions_by_id(self, session_ids: Iterable[str]) -> Sequence[Session]:
        wanted = frozenset(session_ids)
        return [s for s in self._where("session") if s.id in wanted]

    async def open_sessions(
        self, *, grants: Iterable[str] | None = None, gateways: Iterable[str] | None = None
    ) -> Sequence[Session]:
        of = None if grants is None else frozenset(grants)
        held = None if gateways is None else frozenset(gateways)
        found = self._where("session", state=SessionState.OPEN)
        return [s for s in found if (of is None or s.grant_id in of) and (held is None or s.gateway in held)]

    async def sessions_to_cut(self, gateway: str) -> Sequence[Session]:
        active = {g.id for g in self._where("grant", state=GrantState.ACTIVE)}
        found = self._where("session", state=SessionState.OPEN, gateway=gateway)
        return [s for s in found if s.must_end is not None or s.grant_id not in active]

    async def sessions_lost(self, gateway: str, now: datetime) -> Sequence[Session]:
        found = self._where("session", state=SessionState.ENDED, gateway=gateway)
        return [s for s in found if s.end_reason is SessionEnd.LOST and s.deadline > now]

    async def count_sessions(self, resource: str, principals: Iterable[str]) -> tuple[int, int]:
        names = frozenset(principals)
        found = self._where("session", state=SessionState.OPEN, resource=resource)
        return len(found), sum(s.principal in names for s in found)

    async def sessions_due(self, now: datetime, limit: int) -> Sequence[Session]:
        due = [s for s in self._where("session", state=SessionState.OPEN) if s.deadline <= now]
        return sorted(due, key=lambda s: (s.deadline, s.id))[:limit]

    async def segment(self, segment_id: str) -> Segment:
        return self._one("segment", segment_id)

    async def segments(self, session_id: str) -> Sequence[Segment]:
        return sorted(self._where("segment", session_id=session_id), key=lambda s: s.number)

    async def segments_due(self, now: datetime, limit: int) -> Sequence[Segment]:
        due = [s for s in self._where("segment") if s.removed_at is None and s.keep_until <= now]
        return sorted(due, key=lambda s: (s.keep_until, s.id))[:limit]

    async def hold(self, hold_id: str) -> Hold:
        return self._one("hold", hold_id)

    async def holds(
        self,
        page: Page,
        *,
        states: Iterable[HoldState] = (),
        session_id: str | None = None,
        resource: str | None = None,
    ) -> Sequence[Hold]:
        wanted = frozenset(states)
        found = self._where("hold", session_id=session_id, resource=resource)
        return self._page_of(page, (h for h in found if not wanted or h.state in wanted))

    async def holds_due(self, now: datetime, limit: int) -> Sequence[Hold]:
        due = [h for h in self._where("hold", state=HoldState.WAITING) if h.expires_at <= now]
        return sorted(due, key=lambda h: (h.expires_at, h.id))[:limit]

    async def gateway_runs(self, *, name: str | None = None, open_only: bool = True) -> Sequence[GatewayRun]:
        return [r for r in self._where("gateway_run", name=name) if not open_only or r.over_at is None]

    async def add_credential(self, credential: Credential) -> None:
        if self._where("credential", login=credential.login):
            raise self._fail(f"credential `{credential.login}` already exists")
        self._add("credential", credential.id, credential)

    async def save_credentials(self, credentials: Sequence[Credential]) -> None:
        self._save_all("credential", credentials)

    async def add_session(self, session: Session) -> None:
        self._add("session", session.id, session)

    async def save_sessions(self, sessions: Sequence[Session]) -> None:
        self._save_all("session", sessions)

    async def add_segment(self, segment: Segment) -> None:
        if any(s.number == segment.number for s in self._where("segment", session_id=segment.session_id)):
            raise self._fail(f"segment {segment.number} of `{segment.session_id}` already exists")
        self._add("segment", segment.id, segment)

    async def save_segments(self, segments: Sequence[Segment]) -> None:
        self._save_all("segment", segments)

    async def add_hold(self, hold: Hold) -> None:
        self._add("hold", hold.id, hold)

    async def save_holds(self, holds: Sequence[Hold]) -> None:
        self._save_all("hold", holds)

    async def add_gateway_run(self, run: GatewayRun) -> None:
        self._add("gateway_run", run.id, run)

    async def save_gateway_run(self, run: GatewayRun) -> None:
        self._save_all("gateway_run", (run,))

    def _save_all(self, table: str, values: Iterable[Any]) -> None:
        for value in values:
            self._save(table, value)

    # what the transaction has

    def _one(self, table: str, key: str) -> Any:
        raise NotImplementedError

    def _where(self, table: str, **fields: object) -> list[Any]:
        raise NotImplementedError

    def _page_of(self, page: Page, rows: Iterable[Any]) -> list[Any]:
        raise NotImplementedError

    def _add(self, table: str, key: str, value: object) -> None:
        raise NotImplementedError

    def _save(self, table: str, value: Any) -> None:
        raise NotImplementedError

    def _fail(self, message: str) -> Exception:
        raise NotImplementedError


def _spent(credential: Credential) -> bool:
    return credential.revoked_at is not None or (credential.single_use and credential.used_at is not None)
