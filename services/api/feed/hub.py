"""Hands each change to whoever listens; a slow listener skips states, and never sees an older one
after a newer one."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from services.api.feed.frames import Frame
from services.api.metrics import SUBSCRIBERS
from shared.errors import GenvideoError
from shared.messages import Job

# So many frames wait for a slow reader before only the newest of each job is kept.
MAX_WAITING = 256
# When someone who found no room may come again.
RETRY_SECONDS = 5.0


class TooManyListeners(
    GenvideoError, code="too_many_listeners", status=429, title="Too many listeners", retryable=True
):
    """So many listen already that another one would be a burden to all."""


class Subscription(ABC):
    """What one listener has not been given yet."""

    def __init__(self) -> None:
        self._waiting: list[Frame] = []
        self._bound = MAX_WAITING
        self.closed = False

    def offer(self, frame: Frame) -> None:
        """Queue a frame; beyond the bound only the newest of each job stays."""
        self._waiting.append(frame)
        if len(self._waiting) > self._bound:
            self._waiting = _newest(self._waiting)
            # Twice what is left at the least, or a long list would be thinned at every offer.
            self._bound = max(MAX_WAITING, 2 * len(self._waiting))
        self.wake()

    def close(self) -> None:
        """No more will come; what waits is still delivered."""
        self.closed = True
        self.wake()

    @abstractmethod
    def wake(self) -> None:
        """Something has come, or the end."""

    def pop_all(self) -> list[Frame]:
        """All that came since the last call."""
        drained, self._waiting = self._waiting, []
        return drained


class Mailbox(Subscription):
    """For a listener that comes and takes."""

    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Let a waiting `take` go on."""
        self._news.set()

    async def take(self, *, seconds: float | None = None) -> list[Frame]:
        """All that came since the last call; empty after `seconds` without news, or when closed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        if not self.closed:
            self._news.clear()
        # Nothing is awaited since the wait, so that no news comes between clearing and popping.
        return self.pop_all()


def _newest(frames: list[Frame]) -> list[Frame]:
    """The last frame of each job, in the order in which these came."""
    last: dict[str, Frame] = {}
    for frame in reversed(frames):
        last.setdefault(frame.job.job_id, frame)
    return list(reversed(last.values()))


class Hub:
    """Subscriptions to one job or to all; `publish` costs nothing where nobody listens."""

    def __init__(self, most: int = 2000) -> None:
        self._most = most
        self._count = 0
        self._everything: set[Subscription] = set()
        self._by_job: dict[str, set[Subscription]] = {}
        self._closed = False

    def publish(self, job: Job, change: int = 0) -> None:
        """A job has changed; callers publish its versions in their order."""
        listeners = self._everything | self._by_job.get(job.job_id, set())
        if listeners:
            frame = Frame(job, change)
            for listener in listeners:
                listener.offer(frame)

    def require_room(self) -> None:
        """TooManyListeners where no other one is taken; asked before a stream is promised."""
        if self._count >= self._most:
            raise TooManyListeners(f"{self._count} listen already.", retry_after=RETRY_SECONDS)

    @contextmanager
    def mailbox(self, job_id: str | None = None) -> Iterator[Mailbox]:
        """Every change of one job, or of all, from now on, for whoever takes them."""
        mailbox = Mailbox()
        with self.subscribed(mailbox, job_id):
            yield mailbox

    @contextmanager
    def subscribed(self, listener: Subscription, job_id: str | None = None) -> Iterator[None]:
        """Offer this listener every change of one job, or of all, until the end of the block."""
        group = self._everything if job_id is None else self._by_job.setdefault(job_id, set())
        group.add(listener)
        self._count += 1
        SUBSCRIBERS.inc()
        if self._closed:
            listener.close()
        try:
            yield
        finally:
            self._count -= 1
            SUBSCRIBERS.dec()
            group.discard(listener)
            if job_id is not None and not group:
                self._by_job.pop(job_id, None)

    def close(self) -> None:
        """End every subscription, now and later: the service stops."""
        self._closed = True
        for group in (self._everything, *self._by_job.values()):
            for listener in group:
                listener.close()
