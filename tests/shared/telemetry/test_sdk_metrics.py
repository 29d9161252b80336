"""The SDK's own numbers: each that we name is one that it counts, and they are at `/metrics`."""

from datetime import timedelta
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.runtime import MetricBuffer, Runtime, TelemetryConfig
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from shared.telemetry.sdk_metrics import NAMES, take

QUEUE = "measured"
_stumbled: list[bool] = []


@activity.defn
async def refuse() -> None:
    raise ApplicationError("no")


@workflow.defn
class Stumbles:
    """Fails its very first task, for all, and goes on once it is told; then its activity fails."""

    def __init__(self) -> None:
        self._told = False

    @workflow.run
    async def run(self) -> None:
        if not _stumbled:
            _stumbled.append(True)
            raise KeyError("a mistake of the code")
        await workflow.wait_condition(lambda: self._told)
        await workflow.execute_activity(
            refuse,
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )

    @workflow.signal
    def go_on(self) -> None:
        self._told = True

    @workflow.query
    def told(self) -> bool:
        return self._told


async def _stumble(client: Client) -> None:
    """Two, of which one alone stays at hand, so that the first is forgotten over the second."""
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Stumbles],
        activities=[refuse],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=1,
    ):
        runs = []
        for _ in range(2):
            runs.append(await client.start_workflow(Stumbles.run, id=uuid4().hex, task_queue=QUEUE))
            assert await runs[-1].query(Stumbles.told) is False
        for run in runs:
            await run.signal(Stumbles.go_on)
            with pytest.raises(WorkflowFailureError):
                await run.result()


async def test_each_is_counted_by_the_sdk(client: Client) -> None:
    buffer = MetricBuffer(20_000)
    runtime = Runtime(telemetry=TelemetryConfig(metrics=buffer))
    measured = await Client.connect(
        client.service_client.config.target_host, namespace=client.namespace, runtime=runtime
    )
    await _stumble(measured)
    with pytest.raises(RPCError):
        await measured.get_workflow_handle("nobody").describe()

    updates = buffer.retrieve_updates()
    take(updates)

    assert NAMES - {update.metric.name for update in updates} == set()
    assert said("temporal_activity_execution_failed_total", activity_type="refuse") == 2
    assert said("temporal_sticky_cache_miss_total", task_queue=QUEUE)
    assert said("temporal_activity_schedule_to_start_latency_seconds_count", task_queue=QUEUE) == 2


def said(name: str, **labels: str) -> float | None:
    """What `/metrics` has of it."""
    return REGISTRY.get_sample_value(name, labels)
