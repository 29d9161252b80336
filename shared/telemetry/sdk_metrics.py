"""The SDK's own numbers: its Prometheus endpoint, on a free port of this machine; `/metrics` passes
on what it says, so that a service has one port to be asked at."""

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

# A wait for a callback is left as soon as that has come, and ends behind its job: the SDK's core
# warns of that for every job that goes well.
_SAYS = TelemetryFilter(core_level="WARN", other_level="ERROR").formatted()
LOGGING = LoggingConfig(f"{_SAYS},temporalio_sdk_core::worker::activities=ERROR")
# In seconds; the SDK's own end at 60 s.
WAITS = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800]
LATENCIES = (
    "temporal_request_latency",
    "temporal_workflow_task_schedule_to_start_latency",
    "temporal_activity_schedule_to_start_latency",
)
_addresses: list[str] = []


@cache
def measured_runtime() -> Runtime:
    """This process' runtime of the SDK, whose numbers are in `sdk_metrics` from now on."""
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
    """Prometheus text format; empty if no runtime was made. Blocking."""
    text = b""
    for address in _addresses:
        with urlopen(f"http://{address}/metrics", timeout=5) as answer:
            text += answer.read()
    return text
