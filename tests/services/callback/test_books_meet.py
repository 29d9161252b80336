"""Where several receivers, or many jobs, meet over books in a store."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from services.callback.books.book import Book, JobBook
from services.callback.books.entries import Entries, utc_now
from services.callback.books.shared_books import SOON_AT_ONCE, SharedBooks
from services.callback.models import Entry, Event, Fate, TaskStatus
from shared.jobs.ids import external_id, new_job_id
from shared.jobs.states import Step
from shared.store.folder import Folder
from shared.store.protocol import Held, Listed, Store
from tests.services.callback.conftest import settings_for, write_record


def event(job_id: str) -> Event:
    ours = external_id(job_id, Step.VIDEO, 1)
    return Event(utc_now(), ours, "task-1", TaskStatus.SUCCEED, 1000)


def added(book: Book, job_id: str) -> int:
    return book.add(Entry(0, event(job_id), None))


@pytest.fixture
async def books_of() -> AsyncIterator[Callable[[Store], SharedBooks]]:
    """Books of one receiver more over a store; closed at the end."""
    made: list[SharedBooks] = []

    def make(store: Store) -> SharedBooks:
        made.append(each := SharedBooks(store))
        return each

    yield make
    for each in made:
        await each.close()


BooksOf = Callable[[Store], SharedBooks]


class Versioned(Folder):
    """As a bucket that keeps versions: what is read has one, a list has none."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []

    def read(self, key: str) -> Held | None:
        self.reads.append(key)
        held = super().read(key)
        return held and held._replace(tag=f"7 {held.tag}")

    def list(self, prefix: str) -> Iterator[Listed]:
        return (each._replace(tag=f" {each.tag}") for each in super().list(prefix))

    def swap(self, key: str, data: bytes, tag: str) -> bool:
        return super().swap(key, data, tag.removeprefix("7 "))


class Forgetful(Folder):
    """Its first answer to a write is lost; sent again, the write is refused."""

    lost = False

    def put_if_absent(self, key: str, data: bytes) -> bool:
        kept = super().put_if_absent(key, data)
        if not self.lost:
            self.lost = True
            return False
        return kept


class Slow(Folder):
    """Reads of strangers' jobs wait."""

    def __init__(self, root: Path, honest: str) -> None:
        super().__init__(root)
        self.honest, self.go_on = honest, threading.Event()
        self.asked: list[str] = []

    def read(self, key: str) -> Held | None:
        self.asked.append(key)
        if self.honest not in key:
            assert self.go_on.wait(60)
        return super().read(key)


async def test_what_has_not_changed_is_not_read_again(tmp_path: Path, books_of: BooksOf) -> None:
    store = Versioned(tmp_path)
    ours, theirs, job_id = books_of(store), books_of(store), new_job_id()
    await theirs.run(partial(added, job_id=job_id), job_id)
    await ours.refresh()
    store.reads.clear()
    await ours.refresh()
    assert store.reads == []
    await theirs.run(partial(added, job_id=job_id), job_id)
    await ours.refresh()
    assert await ours.run(Book.waiting) == 2


async def test_a_write_whose_answer_was_lost_leaves_one_receipt(
    tmp_path: Path, books_of: BooksOf
) -> None:
    books, job_id = books_of(Forgetful(tmp_path)), new_job_id()
    receipt = await books.run(partial(added, job_id=job_id), job_id)
    entry = await books.run(lambda book: book.entry(receipt), job_id)
    assert entry is not None
    assert await books.run(partial(Book.count, job_id=job_id), job_id) == 1


async def test_two_jobs_of_one_moment_both_wait(
    tmp_path: Path, books_of: BooksOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JobBook, "_next", lambda _: 1_769_000_000_000_000)
    books, jobs = books_of(Folder(tmp_path)), [new_job_id() for _ in range(2)]
    for job_id in jobs:
        assert await books.run(partial(added, job_id=job_id), job_id) == 1_769_000_000_000_000
    assert sorted(await books.run(Book.waiting_jobs)) == sorted(jobs)


async def test_forged_ones_keep_no_other_from_the_store(tmp_path: Path, books_of: BooksOf) -> None:
    job_id = new_job_id()
    store = Slow(tmp_path, job_id)
    books = books_of(store)
    for _ in range(100):
        stranger = new_job_id()
        books.run_soon(partial(added, job_id=stranger), stranger)
    async with asyncio.timeout(60):
        await books.run(partial(added, job_id=job_id), job_id)
    store.go_on.set()
    assert len([key for key in store.asked if job_id not in key]) <= SOON_AT_ONCE


@pytest.mark.parametrize("what", ["review", "settle"])
def test_what_another_receiver_has_settled_stays(tmp_path: Path, what: str) -> None:
    job_id = new_job_id()
    with closing(JobBook()) as book:
        write_record(tmp_path, job_id)
        entries = Entries(settings_for(tmp_path))
        listed = Entry(0, event(job_id), Fate.UNKNOWN, held_until=utc_now().timestamp() + 60)
        listed = listed._replace(receipt_id=book.add(listed))
        book.settle(listed._replace(fate=Fate.APPLIED, held_until=None))
        if what == "review":
            assert entries.review(book, listed) is None
        else:
            assert entries.settle(book, listed._replace(fate=None), Fate.LATE).fate is Fate.APPLIED
        present = book.entry(listed.receipt_id)
        assert present is not None
        assert (present.fate, present.held_until) == (Fate.APPLIED, None)
