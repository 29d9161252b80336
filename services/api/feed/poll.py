"""The feed from Temporal alone; what it asks depends on the jobs, never on who watches."""

import asyncio
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta

import structlog
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus, WorkflowQueryFailedError
from temporalio.service import RPCError

from services.api.feed.feed import Feed, Records
from services.api.feed.hub import Hub
from services.api.feed.memory import MemoryRecords
from services.api.periodic import periodically
from services.api.retention import Retention
from services.api.temporal.client import ABNORMAL, Temporal
from services.api.temporal.executions import closed, first_record
from services.api.temporal.look_back import LookBack
from services.api.temporal.slots import Slots
from shared.errors import TemporalUnavailable
from shared.jobs.ids import is_job_id
from shared.jobs.messages import Job, Record
from shared.jobs.states import Status
from shared.temporal.pace import Pace

log = structlog.get_logger(__name__)

# So many jobs are asked for their state in one round; whoever is left comes first in the next.
LOOK_UPS = 20

# What a closed job is shown as until it has been asked for its end.
_ENDS = {
    WorkflowExecutionStatus.COMPLETED: Status.SUCCEEDED,
    WorkflowExecutionStatus.CANCELED: Status.CANCELLED,
}


class JobPoll(Feed):
    """Lists what began or ended, and asks those jobs for their state that may have a new one."""

    complete = True

    def __init__(
        self,
        temporal: Temporal,
        slots: Slots,
        hub: Hub | None = None,
        *,
        records: Records | None = None,
        retention: Retention | None = None,
        every: timedelta = Pace.FAST.times.poll,
    ) -> None:
        super().__init__(records or MemoryRecords(), hub or Hub(), retention=retention)
        self._every = every
        self._temporal = temporal
        self._slots = slots
        self._look_back = LookBack()
        self._closed: dict[str, WorkflowExecution] = {}
        self._holders: tuple[str, ...] = ()
        # Jobs to ask, in their turn.
        self._due: dict[str, None] = {}

    def running(self) -> AbstractAsyncContextManager[None]:
        """Poll again and again until the end."""
        return periodically(self.poll, self._every.total_seconds())

    async def poll(self) -> None:
        """One look: the list, the semaphore while a job is open, and some jobs themselves."""
        began = datetime.now(UTC)
        changed = await self._temporal.changed_jobs(self._look_back.since)
        await self._before_shown(changed)
        for execution in changed:
            await self._note(execution)
        self._look_back.listed(began, (each.close_time or each.start_time for each in changed))
        if self.index.any_open():
            await self._note_holders()
        await asyncio.gather(*(self._look_up(job_id) for job_id in list(self._due)[:LOOK_UPS]))

    async def _before_shown(self, changed: list[WorkflowExecution]) -> None:
        """See to what was listed; the list alone tells little of a job."""

    async def _note(self, execution: WorkflowExecution) -> None:
        if not is_job_id(execution.id):
            return
        job = self.index.get(execution.id)
        if job is None:
            job = (await first_record(execution)).job()
            self.put(job)
        if execution.status is WorkflowExecutionStatus.RUNNING:
            # After a reset the closed run was an older one.
            self._closed.pop(execution.id, None)
        elif job.version == 0 or not job.status.ended:
            self._closed[execution.id] = execution
            self._due[execution.id] = None

    async def _note_holders(self) -> None:
        """Who holds the slot may change at any moment, and so may who has just left it."""
        view = await self._slots.view()
        holders = tuple(holder.job_id for holder in view.holders)
        for job_id in (*holders, *self._holders):
            self._due[job_id] = None
        self._holders = holders

    async def _look_up(self, job_id: str) -> None:
        # Before it is asked: news that come meanwhile make it due again.
        del self._due[job_id]
        try:
            record = await self._asked(job_id)
        except (TemporalUnavailable, RPCError, WorkflowQueryFailedError) as error:
            log.warning("a job can't be asked for its state", job_id=job_id, reason=str(error))
            await self._unanswered(job_id)
        else:
            await self._keep(record)

    async def _asked(self, job_id: str) -> Record:
        """What a job's state is, by its workflow."""
        return await self._temporal.record(job_id)

    async def _read(self, job_id: str) -> Record | None:
        return self.records.read(job_id)

    async def _write(self, record: Record) -> None:
        self.records.write(record)

    def _has_closed(self, job_id: str) -> bool:
        return job_id in self._closed

    async def _keep(self, record: Record) -> None:
        execution = self._closed.pop(record.job_id, None)
        if execution is not None:
            record = closed(record, execution.status)
        await self._write(record)
        job = self.put_record(record)
        if execution is not None and not job.status.ended:
            # Its code broke off; it has nothing more to say.
            self.index.amend(_as_listed(job, execution))

    async def _unanswered(self, job_id: str) -> None:
        """What the list says of a closed job; one that its own code ended is asked again."""
        execution, job = self._closed.get(job_id), self.index.get(job_id)
        if execution is None or job is None:
            return
        if execution.status in ABNORMAL:
            await self._keep(await self._read(job_id) or await first_record(execution))
            return
        self._due[job_id] = None
        self.index.amend(_as_listed(job, execution))


def _as_listed(job: Job, execution: WorkflowExecution) -> Job:
    """The job with the end that its run's status tells; its version is still to come."""
    status = _ENDS.get(execution.status or WorkflowExecutionStatus.FAILED, Status.FAILED)
    return job.model_copy(update={"status": status, "finished_at": execution.close_time})
