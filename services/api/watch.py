"""Every job, kept in step with the state folder; each change is published once, in order."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog
from watchfiles import Change, awatch

from services.api.hub import Hub
from services.api.index import JobIndex
from services.api.metrics import CHANGES
from services.api.replay import versions_after
from shared.ids import is_job_id
from shared.messages import Job, JobInput, Record
from shared.records import RecordStore

log = structlog.get_logger(__name__)

# Milliseconds: how long changes are gathered at the most, and the silence that ends it earlier.
DEBOUNCE = 50
STEP = 10
# The watch may miss a change (a full queue, a mount that tells nothing): the folder is read anew.
SCAN_SECONDS = 15.0
# So many files are read before others get their turn.
BATCH = 200


class JobWatch:
    """The index of all jobs and the hub of their changes; used on the event loop alone."""

    def __init__(self, records: RecordStore) -> None:
        self.records = records
        self.index = JobIndex()
        self.hub = Hub()
        # Files that can't be read as a record; whoever can make one again takes them from here.
        self.damaged: set[str] = set()
        self._seen: dict[str, tuple[int, int]] = {}

    def put(self, job: Job) -> None:
        """A job's state from elsewhere than its record (just submitted, say)."""
        if self.index.put(job):
            CHANGES.inc()
            self.hub.publish(job)

    def submitted(self, job_id: str, job: JobInput) -> None:
        """A job that was just started; its record will follow."""
        fields = job.model_dump(exclude={"on_video_failure"})
        self.put(Job(job_id=job_id, created_at=datetime.now(UTC), **fields))

    def take(self, record: Record) -> Job:
        """A record that was read: each version since the last one known; gives the newest."""
        known = self.index.get(record.job_id)
        if known is None:
            self.put(record.job())
        else:
            for job in versions_after(record, known.version):
                self.put(job)
        return self.index.get(record.job_id) or record.job()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Knows every record from here on, and follows the folder until the end."""
        await asyncio.to_thread(self.records.folder.mkdir, parents=True, exist_ok=True)
        stop = asyncio.Event()
        # The watch stands before the folder is read, so that no change falls between.
        watching = asyncio.create_task(self._watch(stop))
        await asyncio.sleep(0)
        await self._scan_safely()
        scanning = asyncio.create_task(self._scan_again())
        try:
            yield
        finally:
            stop.set()
            for task in (watching, scanning):
                task.cancel()
            await asyncio.gather(watching, scanning, return_exceptions=True)

    async def _watch(self, stop: asyncio.Event) -> None:
        try:
            await self._follow(stop)
        except Exception:
            # Not for good: the folder is still read anew every few seconds.
            log.exception("the watch on the state folder ended")

    async def _follow(self, stop: asyncio.Event) -> None:
        async for changes in awatch(
            self.records.folder,
            watch_filter=_is_record,
            debounce=DEBOUNCE,
            step=STEP,
            stop_event=stop,
            recursive=False,
        ):
            await self._read(sorted({Path(path).stem for _, path in changes}))

    async def _scan_again(self) -> None:
        while True:
            await asyncio.sleep(SCAN_SECONDS)
            await self._scan_safely()

    async def _scan_safely(self) -> None:
        try:
            await self._scan()
        except Exception:
            log.exception("the state folder can't be read")

    async def _scan(self) -> None:
        """Read each file that has changed since the last look at the folder."""
        stamps = await asyncio.to_thread(_stamps, self.records)
        changed = [name for name, stamp in stamps.items() if self._seen.get(name) != stamp]
        self._seen = stamps
        for start in range(0, len(changed), BATCH):
            await self._read(changed[start : start + BATCH])

    async def _read(self, job_ids: Iterable[str]) -> None:
        for job_id, record in await asyncio.to_thread(_read_all, self.records, job_ids):
            if record is None:
                self.damaged.add(job_id)
            else:
                self.damaged.discard(job_id)
                self.take(record)


def _read_all(records: RecordStore, job_ids: Iterable[str]) -> list[tuple[str, Record | None]]:
    return [(job_id, records.read(job_id)) for job_id in job_ids]


def _stamps(records: RecordStore) -> dict[str, tuple[int, int]]:
    with os.scandir(records.folder) as entries:
        return dict(_stamps_of(entries))


def _stamps_of(entries: Iterable[os.DirEntry[str]]) -> Iterator[tuple[str, tuple[int, int]]]:
    for entry in entries:
        job_id, dot, kind = entry.name.rpartition(".")
        if dot and kind == "json" and is_job_id(job_id):
            try:
                state = entry.stat()
            except FileNotFoundError:
                continue
            yield job_id, (state.st_mtime_ns, state.st_size)


def _is_record(change: Change, path: str) -> bool:
    name = Path(path)
    return change is not Change.deleted and name.suffix == ".json" and is_job_id(name.stem)
