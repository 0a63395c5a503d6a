"""What the store keeps of gateways: credentials, sessions, recordings' segments, holds, and runs of their processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from lapse.domain.credentials import Credential
from lapse.domain.gateways import GatewayRun
from lapse.domain.holds import Hold, HoldState
from lapse.domain.recordings import Segment
from lapse.domain.sessions import Session, SessionState
from lapse.ports.basics import Page


class GatewayReader(Protocol):
    """The reading part; see `ports.Reader`."""

    async def credential(self, credential_id: str) -> Credential: ...
    async def credential_by_login(self, login: str) -> Credential | None:
        """The credential with this login, live or not; no two ever share one."""
        ...

    async def credentials(
        self, page: Page, *, grant_id: str | None = None, granted_to: str | None = None, live_only: bool = False
    ) -> Sequence[Credential]:
        """`live_only`: neither revoked nor spent; some may have expired."""
        ...

    async def credentials_in_force(self, now: datetime) -> Sequence[Credential]:
        """All that are neither revoked nor spent and have not expired at `now`, by their end; whatever their grant."""
        ...

    async def session(self, session_id: str) -> Session: ...
    async def sessions(
        self,
        page: Page,
        *,
        states: Iterable[SessionState] = (),
        grant_id: str | None = None,
        principal: str | None = None,
        resource: str | None = None,
        gateway: str | None = None,
    ) -> Sequence[Session]: ...
    async def sessions_by_id(self, session_ids: Iterable[str]) -> Sequence[Session]:
        """Those of `session_ids` that there are, by id."""
        ...

    async def open_sessions(
        self, *, grants: Iterable[str] | None = None, gateways: Iterable[str] | None = None
    ) -> Sequence[Session]:
        """All open sessions, those of `grants`, those held by `gateways`; by id. Costs grow with what is found."""
        ...

    async def sessions_to_cut(self, gateway: str) -> Sequence[Session]:
        """Open sessions held by `gateway` that were told to end, or whose grant is not active (any more); by id."""
        ...

    async def sessions_lost(self, gateway: str, now: datetime) -> Sequence[Session]:
        """Sessions of `gateway` that are lost on record, with `deadline > now`: they may still run there; by id."""
        ...

    async def count_sessions(self, resource: str, principals: Iterable[str]) -> tuple[int, int]:
        """How many sessions are open on `resource`, and how many of them are those of `principals`."""
        ...

    async def sessions_due(self, now: datetime, limit: int) -> Sequence[Session]:
        """Open sessions with `deadline <= now`, earliest first."""
        ...

    async def segment(self, segment_id: str) -> Segment: ...
    async def segments(self, session_id: str) -> Sequence[Segment]:
        """The segments of one session's recording, by number."""
        ...

    async def segments_due(self, now: datetime, limit: int) -> Sequence[Segment]:
        """Segments that are not removed with `keep_until <= now`, oldest first."""
        ...

    async def hold(self, hold_id: str) -> Hold: ...
    async def holds(
        self,
        page: Page,
        *,
        states: Iterable[HoldState] = (),
        session_id: str | None = None,
        resource: str | None = None,
    ) -> Sequence[Hold]: ...
    async def holds_due(self, now: datetime, limit: int) -> Sequence[Hold]:
        """Waiting holds with `expires_at <= now`, oldest first."""
        ...

    async def gateway_runs(self, *, name: str | None = None, open_only: bool = True) -> Sequence[GatewayRun]:
        """Runs of gateway processes: those that are not over, or all; by id."""
        ...


class GatewayWriter(Protocol):
    """The writing part; see `ports.Transaction`. `save_*` is optimistic, and all or none."""

    async def add_credential(self, credential: Credential) -> None: ...
    async def save_credentials(self, credentials: Sequence[Credential]) -> None: ...
    async def add_session(self, session: Session) -> None: ...
    async def save_sessions(self, sessions: Sequence[Session]) -> None: ...
    async def add_segment(self, segment: Segment) -> None:
        """A sealed segment; `Conflict` if its session has one with this number."""
        ...

    async def save_segments(self, segments: Sequence[Segment]) -> None: ...
    async def add_hold(self, hold: Hold) -> None: ...
    async def save_holds(self, holds: Sequence[Hold]) -> None: ...
    async def add_gateway_run(self, run: GatewayRun) -> None: ...
    async def save_gateway_run(self, run: GatewayRun) -> None: ...
