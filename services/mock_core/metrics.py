"""The counters of a mock, in a registry of its own so that two mocks fit into one process."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    def __init__(self, in_flight: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "mock_requests_total",
            "Requests by method and status",
            ["method", "status"],
            registry=self.registry,
        )
        self.faults = Counter(
            "mock_faults_total",
            "Faults injected by point and kind",
            ["where", "do"],
            registry=self.registry,
        )
        self.callbacks = Counter(
            "mock_callbacks_total",
            "Callbacks by fate: sent, answered, unanswered, lost",
            ["fate"],
            registry=self.registry,
        )
        self.changes = Counter(
            "mock_generations_total",
            "Generations by state entered",
            ["state"],
            registry=self.registry,
        )
        gauge = Gauge("mock_in_flight", "Accepted and not ended", registry=self.registry)
        gauge.set_function(in_flight)

    def render(self) -> bytes:
        return generate_latest(self.registry)
