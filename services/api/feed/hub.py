"""Hands each change to whoever listens; a slow listener skips states, and never sees an older one
after a newer one."""

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from itertools import takewhile
from typing import Protocol

from fastapi.sse import format_sse_event

from services.api.metrics import SUBSCRIBERS
from shared.errors import GenvideoError
from shared.jobs.messages import Job

# A reader that is so many changes behind skips to the newest of each job.
MAX_WAITING = 256
# When someone who found no room may come again.
RETRY_SECONDS = 5.0

# JSON lets them stand in a string as they are, but some readers of lines end a line at each.
_LINE_ENDS = {end: f"\\u{ord(end):04x}" for end in "\u0085\u2028\u2029"}


class TooManyListeners(
    GenvideoError, code="too_many_listeners", status=429, title="Too many listeners", retryable=True
):
    """So many listen already that another one would be a burden to all."""


class Frame:
    """A job's state, written once for all that get it; `number` counts the changes of all jobs.

    `change` is how listeners are told of it.
    """

    def __init__(self, job: Job, number: int = 0, change: str = "") -> None:
        self.job = job
        self.number = number
        self.change = change

    @cached_property
    def text(self) -> str:
        """The state as JSON, one line for every reader."""
        text = self.job.model_dump_json()
        for end, escaped in _LINE_ENDS.items():
            text = text.replace(end, escaped)
        return text

    @cached_property
    def message(self) -> dict[str, str]:
        """The state as what an application hands to the server for a WebSocket."""
        return {"type": "websocket.send", "text": self.text}

    @cached_property
    def numbered_message(self) -> dict[str, str]:
        """The state among those of all jobs, with what to go on from."""
        text = f'{self.text[:-1]},"change":"{self.change}"}}'
        return {"type": "websocket.send", "text": text}

    @cached_property
    def event(self) -> bytes:
        """The state as a server-sent event, its id the version."""
        return format_sse_event(data_str=self.text, id=str(self.job.version))


def whole_number(text: str | None) -> int | None:
    """A number from outside; None for all that is none."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


class Waiting(Protocol):
    """What one listener has not been given yet."""

    def add(self, frame: Frame) -> None:
        """A change has come."""

    def take(self) -> list[Frame]:
        """Some of it, in order; empty where nothing waits."""

    async def turn(self) -> None:
        """Let others go on after some was sent, which need not have waited for anything."""


class Versions:
    """The versions of one job; whoever is too slow for every one gets the newest."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []

    def add(self, frame: Frame) -> None:
        """Keep it; beyond the bound only the newest stays."""
        kept = self._frames if len(self._frames) < MAX_WAITING else []
        self._frames = [*kept, frame]

    def take(self) -> list[Frame]:
        """All that came since the last call."""
        taken, self._frames = self._frames, []
        return taken

    async def turn(self) -> None:
        """Let others go on."""
        await asyncio.sleep(0)


class Subscription(ABC):
    """One listener."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self.closed = False

    def offer(self, frame: Frame) -> None:
        """A change has come that this listener asked for."""
        self._waiting.add(frame)
        self.wake()

    def close(self) -> None:
        """No more will come; what waits is still delivered."""
        self.closed = True
        self.wake()

    @abstractmethod
    def wake(self) -> None:
        """Something has come, or the end."""

    def pop(self) -> list[Frame]:
        """Some of what came since the last call; empty once there is no more."""
        return self._waiting.take()

    async def turn(self) -> None:
        """Let others go on."""
        await self._waiting.turn()


class Mailbox(Subscription):
    """For a listener that comes and takes."""

    def __init__(self, waiting: Waiting) -> None:
        super().__init__(waiting)
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Let a waiting `take` go on."""
        self._news.set()

    async def take(self, *, seconds: float | None = None) -> list[Frame]:
        """Some of what came; empty after `seconds` without news, or when closed."""
        if not self.closed:
            self._news.clear()
        # Nothing is awaited between the clearing and the look, so that no news is missed.
        if frames := self.pop():
            return frames
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        return self.pop()


class Hub:
    """Subscriptions to one job or to all; `publish` costs next to nothing where nobody listens."""

    def __init__(self, most: int = 2000, *, per_address: int = 500) -> None:
        self._most = most
        self._per_address = per_address
        self._places: Counter[str] = Counter()
        self._everything: set[Subscription] = set()
        self._by_job: dict[str, set[Subscription]] = {}
        self._closed = False
        # The last changes of all, kept once, however many listen.
        self._recent: deque[Frame] = deque(maxlen=MAX_WAITING)
        # Frames of older changes by their numbers: many listeners begin at the same time.
        self._older: dict[int, Frame] = {}
        self.catching_up = asyncio.Lock()
        # Numbers of changes mean something alone where they were given.
        self.process = secrets.token_hex(4)

    def named(self, number: int) -> str:
        """A change as listeners are told of it, to go on from."""
        return f"{self.process}-{number}"

    def number_of(self, change: str | None) -> int:
        """The number that a `change` names; 0 for none and for one of another process."""
        process, _, number = (change or "").partition("-")
        return (whole_number(number) or 0) if process == self.process else 0

    def publish(self, job: Job, change: int) -> None:
        """A job has changed; callers publish its versions in their order, and number them all."""
        frame = Frame(job, change, self.named(change))
        self._recent.append(frame)
        for listener in self._everything | self._by_job.get(job.job_id, set()):
            listener.offer(frame)

    def recent_after(self, change: int) -> list[Frame] | None:
        """Each change after that one; None where they aren't all there any more."""
        if not self._recent or self._recent[0].number > change + 1:
            return None
        later = takewhile(lambda frame: frame.number > change, reversed(self._recent))
        return list(later)[::-1]

    def frame(self, job: Job, change: int) -> Frame:
        """The frame of an older change, the same one for whoever asks soon after another."""
        frame = self._older.get(change)
        if frame is None or frame.job is not job:
            frame = self._older[change] = Frame(job, change, self.named(change))
            if len(self._older) > MAX_WAITING:
                del self._older[next(iter(self._older))]
        return frame

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Room for one listener; TooManyListeners where no other one is taken."""
        if self._places.total() >= self._most:
            raise TooManyListeners(f"{self._most} listen already.", retry_after=RETRY_SECONDS)
        if self._places[address] >= self._per_address:
            raise TooManyListeners(
                f"{self._per_address} listen from your address.", retry_after=RETRY_SECONDS
            )
        self._places[address] += 1
        SUBSCRIBERS.inc()
        try:
            yield
        finally:
            SUBSCRIBERS.dec()
            self._places[address] -= 1
            if not self._places[address]:
                del self._places[address]

    @contextmanager
    def mailbox(self, waiting: Waiting, job_id: str | None = None) -> Iterator[Mailbox]:
        """Every change of one job, or of all, from now on, for whoever takes them."""
        mailbox = Mailbox(waiting)
        with self.subscribed(mailbox, job_id):
            yield mailbox

    @contextmanager
    def subscribed(self, listener: Subscription, job_id: str | None = None) -> Iterator[None]:
        """Offer this listener every change of one job, or of all, until the end of the block."""
        group = self._everything if job_id is None else self._by_job.setdefault(job_id, set())
        group.add(listener)
        if self._closed:
            listener.close()
        try:
            yield
        finally:
            group.discard(listener)
            if job_id is not None and not group:
                self._by_job.pop(job_id, None)

    def close(self) -> None:
        """End every subscription, now and later: the service stops."""
        self._closed = True
        for group in (self._everything, *self._by_job.values()):
            for listener in group:
                listener.close()
