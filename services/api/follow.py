"""Follow jobs: the store has their records, visibility lists those that began and ended.

The number of calls depends on the jobs, never on the listeners. Each API follows separately;
several that share a store overwrite none of each other's records.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError

from services.api.parts import Parts
from services.api.repair import Repairer
from services.api.slots import Slots
from services.api.temporal import first_record
from shared.errors import TemporalUnavailable
from shared.jobs.ids import is_job_id, job_of_key
from shared.store.folder import MISSING, Folder
from shared.store.protocol import StoreAway
from shared.store.records import PREFIX

log = structlog.get_logger(__name__)

# This many jobs are looked up in one round; the others come first in the next one.
LOOK_UPS = 20
READ_AT_ONCE = 8
# A folder is looked at this often, more rarely without an open job, and listed if it has changed,
# or two seconds have passed; lists take no more than this share of a core. A bucket is listed
# rarely, because its lists cost money, and visibility and the slot show which records may have
# changed.
LOOK_SECONDS, IDLE_SECONDS, LIST_SECONDS, FOLDER_SHARE = 0.02, 0.1, 2.0, 0.1
BUCKET_SECONDS = 300.0
# A folder that has changed later than that is looked at again.
SETTLED_NANOSECONDS = 50_000_000
# Visibility is asked this rarely while no job is open, because a new job shows by its record.
REST_SECONDS = 60.0
# Visibility lags behind events.
LAG = timedelta(seconds=30)


class Follower:
    """`sweep` reads the changed records; `poll` asks Temporal for what no record shows."""

    def __init__(self, parts: Parts, slots: Slots, repairer: Repairer) -> None:
        self._dependencies = parts.dependencies
        self._feed = parts.feed
        self._records = parts.records
        self._temporal = parts.temporal
        self._slots = slots
        self._repairer = repairer
        # The time from which the next list begins, by the server's clock; at first, everything.
        self._since = datetime.fromtimestamp(0, UTC)
        # The tag of each record when it was read.
        self._seen: dict[str, str] = {}
        # When the folder had last changed, as it was listed, and when that was.
        self._changed_at = -1
        self._listed_at = float("-inf")
        self._pause = 0.0
        self._polled_at = float("-inf")
        self._holders: tuple[str, ...] = ()
        # Closed runs whose record has no end yet, and all jobs to look up.
        self._closed: set[str] = set()
        self._due: dict[str, None] = {}

    def pause(self) -> float:
        return self._pause

    async def sweep(self) -> None:
        """Read each record that has changed since it was read; raise StoreAway."""
        store = self._records.store
        folder = store.root / PREFIX if isinstance(store, Folder) else None
        if folder is not None and not await asyncio.to_thread(self._has_changed, folder):
            self._pause = LOOK_SECONDS if self._feed.any_open() else IDLE_SECONDS
            return
        self._listed_at = time.monotonic()
        tags, took = await asyncio.to_thread(self._list)
        self._pause = max(LOOK_SECONDS, took / FOLDER_SHARE) if folder else BUCKET_SECONDS
        changed = [job_id for job_id, tag in tags.items() if self._seen.get(job_id) != tag]
        # Missing ones are written again, unless their retention is over.
        gone = self._seen.keys() - tags.keys()
        changed += [job_id for job_id in gone if self._feed.get(job_id) is not None]
        for start in range(0, len(changed), READ_AT_ONCE):
            part = changed[start : start + READ_AT_ONCE]
            self._feed.damaged |= dict.fromkeys(await self._read(part))
            self._seen |= {job_id: tags.get(job_id, "") for job_id in part}
        self._seen = {job_id: tag for job_id, tag in self._seen.items() if job_id in tags}

    def _list(self) -> tuple[dict[str, str], float]:
        """Return each record's tag, and the seconds of processor time that the list took: a process
        that was frozen or starved in the middle of it need not pause for long."""
        began = time.thread_time()
        listed = self._records.store.list(PREFIX)
        tags = {job_id: each.tag for each in listed if (job_id := job_of_key(PREFIX, each.key))}
        return tags, time.thread_time() - began

    def _has_changed(self, folder: Path) -> bool:
        """True if a record was written, which changes the time of its folder, or the next check is
        due."""
        try:
            changed_at = folder.stat().st_mtime_ns
        except MISSING:
            changed_at = 0
        is_due = time.monotonic() - self._listed_at >= LIST_SECONDS
        changed = changed_at != self._changed_at or is_due
        # The clock of a file system stands still for some milliseconds.
        settled = time.time_ns() - changed_at > SETTLED_NANOSECONDS
        self._changed_at = changed_at if settled else -1
        return changed

    async def _read(self, job_ids: list[str]) -> list[str]:
        """Publish the records; return the jobs whose record is missing, damaged, or older than what
        is known, as after a restore. Raises StoreAway."""
        reads = (asyncio.to_thread(self._records.read, job_id) for job_id in job_ids)
        without = []
        for job_id, record in zip(job_ids, await asyncio.gather(*reads), strict=True):
            known = self._feed.get(job_id)
            if record is None or (known is not None and record.version < known.version):
                without.append(job_id)
            else:
                self._feed.damaged.pop(job_id, None)
                self._feed.put_record(record)
        return without

    async def look(self) -> None:
        """Poll, but rarely if no job is open and a new one would show by its record."""
        busy = self._feed.any_open() or self._due or self._feed.damaged
        rested = time.monotonic() - self._polled_at >= REST_SECONDS
        if busy or rested or not self._records.store.local:
            await self.poll()

    async def poll(self) -> None:
        """Poll once: visibility, the holders if the store is remote, and some jobs themselves."""
        begins = time.monotonic()
        changed = await self._temporal.changed_jobs(self._since)
        jobs = [each for each in changed if is_job_id(each.id)]
        # A listener of an earlier process has seen more of a job than a list shows.
        unknown = [each.id for each in jobs if self._feed.get(each.id) is None]
        for start in range(0, len(unknown), READ_AT_ONCE):
            await self._read(unknown[start : start + READ_AT_ONCE])
        for execution in jobs:
            await self._note(execution)
        self._polled_at = begins
        times = (each.close_time or each.start_time for each in changed)
        newest = max(times, default=self._since + LAG)
        # The server's clock may have been ahead, and was set back.
        self._since = min(newest, datetime.now(UTC)) - LAG
        if not self._records.store.local and self._feed.any_open():
            # They may change at any moment, as may a run that just left.
            holders = tuple(holder.job_id for holder in (await self._slots.view()).holders)
            self._due |= dict.fromkeys((*holders, *self._holders))
            self._holders = holders
        due = list(self._due)[:LOOK_UPS]
        if due or self._feed.damaged:
            await self._dependencies.require()
        await asyncio.gather(*map(self._look_up, due))
        # Up to the first failure; records unknown to Temporal stay.
        for job_id in list(self._feed.damaged)[:LOOK_UPS]:
            # Before it is read, so that after a failure it goes behind the others. A sweep may have
            # read it meanwhile.
            self._feed.damaged.pop(job_id, None)
            await self._repairer.recover(job_id)
            if job_id in self._feed.damaged:
                return

    async def _note(self, execution: WorkflowExecution) -> None:
        job = self._feed.get(execution.id)
        if execution.status is WorkflowExecutionStatus.RUNNING:
            if job is None:
                self._feed.put((await first_record(self._temporal, execution)).job())
                # It has no record, or not yet.
                self._feed.damaged[execution.id] = None
        elif job is None or not (job.version > 0 and job.status.ended):
            self._closed.add(execution.id)
            self._due[execution.id] = None

    async def _look_up(self, job_id: str) -> None:
        """Show the job's record; if its run will not end it any more, make it from Temporal."""
        # Before it is asked, so that news that come meanwhile make it due again.
        del self._due[job_id]
        try:
            await self._read([job_id])
            job = self._feed.get(job_id)
            if job_id in self._closed and not (job and job.version > 0 and job.status.ended):
                await self._repairer.recover(job_id)
        except (TemporalUnavailable, RPCError, StoreAway) as error:
            log.warning("job can't be looked up", job_id=job_id, reason=str(error))
            self._due[job_id] = None
        else:
            self._closed.discard(job_id)
