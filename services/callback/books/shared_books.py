"""Receipts in a store elsewhere: of each job one object, which any of several receivers may write.

What one of them has kept is there for all. A piece of work is done on a copy of the job's book and
kept by a swap; whoever was overtaken does it again on what is there by then.
"""

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import structlog

from services.callback.books.book import Book, JobBook
from services.callback.errors import NotKept
from shared.jobs.ids import job_of_key, key_of_job
from shared.store.protocol import Held, Store, StoreAway

log = structlog.get_logger(__name__)

PREFIX = "callbacks/"
# So often a piece of work is done again; each time another receiver has got on.
TRIES = 20
# So much may wait for the store; more than that is refused.
MAX_WAITING = 2000
READ_AT_ONCE = 8
# Of what nobody waits for, so that forged callbacks don't keep others from the store.
SOON_AT_ONCE = 2

T = TypeVar("T")
_EMPTY = JobBook.to_json([])


class SharedBooks:
    """Runs work as the committer does: on the book of a job, or on a copy of all of them.

    That copy is as old as the last `refresh`, but for what this process has written itself.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._all = JobBook()
        self._tags: dict[str, str] = {}
        self._waiting = 0
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._soon: set[asyncio.Task[Any]] = set()

    async def run(self, work: Callable[[Book], T], job_id: str | None = None) -> T:
        """What the work returns, once what it wrote is in the store; NotKept where it can't be.

        Without a job it may write nothing.
        """
        if job_id is None:
            return work(self._all)
        if self._waiting >= MAX_WAITING:
            raise NotKept("Too many callbacks at once; try again in a moment.")
        self._waiting += 1
        try:
            async with self._locks.setdefault(job_id, asyncio.Lock()):
                outcome, rows = await asyncio.to_thread(self._run, work, job_id)
        except StoreAway as error:
            log.error("callbacks can't be kept", reason=error.message)
            raise NotKept("The callback can't be kept now.") from None
        finally:
            self._waiting -= 1
        self._all.load(job_id, rows)
        return outcome

    def run_soon(self, work: Callable[[Book], object], job_id: str) -> None:
        """Have it done without waiting; what nobody waits for is dropped when much waits."""
        if len(self._soon) < SOON_AT_ONCE and self._waiting < MAX_WAITING // 2:
            task = asyncio.create_task(self.run(work, job_id))
            self._soon.add(task)
            task.add_done_callback(self._is_done)

    def _is_done(self, task: asyncio.Task[Any]) -> None:
        self._soon.discard(task)
        # Nobody waits for it: that it failed is no news.
        _ = task.cancelled() or task.exception()

    async def close(self) -> None:
        """Finish what waits."""
        await asyncio.gather(*self._soon, return_exceptions=True)
        self._all.close()

    async def refresh(self) -> None:
        """Know what all receivers have kept by now; NotKept where the store can't be asked."""
        try:
            there = await asyncio.to_thread(lambda: list(self._store.list(PREFIX)))
            found = {job_id: each for each in there if (job_id := job_of_key(PREFIX, each.key))}
            for job_id in self._tags.keys() - found.keys():
                self._all.load(job_id, [])
                del self._tags[job_id]
            changed = [each for each in found if self._tags.get(each) != found[each].tag]
            for start in range(0, len(changed), READ_AT_ONCE):
                part = changed[start : start + READ_AT_ONCE]
                await asyncio.gather(*(self._read(each, found[each].tag) for each in part))
        except StoreAway as error:
            raise NotKept(f"Receipts can't be read: {error.message}.") from None

    async def _read(self, job_id: str, listed: str) -> None:
        # No work of ours on this job in between, whose outcome would be forgotten here.
        async with self._locks.setdefault(job_id, asyncio.Lock()):
            held = await asyncio.to_thread(self._store.read, key_of_job(PREFIX, job_id))
            self._all.load(job_id, _rows(held, job_id))
        # That of the list, which leaves out the version in a bucket that has some.
        self._tags[job_id] = listed

    def _run(self, work: Callable[[Book], T], job_id: str) -> tuple[T, list[dict[str, Any]]]:
        tried: dict[bytes, tuple[T, list[dict[str, Any]]]] = {}
        for _ in range(TRIES):
            held = self._store.read(key_of_job(PREFIX, job_id))
            if held is not None and held.data in tried:
                # Kept by a request whose answer was lost, and refused when it was sent again.
                return tried[held.data]
            with closing(JobBook()) as book:
                book.load(job_id, _rows(held, job_id))
                before = book.connection.total_changes
                outcome, rows = work(book), book.rows()
                if book.connection.total_changes == before:
                    return outcome, rows
            data = JobBook.to_json(rows)
            if self._put(job_id, held, data):
                return outcome, rows
            tried[data] = outcome, rows
        raise StoreAway("too many write one job's receipts at once")

    def _put(self, job_id: str, held: Held | None, data: bytes) -> bool:
        if held is None:
            return self._store.put_if_absent(key_of_job(PREFIX, job_id), data)
        if not self._store.swap(key_of_job(PREFIX, job_id), data, held.tag):
            return False
        if data == _EMPTY:
            self._store.remove(key_of_job(PREFIX, job_id))
        return True


def _rows(held: Held | None, job_id: str) -> list[dict[str, Any]]:
    try:
        return [] if held is None else JobBook.from_json(held.data)
    except ValueError:
        log.error("a job's receipts can't be read, new ones begin", job_id=job_id)
        return []
