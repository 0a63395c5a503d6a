"""What Prometheus and OpenTelemetry are told: over real HTTP, from the values that gateways have."""

from __future__ import annotations

import asyncio
import socket
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from fakes.control_plane import FakePlane
from lapse.bootstrap.gateways.figures import PrometheusMetrics, told
from lapse.bootstrap.gateways.measured import MeasuredPlane
from lapse.bootstrap.gateways.spans import ENDPOINTS, traced, traces_wanted
from lapse.domain.errors import Refused, Unavailable
from lapse.domain.sessions import SessionEnd, SessionUse
from lapse.gateway.measures import NoTraces
from lapse.ports import Attempt, CancelQuery
from support.clock import HandClock
from support.sessions import a_session


def figures(metrics):
    """What is told, by name and labels."""
    with told(metrics, "127.0.0.1", 0) as address:
        text = httpx.get(f"http://{address}/metrics").text
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


@pytest.fixture
def metrics():
    return PrometheusMetrics("gw-1/0", "1.2.3", HandClock())


def test_a_session_is_counted_while_it_is_open_and_when_it_is_over(metrics):
    session = a_session(started_at=HandClock().now() - timedelta(minutes=5))
    metrics.opened(session)
    assert figures(metrics)['lapse_gateway_sessions_open{protocol="postgresql",resource="pg-prod"}'] == "1.0"
    use = SessionUse(statements=9, errors=2, refused=1, bytes_in=70, bytes_out=900)
    metrics.ended(session, SessionEnd.REVOKED, use, timedelta(milliseconds=30))
    found = figures(metrics)
    assert found['lapse_gateway_sessions_open{protocol="postgresql",resource="pg-prod"}'] == "0.0"
    assert found['lapse_gateway_sessions_total{protocol="postgresql",reason="revoked",resource="pg-prod"}'] == "1.0"
    assert found['lapse_gateway_session_seconds_bucket{le="300.0",protocol="postgresql"}'] == "1.0"
    assert found['lapse_gateway_cut_late_seconds_bucket{le="0.025",reason="revoked"}'] == "0.0"
    assert found['lapse_gateway_cut_late_seconds_bucket{le="0.05",reason="revoked"}'] == "1.0"
    assert found['lapse_gateway_session_bytes_total{direction="out",protocol="postgresql"}'] == "900.0"
    by_outcome = {
        outcome: found[f'lapse_gateway_statements_total{{outcome="{outcome}",protocol="postgresql"}}']
        for outcome in ("done", "failed", "refused")
    }
    assert by_outcome == {"done": "6.0", "failed": "2.0", "refused": "1.0"}


def test_who_never_became_a_session_is_counted(metrics):
    metrics.connection("ssh", "too_many")
    metrics.unauthenticated("ssh", 7)
    metrics.held("asked")
    metrics.watch("endings_waiting", "Ends that lapse was not told of.", lambda: 3)
    found = figures(metrics)
    assert found['lapse_gateway_connections_refused_total{outcome="too_many",protocol="ssh"}'] == "1.0"
    assert found['lapse_gateway_connections_unauthenticated{protocol="ssh"}'] == "7.0"
    assert found['lapse_gateway_holds_total{outcome="asked"}'] == "1.0"
    assert found["lapse_gateway_endings_waiting"] == "3.0"
    assert found['lapse_gateway_info{gateway="gw-1/0",version="1.2.3"}'] == "1.0"


def test_an_address_that_is_in_use_is_said(metrics):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=f"figures cannot be told on 127.0.0.1:{port}: address already in use"):
            told(metrics, "127.0.0.1", port).__enter__()


async def test_answers_of_lapse_are_timed_and_so_is_its_silence(metrics):
    fake = FakePlane(HandClock())
    plane = MeasuredPlane(fake, metrics)
    fake.allow("alice.pg-prod.1")
    assert (await plane.credential("alice.pg-prod.1", "postgresql")).granted_to == "alice"
    attempt = Attempt(credential_id="nobody's", protocol="postgresql", client="-")
    with pytest.raises(Refused):
        await plane.admit("gw-1/0", attempt)
    fake.away = True
    with pytest.raises(Unavailable):
        await plane.register("gw-1/0")
    found = figures(metrics)
    assert found['lapse_gateway_control_seconds_count{call="credential",outcome="answered"}'] == "1.0"
    assert found['lapse_gateway_control_seconds_count{call="admit",outcome="answered"}'] == "1.0"
    assert found['lapse_gateway_control_seconds_count{call="register",outcome="failed"}'] == "1.0"


async def test_a_cancel_request_reaches_the_neighbours_although_lapse_is_away(metrics):
    fake, passed_on = FakePlane(HandClock()), []
    plane = MeasuredPlane(fake, metrics, besides=passed_on.append)
    await plane.cancel_elsewhere(0, b"key")
    fake.away = True
    with pytest.raises(Unavailable):
        await plane.cancel_elsewhere(3, b"key")
    assert passed_on == [CancelQuery(process=0, key=b"key"), CancelQuery(process=3, key=b"key")]
    assert fake.cancels == [(0, b"key")]


async def test_whoever_is_asked_answers_as_before():
    fake = FakePlane(HandClock())
    plane = MeasuredPlane(fake, PrometheusMetrics("gw-1/0", "1", HandClock()))
    credential = fake.allow("alice.pg-prod.1").credential
    admission = await plane.admit("gw-1/0", Attempt(credential_id=credential.id, protocol="postgresql", client="-"))
    session = admission.session
    hold = await plane.hold(session.id, "DELETE FROM orders", "it deletes")
    await plane.drop(hold.id)
    await plane.ship("pg-prod/ses/0", 0, b"piece")
    fake.cut(session.id)
    async with asyncio.timeout(5):
        assert (await anext(plane.orders("gw-1/0"))).session_id == session.id
    await plane.finish(session.id, SessionEnd.CLIENT, HandClock().now(), SessionUse(), recorded=True)
    assert fake.open == []
    assert fake.dropped == [hold.id]


def test_without_an_address_nothing_is_traced(monkeypatch):
    for name in ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    with traced("gw-1/0", "1") as traces:
        assert isinstance(traces, NoTraces)
    assert traces_wanted("http://127.0.0.1:4318")
    assert traces_wanted("", {ENDPOINTS[0]: "http://127.0.0.1:4318"})


class Collector(HTTPServer):
    """Takes what is sent by OTLP."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Taking)
        self.taken = []

    def __enter__(self):
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()


class Taking(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.taken.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def some_spans(traces):
    with traces.span("postgresql", client="127.0.0.1:5000"):
        with traces.span("upstream connect", resource="pg-prod"):
            pass
        traces.note(session="ses_1")
    with pytest.raises(OSError, match="gone"), traces.span("ssh"):
        raise OSError("gone")


def test_spans_are_sent_with_their_facts_and_their_parents():
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    with Collector() as collector:
        endpoint = f"http://127.0.0.1:{collector.server_port}/"
        with traced("gw-1/0", "1.2.3", endpoint) as traces:
            some_spans(traces)
    spans, about = {}, {}
    for path, body in collector.taken:
        assert path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about |= {one.key: one.value.string_value for one in resource.resource.attributes}
            spans |= {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert about["service.name"] == "lapse-gateway"
    assert about["service.instance.id"] == "gw-1/0"
    assert spans["upstream connect"].parent_span_id == spans["postgresql"].span_id
    facts = {one.key: one.value.string_value for one in spans["postgresql"].attributes}
    assert facts == {"lapse.client": "127.0.0.1:5000", "lapse.session": "ses_1"}
    assert spans["ssh"].status.code == 2
