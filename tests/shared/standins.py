"""Stand-ins for the workflows of job and semaphore, under the same names; they obey the test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.ids import assets_prefix
from shared.jobs.messages import Record, StageDone
from shared.pipeline.definition import Stage
from shared.semaphore.messages import (
    CAPACITY,
    CHANGE_UPDATE,
    DEFAULT_LIMIT,
    SEMAPHORE_QUEUE,
    SEMAPHORE_WORKFLOW,
    VIEW_QUERY,
    SlotChange,
    SlotView,
)
from shared.temporal.client import GET_RECORD_QUERY
from shared.temporal.codec import PayloadKeys, data_converter

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@workflow.defn(name=GENVIDEO.workflow)
class StandIn:
    """Remembers each `kling_done`, which takes two versions of its record; the prompts `end` and
    `end when told` end it."""

    @workflow.init
    def __init__(self, job: GenVideoInput) -> None:
        self.done: list[StageDone] = []
        self.job = job

    @workflow.run
    async def run(self, job: GenVideoInput) -> None:
        if job.prompt == "end":
            return
        enough = 1 if job.prompt == "end when told" else 100
        await workflow.wait_condition(lambda: len(self.done) >= enough)

    @workflow.signal(name=GENVIDEO.done)
    def kling_done(self, done: StageDone) -> None:
        self.done.append(done)

    @workflow.query
    def told(self) -> list[StageDone]:
        return self.done

    @workflow.query(name=GET_RECORD_QUERY)
    def get_record(self) -> Record:
        info = workflow.info()
        record = sample_record(info.workflow_id, self.job, run_id=info.run_id)
        return record.model_copy(update={"version": record.version + 2 * len(self.done)})


@workflow.defn(name=SEMAPHORE_WORKFLOW)
class SemaphoreStandIn:
    """Holds nothing; everyone in `waiting` waits, in that order."""

    @workflow.init
    def __init__(self, waiting: list[str] | None = None, capacity: int = CAPACITY) -> None:
        self.view_now = SlotView(
            limit=DEFAULT_LIMIT,
            paused=False,
            holders=(),
            waiting=tuple(waiting or ()),
            waiting_count=len(waiting or ()),
            capacity=capacity,
        )

    @workflow.run
    async def run(self, waiting: list[str] | None = None, capacity: int = CAPACITY) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update(name=CHANGE_UPDATE)
    def change(self, change: SlotChange) -> SlotView:
        given = change.model_dump(exclude_none=True)
        self.view_now = self.view_now.model_copy(update=given)
        return self.view_now

    @workflow.query(name=VIEW_QUERY)
    def view(self) -> SlotView:
        return self.view_now


def sample_record(job_id: str, job: GenVideoInput | None = None, *, run_id: str = "") -> Record:
    """A queued job of version 1."""
    job = job or GenVideoInput(prompt="雪地里的红狐狸", style="ink")
    record = Record.of(GENVIDEO, job, job_id=job_id, run_id=run_id, created_at=CREATED)
    return record.model_copy(update={"version": 1})


@asynccontextmanager
async def standing_in(client: Client) -> AsyncIterator[None]:
    runner = UnsandboxedWorkflowRunner()
    async with (
        Worker(client, task_queue=GENVIDEO.name, workflows=[StandIn], workflow_runner=runner),
        Worker(
            client, task_queue=SEMAPHORE_QUEUE, workflows=[SemaphoreStandIn], workflow_runner=runner
        ),
    ):
        yield


async def client_of_nobody(port: int) -> Client:
    return await Client.connect(
        f"127.0.0.1:{port}", lazy=True, data_converter=data_converter(PayloadKeys())
    )


def asset_path(data_dir: Path, job_id: str, stage: Stage) -> Path:
    """Where a folder has the result of a job's stage."""
    return data_dir / assets_prefix(job_id) / f"{stage.name}.{stage.file.suffix}"
