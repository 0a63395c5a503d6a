"""`ports.GatewayReader` over a link: credentials, sessions, segments, holds and gateway runs. Part of `reading`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from lapse.domain.credentials import Credential
from lapse.domain.gateways import GatewayRun
from lapse.domain.holds import Hold, HoldState
from lapse.domain.recordings import Segment
from lapse.domain.sessions import Session, SessionState
from lapse.ports import Page
from lapse.storage import queries, shelves
from lapse.storage.documents import micros
from lapse.storage.rows import RowReader


class SqlGatewayReader(RowReader):
    """What the store knows of gateways and what went through them."""

    async def credential(self, credential_id: str) -> Credential:
        """One credential."""
        return await self._one(shelves.CREDENTIALS, credential_id)

    async def credential_by_login(self, login: str) -> Credential | None:
        """The credential with this login, live or not."""
        found = await self._many(shelves.CREDENTIALS.documents, queries.CREDENTIAL_BY_LOGIN, login=login)
        return found[0] if found else None

    async def credentials(
        self, page: Page, *, grant_id: str | None = None, granted_to: str | None = None, live_only: bool = False
    ) -> Sequence[Credential]:
        """A page of credentials."""
        filters = {"grant_id": grant_id, "granted_to": granted_to}
        return await self._page(shelves.CREDENTIALS, page, filters, [], unfinished=live_only)

    async def credentials_in_force(self, now: datetime) -> Sequence[Credential]:
        """Credentials that are neither revoked, spent nor expired."""
        return await self._many(shelves.CREDENTIALS.documents, queries.CREDENTIALS_IN_FORCE, now=micros(now))

    async def session(self, session_id: str) -> Session:
        """One session."""
        return await self._one(shelves.SESSIONS, session_id)

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
        """A page of sessions."""
        wanted = frozenset(states)
        filters = {"grant_id": grant_id, "principal": principal, "resource": resource, "gateway": gateway}
        unfinished = wanted == {SessionState.OPEN}
        return await self._page(shelves.SESSIONS, page, filters, [s.value for s in wanted], unfinished=unfinished)

    async def sessions_by_id(self, session_ids: Iterable[str]) -> Sequence[Session]:
        """Those of `session_ids` that there are."""
        return await self._many(shelves.SESSIONS.documents, queries.SESSIONS_BY_ID, ids=sorted(set(session_ids)))

    async def open_sessions(
        self, *, grants: Iterable[str] | None = None, gateways: Iterable[str] | None = None
    ) -> Sequence[Session]:
        """All open sessions, those of `grants`, those held by `gateways`."""
        documents = shelves.SESSIONS.documents
        if grants is None and gateways is None:
            return await self._many(documents, queries.OPEN_SESSIONS)
        if grants is None:
            held = sorted(set(gateways or ()))
            found = await self._many(documents, queries.OPEN_SESSIONS_OF_GATEWAYS, gateways=held)
            return sorted(found, key=lambda session: session.id)
        found = await self._many(documents, queries.OPEN_SESSIONS_OF_GRANTS, grants=sorted(set(grants)))
        wanted = None if gateways is None else frozenset(gateways)
        there = (session for session in found if wanted is None or session.gateway in wanted)
        return sorted(there, key=lambda session: session.id)

    async def sessions_to_cut(self, gateway: str) -> Sequence[Session]:
        """Open sessions of one gateway that were told to end or whose grant is not active."""
        found = await self._many(shelves.SESSIONS.documents, queries.SESSIONS_TO_CUT, gateway=gateway)
        return sorted(found, key=lambda session: session.id)

    async def sessions_lost(self, gateway: str, now: datetime) -> Sequence[Session]:
        """Lost sessions of one gateway that may still run."""
        found = await self._many(shelves.SESSIONS.documents, queries.SESSIONS_LOST, gateway=gateway, now=micros(now))
        return sorted(found, key=lambda session: session.id)

    async def count_sessions(self, resource: str, principals: Iterable[str]) -> tuple[int, int]:
        """How many sessions are open on `resource`, and how many of them are those of `principals`."""
        ((everybodys,),) = await self._link.rows(queries.COUNT_SESSIONS, resource=resource)
        names = sorted(set(principals))
        ((theirs,),) = await self._link.rows(queries.COUNT_SESSIONS_OF, resource=resource, principals=names)
        return everybodys, theirs

    async def sessions_due(self, now: datetime, limit: int) -> Sequence[Session]:
        """Open sessions with `deadline <= now`, earliest first."""
        return await self._many(shelves.SESSIONS.documents, queries.SESSIONS_DUE, now=micros(now), limit=limit)

    async def segment(self, segment_id: str) -> Segment:
        """One segment."""
        return await self._one(shelves.SEGMENTS, segment_id)

    async def segments(self, session_id: str) -> Sequence[Segment]:
        """The segments of one session's recording, by number."""
        return await self._many(shelves.SEGMENTS.documents, queries.SEGMENTS_OF, session_id=session_id)

    async def segments_due(self, now: datetime, limit: int) -> Sequence[Segment]:
        """Segments that are there and may be removed, oldest first."""
        return await self._many(shelves.SEGMENTS.documents, queries.SEGMENTS_DUE, now=micros(now), limit=limit)

    async def hold(self, hold_id: str) -> Hold:
        """One hold."""
        return await self._one(shelves.HOLDS, hold_id)

    async def holds(
        self,
        page: Page,
        *,
        states: Iterable[HoldState] = (),
        session_id: str | None = None,
        resource: str | None = None,
    ) -> Sequence[Hold]:
        """A page of holds."""
        wanted = frozenset(states)
        filters = {"session_id": session_id, "resource": resource}
        unfinished = wanted == {HoldState.WAITING}
        return await self._page(shelves.HOLDS, page, filters, [s.value for s in wanted], unfinished=unfinished)

    async def holds_due(self, now: datetime, limit: int) -> Sequence[Hold]:
        """Waiting holds with `expires_at <= now`, oldest first."""
        return await self._many(shelves.HOLDS.documents, queries.HOLDS_DUE, now=micros(now), limit=limit)

    async def gateway_runs(self, *, name: str | None = None, open_only: bool = True) -> Sequence[GatewayRun]:
        """Runs of gateway processes, by id."""
        if not open_only:
            return await self._where(shelves.GATEWAY_RUNS, name=name)
        found = await self._many(shelves.GATEWAY_RUNS.documents, queries.OPEN_GATEWAY_RUNS)
        return [run for run in found if name in {None, run.name}]
