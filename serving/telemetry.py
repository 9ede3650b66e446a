"""Traces, where OpenTelemetry is asked for (``OTEL_EXPORTER_OTLP_ENDPOINT``); otherwise nothing of it is imported here.

The endpoint, its headers, sampling and the service's name come from OpenTelemetry's own variables. A span has a name,
the request's one its route, and nothing of a customer.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

ENDPOINT_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_NOTHING = nullcontext()
_LOGGER = logging.getLogger("foresight.telemetry")


class _Active:
    provider: Any = None
    tracer: Any = None


def start_tracing(environment: Mapping[str, str] = os.environ) -> None:
    """Send traces from now on, if the environment asks for it and the extra ``otel`` is installed."""
    if not any(environment.get(name) for name in ENDPOINT_VARIABLES):
        return
    try:
        exporter: Any = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError:
        _LOGGER.warning("No traces are sent: OTEL_EXPORTER_OTLP_ENDPOINT is set, but foresight[otel] is not installed.")
        return
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    trace_with(BatchSpanProcessor(exporter.OTLPSpanExporter()))


def trace_with(processor: Any) -> None:
    """Send spans to an OpenTelemetry ``SpanProcessor`` from now on."""
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider

    name = os.environ.get("OTEL_SERVICE_NAME", "foresight")
    _Active.provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    _Active.provider.add_span_processor(processor)
    _Active.tracer = _Active.provider.get_tracer("foresight")


def stop_tracing() -> None:
    """Send what is left, and trace no more."""
    if _Active.provider is not None:
        _Active.provider.shutdown()
    _Active.provider = _Active.tracer = None


def span(name: str) -> AbstractContextManager[Any]:
    """A part of a request, such as ``score``; without tracing it costs next to nothing."""
    return _NOTHING if _Active.tracer is None else _Active.tracer.start_as_current_span(name, record_exception=False)


def request_span(route: str, headers: Sequence[tuple[bytes, bytes]]) -> AbstractContextManager[Any]:
    """The whole request, as a part of the caller's trace where it sent one (``traceparent``)."""
    if _Active.tracer is None:
        return _NOTHING
    from opentelemetry.propagate import extract
    from opentelemetry.trace import SpanKind

    given = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers if name in _PROPAGATED}
    return _Active.tracer.start_as_current_span(
        route,
        context=extract(given),
        kind=SpanKind.SERVER,
        attributes={"http.route": route},
        record_exception=False,
    )


_PROPAGATED = (b"traceparent", b"tracestate")


def trace_id_of(active: Any) -> str:
    """The trace of a span of :func:`request_span`, 32 hexadecimal digits; "" where there is none."""
    return "" if active is None else format(active.get_span_context().trace_id, "032x")
