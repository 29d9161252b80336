"""Hands each change to whoever listens; a slow listener skips states, and never sees an older one
after a newer one."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property

from services.api.metrics import SUBSCRIBERS
from shared.messages import Job

# So many frames wait for a slow reader before only the newest of each job is kept.
MAX_WAITING = 256


class Frame:
    """A job's state, written as JSON once for all that get it."""

    def __init__(self, job: Job) -> None:
        self.job = job

    @cached_property
    def text(self) -> str:
        return self.job.model_dump_json()


class Subscription:
    """What one listener has not taken yet."""

    def __init__(self) -> None:
        self._waiting: list[Frame] = []
        self._bound = MAX_WAITING
        self._news = asyncio.Event()
        self.closed = False

    def offer(self, frame: Frame) -> None:
        """Queue a frame; beyond the bound only the newest of each job stays."""
        self._waiting.append(frame)
        if len(self._waiting) > self._bound:
            newest = {kept.job.job_id: kept for kept in self._waiting}
            self._waiting = list(newest.values())
            # Twice what is left at the least, or a long list would be thinned at every offer.
            self._bound = max(MAX_WAITING, 2 * len(self._waiting))
        self._news.set()

    def close(self) -> None:
        """No more will come; what waits is still delivered."""
        self.closed = True
        self._news.set()

    async def take(self, *, seconds: float | None = None) -> list[Frame]:
        """All that came since the last call; empty after `seconds` without news, or when closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        if not self.closed:
            self._news.clear()
        taken, self._waiting = self._waiting, []
        return taken


class Hub:
    """Subscriptions to one job or to all; `publish` costs nothing where nobody listens."""

    def __init__(self) -> None:
        self._everything: set[Subscription] = set()
        self._by_job: dict[str, set[Subscription]] = {}
        self._closed = False

    def publish(self, job: Job) -> None:
        """A job has changed; callers publish its versions in their order."""
        listeners = self._everything | self._by_job.get(job.job_id, set())
        if listeners:
            frame = Frame(job)
            for listener in listeners:
                listener.offer(frame)

    @contextmanager
    def subscribe(self, job_id: str | None = None) -> Iterator[Subscription]:
        """Every change of one job, or of all, from now on."""
        subscription = Subscription()
        group = self._group(job_id)
        group.add(subscription)
        SUBSCRIBERS.inc()
        if self._closed:
            subscription.close()
        try:
            yield subscription
        finally:
            SUBSCRIBERS.dec()
            group.discard(subscription)
            if job_id is not None and not group:
                self._by_job.pop(job_id, None)

    def _group(self, job_id: str | None) -> set[Subscription]:
        return self._everything if job_id is None else self._by_job.setdefault(job_id, set())

    def close(self) -> None:
        """End every subscription, now and later: the service stops."""
        self._closed = True
        for group in (self._everything, *self._by_job.values()):
            for listener in group:
                listener.close()
