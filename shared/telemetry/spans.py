"""Spans by OpenTelemetry: a job's ids and how long things took, and no word of what it is about.

What leaves the process is rebuilt from names that are listed here, for messages of errors, stack
traces and addresses may hold prompts, tokens and keys.
"""

import ssl
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar

import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    TraceFlags,
    TraceState,
    get_current_span,
    set_span_in_context,
    use_span,
)
from opentelemetry.util.types import Attributes
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.client import OutboundInterceptor
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.worker import Interceptor as WorkerInterceptor

from shared.jobs.ids import is_job_id

# Of ours, each behind `genvideo.`.
NOTED = frozenset(
    {
        *("job_id", "batch_id", "external_id", "attempt", "delivery", "vendor_task_id"),
        *("code", "fate"),
    }
)
_METHOD, _HOST, _STATUS = "http.request.method", "server.address", "http.response.status_code"
_THEIRS = {"status": _STATUS}
_WORKFLOW = "temporalWorkflowID"
_LET_OUT = frozenset(
    {
        *(f"genvideo.{name}" for name in NOTED),
        *(_METHOD, _HOST, _STATUS),
        *(_WORKFLOW, "temporalRunID", "temporalActivityID", "temporalUpdateID"),
    }
)
# A collector that is away holds nobody up for longer, at the end of the process either.
EXPORT_SECONDS = 3.0
# How often spans are sent, how many at once, and how many wait for that at the most.
PAUSE_SECONDS = 2.0
AT_ONCE = 512
MOST_WAITING = 4096

# Set while the first span of a job's trace is made.
_begun: ContextVar[str | None] = ContextVar("begun", default=None)


def trace_id(job_id: str) -> int:
    """Of a job's trace: its 24 digits, behind eight zeros."""
    return int(job_id.removeprefix("job-"), 16)


def first_span_id(job_id: str) -> int:
    """Of the span that a job's trace begins with."""
    return int(job_id.removeprefix("job-")[:16], 16) or 1


class Spans:
    """Makes the spans of one process, and sends them from a thread of its own."""

    def __init__(self, url: str, *, headers: Mapping[str, str], service: str) -> None:
        self._provider = _Provider(
            resource=Resource({"service.namespace": "genvideo", "service.name": service}),
            sampler=ParentBased(_OfJobs()),
            id_generator=_Ids(),
        )
        self._provider.add_span_processor(SimpleSpanProcessor(_Sender(_exporter(url, headers))))
        self._tracer = self._provider.get_tracer("genvideo")
        self._interceptor = TracingInterceptor(self._tracer)

    def stop(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    def client_interceptors(self) -> Sequence[ClientInterceptor]:
        """One, which workers don't take over."""
        return (_ClientOnly(self._interceptor),)

    def worker_interceptors(self) -> Sequence[WorkerInterceptor]:
        """The SDK's own; on replay a workflow makes no span."""
        return (self._interceptor,)

    @contextmanager
    def beginning(self, job_id: str, noted: Mapping[str, str | int]) -> Iterator[None]:
        """The first span; one that isn't ended is never sent, so that each job has one."""
        mark = _begun.set(job_id)
        try:
            span = self._tracer.start_span("submit", Context(), SpanKind.SERVER, _named(noted))
        finally:
            _begun.reset(mark)
        with use_span(span, record_exception=False, set_status_on_exception=False):
            yield
        span.end()

    @contextmanager
    def of_job(self, job_id: str, name: str, noted: Mapping[str, str | int]) -> Iterator[None]:
        """A span below the job's first one."""
        if not is_job_id(job_id):
            yield
            return
        first = SpanContext(
            trace_id(job_id), first_span_id(job_id), True, TraceFlags(TraceFlags.SAMPLED)
        )
        below = set_span_in_context(NonRecordingSpan(first), Context())
        with self._tracer.start_as_current_span(name, below, SpanKind.SERVER, _named(noted)):
            yield

    @contextmanager
    def call(self, method: str, host: str) -> Iterator[None]:
        """A span below the present one, if there is any."""
        about = {_METHOD: method, _HOST: host}
        with self._tracer.start_as_current_span(f"HTTP {method}", None, SpanKind.CLIENT, about):
            yield

    def note(self, noted: Mapping[str, str | int]) -> None:
        """Attributes of the present span."""
        get_current_span().set_attributes(_named(noted))


def _named(noted: Mapping[str, str | int]) -> dict[str, str | int]:
    known = {name: value for name, value in noted.items() if value != ""}
    return {_THEIRS.get(name, f"genvideo.{name}"): value for name, value in known.items()}


def _exporter(url: str, headers: Mapping[str, str]) -> OTLPSpanExporter:
    session = requests.Session()
    # No proxy, and no .netrc.
    session.trust_env = False
    return OTLPSpanExporter(
        url,
        certificate_file=ssl.get_default_verify_paths().cafile,
        headers=headers,
        timeout=EXPORT_SECONDS,
        session=session,
    )


class _Provider(TracerProvider):
    """Does nothing in a child that is forked: it becomes another program, and has no spans.

    The SDK would take a lock there, for which the child waits, and its parent for the child.
    """

    def _handle_fork(self) -> None:
        pass


class _Ids(RandomIdGenerator):
    """Random ones, but for a job's first span."""

    def generate_trace_id(self) -> int:
        job_id = _begun.get()
        return trace_id(job_id) if job_id else super().generate_trace_id()

    def generate_span_id(self) -> int:
        job_id = _begun.get()
        return first_span_id(job_id) if job_id else super().generate_span_id()


class _OfJobs(Sampler):
    """No trace begins but with a job: what polls and looks after things by itself makes none."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if _begun.get() is None:
            return SamplingResult(Decision.DROP)
        return ALWAYS_ON.should_sample(parent_context, trace_id, name, kind, attributes, links)

    def get_description(self) -> str:
        return "traces of jobs"


class _Sender(SpanExporter):
    """Sends of each span what is listed, from a thread of its own.

    The SDK's own one makes itself anew in each process that is forked, before that becomes another
    program.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._waiting: deque[ReadableSpan] = deque(maxlen=MOST_WAITING)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._send, name="traces", daemon=True)
        self._thread.start()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Have them wait; of too many the oldest are lost."""
        self._waiting.extend(map(_bare, spans))
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Send what waits, for as long as that may take."""
        self._stopping.set()
        self._thread.join(EXPORT_SECONDS)
        self._exporter.shutdown()

    def _send(self) -> None:
        last = False
        while not last:
            last = self._stopping.wait(PAUSE_SECONDS)
            while batch := self._taken():
                self._exporter.export(batch)

    def _taken(self) -> list[ReadableSpan]:
        taken: list[ReadableSpan] = []
        with suppress(IndexError):
            while len(taken) < AT_ONCE:
                taken.append(self._waiting.popleft())
        return taken


def _bare(span: ReadableSpan) -> ReadableSpan:
    said = span.attributes or {}
    kept = {name: value for name, value in said.items() if name in _LET_OUT}
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


class _ClientOnly(ClientInterceptor):
    """A worker takes over the interceptors of its client; that of the semaphore's workflow, which
    belongs to no job, is to have none."""

    def __init__(self, interceptor: TracingInterceptor) -> None:
        self._interceptor = interceptor

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return self._interceptor.intercept_client(next)
