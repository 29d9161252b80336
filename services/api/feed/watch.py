"""Follows the state folder: whatever is written there is known, and published, soon after."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from watchfiles import Change, awatch

from services.api.feed.feed import Feed
from services.api.feed.hub import Hub
from services.api.retention import Retention
from shared.jobs.ids import is_job_id
from shared.jobs.messages import Record
from shared.store.records import RecordStore

log = structlog.get_logger(__name__)

# Milliseconds: how long changes are gathered at the most, and the silence that ends it earlier.
DEBOUNCE = 50
STEP = 10
# The watch may miss a change (a full queue, a mount that tells nothing): the folder is read anew.
SCAN_SECONDS = 15.0
# How soon it is noticed that the folder was removed, and perhaps made again.
LOOK_MILLISECONDS = 1000
# So many files are read before others get their turn.
BATCH = 200


class JobWatch(Feed):
    """The feed of the state folder."""

    def __init__(
        self,
        records: RecordStore,
        hub: Hub | None = None,
        *,
        retention: Retention | None = None,
    ) -> None:
        super().__init__(records, hub or Hub(), retention=retention)
        self._store = records
        self._seen: dict[str, tuple[int, int]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Knows every record from here on, and follows the folder until the end."""
        known = asyncio.Event()
        tasks = [asyncio.create_task(self._watch(known)), asyncio.create_task(self._scan_again())]
        await known.wait()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, known: asyncio.Event) -> None:
        """One watch after another: a folder that was removed and made again needs a new one."""
        while True:
            try:
                await self._watch_once(known)
            except Exception:
                # Not for good: the folder is still read anew every few seconds.
                log.exception("the watch on the state folder ended")
            known.set()
            await asyncio.sleep(LOOK_MILLISECONDS / 1000)

    async def _watch_once(self, known: asyncio.Event) -> None:
        await asyncio.to_thread(self._store.folder.mkdir, parents=True, exist_ok=True)
        # The watch stands before the folder is read, so that no change falls between.
        following = asyncio.create_task(self._follow(self._inode()))
        await asyncio.sleep(0)
        await self._scan_safely()
        known.set()
        await following

    async def _follow(self, inode: int | None) -> None:
        """Read what changes, until the folder is another one or none."""
        async for changes in awatch(
            self._store.folder,
            watch_filter=_is_record,
            debounce=DEBOUNCE,
            step=STEP,
            rust_timeout=LOOK_MILLISECONDS,
            yield_on_timeout=True,
            recursive=False,
        ):
            if changes:
                await self._read(sorted({Path(path).stem for _, path in changes}))
            elif self._inode() != inode:
                return

    def _inode(self) -> int | None:
        try:
            return self._store.folder.stat().st_ino
        except OSError:
            return None

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
        # Older than what is read by them: a file that changes in between is read once more.
        stamps = await asyncio.to_thread(_stamps, self._store)
        changed = [name for name, stamp in stamps.items() if self._seen.get(name) != stamp]
        self._seen = stamps
        for start in range(0, len(changed), BATCH):
            await self._read(changed[start : start + BATCH])

    async def _read(self, job_ids: Iterable[str]) -> None:
        for job_id, record in await asyncio.to_thread(_read_all, self._store, job_ids):
            if record is None:
                self.damaged.add(job_id)
            else:
                self.damaged.discard(job_id)
                self.put_record(record)


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
                state = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield job_id, (state.st_mtime_ns, state.st_size)


def _is_record(change: Change, path: str) -> bool:
    name = Path(path)
    return change is not Change.deleted and name.suffix == ".json" and is_job_id(name.stem)
