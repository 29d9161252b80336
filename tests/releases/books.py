"""A book of callbacks as this release leaves it on disk, and the entry in it."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from services.callback.books.book import Book
from services.callback.models import Entry, Event, Fate, TaskStatus
from tests.releases.kinds import FOLDER

STORED = FOLDER / "book.sql"
JOB_ID = "job-0123456789abcdef01234567"
ENTRY = Entry(
    receipt_id=1,
    event=Event(
        received_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        external_id=f"{JOB_ID}.video.1",
        task_id="task-1",
        task_status=TaskStatus.SUCCEED,
        updated_at=3,
        message="text",
        named="other",
    ),
    fate=Fate.APPLIED,
    held_until=1.5,
    replay_of=1,
)


def dump() -> str:
    """The whole book as SQL."""
    with TemporaryDirectory() as folder:
        book = Book(Path(folder))
        book.add(ENTRY)
        text = "\n".join(book.connection.iterdump())
        book.connection.close()
    return text + "\n"


def restore(data_dir: Path, *, more: str = "") -> Book:
    """The stored book opened by the code as it is, after more SQL."""
    path = data_dir / "callbacks" / "book.db"
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.executescript(STORED.read_text(encoding="utf-8") + more)
    connection.close()
    return Book(data_dir)
