"""`Traces` for OpenTelemetry: spans of connections, sent by OTLP. The library is imported only where it is wanted.

Where to is what its own variables say (`OTEL_EXPORTER_OTLP_ENDPOINT` and the others of its specification), unless the
settings name an address. Spans hold ids, never a secret, never a statement. Made by `assembly`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from lapse.domain.errors import InvalidInput
from lapse.gateway.measures import NoTraces, Traces

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PREFIX = "lapse."


class OpenTelemetryTraces:
    """Implements `gateway.measures.Traces` with a provider of spans."""

    def __init__(self, provider: Any) -> None:
        self._tracer = provider.get_tracer("lapse.gateway")

    def span(self, name: str, **facts: str | int) -> AbstractContextManager[object]:
        """See `Traces`."""
        found: AbstractContextManager[object] = self._tracer.start_as_current_span(name, attributes=_named(facts))
        return found

    def note(self, **facts: str | int) -> None:
        """See `Traces`."""
        from opentelemetry import trace

        trace.get_current_span().set_attributes(_named(facts))


def traces_wanted(endpoint: str, environment: Mapping[str, str] | None = None) -> bool:
    """Whether the settings or the environment say where spans go."""
    given = os.environ if environment is None else environment
    return bool(endpoint) or any(given.get(name) for name in ENDPOINTS)


@contextmanager
def traced(gateway: str, version: str, endpoint: str = "") -> Iterator[Traces]:
    """Traces while the body runs, brought out at its end; none where nothing says where to.

    Raises:
        InvalidInput: they are wanted and the library is not installed.
    """
    if not traces_wanted(endpoint):
        yield NoTraces()
        return
    provider = _provider(gateway, version, endpoint)
    try:
        yield OpenTelemetryTraces(provider)
    finally:
        provider.shutdown()


def _provider(gateway: str, version: str, endpoint: str) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise InvalidInput(
            "traces are wanted, and what sends them is not installed", hint="install `lapse[telemetry]`"
        ) from None
    about = Resource.create(
        {"service.name": "lapse-gateway", "service.instance.id": gateway, "service.version": version}
    )
    provider = TracerProvider(resource=about)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces") if endpoint else OTLPSpanExporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _named(facts: Mapping[str, str | int]) -> dict[str, str | int]:
    return {f"{PREFIX}{name}": value for name, value in facts.items()}
