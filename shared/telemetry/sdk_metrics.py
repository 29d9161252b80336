"""The SDK's own numbers at our `/metrics`: it keeps them in a buffer, which a thread empties."""

import threading
from collections.abc import Iterable
from functools import cache
from typing import TypeVar

from prometheus_client import Counter, Gauge, Histogram
from temporalio.common import MetricAttributes
from temporalio.runtime import (
    BufferedMetricUpdate,
    LoggingConfig,
    MetricBuffer,
    MetricBufferDurationFormat,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

# What is counted within a pause must fit; a job of three minutes counts some two thousand.
BUFFER = 20_000
PAUSE_SECONDS = 1.0

# A wait for a callback is left as soon as that has come, and ends behind its job: the SDK's core
# warns of that for every job that goes well.
_SAYS = TelemetryFilter(core_level="WARN", other_level="ERROR").formatted()
LOGGING = LoggingConfig(f"{_SAYS},temporalio_sdk_core::worker::activities=ERROR")

_WAITS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800)
_COUNTERS = {
    "temporal_request": Counter("temporal_request", "Calls that the server took", ["operation"]),
    "temporal_request_failure": Counter(
        "temporal_request_failure", "Calls that failed", ["operation", "status_code"]
    ),
    "temporal_activity_execution_failed": Counter(
        "temporal_activity_execution_failed", "Tries of activities that failed", ["activity_type"]
    ),
    "temporal_workflow_task_execution_failed": Counter(
        "temporal_workflow_task_execution_failed",
        "Workflow tasks that failed",
        ["workflow_type", "failure_reason"],
    ),
    "temporal_sticky_cache_hit": Counter(
        "temporal_sticky_cache_hit", "Workflow tasks whose workflow was at hand", ["task_queue"]
    ),
    "temporal_sticky_cache_miss": Counter(
        "temporal_sticky_cache_miss", "Workflow tasks that took a replay", ["task_queue"]
    ),
}
_GAUGES = {
    "temporal_sticky_cache_size": Gauge(
        "temporal_sticky_cache_size", "Workflows that are at hand", ["task_queue"]
    ),
    "temporal_worker_task_slots_available": Gauge(
        "temporal_worker_task_slots_available",
        "Tasks more that would be taken",
        ["task_queue", "worker_type"],
    ),
    "temporal_worker_task_slots_used": Gauge(
        "temporal_worker_task_slots_used", "Tasks at work", ["task_queue", "worker_type"]
    ),
}
_HISTOGRAMS = {
    "temporal_request_latency": Histogram(
        "temporal_request_latency_seconds",
        "How long the server took for a call",
        ["operation"],
        buckets=_WAITS,
    ),
    "temporal_workflow_task_schedule_to_start_latency": Histogram(
        "temporal_workflow_task_schedule_to_start_latency_seconds",
        "How long a workflow task lay before it was taken",
        ["task_queue"],
        buckets=_WAITS,
    ),
    "temporal_activity_schedule_to_start_latency": Histogram(
        "temporal_activity_schedule_to_start_latency_seconds",
        "How long an activity lay before it was taken",
        ["task_queue"],
        buckets=_WAITS,
    ),
}


# What is taken, as the SDK names it.
NAMES = frozenset({*_COUNTERS, *_GAUGES, *_HISTOGRAMS})

M = TypeVar("M", Counter, Gauge, Histogram)


@cache
def measured_runtime() -> Runtime:
    """This process' runtime of the SDK, whose numbers go to `/metrics` from now on."""
    buffer = MetricBuffer(BUFFER, duration_format=MetricBufferDurationFormat.SECONDS)
    runtime = Runtime(telemetry=TelemetryConfig(metrics=buffer, logging=LOGGING))

    def empty() -> None:
        pause = threading.Event()
        while not pause.wait(PAUSE_SECONDS):
            take(buffer.retrieve_updates())

    threading.Thread(target=empty, name="sdk-metrics", daemon=True).start()
    return runtime


def take(updates: Iterable[BufferedMetricUpdate]) -> None:
    """Add what the SDK has counted; what nobody here has a use for is let go."""
    for update in updates:
        name, said = update.metric.name, update.attributes
        if name in _COUNTERS:
            _of(_COUNTERS[name], said).inc(update.value)
        elif name in _GAUGES:
            _of(_GAUGES[name], said).set(update.value)
        elif name in _HISTOGRAMS:
            _of(_HISTOGRAMS[name], said).observe(update.value)


def _of(metric: M, said: MetricAttributes) -> M:
    """The one of these labels; the SDK says others besides."""
    return metric.labels(*(str(said.get(label, "")) for label in metric._labelnames))
