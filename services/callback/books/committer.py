"""Group commit: whatever came while one commit was on its way shares the next, and one sync."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import structlog

from services.callback.books.book import Book
from services.callback.errors import NotKept

log = structlog.get_logger(__name__)

# So much work may wait for the disk; more than that is refused.
MAX_WAITING = 2000

T = TypeVar("T")


class _Work(NamedTuple):
    run: Callable[[Book], Any]
    done: asyncio.Future[Any]


class Committer:
    """Runs work on the book in the order in which it came.

    The statements run on the event loop, some tens of microseconds each; only the commit, which
    waits for the disk, leaves it. A piece of work writes once, as the last thing it does, so that
    one that raises has written nothing.
    """

    def __init__(self, book: Book) -> None:
        self.book = book
        self._waiting: list[_Work] = []
        self._flushing: asyncio.Task[None] | None = None

    async def run(self, work: Callable[[Book], T], job_id: str | None = None) -> T:
        """What the work returns, once what it wrote is on the disk; NotKept where it can't be.

        All jobs are in one book.
        """
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._submit(_Work(work, done))
        return await done

    def run_soon(self, work: Callable[[Book], object], job_id: str) -> None:
        """Have it done without waiting; what nobody waits for is dropped when much waits."""
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        # Nobody waits for it: that it failed is no news.
        done.add_done_callback(lambda done: done.cancelled() or done.exception())
        if len(self._waiting) < MAX_WAITING // 2:
            self._submit(_Work(work, done))

    async def refresh(self) -> None:
        """Nobody else writes into the book."""

    async def close(self) -> None:
        """Finish what waits, and close the book."""
        if self._flushing is not None:
            await self._flushing
        await asyncio.to_thread(self.book.connection.close)

    def _submit(self, work: _Work) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise NotKept("Too many callbacks at once; try again in a moment.")
        self._waiting.append(work)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())

    async def _flush(self) -> None:
        try:
            while self._waiting:
                # Whatever comes while this batch's commit is awaited is the next batch.
                batch, self._waiting = self._waiting, []
                await self._commit(batch)
        finally:
            self._flushing = None

    async def _commit(self, batch: list[_Work]) -> None:
        connection = self.book.connection
        before = connection.total_changes
        try:
            connection.execute("BEGIN")
            outcomes = [_outcome(work, self.book) for work in batch]
            if connection.total_changes == before:
                connection.execute("COMMIT")
            else:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(None, connection.execute, "COMMIT")
        except sqlite3.Error as error:
            log.error("callbacks can't be kept", reason=str(error), count=len(batch))
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            outcomes = [NotKept("The callback can't be kept now.") for _ in batch]
        for work, outcome in zip(batch, outcomes, strict=True):
            _resolve(work.done, outcome)


def _outcome(work: _Work, book: Book) -> Any:
    try:
        return work.run(book)
    except sqlite3.Error:
        raise
    except Exception as error:
        return error


def _resolve(done: asyncio.Future[Any], outcome: Any) -> None:
    if done.done():
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)
