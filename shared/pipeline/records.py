"""A job's local activities: enter the queue, write the record."""

import asyncio

from temporalio import activity
from temporalio.client import Client

from shared.errors import TemporalRefuses, TemporalUnavailable
from shared.jobs.messages import Record
from shared.pipeline.disk import note_refusal
from shared.pipeline.messages import ENTER_QUEUE, RECORD_STATE, Enter, Entered, Recorded
from shared.pipeline.policies import RECORD_SECONDS
from shared.pipeline.settings import PipelineWorkerSettings
from shared.semaphore.client import start_semaphore
from shared.store.chosen import chosen_store
from shared.store.protocol import StoreAway
from shared.store.records import Records, is_beginning
from shared.temporal.client import answer


class StateActivities:
    """The local activities of a workflow; no task queue delays them."""

    def __init__(self, settings: PipelineWorkerSettings, *, client: Client) -> None:
        self._settings = settings
        self._client = client
        self._records = Records(chosen_store(settings))
        # A folder is waited for, however slow.
        self._patience = None if self._records.store.local else RECORD_SECONDS

    @activity.defn(name=ENTER_QUEUE)
    async def enter_queue(self, enter: Enter) -> Entered:
        """Write the job's first version, and request the slot.

        A run whose record has ended before, or belongs to another run, requests nothing.
        """
        recorded = await self.record_state(enter.record)
        if recorded.takes(enter.record.run_id):
            slot = self._settings.pipeline.slot
            try:
                await answer(start_semaphore(self._client, slot, requests=[enter.request]))
            except TemporalRefuses as refused:
                # An operator can grant the permission, and the job waits for it.
                raise TemporalUnavailable(refused.message) from refused
        return Entered(recorded=recorded, limits=self._settings.limits())

    @activity.defn(name=RECORD_STATE)
    async def record_state(self, record: Record) -> Recorded:
        """Write the job's record; return the stored one if that is newer.

        A full disk doesn't stop the job: a later version catches up, and the API repairs the last
        one.
        """
        try:
            async with asyncio.timeout(self._patience):
                return await asyncio.to_thread(self._record, record)
        except TimeoutError:
            # The write in its thread may still complete; it makes no record older.
            error: OSError = StoreAway("the store does not answer in time")
        except OSError as away:
            error = away
        note_refusal("state", error, version=record.version)
        return Recorded()

    def _record(self, record: Record) -> Recorded:
        if self._records.append(record):
            return Recorded()
        present = self._records.read(record.job_id)
        if present is None:
            return Recorded()
        found = Recorded(present=present)
        is_known = found.takes(record.run_id) and is_beginning(record, present)
        return Recorded() if is_known else found
