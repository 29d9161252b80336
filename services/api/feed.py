"""The jobs that this process knows, their changes in order, and the listeners. Use it on the event
loop only."""

import asyncio
import base64
import secrets
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

from services.api.metrics import CHANGES, SUBSCRIBERS
from shared.errors import GenvideoError
from shared.jobs.ids import is_job_id
from shared.jobs.messages import Job, Record, started_at
from shared.jobs.states import Status

# A listener that is this many changes behind skips to the newest of each job.
MAX_WAITING = 256
# Older outdated changes beyond twice the number of jobs are dropped.
SPARE = 1000
# This many jobs are looked up and written as JSON at a time.
PAGE = 10
# When a refused listener may try again.
RETRY_SECONDS = 5.0
# JSON allows these inside a string, but some readers of lines end a line at each.
_LINE_ENDS = {end: f"\\u{ord(end):04x}" for end in "\u0085\u2028\u2029"}


class TooManyListeners(GenvideoError, status=429, title="Too many listeners", retryable=True):
    """There are too many listeners for another one."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A state of a job; `number` counts the changes of all jobs, `change` is its name outside."""

    job: Job
    number: int = 0
    change: str = ""


@lru_cache(maxsize=MAX_WAITING)
def text_of(frame: Frame) -> str:
    """Return the state as JSON in one line; written once for all listeners."""
    text = frame.job.model_dump_json()
    for end, escaped in _LINE_ENDS.items():
        text = text.replace(end, escaped)
    return text


@lru_cache(maxsize=MAX_WAITING)
def numbered(frame: Frame) -> str:
    """Return the state among those of all jobs, with its `change`."""
    return f'{text_of(frame)[:-1]},"change":"{frame.change}"}}'


@dataclass(frozen=True)
class Retention:
    """How long a job is kept after its end; forever without a number of days."""

    days: float | None = None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def over(self, job: Job) -> bool:
        """True if a job, or the job of a record, ended so long ago that it counts as unknown."""
        return job.status.ended and self.past(job.finished_at)

    def past(self, end: datetime | None) -> bool:
        if self.days is None or end is None:
            return False
        return self.now() - end > timedelta(days=self.days)


class Listeners:
    """A bounded number of listeners; a change costs next to nothing without any."""

    def __init__(self, most: int = 2000) -> None:
        self._most = most
        self._places = 0
        # By job; None: those to all jobs.
        self._groups: dict[str | None, set[asyncio.Event]] = {}
        # The service stops, so every listener ends.
        self.closed = False

    @contextmanager
    def place(self) -> Iterator[None]:
        """Reserve a place for one listener; raise TooManyListeners."""
        if self._places >= self._most:
            raise TooManyListeners(f"{self._most} listen already.", retry_after=RETRY_SECONDS)
        self._places += 1
        try:
            with SUBSCRIBERS.track_inprogress():
                yield
        finally:
            self._places -= 1

    @contextmanager
    def subscribed(self, job_id: str | None = None) -> Iterator[asyncio.Event]:
        """Yield an event that every change of one job, or of all, sets during the block."""
        group, news = self._groups.setdefault(job_id, set()), asyncio.Event()
        group.add(news)
        try:
            yield news
        finally:
            group.discard(news)
            if not group:
                self._groups.pop(job_id, None)

    def wake(self, job_id: str) -> None:
        for group in (job_id, None):
            for news in self._groups.get(group, ()):
                news.set()

    def close(self) -> None:
        """End every listener, now and later, because the service stops."""
        self.closed = True
        for news in [each for group in self._groups.values() for each in group]:
            news.set()


class Key(NamedTuple):
    """A job's place in the list."""

    created_at: datetime
    job_id: str


class Page(NamedTuple):
    """Some jobs, newest first, and the key after which the next page begins."""

    jobs: list[Job]
    last: Key | None


class Feed:
    """Jobs by id and by age, never replaced by an older version; each version is one change.

    A job keeps its first place in the list. Its record may correct its time by some milliseconds,
    and a page that is being read must neither repeat nor miss it.
    """

    def __init__(
        self, listeners: Listeners | None = None, *, retention: Retention | None = None
    ) -> None:
        self.listeners = listeners or Listeners()
        self.retention = retention or Retention()
        # Numbers of changes mean something only in the process that gave them.
        self.process = secrets.token_hex(4)
        # Jobs whose record must be written again, and jobs to remove, for other tasks.
        self.damaged: dict[str, None] = {}
        self.expired: dict[str, None] = {}
        # The number of the last change; the newest frame of each job; all frames in order, of
        # which outdated ones are dropped now and then.
        self.change = 0
        self._newest: dict[str, Frame] = {}
        self._order: list[Frame] = []
        self._keys: list[Key] = []
        self._open: set[str] = set()

    def __len__(self) -> int:
        return len(self._newest)

    def get(self, job_id: str) -> Job | None:
        frame = self._newest.get(job_id)
        return None if frame is None else frame.job

    def put(self, job: Job) -> None:
        """Take a job's state; one that is not newer than the known one changes nothing."""
        known = self.get(job.job_id)
        if known is None and self.retention.over(job):
            self.expired[job.job_id] = None
            return
        if known is not None and known.version >= job.version:
            return
        if known is None:
            insort(self._keys, Key(job.created_at, job.job_id))
        self.change += 1
        frame = self._newest[job.job_id] = Frame(job, self.change, self.named(self.change))
        self._order.append(frame)
        if job.status.ended:
            self._open.discard(job.job_id)
        else:
            self._open.add(job.job_id)
        if len(self._order) > 2 * len(self._newest) + SPARE:
            older = filter(self._is_newest, self._order[:-MAX_WAITING])
            self._order = [*older, *self._order[-MAX_WAITING:]]
        CHANGES.inc()
        self.listeners.wake(job.job_id)

    def put_record(self, record: Record) -> Job:
        """Take a record: publish each version since the last known one, and return the newest."""
        known = self.get(record.job_id)
        for job in [record.job()] if known is None else versions_after(record, known.version):
            self.put(job)
        return self.get(record.job_id) or record.job()

    def _is_newest(self, frame: Frame) -> bool:
        newest = self._newest.get(frame.job.job_id)
        return newest is not None and newest.number == frame.number

    def forget_expired(self) -> None:
        over = [job_id for job_id, each in self._newest.items() if self.retention.over(each.job)]
        if over:
            self.forget(set(over))
            self.expired.update(dict.fromkeys(over))

    def forget(self, job_ids: Set[str]) -> None:
        """Forget these jobs. Each call walks through the list, so pass many at once."""
        for job_id in job_ids & self._newest.keys():
            del self._newest[job_id]
        self._open -= job_ids
        self._order = [frame for frame in self._order if frame.job.job_id not in job_ids]
        self._keys = [key for key in self._keys if key.job_id not in job_ids]

    def open(self) -> list[Job]:
        return [self._newest[job_id].job for job_id in self._open]

    def any_open(self) -> bool:
        return bool(self._open)

    def page(
        self, limit: int, *, status: Status | None, tag: str | None, after: Key | None
    ) -> Page:
        """Return at most `limit` matching jobs, older than `after`; new jobs shift nothing."""
        end = len(self._keys) if after is None else bisect_left(self._keys, after)
        found: list[Job] = []
        last: Key | None = None
        for key in reversed(self._keys[:end]):
            job = self._newest[key.job_id].job
            if status in (None, job.status) and tag in (None, job.tag):
                if len(found) == limit:
                    return Page(found, last)
                found.append(job)
                last = key
        return Page(found, None)

    def named(self, number: int) -> str:
        """Return the name of a change, from which a listener can continue."""
        return f"{self.process}-{number}"

    def number_of(self, change: str | None) -> int:
        """Return the number of a `change`; 0 for an empty one and for one of another process."""
        process, _, number = (change or "").partition("-")
        known = process == self.process and number.isascii() and number.isdigit()
        return int(number) if known else 0

    def changed_after(self, number: int) -> list[Frame]:
        """Return the newest frame of each job that changed after that number, in order of change,
        at most a page."""
        later = islice(self._order, self._place_after(number), None)
        newest = (self._newest[frame.job.job_id] for frame in later if self._is_newest(frame))
        return list(islice(newest, PAGE))

    def changes_after(self, number: int) -> list[Frame]:
        """Return each change after that number; if there are too many, only the newest ones of some
        jobs."""
        missed = self.change - number
        later = self._order[self._place_after(number) :] if missed <= MAX_WAITING else []
        return later if len(later) == missed else self.changed_after(number)

    def _place_after(self, number: int) -> int:
        return bisect_right(self._order, number, key=attrgetter("number"))

    def versions_of(self, job_id: str, version: int) -> list[Frame]:
        """Return each state of a job above a version, in order; if there are too many, only the
        newest."""
        newest = self._newest.get(job_id)
        if newest is None or newest.job.version <= version:
            return []
        found: list[Frame] = []
        for frame in islice(reversed(self._order), MAX_WAITING):
            if frame.job.job_id == job_id:
                if frame.job.version > version:
                    found.append(frame)
                if frame.job.version <= version + 1:
                    return found[::-1]
        return found[::-1] if len(self._order) <= MAX_WAITING else [newest]


def to_cursor(key: Key) -> str:
    """Return a key as an opaque text."""
    return base64.urlsafe_b64encode(f"{key.created_at.isoformat()}|{key.job_id}".encode()).decode()


def from_cursor(cursor: str) -> Key:
    """Return the key in a cursor; raise ValueError for an invalid one."""
    try:
        created_at, _, job_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        key = Key(datetime.fromisoformat(created_at), job_id)
    except ValueError:
        key = None
    if key is None or not is_job_id(key.job_id) or key.created_at.tzinfo is None:
        raise ValueError("Take it from next_cursor of the page before.") from None
    return key


def versions_after(record: Record, version: int) -> list[Job]:
    """Return each version above `version` of the record, the newest (whole) one last."""
    earlier = [
        _as_of(record, place)
        for place, change in enumerate(record.transitions)
        if version < change.version < record.version
    ]
    return [*earlier, record.job()] if record.version > version else []


def _as_of(record: Record, place: int) -> Job:
    """Return the record as it was right after its transition number `place`."""
    change = record.transitions[place]
    same = ("version", "status", "step", "percent", "attempts", "asset_url", "vendor_position")
    return record.job().model_copy(
        update={
            **{name: getattr(change, name) for name in (*same, "error")},
            "started_at": started_at(record.transitions[: place + 1]),
            "finished_at": change.at if change.status.ended else None,
        }
    )
