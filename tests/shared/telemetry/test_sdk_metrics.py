"""The SDK's own numbers: each that we name is one that it counts, and they are at `/metrics`."""

import re
from datetime import timedelta
from unittest.mock import AsyncMock
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from shared.http.web import service_app
from shared.telemetry.sdk_metrics import measured_runtime
from tests.docs.pages import ROOT, read, tables_headed
from tests.services.mock_core.serving import served

QUEUE = "measured"
_stumbled: list[bool] = []


@activity.defn
async def refuse() -> None:
    raise ApplicationError("no")


@workflow.defn
class Stumbles:
    """Fails its first task, and goes on after a signal; then its activity fails."""

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


def asked_for() -> set[str]:
    """What alerts, dashboard and documentation name of the SDK's."""
    pages = ("compose/observability/alerts.yml", "compose/observability/dashboard.json")
    asked = {name for page in pages for name in re.findall(r"\btemporal_\w+", read(ROOT / page))}
    [table] = tables_headed(read(ROOT / "docs" / "metrics.md"), "metric")
    return asked | {row[0].strip("`") for row in table.rows if row[0].startswith("`temporal_")}


async def test_sdk_metrics_are_served_at_our_port(
    client: Client,
) -> None:
    measured = await Client.connect(
        client.service_client.config.target_host,
        namespace=client.namespace,
        runtime=measured_runtime(),
    )
    await _stumble(measured)
    with pytest.raises(RPCError):
        await measured.get_workflow_handle("nobody").describe()

    async with (
        served(service_app("a test's", ready=AsyncMock(return_value={}))) as base,
        httpx.AsyncClient(base_url=base) as http,
    ):
        shown = (await http.get("/metrics")).text

    families = {family.name: family for family in text_string_to_metric_families(shown)}
    samples = {sample.name for family in families.values() for sample in family.samples}
    assert len(asked_for()) > 15
    assert asked_for() - samples - families.keys() == set()
    assert "process_cpu_seconds_total" in samples
    [failed] = [
        sample.value
        for sample in families["temporal_activity_execution_failed"].samples
        if sample.labels["activity_type"] == "refuse"
    ]
    assert failed == 2
