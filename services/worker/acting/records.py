"""A job's local activities: it enters the queue, and its record is written."""

import asyncio
from collections import deque

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from services.worker.models import (
    ENTER_QUEUE,
    RECORD_STATE,
    WITHDRAW_REQUEST,
    Enter,
    Entered,
    Recorded,
)
from services.worker.policies import RECORD_SECONDS
from services.worker.results.disk import Disk
from services.worker.settings.worker import WorkerSettings
from shared.errors import TemporalRefuses, TemporalUnavailable
from shared.jobs.messages import Record
from shared.semaphore.client import start_semaphore
from shared.semaphore.messages import JOB_GATE, WITHDRAW_SIGNAL, RunRef, SlotRequest, semaphore_id
from shared.store.chosen import chosen_store
from shared.store.protocol import StoreAway
from shared.store.records import Records, is_beginning
from shared.temporal.client import answer

log = structlog.get_logger(__name__)

# One signal of so many stays far below what the server takes.
MAX_BATCH = 100

Waiting = tuple[SlotRequest, asyncio.Future[None]]


class Requests:
    """All jobs of this process share one line to the semaphore."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: deque[Waiting] = deque()
        self._sending: asyncio.Task[None] | None = None

    async def send(self, request: SlotRequest) -> None:
        """Ask the semaphore for the slot, and start the semaphore where there is none.

        Sent at once when nothing is under way, else with all that come meanwhile; what goes wrong
        with a signal goes wrong for each request in it, and each is sent again by its own retry.
        """
        accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, accepted))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send_all())
        await accepted

    async def _send_all(self) -> None:
        while self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(MAX_BATCH, len(self._waiting)))]
            # Whose activity ran out of time asks again by itself.
            batch = [item for item in taken if not item[1].done()]
            if batch:
                await self._send(batch)

    async def _send(self, batch: list[Waiting]) -> None:
        error: Exception | None = None
        try:
            call = start_semaphore(self._client, requests=[request for request, _ in batch])
            await answer(call)
        except TemporalRefuses as refused:
            # The job waits until somebody has mended it.
            error = TemporalUnavailable(refused.message)
        except Exception as failure:
            error = failure
        for _, accepted in batch:
            if accepted.done():
                continue
            if error is None:
                accepted.set_result(None)
            else:
                accepted.set_exception(error)

    @activity.defn(name=WITHDRAW_REQUEST)
    async def withdraw_request(self, request: SlotRequest) -> None:
        """Leave the queue; it would be found out at the grant, this is for who looks at it."""
        handle = self._client.get_workflow_handle(semaphore_id(JOB_GATE))
        try:
            await handle.signal(WITHDRAW_SIGNAL, request.run_id)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            log.info("there is no semaphore, and so no queue to leave")


class StateActivities:
    """What a workflow does on its own worker, without a task queue between."""

    def __init__(self, settings: WorkerSettings, disk: Disk, *, requests: Requests) -> None:
        self._settings = settings
        self._disk = disk
        self._requests = requests
        self._records = Records(chosen_store(settings))
        # A folder is waited for, however slow.
        self._patience = None if self._records.store.local else RECORD_SECONDS

    @activity.defn(name=ENTER_QUEUE)
    async def enter_queue(self, enter: Enter) -> Entered:
        """Write the job's first version, and ask the semaphore for the slot.

        A run whose record has ended before, or is another run's, asks for nothing.
        """
        recorded = await self.record_state(enter.record)
        if not recorded.stands:
            await self._requests.send(enter.request)
        return Entered(recorded=recorded, limits=self._settings.limits())

    @activity.defn(name=RECORD_STATE)
    async def record_state(self, record: Record) -> Recorded:
        """Write the job's record; where that is not the newest, what is there instead.

        A full disk doesn't stop the job: a later version catches up, and where that was the last
        one, the API does.
        """
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.to_thread(self._record, record)
        except TimeoutError:
            # What goes on in its thread may still come through; it makes no record older.
            error: OSError = StoreAway("the store does not answer in time")
        except OSError as away:
            error = away
        self._disk.refused("state", error, version=record.version)
        return Recorded()

    def _record(self, record: Record) -> Recorded:
        if self._records.append(record):
            return Recorded()
        present = self._records.read(record.job_id)
        if present is None:
            return Recorded()
        if present.run_id != record.run_id:
            return Recorded(another=RunRef(job_id=present.job_id, run_id=present.run_id))
        if present.status.ended:
            return Recorded(end=present)
        if is_beginning(record, present):
            return Recorded()
        return Recorded(own=present.transitions, attempts=present.attempts)
