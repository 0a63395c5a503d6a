"""What a gateway process is measured by: figures for Prometheus and spans for OpenTelemetry, as interfaces.

Protocols, listeners and the door call these; `bootstrap` chooses what stands behind. Neither ever gets a secret or a
statement's text.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Protocol

from lapse.domain.sessions import Session, SessionEnd, SessionUse


class Metrics(Protocol):
    """Figures. Every call is quick and never fails."""

    def connection(self, protocol: str, outcome: str) -> None:
        """A connection that never became a session: `too_many`, `login_timeout`, `login_failed`, or `refused`."""
        ...

    def unauthenticated(self, protocol: str, number: int) -> None:
        """So many connections have not proved who they are, now."""
        ...

    def opened(self, session: Session) -> None:
        """A session began."""
        ...

    def ended(self, session: Session, reason: SessionEnd, use: SessionUse, late: timedelta | None) -> None:
        """A session is over; `late`: how long after its deadline, or after the order to cut it."""
        ...

    def asked(self, call: str, seconds: float, *, failed: bool) -> None:
        """The control plane was asked; `failed`: it was not reached."""
        ...

    def held(self, outcome: str) -> None:
        """A statement waits for an approver: `asked`; or no longer: `allowed`, `refused`, `expired`, `dropped`."""
        ...


class Traces(Protocol):
    """Spans. The one that is open in a task is the parent of what is opened within it."""

    def span(self, name: str, **facts: str | int) -> AbstractContextManager[object]:
        """A span over the body, e.g. `login`, `upstream connect`, `relay`; an exception marks it as failed."""
        ...

    def note(self, **facts: str | int) -> None:
        """Add facts to the span that is open here."""
        ...


class NoMetrics:
    """Measures nothing."""

    def connection(self, protocol: str, outcome: str) -> None:
        """Nothing."""

    def unauthenticated(self, protocol: str, number: int) -> None:
        """Nothing."""

    def opened(self, session: Session) -> None:
        """Nothing."""

    def ended(self, session: Session, reason: SessionEnd, use: SessionUse, late: timedelta | None) -> None:
        """Nothing."""

    def asked(self, call: str, seconds: float, *, failed: bool) -> None:
        """Nothing."""

    def held(self, outcome: str) -> None:
        """Nothing."""


class NoTraces:
    """Traces nothing."""

    def span(self, name: str, **facts: str | int) -> AbstractContextManager[object]:  # noqa: ARG002  an interface
        """A body without a span."""
        return nullcontext()

    def note(self, **facts: str | int) -> None:
        """Nothing."""
