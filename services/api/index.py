"""All jobs in memory, newest first; a job is never replaced by an older version of itself."""

import base64
from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from shared.errors import InvalidInput
from shared.ids import is_job_id
from shared.messages import Job
from shared.states import Status


class Key(NamedTuple):
    """A job's place in the list."""

    created_at: datetime
    job_id: str


class Page(NamedTuple):
    """Some jobs, newest first, and the key behind which the next page begins."""

    jobs: list[Job]
    last: Key | None


class JobIndex:
    """Looked up by id, listed by age; one thread (the event loop's) uses it."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._keys: list[Key] = []
        self._open: set[str] = set()

    def __len__(self) -> int:
        return len(self._jobs)

    def get(self, job_id: str) -> Job | None:
        """The newest known state of a job."""
        return self._jobs.get(job_id)

    def put(self, job: Job) -> bool:
        """Take a job's state unless it is known already; says whether it was news."""
        known = self._jobs.get(job.job_id)
        if known is not None and known.version >= job.version:
            return False
        if known is None or known.created_at != job.created_at:
            self._place(job, known)
        self._jobs[job.job_id] = job
        if job.status.ended:
            self._open.discard(job.job_id)
        else:
            self._open.add(job.job_id)
        return True

    def any_open(self) -> bool:
        """Whether some job has not ended yet."""
        return bool(self._open)

    def _place(self, job: Job, known: Job | None) -> None:
        if known is not None:
            del self._keys[bisect_left(self._keys, _key(known))]
        insort(self._keys, _key(job))

    def oldest_first(self) -> Iterator[Job]:
        """Every job; the index must not change meanwhile."""
        return (self._jobs[key.job_id] for key in self._keys)

    def page(
        self, limit: int, *, status: Status | None, tag: str | None, after: Key | None
    ) -> Page:
        """At most `limit` jobs that fit, older than `after`; newcomers shift nothing."""
        end = len(self._keys) if after is None else bisect_left(self._keys, after)
        found: list[Job] = []
        for place in range(end - 1, -1, -1):
            job = self._jobs[self._keys[place].job_id]
            if (status is None or job.status is status) and (tag is None or job.tag == tag):
                if len(found) == limit:
                    return Page(found, _key(found[-1]))
                found.append(job)
        return Page(found, None)


def _key(job: Job) -> Key:
    return Key(job.created_at, job.job_id)


def to_cursor(key: Key) -> str:
    """A key as an opaque word."""
    return base64.urlsafe_b64encode(f"{key.created_at.isoformat()}|{key.job_id}".encode()).decode()


def from_cursor(cursor: str) -> Key:
    """The key in a cursor; InvalidInput for anything that isn't one of ours."""
    try:
        created_at, _, job_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition("|")
        key = Key(datetime.fromisoformat(created_at), job_id)
    except ValueError:
        key = None
    if key is None or not is_job_id(key.job_id) or key.created_at.tzinfo is None:
        raise InvalidInput("cursor: take it from next_cursor of the page before") from None
    return key
