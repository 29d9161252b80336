"""Send each change to the listeners; a slow listener skips states, and never sees an older one
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

# A listener that is this many changes behind skips to the newest of each job.
MAX_WAITING = 256
# When a refused listener may try again.
RETRY_SECONDS = 5.0

# JSON allows these inside a string, but some readers of lines end a line at each.
_LINE_ENDS = {end: f"\\u{ord(end):04x}" for end in "\u0085\u2028\u2029"}


class TooManyListeners(
    GenvideoError, code="too_many_listeners", status=429, title="Too many listeners", retryable=True
):
    """There are too many listeners for another one."""


class Frame:
    """A job's state, written once for all listeners; `number` counts the changes of all jobs.

    `change` is the number in the form for listeners.
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
        """The state as the application's message to a WebSocket."""
        return {"type": "websocket.send", "text": self.text}

    @cached_property
    def numbered_message(self) -> dict[str, str]:
        """The state among those of all jobs, with its `change`."""
        text = f'{self.text[:-1]},"change":"{self.change}"}}'
        return {"type": "websocket.send", "text": text}

    @cached_property
    def event(self) -> bytes:
        """The state as a server-sent event; its id is the version."""
        return format_sse_event(data_str=self.text, id=str(self.job.version))


def whole_number(text: str | None) -> int | None:
    """Return a number from outside, or None if it is invalid."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


class Waiting(Protocol):
    """The changes that one listener has not received yet."""

    def add(self, frame: Frame) -> None:
        """Add a change."""

    def take(self) -> list[Frame]:
        """Return some of them, in order; empty if nothing waits."""

    async def turn(self) -> None:
        """Let others go on after some was sent, because sending may not have waited."""


class Versions:
    """The versions of one job; a slow listener gets the newest."""

    def __init__(self) -> None:
        self._frames: list[Frame] = []

    def add(self, frame: Frame) -> None:
        """Store it; beyond the limit only the newest stays."""
        kept = self._frames if len(self._frames) < MAX_WAITING else []
        self._frames = [*kept, frame]

    def take(self) -> list[Frame]:
        """Return all that came since the last call."""
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
        """Add a change that this listener subscribed to."""
        self._waiting.add(frame)
        self.wake()

    def close(self) -> None:
        """End the subscription; what waits is still delivered."""
        self.closed = True
        self.wake()

    @abstractmethod
    def wake(self) -> None:
        """React to a change, or to the end."""

    def pop(self) -> list[Frame]:
        """Return some of what came since the last call; empty once there is no more."""
        return self._waiting.take()

    async def turn(self) -> None:
        """Let others go on."""
        await self._waiting.turn()


class Mailbox(Subscription):
    """A listener that takes changes when it wants them."""

    def __init__(self, waiting: Waiting) -> None:
        super().__init__(waiting)
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Wake a waiting `take`."""
        self._news.set()

    async def take(self, *, seconds: float | None = None) -> list[Frame]:
        """Return some of what came; empty after `seconds` without news, or when closed."""
        if not self.closed:
            self._news.clear()
        # No await between clear and check, so that no news is missed.
        if frames := self.pop():
            return frames
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        return self.pop()


class Hub:
    """Subscriptions to one job or to all; `publish` costs next to nothing without listeners."""

    def __init__(self, most: int = 2000, *, per_address: int = 500) -> None:
        self._most = most
        self._per_address = per_address
        self._places: Counter[str] = Counter()
        self._everything: set[Subscription] = set()
        self._by_job: dict[str, set[Subscription]] = {}
        self._closed = False
        # The last changes of all jobs, stored once for all listeners.
        self._recent: deque[Frame] = deque(maxlen=MAX_WAITING)
        # Frames of older changes by number, because many listeners begin at the same time.
        self._older: dict[int, Frame] = {}
        self.catching_up = asyncio.Lock()
        # Numbers of changes mean something only in the process that gave them.
        self.process = secrets.token_hex(4)

    def named(self, number: int) -> str:
        """Return the change's name for listeners, from which they continue."""
        return f"{self.process}-{number}"

    def number_of(self, change: str | None) -> int:
        """Return the number of a `change`; 0 for none and for one of another process."""
        process, _, number = (change or "").partition("-")
        return (whole_number(number) or 0) if process == self.process else 0

    def publish(self, job: Job, change: int) -> None:
        """Publish a change of a job; callers publish its versions in order."""
        frame = Frame(job, change, self.named(change))
        self._recent.append(frame)
        for listener in self._everything | self._by_job.get(job.job_id, set()):
            listener.offer(frame)

    def recent_after(self, change: int) -> list[Frame] | None:
        """Return each later change; None if they are not all stored any more."""
        if not self._recent or self._recent[0].number > change + 1:
            return None
        later = takewhile(lambda frame: frame.number > change, reversed(self._recent))
        return list(later)[::-1]

    def frame(self, job: Job, change: int) -> Frame:
        """Return the frame of an older change, shared by listeners that ask at about the same
        time."""
        frame = self._older.get(change)
        if frame is None or frame.job is not job:
            frame = self._older[change] = Frame(job, change, self.named(change))
            if len(self._older) > MAX_WAITING:
                del self._older[next(iter(self._older))]
        return frame

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """Reserve a place for one listener; raise TooManyListeners."""
        if self._places.total() >= self._most:
            raise TooManyListeners(f"{self._most} listen already.", retry_after=RETRY_SECONDS)
        if self._places[address] >= self._per_address:
            raise TooManyListeners(
                f"{self._per_address} listeners from your address.", retry_after=RETRY_SECONDS
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
        """Return a mailbox for every change of one job, or of all, from now on."""
        mailbox = Mailbox(waiting)
        with self.subscribed(mailbox, job_id):
            yield mailbox

    @contextmanager
    def subscribed(self, listener: Subscription, job_id: str | None = None) -> Iterator[None]:
        """Send this listener every change of one job, or of all, during the block."""
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
        """End every subscription, now and later, because the service stops."""
        self._closed = True
        for group in (self._everything, *self._by_job.values()):
            for listener in group:
                listener.close()
