"""`Metrics` for Prometheus: the figures of one gateway process, on an HTTP address that only it answers.

What is counted is in docs/gateway.md. Labels have few values: protocols, resources of the catalog, reasons, calls.
Nothing that a client says becomes one. Made by `assembly`, where the settings name an address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import start_http_server

from lapse.domain.errors import Unavailable
from lapse.domain.sessions import Session, SessionEnd, SessionUse
from lapse.ports import Clock

_LATE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_ASKED = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 15)
_LONG = (1, 10, 60, 300, 900, 3_600, 4 * 3_600, 12 * 3_600)


class PrometheusMetrics:
    """Implements `gateway.measures.Metrics` in a registry of its own."""

    def __init__(self, gateway: str, version: str, clock: Clock) -> None:
        self._clock = clock
        self.registry = CollectorRegistry()
        self._open = self._gauge("sessions_open", "Sessions that are held now.", "protocol", "resource")
        self._ended = self._counter("sessions", "Sessions that are over.", "protocol", "resource", "reason")
        self._seconds = self._histogram("session_seconds", "How long sessions lasted.", _LONG, "protocol")
        self._late = self._histogram(
            "cut_late_seconds", "Ends after the deadline, or after the order.", _LATE, "reason"
        )
        self._bytes = self._counter("session_bytes", "Bytes of sessions that are over.", "protocol", "direction")
        self._statements = self._counter("statements", "Statements of sessions that are over.", "protocol", "outcome")
        self._turned_away = self._counter(
            "connections_refused", "Connections without a session.", "protocol", "outcome"
        )
        self._strangers = self._gauge("connections_unauthenticated", "Who has not proved who they are.", "protocol")
        self._asked = self._histogram("control_seconds", "Answers of lapse.", _ASKED, "call", "outcome")
        self._held = self._counter("holds", "Statements that waited for an approver.", "outcome")
        self._gauge("info", "This process.", "gateway", "version").labels(gateway, version).set(1)

    def connection(self, protocol: str, outcome: str) -> None:
        """See `Metrics`."""
        self._turned_away.labels(protocol, outcome).inc()

    def unauthenticated(self, protocol: str, number: int) -> None:
        """See `Metrics`."""
        self._strangers.labels(protocol).set(number)

    def opened(self, session: Session) -> None:
        """See `Metrics`."""
        self._open.labels(session.protocol, session.resource).inc()

    def ended(self, session: Session, reason: SessionEnd, use: SessionUse, late: timedelta | None) -> None:
        """See `Metrics`."""
        protocol = session.protocol
        self._open.labels(protocol, session.resource).dec()
        self._ended.labels(protocol, session.resource, str(reason)).inc()
        self._bytes.labels(protocol, "in").inc(use.bytes_in)
        self._bytes.labels(protocol, "out").inc(use.bytes_out)
        self._statements.labels(protocol, "failed").inc(use.errors)
        self._statements.labels(protocol, "refused").inc(use.refused)
        self._statements.labels(protocol, "done").inc(max(0, use.statements - use.errors - use.refused))
        self._seconds.labels(protocol).observe((self._clock.now() - session.started_at).total_seconds())
        if late is not None:
            self._late.labels(str(reason)).observe(late.total_seconds())

    def asked(self, call: str, seconds: float, *, failed: bool) -> None:
        """See `Metrics`."""
        self._asked.labels(call, "failed" if failed else "answered").observe(seconds)

    def held(self, outcome: str) -> None:
        """See `Metrics`."""
        self._held.labels(outcome).inc()

    def watch(self, name: str, says: str, value: Callable[[], float]) -> None:
        """A figure that is looked up whenever somebody asks."""
        self._gauge(name, says).set_function(value)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"lapse_gateway_{name}", says, labels, registry=self.registry)

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"lapse_gateway_{name}", says, labels, registry=self.registry)

    def _histogram(self, name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"lapse_gateway_{name}", says, labels, registry=self.registry, buckets=buckets)


@contextmanager
def told(metrics: PrometheusMetrics, host: str, port: int) -> Iterator[str]:
    """Answer Prometheus at this address while the body runs; yields the address.

    Raises:
        Unavailable: it is in use.
    """
    try:
        server, thread = start_http_server(port, host, metrics.registry)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Unavailable(
            f"figures cannot be told on {host}:{port}: {reason}", hint="set `gateway_metrics` to another address"
        ) from None
    try:
        yield f"{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
