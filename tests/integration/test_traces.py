"""Traces: a span for the request and for its parts, within the caller's trace; nothing is made unless asked for."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from serving.feedback.store import DecisionStore
from serving.http.deployment import Deployment, Limits
from serving.telemetry import span, start_tracing, stop_tracing, trace_with
from tests.doubles.insights import InsightDouble, running

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    trace_with(SimpleSpanProcessor(exporter))
    yield exporter
    stop_tracing()


def test_a_request_is_a_part_of_its_callers_trace(
    spans: InMemorySpanExporter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = DecisionStore(f"sqlite:///{tmp_path / 'decisions.db'}")
    deployment = Deployment(InsightDouble(), store, Limits(50_000, 3))
    with running(lambda: deployment) as client, caplog.at_level(logging.INFO, "foresight.access"):
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        assert client.get("/panel/1609?note=secret", headers=headers).status_code == 200
        assert client.get("/v1/customers/2").status_code == 200
    log, panel, customer = spans.get_finished_spans()
    assert (log.name, panel.name, customer.name) == ("log", "/panel/{customer_id}", "/v1/customers/{customer_id}")
    assert panel.parent is not None and log.parent is not None
    assert format(panel.parent.span_id, "016x") == CALLER
    assert {format(one.context.trace_id, "032x") for one in (log, panel)} == {TRACE}
    assert log.parent.span_id == panel.context.span_id
    assert dict(panel.attributes or {}) == {"http.route": "/panel/{customer_id}"}
    assert customer.parent is None and customer.context.trace_id != panel.context.trace_id


def test_without_the_setting_nothing_is_made_or_imported() -> None:
    start_tracing({})
    assert span("score") is span("log")
    code = (
        "import sys; from serving.telemetry import start_tracing, span; start_tracing({}); span('x');"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_a_missing_package_is_said_and_the_service_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    start_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    assert "foresight[otel] is not installed" in caplog.text
    assert span("score") is span("log")
