"""Trace jobs by OpenTelemetry, once `configure` was called; nothing of it is loaded before.

A trace id has the digits of its job's id. A span has ids and durations, and nothing of a job's
content: attributes are allowed by name, because messages, stack traces and addresses may hold
prompts, tokens and keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.jobs.ids import is_job_id

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from temporalio.contrib.opentelemetry import TracingInterceptor

# The SDK's own attributes that are sent.
LET_OUT = frozenset(
    {"temporalWorkflowID", "temporalRunID", "temporalActivityID", "temporalUpdateID"}
)
# A collector that is away delays nothing for longer, not even the process's end.
EXPORT_SECONDS = 3.0
# How often spans are sent, and how many wait at most.
PAUSE_MILLISECONDS = 2000
MOST_WAITING = 4096

_provider: TracerProvider | None = None


def configure(url: str | None, *, headers: Mapping[str, str], service: str) -> None:
    """Switch traces on if there is a collector; before any client is made."""
    global _provider
    if url is None:
        return
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased

    _provider = TracerProvider(
        resource=Resource({"service.namespace": "genvideo", "service.name": service}),
        # Without a job's span above it no span is made, so polls make no traces.
        sampler=ParentBased(ALWAYS_OFF),
    )
    _provider.add_span_processor(
        BatchSpanProcessor(
            _exporter(url, headers),
            max_queue_size=MOST_WAITING,
            schedule_delay_millis=PAUSE_MILLISECONDS,
        )
    )


def stop() -> None:
    """Send the remaining spans, and switch traces off."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
    _provider = None


def interceptors() -> Sequence[TracingInterceptor]:
    """Return the SDK's interceptors, for a client and its workers."""
    if _provider is None:
        return ()
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return (TracingInterceptor(_provider.get_tracer("genvideo")),)


@contextmanager
def of_job(job_id: str, name: str) -> Iterator[None]:
    """Run a block in the trace of a job."""
    if _provider is None or not is_job_id(job_id):
        yield
        return
    from opentelemetry.context import Context
    from opentelemetry.trace import (
        NonRecordingSpan,
        SpanContext,
        SpanKind,
        TraceFlags,
        set_span_in_context,
    )

    digits = job_id.removeprefix("job-")
    # The parent is a span that nobody sends; it only carries the trace id.
    root = SpanContext(
        int(digits, 16), int(digits[:16], 16) or 1, True, TraceFlags(TraceFlags.SAMPLED)
    )
    tracer = _provider.get_tracer("genvideo")
    above = set_span_in_context(NonRecordingSpan(root), Context())
    with tracer.start_as_current_span(name, above, SpanKind.SERVER):
        yield


def _exporter(url: str, headers: Mapping[str, str]) -> SpanExporter:
    import ssl

    import requests
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    class Bare(OTLPSpanExporter):
        """Export of each span only the listed attributes."""

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return super().export([*map(_bare, spans)])

    session = requests.Session()
    # No proxy, and no .netrc.
    session.trust_env = False
    return Bare(
        url,
        certificate_file=ssl.get_default_verify_paths().cafile,
        headers=dict(headers),
        timeout=EXPORT_SECONDS,
        session=session,
    )


def _bare(span: ReadableSpan) -> ReadableSpan:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Status

    said = span.attributes or {}
    kept = {name: value for name, value in said.items() if name in LET_OUT}
    kept["genvideo.job_id"] = f"job-{span.context.trace_id:024x}"
    for event in span.events:
        if event.attributes and "exception.type" in event.attributes:
            kept["error.type"] = event.attributes["exception.type"]
    return ReadableSpan(
        span.name,
        span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=kept,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
