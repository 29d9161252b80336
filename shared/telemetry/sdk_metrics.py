"""The SDK's metrics: its Prometheus endpoint listens on a free local port, and `/metrics` passes it
on, so that a service has one port."""

import socket
from functools import cache
from urllib.request import urlopen

from temporalio.runtime import (
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

# The SDK's core warns of an activity that ends after its job, which happens after every callback.
_SAYS = TelemetryFilter(core_level="WARN", other_level="ERROR").formatted()
LOGGING = LoggingConfig(f"{_SAYS},temporalio_sdk_core::worker::activities=ERROR")
# In seconds; the SDK's own buckets end at 60 s.
WAITS = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800]
LATENCIES = (
    "temporal_request_latency",
    "temporal_workflow_task_schedule_to_start_latency",
    "temporal_activity_schedule_to_start_latency",
)
_addresses: list[str] = []


@cache
def measured_runtime() -> Runtime:
    """Return the SDK's runtime of this process, with its metrics switched on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    endpoint = PrometheusConfig(
        address,
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides=dict.fromkeys(LATENCIES, WAITS),
    )
    runtime = Runtime(
        telemetry=TelemetryConfig(metrics=endpoint, logging=LOGGING, attach_service_name=False)
    )
    _addresses.append(address)
    return runtime


def sdk_metrics() -> bytes:
    """Return the metrics in Prometheus text format; empty without a runtime. Blocking."""
    text = b""
    for address in _addresses:
        with urlopen(f"http://{address}/metrics", timeout=5) as answer:
            text += answer.read()
    return text
