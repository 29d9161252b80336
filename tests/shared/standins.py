"""A stand-in for the job's workflow, under the same names, that does what its prompt says."""

from datetime import UTC, datetime

from temporalio import workflow

from shared.messages import JobInput, KlingDone, Record
from shared.states import Status
from shared.temporal import GENVIDEO_WORKFLOW, GET_RECORD_QUERY, KLING_DONE_SIGNAL

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@workflow.defn(name=GENVIDEO_WORKFLOW)
class StandIn:
    """Remembers each `kling_done`; the prompts `end` and `end when told` end it."""

    @workflow.init
    def __init__(self, job: JobInput) -> None:
        self.done: list[KlingDone] = []
        self.job = job

    @workflow.run
    async def run(self, job: JobInput) -> None:
        if job.prompt == "end":
            return
        enough = 1 if job.prompt == "end when told" else 100
        await workflow.wait_condition(lambda: len(self.done) >= enough)

    @workflow.signal(name=KLING_DONE_SIGNAL)
    def kling_done(self, done: KlingDone) -> None:
        self.done.append(done)

    @workflow.query
    def told(self) -> list[KlingDone]:
        return self.done

    @workflow.query(name=GET_RECORD_QUERY)
    def get_record(self) -> Record:
        info = workflow.info()
        return sample_record(info.workflow_id, self.job, run_id=info.run_id)


def sample_record(job_id: str, job: JobInput | None = None, *, run_id: str = "") -> Record:
    """A queued job of version 1."""
    job = job or JobInput(prompt="雪地里的红狐狸", style="ink")
    return Record(
        job_id=job_id,
        run_id=run_id,
        prompt=job.prompt,
        style=job.style,
        tag=job.tag,
        priority=job.priority,
        on_video_failure=job.on_video_failure,
        status=Status.QUEUED,
        created_at=CREATED,
        version=1,
    )
