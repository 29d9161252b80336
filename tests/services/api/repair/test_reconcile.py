"""Jobs that were ended from outside: their records are closed, and those of a reset are not."""

from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from services.api.feed.watch import JobWatch
from services.api.repair.reconcile import RECONCILE_SECONDS, REST_SECONDS
from services.api.temporal.client import Temporal
from shared.jobs.closing import MESSAGES, RESET
from shared.jobs.messages import Job, JobInput, Record
from shared.jobs.states import Status
from shared.store.records import RecordStore
from shared.temporal.client import GENVIDEO_QUEUE, GENVIDEO_WORKFLOW, GET_RECORD_QUERY
from tests.fixtures.resets import has_done_tasks, reset
from tests.services.api.conftest import all_temporal_calls, reconciler_of
from tests.shared.standins import sample_record, standing_in
from tests.shared.waiting import eventually

JOB_ID = "job-0123456789abcdef01234567"


async def start(client: Client, data_dir: Path) -> Record:
    """A job that runs, with its record."""
    temporal = Temporal(client)
    await temporal.start(JOB_ID, JobInput(prompt="p", style=""))
    found = await temporal.describe(JOB_ID)
    assert found is not None
    record = sample_record(JOB_ID, run_id=found.run_id)
    RecordStore(data_dir).write(record)
    return record


def watch_of(data_dir: Path) -> JobWatch:
    watch = JobWatch(RecordStore(data_dir))
    record = watch.records.read(JOB_ID)
    if record is not None:
        watch.put_record(record)
    return watch


async def listed_as_ended(client: Client) -> None:
    """Wait until visibility has heard of the end."""

    async def listed() -> list[object]:
        return [each async for each in client.list_workflows("ExecutionStatus='Terminated'")]

    await eventually(listed)


async def test_a_terminated_jobs_record_is_closed(client: Client, tmp_path: Path) -> None:
    record = await start(client, tmp_path)
    watch = watch_of(tmp_path)
    reconciler = reconciler_of(watch, Temporal(client))
    await reconciler.reconcile()
    assert watch.index.any_open()

    await client.get_workflow_handle(JOB_ID).terminate()
    await listed_as_ended(client)
    await reconciler.reconcile()

    closed = watch.records.read(JOB_ID)
    assert closed is not None
    assert closed.error is not None
    assert (closed.status, closed.error.code) == (Status.FAILED, "terminated")
    assert closed.version == record.version + 1
    assert not watch.index.any_open()


async def test_a_record_that_is_made_here_names_its_namespace(
    client: Client, tmp_path: Path
) -> None:
    record = await start(client, tmp_path)
    RecordStore(tmp_path).remove(JOB_ID)
    watch = watch_of(tmp_path)
    watch.put(record.model_copy(update={"version": 0}).job())
    await client.get_workflow_handle(JOB_ID).terminate()
    await listed_as_ended(client)

    await reconciler_of(watch, Temporal(client)).reconcile()

    closed = watch.records.read(JOB_ID)
    assert closed is not None
    assert (closed.run_id, closed.namespace) == (record.run_id, client.namespace)


@pytest.mark.parametrize("known", [1, 4])
async def test_the_end_of_a_job_whose_file_was_lost_is_told(
    client: Client, tmp_path: Path, known: int
) -> None:
    """By the workflow, which has fewer versions where a run that was reset counts anew."""
    record = await start(client, tmp_path)
    watch = watch_of(tmp_path)
    watch.put(record.model_copy(update={"version": known}).job())
    RecordStore(tmp_path).remove(JOB_ID)
    reconciler = reconciler_of(watch, Temporal(client))
    async with standing_in(client):
        await client.get_workflow_handle(JOB_ID).query("told")
        await client.get_workflow_handle(JOB_ID).terminate()
        await listed_as_ended(client)
        await reconciler.reconcile()
        await reconciler.reconcile()

    closed, shown = watch.records.read(JOB_ID), watch.index.get(JOB_ID)
    assert closed is not None
    assert shown is not None
    assert (closed.run_id, closed.version) == (record.run_id, record.version + 1)
    assert (closed.status, shown.status) == (Status.FAILED, Status.FAILED)
    assert shown.version == known + 1


async def test_a_reset_job_goes_on(client: Client, tmp_path: Path) -> None:
    record = await start(client, tmp_path)
    async with standing_in(client):
        await client.get_workflow_handle(JOB_ID).query("told")
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=JOB_ID, run_id=record.run_id),
            workflow_task_finish_event_id=3,
            request_id="reset",
        )
    )
    await listed_as_ended(client)

    await reconciler_of(watch_of(tmp_path), Temporal(client)).reconcile()

    assert RecordStore(tmp_path).read(JOB_ID) == record


@workflow.defn(name=GENVIDEO_WORKFLOW)
class EndsWhereReset:
    """As a job that waits: a run of it that was reset ends, and can't be replayed behind that."""

    def __init__(self) -> None:
        self._job_id = workflow.info().workflow_id

    @workflow.run
    async def run(self, job: JobInput) -> None:
        info = workflow.info()
        if info.run_id != info.first_execution_run_id and not workflow.unsafe.is_replaying():
            raise ApplicationError(MESSAGES[RESET], type=RESET, non_retryable=True)
        await workflow.sleep(3600)

    @workflow.query(name=GET_RECORD_QUERY)
    def get_record(self) -> Record:
        return sample_record(self._job_id, run_id=workflow.info().run_id)


@pytest.mark.parametrize("lost", [False, True])
async def test_a_job_that_was_reset_while_it_waited_is_closed(
    client: Client, tmp_path: Path, lost: bool
) -> None:
    record = await start(client, tmp_path)
    watch = watch_of(tmp_path)
    reconciler = reconciler_of(watch, Temporal(client))

    async def closed() -> Record | None:
        await reconciler.reconcile()
        found = watch.records.read(JOB_ID)
        return found if found is not None and found.status.ended else None

    async with Worker(
        client,
        task_queue=GENVIDEO_QUEUE,
        workflows=[EndsWhereReset],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await has_done_tasks(client, JOB_ID)
        await reset(client, JOB_ID, back_to="first")
        with pytest.raises(WorkflowFailureError):
            await client.get_workflow_handle(JOB_ID).result()
        if lost:
            RecordStore(tmp_path).remove(JOB_ID)
        found = await eventually(closed)

    assert found is not None
    assert found.error is not None
    assert (found.status, found.error.code) == (Status.FAILED, RESET)
    assert (found.run_id, found.version) == (record.run_id, record.version + 1)
    assert not watch.index.any_open()


async def test_jobs_without_a_record_are_found_at_start(client: Client, tmp_path: Path) -> None:
    await Temporal(client).start(JOB_ID, JobInput(prompt="p", style="", tag="t"))
    watch = watch_of(tmp_path)

    async def found() -> Job | None:
        await reconciler_of(watch, Temporal(client)).reconcile()
        return watch.index.get(JOB_ID)

    job = await eventually(found)
    assert job is not None
    assert (job.version, job.tag) == (0, "t")


async def test_at_rest_nothing_is_asked(client: Client, tmp_path: Path) -> None:
    reconciler = reconciler_of(watch_of(tmp_path), Temporal(client))
    await reconciler.reconcile()
    before = all_temporal_calls()
    await reconciler.reconcile()
    assert all_temporal_calls() == before


async def test_a_damaged_record_is_healed_without_being_asked_for(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.api.repair.repairer.FRESH_SECONDS", 0)
    await start(client, tmp_path)
    path = RecordStore(tmp_path).path(JOB_ID)
    path.write_text("{")
    watch = watch_of(tmp_path)
    async with standing_in(client), watch.running():
        assert watch.damaged == {JOB_ID}
        await reconciler_of(watch, Temporal(client)).reconcile()

    assert RecordStore(tmp_path).read(JOB_ID) is not None
    assert watch.damaged == set()


async def test_while_nothing_changes_it_looks_ever_less_often(
    client: Client, tmp_path: Path
) -> None:
    watch = watch_of(tmp_path)
    reconciler = reconciler_of(watch, Temporal(client))
    assert reconciler.pause() == RECONCILE_SECONDS
    watch.changed_at -= 20
    assert RECONCILE_SECONDS < reconciler.pause() < REST_SECONDS
    watch.changed_at -= 1000
    assert reconciler.pause() == REST_SECONDS
    watch.put_record(sample_record(JOB_ID))
    assert reconciler.pause() == RECONCILE_SECONDS
