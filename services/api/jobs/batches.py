"""Many jobs under one tag: started and looked at together; a repeat starts what is missing."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from services.api.feed.feed import Feed
from services.api.jobs.jobs import IdempotencyConflict, Jobs
from services.api.models import Batch, BatchOrder, Counts
from shared.errors import GenvideoError, QueueFull, TemporalRefuses, TemporalUnavailable
from shared.jobs.ids import job_id_for_key
from shared.jobs.messages import JobInput
from shared.jobs.states import Status

# So many starts are under way at a time.
AT_ONCE = 32


class BatchNotFound(GenvideoError, code="batch_not_found", status=404, title="No such batch"):
    """No job carries the tag."""


class Batches:
    """Starts batches and sums them up."""

    def __init__(self, feed: Feed, jobs: Jobs) -> None:
        self._feed = feed
        self._jobs = jobs

    async def submit(self, order: BatchOrder, key: str) -> tuple[str, list[str]]:
        """The tag and the ids, in the order of the jobs; each job is started once per key.

        IdempotencyConflict: the key was used for other jobs, or for more. TemporalUnavailable,
        QueueFull: some may have been started, and the same key starts the others.
        """
        tag = order.tag or f"batch-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
        jobs = [job.model_copy(update={"tag": tag}) for job in order.all()]
        if self._feed.index.get(job_id_for_key(_key(key, len(jobs)))) is not None:
            raise IdempotencyConflict("This Idempotency-Key was used for a batch of more jobs.")
        started: dict[int, str] = {}
        failures: list[GenvideoError] = []
        at_once = asyncio.Semaphore(AT_ONCE)

        async def start(place: int, job: JobInput) -> None:
            async with at_once:
                # After a failure no other one begins; what is under way is waited for.
                if not failures:
                    try:
                        started[place] = await self._jobs.submit(job, _key(key, place))
                    except GenvideoError as failure:
                        failures.append(failure)

        await asyncio.gather(*(start(place, job) for place, job in enumerate(jobs)))
        if failures:
            raise _reason(failures[0], f"{len(started)} of {len(jobs)} jobs", key=key)
        return tag, [started[place] for place in range(len(jobs))]

    def summary(self, tag: str) -> Batch:
        """The batch as it is known now; BatchNotFound."""
        jobs = self._feed.index.tagged(tag)
        if not jobs:
            raise BatchNotFound(f"No job is tagged {tag[:100]}.")
        counts = Counter(job.status for job in jobs)
        ended = sum(count for status, count in counts.items() if status.ended)
        return Batch(
            tag=tag,
            total=len(jobs),
            counts=Counts(**{status.value: counts[status] for status in Status}),
            percent=100 * ended // len(jobs),
            first_created_at=min(job.created_at for job in jobs),
            last_created_at=max(job.created_at for job in jobs),
            first_started_at=min(_known(job.started_at for job in jobs), default=None),
            last_finished_at=max(_known(job.finished_at for job in jobs), default=None),
        )


def _known(moments: Iterable[datetime | None]) -> list[datetime]:
    return [moment for moment in moments if moment is not None]


def _key(key: str, place: int) -> str:
    # A space can't be in a key of a caller's, so that this can't be the key of another job.
    return f"batch {key} {place}"


def _reason(failure: GenvideoError, done: str, *, key: str) -> GenvideoError:
    """A failure after which trying again helps says how far we came."""
    rest = f"{done} were started. The same with Idempotency-Key: {key} starts the others."
    if isinstance(failure, TemporalRefuses):
        return type(failure)(f"{failure.message}; {rest}")
    if isinstance(failure, TemporalUnavailable):
        return TemporalUnavailable(f"Temporal does not answer; {rest}")
    if isinstance(failure, QueueFull):
        return QueueFull(f"The queue is full; {rest}", retry_after=failure.retry_after)
    return failure
