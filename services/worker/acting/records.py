"""Local activities: a job's record and its limits."""

import asyncio

from temporalio import activity
from temporalio.client import Client

from services.worker.models import (
    JOB_LIMITS,
    RECORD_STATE,
    JobLimits,
    Recorded,
)
from services.worker.policies import RECORD_SECONDS
from services.worker.results.disk import Disk
from services.worker.settings.worker import WorkerSettings
from shared.jobs.messages import Record
from shared.slot.messages import RunRef
from shared.slot.watching import closed_by_now
from shared.store.chosen import chosen_store
from shared.store.protocol import StoreAway
from shared.store.records import Records, is_beginning


class StateActivities:
    """What a workflow does on its own worker, without a task queue between."""

    def __init__(self, settings: WorkerSettings, disk: Disk, *, client: Client) -> None:
        self._settings = settings
        self._disk = disk
        self._client = client
        self._records = Records(chosen_store(settings))
        # A folder is waited for, however slow.
        self._patience = None if self._records.store.local else RECORD_SECONDS

    @activity.defn(name=RECORD_STATE)
    async def record_state(self, record: Record) -> Recorded:
        """Write the job's record; where that is not the newest, what is there instead.

        A full disk doesn't stop the job: a later version catches up, and where that was the last
        one, the API does. RPCError where the server can't say whether this run may follow another.
        """
        found = await self._written(record)
        return Recorded() if found.ahead and await self._is_over(record) else found

    async def _is_over(self, record: Record) -> bool:
        """Whether its run has closed: what another run has recorded comes after it, then.

        Asked once that is read: a run that was reset has closed before the next one writes.
        """
        run = RunRef(job_id=record.job_id, run_id=record.run_id)
        return await closed_by_now(self._client, run) is not None

    async def _written(self, record: Record) -> Recorded:
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
        if present is None or record.run_id in present.runs_before:
            return Recorded()
        if present.run_id != record.run_id:
            runs = (*present.runs_before, present.run_id)
            return Recorded(ahead=present.transitions, attempts=present.attempts, runs=runs)
        if record.run_since < present.run_since:
            # We followed them before, in a task that the server did not take.
            ahead = present.transitions[: present.run_since - 1]
            return Recorded(ahead=ahead, attempts=present.attempts, runs=present.runs_before)
        if present.status.ended:
            return Recorded(end=present)
        if is_beginning(record, present):
            return Recorded()
        return Recorded(own=present.transitions, attempts=present.attempts)

    @activity.defn(name=JOB_LIMITS)
    async def job_limits(self) -> JobLimits:
        """The time limits of this worker's settings, fixed for the job from here on."""
        return self._settings.limits()
