"""Sessions: one connection through the gateway that used one grant, and why it ended.

`SESSION_LIFE` is the whole life of a session. Its deadline is the grant's `ends_at`, fixed when the session opens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from lapse.domain.errors import Conflict
from lapse.domain.lifecycle import Lifecycle
from lapse.domain.times import Instant


class SessionState(StrEnum):
    """Where a session is."""

    OPEN = "open"
    ENDED = "ended"


class SessionEvent(StrEnum):
    """What can happen to it."""

    END = "end"


class SessionEnd(StrEnum):
    """Why a session ended: closed by one side, or cut.

    `lost`: the gateway that held it is gone, and nobody knows when it really ended (not later than the deadline).
    """

    CLIENT = "client"
    SERVER = "server"
    ELAPSED = "elapsed"
    RELEASED = "released"
    REVOKED = "revoked"
    LOCKED = "locked"
    POLICY_CHANGED = "policy_changed"
    DRIFT = "drift"
    KILLED = "killed"
    IDLE = "idle"
    DRAINED = "drained"
    CONTROL_LOST = "control_lost"
    NOT_RECORDED = "not_recorded"
    FAILED = "failed"
    LOST = "lost"


SESSION_LIFE: Lifecycle[SessionState, SessionEvent] = Lifecycle(
    what="session",
    initial=frozenset({SessionState.OPEN}),
    table={(SessionState.OPEN, SessionEvent.END): SessionState.ENDED},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionUse:
    """What a session did, counted by the gateway. `kinds` counts by protocol's own words, e.g. `SELECT` or `exec`."""

    bytes_in: int = 0
    bytes_out: int = 0
    statements: int = 0
    rows: int = 0
    errors: int = 0
    refused: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One connection through the gateway.

    `account` is the login on the target, `gateway` the process that holds it, `place` where on the resource (a
    database; a host's user). `recorded` says whether its recording is whole; None while it runs. `must_end` is why it
    was told to end although its grant goes on.
    """

    id: str
    grant_id: str
    credential_id: str
    resource: str
    entitlement: str
    principal: str
    account: str
    protocol: str
    gateway: str
    client: str
    started_at: Instant
    deadline: Instant
    program: str = ""
    place: str = ""
    sponsor: str = ""
    state: SessionState = SessionState.OPEN
    ended_at: Instant | None = None
    end_reason: SessionEnd | None = None
    ended_by: str = ""
    use: SessionUse = field(default_factory=SessionUse)
    recorded: bool | None = None
    must_end: SessionEnd | None = None
    must_end_by: str = ""
    version: int = 0

    def told_to_end(self, reason: SessionEnd, by: str) -> Session:
        """Its gateway must cut it now; it is over when the gateway says so."""
        return replace(self, must_end=reason, must_end_by=by, version=self.version + 1)

    def ended(
        self, reason: SessionEnd, *, at: Instant, use: SessionUse | None = None, recorded: bool = False, by: str = ""
    ) -> Session:
        """It is over, at `at`."""
        return replace(
            self,
            state=SESSION_LIFE.step(self.state, SessionEvent.END),
            ended_at=at,
            end_reason=reason,
            ended_by=by,
            use=use or self.use,
            recorded=recorded,
            version=self.version + 1,
        )

    def found(self, reason: SessionEnd, *, at: Instant, use: SessionUse, recorded: bool, by: str = "") -> Session:
        """It was lost, and now its gateway says how it ended after all."""
        if self.end_reason is not SessionEnd.LOST:
            raise Conflict(f"session {self.id} is not lost")
        return replace(
            self,
            ended_at=at,
            end_reason=reason,
            ended_by=by,
            use=use,
            recorded=recorded,
            version=self.version + 1,
        )
