"""Local activities: a job's record, its limits, and its place in the slot's queue."""

import asyncio

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from services.worker.models import (
    JOB_LIMITS,
    RECORD_STATE,
    REQUEST_SLOT,
    WITHDRAW_REQUEST,
    JobLimits,
    Recorded,
)
from services.worker.settings import WorkerSettings
from shared.messages import Record
from shared.records import RecordStore
from shared.slots import (
    JOB_GATE,
    KEEPER_WORKFLOW,
    REQUEST_SIGNAL,
    WITHDRAW_SIGNAL,
    SlotRequest,
    keeper_id,
)
from shared.temporal import KEEPER_QUEUE

log = structlog.get_logger(__name__)


class StateActivities:
    """What a workflow does on its own worker, without a task queue between."""

    def __init__(self, settings: WorkerSettings, client: Client) -> None:
        self._settings = settings
        self._client = client
        self._records = RecordStore(settings.data_dir)

    @activity.defn(name=RECORD_STATE)
    async def record_state(self, record: Record) -> Recorded:
        """Write the job's record; where that is not the newest, what is there instead.

        A full disk doesn't stop the job, a later version catches up.
        """
        try:
            return await asyncio.to_thread(self._record, record)
        except OSError as error:
            log.error("the record could not be written", version=record.version, reason=str(error))
            return Recorded()

    def _record(self, record: Record) -> Recorded:
        if self._records.write(record):
            return Recorded()
        present = self._records.read(record.job_id)
        if present is None:
            return Recorded()
        if present.run_id != record.run_id:
            return Recorded(ahead=present.transitions)
        return Recorded(end=present if present.status.ended else None)

    @activity.defn(name=JOB_LIMITS)
    async def job_limits(self) -> JobLimits:
        """The time limits of this worker's settings, fixed for the job from here on."""
        return self._settings.limits()

    @activity.defn(name=REQUEST_SLOT)
    async def request_slot(self, request: SlotRequest) -> None:
        """Ask the keeper for the slot, and start the keeper where there is none."""
        await self._client.start_workflow(
            KEEPER_WORKFLOW,
            id=keeper_id(JOB_GATE),
            task_queue=KEEPER_QUEUE,
            start_signal=REQUEST_SIGNAL,
            start_signal_args=[[request]],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    @activity.defn(name=WITHDRAW_REQUEST)
    async def withdraw_request(self, request: SlotRequest) -> None:
        """Leave the queue; the keeper would find out at the grant, this is for who looks at it."""
        handle = self._client.get_workflow_handle(keeper_id(JOB_GATE))
        try:
            await handle.signal(WITHDRAW_SIGNAL, request.run_id)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            log.info("there is no keeper, and so no queue to leave")
