"""Jobs with PAYLOAD_KEY set: Temporal shows nothing of them, and all services still work."""

from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest_asyncio
from google.protobuf.json_format import MessageToDict
from pydantic import SecretStr
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from services.api.app import create_app
from services.api.settings import ApiSettings
from services.worker.worker import running_worker
from services.worker.workflows import GenVideoWorkflow
from shared.jobs.slots import JOB_GATE
from shared.jobs.states import Status
from shared.semaphore.messages import semaphore_id
from shared.semaphore.runner import WorkflowRunner
from shared.temporal.codec import PayloadKeys, data_converter
from tests.fixtures.temporal import NewClient
from tests.shared.temporal.test_codec import NEW, OLD
from tests.workflow.conftest import Lines
from tests.workflow.pipeline import Pipeline, pipeline, why, working
from tests.workflow.scenarios import rule

PROMPT = "紫色的秘密 a secret in violet"
REASON = "no violet secrets here"
# What of a job must not be readable at Temporal; a tag is, for it is there to be searched by.
HIDDEN = [word.encode() for word in (PROMPT, "violet", "sepia", ".png", ".mp4")]
SLOWLY = rule("start", "slow", factor=15)


@pytest_asyncio.fixture(loop_scope="module")
async def client(new_client: NewClient) -> Client:
    return await new_client(NEW)


@pytest_asyncio.fixture(loop_scope="module")
async def line(lines: Lines) -> Pipeline:
    return await lines(keys=NEW)


async def history(client: Client, workflow_id: str) -> Sequence[HistoryEvent]:
    found = await client.get_workflow_handle(workflow_id).fetch_history()
    return found.events


async def stored(client: Client, workflow_id: str) -> bytes:
    """All that the server holds of a workflow: its history, its memo, its summary."""
    described = await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
    )
    events = await history(client, workflow_id)
    return described.SerializeToString() + b"".join(each.SerializeToString() for each in events)


async def test_job_runs_and_temporal_holds_no_plain_text(line: Pipeline, tmp_path: Path) -> None:
    job_id = await line.submit(PROMPT, style="sepia", tag="spring")
    assert (await line.ended(job_id)).status is Status.SUCCEEDED
    everything = await stored(line.client, job_id)
    everything += await stored(line.client, semaphore_id(JOB_GATE))
    assert [word for word in HIDDEN if word in everything] == []
    assert b"spring" in everything
    await is_readable_by_the_endpoint(line, job_id, tmp_path)
    await replays_with_the_key_only(line, job_id)


async def is_readable_by_the_endpoint(line: Pipeline, job_id: str, data_dir: Path) -> None:
    """As the Temporal UI asks it."""
    [started, *_] = await history(line.client, job_id)
    payloads: Payloads = started.workflow_execution_started_event_attributes.input
    app = create_app(ApiSettings(data_dir=data_dir, payload_key=SecretStr(NEW)), line.client)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as http:
        answer = await http.post("/codec/decode", json=MessageToDict(payloads))
    assert answer.status_code == 200
    [readable] = answer.json()["payloads"]
    assert PROMPT in b64decode(readable["data"]).decode()
    assert readable["metadata"]["encoding"] == "anNvbi9wbGFpbg=="


async def replays_with_the_key_only(line: Pipeline, job_id: str) -> None:
    kept = WorkflowHistory(job_id, await history(line.client, job_id)).to_json()
    assert PROMPT not in kept
    for keys, readable in ((NEW, True), (OLD, False)):
        replayer = Replayer(
            workflows=[GenVideoWorkflow],
            data_converter=data_converter(PayloadKeys.parse(keys)),
            workflow_runner=WorkflowRunner(),
        )
        stored_history = WorkflowHistory.from_json(job_id, kept)
        result = await replayer.replay_workflow(stored_history, raise_on_replay_failure=False)
        assert (result.replay_failure is None) is readable


async def test_failure_is_encrypted_in_temporal_and_readable_in_the_record(line: Pipeline) -> None:
    await line.images.arm(rule("submit", "refuse", code=1301, status=400, message=REASON))
    record = await line.run(PROMPT)
    assert REASON in why(record).message
    everything = await stored(line.client, record.job_id)
    assert REASON.encode() not in everything
    assert b"refused_for_good" in everything


async def test_replaced_key_still_decrypts(
    new_client: NewClient, client: Client, tmp_path: Path
) -> None:
    """A job that was begun under the old key goes on under both."""
    old = await new_client(OLD, namespace=client.namespace)
    both = await new_client(f"{NEW},{OLD}", namespace=client.namespace)
    async with pipeline(old, tmp_path) as before:
        job_id = await before.submit(PROMPT)
    async with working(both, tmp_path) as line:
        assert (await line.ended(job_id)).status is Status.SUCCEEDED


async def test_worker_without_the_key_reports_it_and_does_no_harm(
    new_client: NewClient, client: Client, tmp_path: Path
) -> None:
    """The workflow's task fails and is tried again; with the key the job goes on."""
    keyless = await new_client(namespace=client.namespace)
    async with pipeline(client, tmp_path) as line:
        job_id = await line.submit(PROMPT)
        async with running_worker(line.settings, keyless):
            assert "PAYLOAD_KEY" in await failed_task(keyless, job_id)
    async with working(client, tmp_path) as line:
        assert (await line.ended(job_id)).status is Status.SUCCEEDED


async def failed_task(client: Client, job_id: str) -> str:
    handle = client.get_workflow_handle(job_id)
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.HasField("workflow_task_failed_event_attributes"):
            return str(event.workflow_task_failed_event_attributes.failure)
    raise AssertionError("no workflow task has failed")
