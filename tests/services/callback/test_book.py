"""The book on disk: shared commits, bounds, a full disk, damage, and one process at a time."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.callback.books import book as book_module
from services.callback.books import committer as committer_module
from services.callback.books.book import Book
from services.callback.books.committer import Committer
from services.callback.errors import NotKept
from services.callback.models import Entry, Event, Fate, TaskStatus
from shared.jobs.ids import new_job_id


@pytest.fixture
async def committer(tmp_path: Path) -> AsyncIterator[Committer]:
    committer = Committer(Book(tmp_path))
    yield committer
    await committer.close()


def entry_of(job_id: str, fate: Fate | None = Fate.APPLIED, at: int = 1) -> Entry:
    event = Event(
        received_at=datetime(2026, 1, 2, tzinfo=UTC),
        external_id=f"{job_id}.video.1",
        task_id="task-1",
        task_status=TaskStatus.SUCCEED,
        updated_at=at,
        message="内容",
    )
    return Entry(0, event, fate)


async def test_an_entry_comes_back_as_it_was(committer: Committer) -> None:
    written = entry_of(new_job_id())._replace(held_until=7.5, replay_of=3)
    receipt_id = await committer.run(lambda book: book.add(written))
    assert await committer.run(lambda book: book.entry(receipt_id)) == written._replace(
        receipt_id=receipt_id
    )


async def test_a_book_with_a_column_of_a_newer_release_is_read_and_written(tmp_path: Path) -> None:
    written, newer = entry_of(new_job_id()), Book(tmp_path)
    newer.add(written)
    newer.connection.execute("ALTER TABLE callbacks ADD COLUMN of_a_newer_release TEXT")
    newer.connection.close()
    committer = Committer(Book(tmp_path))
    assert await committer.run(lambda book: book.add(written)) == 2
    found = await committer.run(lambda book: book.newest(written.event.job_id, limit=9))
    assert found == [written._replace(receipt_id=number) for number in (1, 2)]
    await committer.close()


async def test_what_came_while_one_commit_ran_shares_the_next(
    committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    commit = committer._commit

    async def counted(batch: list[committer_module._Work]) -> None:
        commits.append(len(batch))
        await commit(batch)

    monkeypatch.setattr(committer, "_commit", counted)
    job_id = new_job_id()
    ids = await asyncio.gather(
        *(committer.run(lambda book: book.add(entry_of(job_id))) for _ in range(100))
    )

    assert ids == list(range(1, 101))
    assert commits == [100]


async def test_work_that_fails_concerns_nobody_else(committer: Committer) -> None:
    def fails(book: Book) -> int:
        raise KeyError("mine")

    job_id = new_job_id()
    good, bad = await asyncio.gather(
        committer.run(lambda book: book.add(entry_of(job_id))),
        committer.run(fails),
        return_exceptions=True,
    )
    assert good == 1
    assert isinstance(bad, KeyError)
    assert await committer.run(lambda book: book.count(job_id)) == 1


async def test_a_full_disk_refuses_and_forgets_nothing(committer: Committer) -> None:
    connection = committer.book.connection
    job_id = new_job_id()
    await committer.run(lambda book: book.add(entry_of(job_id)))
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    long = entry_of(job_id)
    long = long._replace(event=long.event._replace(message="x" * 100_000))

    with pytest.raises(NotKept):
        await committer.run(lambda book: book.add(long))

    connection.execute("PRAGMA max_page_count = 100000")
    await committer.run(lambda book: book.add(long))
    assert await committer.run(lambda book: book.count(job_id)) == 2


async def test_too_much_at_once_is_refused(
    committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committer_module, "MAX_WAITING", 10)
    job_id = new_job_id()
    outcomes = await asyncio.gather(
        *(committer.run(lambda book: book.add(entry_of(job_id))) for _ in range(15)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, NotKept) for each in outcomes) == 5
    for _ in range(20):
        committer.run_soon(lambda book: book.add(entry_of(job_id)), job_id)
    assert await committer.run(lambda book: book.count(job_id)) == 10 + 5


async def test_the_oldest_rows_go_and_those_that_wait_stay(
    committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_module, "PRUNE_EVERY", 10)

    def fill(book: Book) -> int:
        book.add(entry_of(new_job_id(), None))
        book.add(entry_of(new_job_id(), Fate.UNKNOWN)._replace(held_until=1.0))
        newest = [book.add(entry_of(new_job_id())) for _ in range(38)][-1]
        book.prune(newest, keep=20)
        return newest

    assert await committer.run(fill) == 40
    noted = await committer.run(lambda book: book.newest(None, limit=100))
    assert [each.receipt_id for each in noted] == [2, *range(21, 41)]
    assert await committer.run(lambda book: book.waiting()) == 1


async def test_a_damaged_book_is_put_aside(tmp_path: Path) -> None:
    Book(tmp_path).connection.close()
    (tmp_path / "callbacks" / "book.db").write_bytes(b"no book at all" * 1000)

    book = Book(tmp_path)

    assert book.newest(None, limit=1) == []
    book.connection.close()
    [aside] = (tmp_path / "callbacks").glob("book.db.damaged-*")
    assert aside.read_bytes().startswith(b"no book")


def test_a_book_is_one_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "BUSY_SECONDS", 0.01)
    book = Book(tmp_path)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        Book(tmp_path)
    book.connection.close()
    Book(tmp_path).connection.close()
