"""The book of callbacks: one SQLite file, each event a row that is kept before it is answered."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from services.callback.books.fates import SETTLED
from services.callback.models import Entry, Event, Fate, TaskStatus

log = structlog.get_logger(__name__)

# A killed process leaves no lock; one that is just ending does, for a moment.
BUSY_SECONDS = 5.0
# Every so many rows the oldest are looked at for removal.
PRUNE_EVERY = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS callbacks (
    receipt_id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at TEXT NOT NULL,
    job_id TEXT NOT NULL,
    external_id TEXT NOT NULL,
    task_id TEXT,
    task_status TEXT,
    updated_at INTEGER,
    message TEXT NOT NULL,
    named TEXT,
    fate TEXT,
    held_until REAL,
    replay_of INTEGER
);
CREATE INDEX IF NOT EXISTS of_a_job ON callbacks (job_id);
CREATE INDEX IF NOT EXISTS waiting ON callbacks (job_id) WHERE fate IS NULL;
CREATE INDEX IF NOT EXISTS quarantine ON callbacks (held_until) WHERE held_until IS NOT NULL;
"""
# Of many jobs' books, two may have given the same id.
_COPY = _SCHEMA.replace("PRIMARY KEY AUTOINCREMENT", "NOT NULL") + (
    "CREATE UNIQUE INDEX of_a_receipt ON callbacks (receipt_id, job_id);"
)
_EVENT = "received_at, external_id, task_id, task_status, updated_at, message, named"
_ROW = ("receipt_id", "job_id", *_EVENT.split(", "), "fate", "held_until", "replay_of")
_COLUMNS = f"receipt_id, {_EVENT}, fate, held_until, replay_of"
_SETTLED = ", ".join(f"'{fate}'" for fate in sorted(SETTLED))


class Book:
    """`<data>/callbacks/book.db`, open in one process alone.

    Whatever is written is on the disk after the commit, which is the caller's: see Committer.
    """

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "callbacks"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.connection = _opened(self.folder / "book.db")

    def add(self, entry: Entry) -> int:
        """Write an entry; its receipt's id."""
        event, receipt_id = entry.event, self._next()
        done = self.connection.execute(
            f"INSERT INTO callbacks ({', '.join(_ROW)}) "  # noqa: S608 - our own text
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (receipt_id, event.job_id, event.received_at.isoformat(), *event[1:], *entry[2:]),
        )
        return receipt_id or done.lastrowid or 0

    def _next(self) -> int | None:
        """The next receipt's id; None: the one behind the last."""
        return None

    def settle(self, entry: Entry) -> None:
        """Write the fate of an entry, and whether it is in quarantine."""
        self.connection.execute(
            "UPDATE callbacks SET fate = ?, held_until = ? WHERE receipt_id = ?",
            (entry.fate, entry.held_until, entry.receipt_id),
        )

    def past(self, event: Event, *, before: int | None) -> list[Event]:
        """The settled events of the same job and task, up to a place in the book."""
        entries = self._entries(
            f"job_id = ? AND task_id = ? AND receipt_id < ? AND fate IN ({_SETTLED})",
            (event.job_id, event.task_id, before or 2**63 - 1),
        )
        return [entry.event for entry in entries]

    def count(self, job_id: str) -> int:
        """How many entries a job has."""
        return self._number("SELECT count(*) FROM callbacks WHERE job_id = ?", job_id)

    def waits(self, job_id: str) -> bool:
        """Whether anything of this job waits for Temporal."""
        return bool(
            self._number(
                "SELECT EXISTS (SELECT 1 FROM callbacks WHERE job_id = ? AND fate IS NULL)", job_id
            )
        )

    def first_waiting(self, job_id: str) -> Entry | None:
        """The oldest of a job's that waits."""
        where = "job_id = ? AND fate IS NULL ORDER BY receipt_id LIMIT 1"
        return next(self._entries(where, (job_id,)), None)

    def waiting_jobs(self, before: datetime | None = None) -> list[str]:
        """Every job that something waits of, or has since before then, the oldest first."""
        found = self.connection.execute(
            "SELECT job_id FROM callbacks WHERE fate IS NULL "
            "GROUP BY job_id HAVING min(received_at) < ? ORDER BY min(receipt_id)",
            ("9" if before is None else before.isoformat(),),
        )
        return [job_id for (job_id,) in found]

    def waiting(self) -> int:
        """How many wait."""
        return self._number("SELECT count(*) FROM callbacks WHERE fate IS NULL")

    def in_quarantine(self) -> list[Entry]:
        """All in quarantine, oldest first."""
        return list(self._entries("held_until IS NOT NULL ORDER BY receipt_id", ()))

    def quarantined(self) -> int:
        """How many are in quarantine."""
        return self._number("SELECT count(*) FROM callbacks WHERE held_until IS NOT NULL")

    def entry(self, receipt_id: int) -> Entry | None:
        """One entry, or None."""
        return next(self._entries("receipt_id = ?", (receipt_id,)), None)

    def newest(self, job_id: str | None, *, limit: int) -> list[Entry]:
        """The newest with a fate, of one job or of all; the oldest of them first."""
        of_job, given = ("", ()) if job_id is None else ("job_id = ? AND ", (job_id,))
        where = f"{of_job}fate IS NOT NULL ORDER BY receipt_id DESC LIMIT ?"
        return [*self._entries(where, (*given, limit))][::-1]

    def jobs_after(self, receipt_id: int, *, limit: int, before: datetime) -> dict[str, int]:
        """Jobs of the next so many entries that came before then, each with its last one there."""
        found = self.connection.execute(
            "SELECT job_id, receipt_id, received_at FROM callbacks WHERE receipt_id > ? "
            "ORDER BY receipt_id LIMIT ?",
            (receipt_id, limit),
        )
        until = before.isoformat()
        return {job_id: position for job_id, position, at in found if at < until}

    def forget(self, job_id: str, *, before: datetime) -> int:
        """Remove what came of a job before then and needs nothing any more; how many that were."""
        done = self.connection.execute(
            "DELETE FROM callbacks WHERE job_id = ? AND received_at < ? "
            "AND fate IS NOT NULL AND held_until IS NULL",
            (job_id, before.isoformat()),
        )
        return done.rowcount

    def prune(self, newest: int, *, keep: int) -> None:
        """Forget what is older than the newest `keep` entries and needs nothing any more."""
        if newest % PRUNE_EVERY == 0:
            self.connection.execute(
                "DELETE FROM callbacks WHERE receipt_id <= ? "
                "AND fate IS NOT NULL AND held_until IS NULL",
                (newest - keep,),
            )

    def _number(self, statement: str, *given: str) -> int:
        return int(self.connection.execute(statement, given).fetchone()[0])

    def _entries(self, where: str, given: tuple[Any, ...]) -> Iterator[Entry]:
        statement = f"SELECT {_COLUMNS} FROM callbacks WHERE {where}"  # noqa: S608 - our own text
        return map(_entry, self.connection.execute(statement, given))


class JobBook(Book):
    """A book in memory: of one job for a piece of work, or a copy of many jobs' books.

    Its receipts' ids are times, so that those of several receivers seldom meet, and grow within
    a job. They are whole numbers that a browser can count with.
    """

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.connection.executescript(_COPY)

    def _next(self) -> int:
        last = self._number("SELECT coalesce(max(receipt_id), 0) FROM callbacks")
        return max(last + 1, time.time_ns() // 1000)

    def prune(self, newest: int, *, keep: int) -> None:
        """Nothing: a job's receipts are bounded, and go with the job."""

    def close(self) -> None:
        """Give back what it takes."""
        self.connection.close()

    def load(self, job_id: str, rows: Iterable[dict[str, Any]]) -> None:
        """Have these rows of a job, and no other ones."""
        self.connection.execute("DELETE FROM callbacks WHERE job_id = ?", (job_id,))
        self.connection.executemany(
            f"INSERT OR REPLACE INTO callbacks ({', '.join(_ROW)}) "  # noqa: S608 - our own text
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [tuple(row.get(name) for name in _ROW) for row in rows],
        )

    def rows(self) -> list[dict[str, Any]]:
        """All of it, the oldest first."""
        found = self.connection.execute(
            f"SELECT {', '.join(_ROW)} FROM callbacks ORDER BY receipt_id"  # noqa: S608
        )
        return [dict(zip(_ROW, row, strict=True)) for row in found]

    @staticmethod
    def to_json(rows: list[dict[str, Any]]) -> bytes:
        """What is stored."""
        return json.dumps(rows, indent=1, ensure_ascii=False).encode() + b"\n"

    @staticmethod
    def from_json(data: bytes) -> list[dict[str, Any]]:
        """What was stored; ValueError where it is nothing of the kind."""
        rows = json.loads(data)
        if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
            raise ValueError("no receipts")
        return rows


def _is_row(row: Any) -> bool:
    needed = ("job_id", "external_id", "received_at", "message")
    return (
        isinstance(row, dict)
        and isinstance(row.get("receipt_id"), int)
        and all(isinstance(row.get(name), str) for name in needed)
    )


def _entry(found: tuple[Any, ...]) -> Entry:
    receipt_id, received_at, external_id, task_id, status, updated_at, message, named, *rest = found
    fate, held_until, replay_of = rest
    event = Event(
        received_at=datetime.fromisoformat(received_at),
        external_id=external_id,
        task_id=task_id,
        task_status=TaskStatus(status) if status else None,
        updated_at=updated_at,
        message=message,
        named=named,
    )
    return Entry(receipt_id, event, Fate(fate) if fate else None, held_until, replay_of)


def _opened(path: Path) -> sqlite3.Connection:
    try:
        return _connection(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        aside = path.with_name(f"{path.name}.damaged-{time.time_ns()}")
        path.rename(aside)
        path.with_name(f"{path.name}-wal").unlink(missing_ok=True)
        log.error("the book of callbacks can't be read, a new one begins", aside=aside.name)
        return _connection(path)


def _connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        # Exclusive: one process a book, and no shared memory, which some mounted folders lack.
        connection.execute("PRAGMA locking_mode = exclusive")
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("PRAGMA synchronous = full")
        connection.execute("PRAGMA cache_size = -4096")
        connection.executescript(_SCHEMA)
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("damaged")
    except BaseException:
        connection.close()
        raise
    return connection
