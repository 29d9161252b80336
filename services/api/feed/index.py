"""All jobs in memory, newest first; a job is never replaced by an older version of itself."""

import base64
from bisect import bisect_left, bisect_right, insort
from collections.abc import Set
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from shared.jobs.ids import is_job_id
from shared.jobs.messages import Job
from shared.jobs.states import Status

# Outdated changes beyond twice the number of jobs are dropped.
SPARE = 1000


class Key(NamedTuple):
    """A job's place in the list."""

    created_at: datetime
    job_id: str


class Page(NamedTuple):
    """Some jobs, newest first, and the key after which the next page begins."""

    jobs: list[Job]
    last: Key | None


class JobIndex:
    """Jobs by id and by age; only one thread (the event loop's) uses it.

    A job keeps its first place: its record may correct its time by some milliseconds, and a page
    that is being read must neither repeat nor miss it.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._keys: list[Key] = []
        self._tagged: dict[str, list[Key]] = {}
        self._open: set[str] = set()
        # The number of the last change, and of each job's last one; all changes in order, of which
        # outdated ones are dropped now and then.
        self.change = 0
        self._changes: dict[str, int] = {}
        self._order: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._jobs)

    def get(self, job_id: str) -> Job | None:
        """Return the newest known state of a job."""
        return self._jobs.get(job_id)

    def put(self, job: Job) -> bool:
        """Take a job's state unless it is known already; return True if it was news."""
        known = self._jobs.get(job.job_id)
        if known is not None and known.version >= job.version:
            return False
        if known is None:
            self._place(job)
        self.change += 1
        self._changes[job.job_id] = self.change
        self._order.append((self.change, job.job_id))
        if len(self._order) > 2 * len(self._changes) + SPARE:
            self._order = [each for each in self._order if self._is_last(*each)]
        self.amend(job)
        return True

    def _is_last(self, change: int, job_id: str) -> bool:
        return self._changes.get(job_id) == change

    def amend(self, job: Job) -> None:
        """Replace the state of a known job; its version or an older one is no news."""
        self._jobs[job.job_id] = job
        if job.status.ended:
            self._open.discard(job.job_id)
        else:
            self._open.add(job.job_id)

    def ended(self) -> list[Job]:
        """Return every job that has ended."""
        return [job for job_id, job in self._jobs.items() if job_id not in self._open]

    def forget(self, job_ids: Set[str]) -> None:
        """Forget these jobs; each costs a walk through the list, so pass many at once."""
        jobs = [self._jobs[job_id] for job_id in job_ids & self._jobs.keys()]
        for job_id in job_ids:
            self._jobs.pop(job_id, None)
            self._changes.pop(job_id, None)
            self._open.discard(job_id)
        self._keys = [key for key in self._keys if key.job_id not in job_ids]
        for tag in {job.tag for job in jobs if job.tag is not None}:
            self._tagged[tag] = [key for key in self._tagged[tag] if key.job_id not in job_ids]
            if not self._tagged[tag]:
                del self._tagged[tag]

    def open(self) -> list[Job]:
        """Return every open job."""
        return [self._jobs[job_id] for job_id in self._open]

    def any_open(self) -> bool:
        """True if some job is open."""
        return bool(self._open)

    def _place(self, job: Job) -> None:
        key = Key(job.created_at, job.job_id)
        insort(self._keys, key)
        if job.tag is not None:
            insort(self._tagged.setdefault(job.tag, []), key)

    def changed_after(self, change: int, limit: int) -> list[tuple[int, Job]]:
        """Return the first jobs whose last change came after that one, in the order of those
        changes."""
        place = bisect_right(self._order, change, key=itemgetter(0))
        later = islice(self._order, place, None)
        found = (each for each in later if self._is_last(*each))
        return [(last, self._jobs[job_id]) for last, job_id in islice(found, limit)]

    def page(
        self, limit: int, *, status: Status | None, tag: str | None, after: Key | None
    ) -> Page:
        """Return at most `limit` matching jobs, older than `after`; new jobs shift nothing."""
        keys = self._keys if tag is None else self._tagged.get(tag, [])
        end = len(keys) if after is None else bisect_left(keys, after)
        found: list[Job] = []
        last: Key | None = None
        for place in range(end - 1, -1, -1):
            job = self._jobs[keys[place].job_id]
            if status is None or job.status is status:
                if len(found) == limit:
                    return Page(found, last)
                found.append(job)
                last = keys[place]
        return Page(found, None)


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
