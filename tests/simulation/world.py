"""Virtual time, draws from a seed, processes in it, and payloads that stand for objects."""

import asyncio
import contextlib
import contextvars
import heapq
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar, TypeVarTuple, Unpack
from zlib import crc32

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.converter import PayloadConverter

T = TypeVar("T")
_MASK = (1 << 64) - 1


class Chance:
    """The n-th draw for a name is the same in every history of the seed, whatever else happens.

    So a history stays nearly what it was when a part of it is left out.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        # By name: what its draws begin with, and how many there were.
        self._drawn: dict[str, tuple[int, int]] = {}

    def share(self, name: str) -> float:
        begun, drawn = self._drawn.get(name) or (self._begun(name), 0)
        self._drawn[name] = begun, drawn + 1
        mixed = (begun + drawn * 0x94D049BB133111EB) & _MASK
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((mixed ^ (mixed >> 31)) >> 11) / (1 << 53)

    def _begun(self, name: str) -> int:
        named = crc32(name.encode()) * 0xBF58476D1CE4E5B9
        return (self._seed * 0x9E3779B97F4A7C15 + named) & _MASK

    def between(self, name: str, low: float, high: float) -> float:
        return low + (high - low) * self.share(name)

    def often(self, name: str, share: float) -> bool:
        return self.share(name) < share

    def pick(self, name: str, items: Sequence[T]) -> T:
        return items[int(self.share(name) * len(items))]

    def number(self, name: str, low: int, high: int) -> int:
        """A whole number from the range, both ends included."""
        return low + int(self.share(name) * (high - low + 1))


# Some moment; tokens of the semaphore are milliseconds since 1970.
BEGINNING = 1_800_000_000.0
ASKED_EVERY = 16


class World:
    """What happens when; of two things at one moment the one that was announced first."""

    def __init__(self, seed: int) -> None:
        self.now = BEGINNING
        self.chance = Chance(seed)
        # By how many seconds the clock of the process at work is ahead.
        self.skew = 0.0
        self._heap: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._announced = 0

    def at(self, when: float, action: Callable[..., Any], *args: Any) -> None:
        """Have something happen at a time, or now where that has passed."""
        self._announced += 1
        heapq.heappush(self._heap, (max(when, self.now), self._announced, action, args))

    def after(self, seconds: float, action: Callable[..., Any], *args: Any) -> None:
        self.at(self.now + seconds, action, *args)

    def run(self, until: float, is_over: Callable[[], bool]) -> None:
        """Let things happen, up to a time or until it is over; that is asked now and then."""
        heap, pop = self._heap, heapq.heappop
        while heap and not is_over():
            for _ in range(ASKED_EVERY):
                if not heap or heap[0][0] > until:
                    return
                self.now, _, action, args = pop(heap)
                action(*args)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self.now - BEGINNING


class _Clock:
    """The world whose time it is now, and what the SDK has warned of in it."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.run_id = ""
        self.warnings: list[tuple[str, str]] = []

    def now(self) -> float:
        return self.world.now if self.world is not None else BEGINNING

    def wall(self) -> float:
        """What the clock of the process at work shows."""
        return self.now() + (self.world.skew if self.world is not None else 0.0)


CLOCK = _Clock()


Ts = TypeVarTuple("Ts")


class Process(asyncio.AbstractEventLoop):
    """What runs in it stands still while it is frozen, and never goes on once it is dead."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.frozen = False
        # By how many seconds its clock is ahead of the server's.
        self.skew = 0.0
        self.errors: list[str] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ready: deque[asyncio.Handle] = deque()
        self._running = False
        self._announced = False

    def kill(self) -> None:
        """SIGKILL."""
        self.alive = False
        self._ready.clear()

    def freeze(self) -> None:
        """SIGSTOP."""
        self.frozen = True

    def thaw(self) -> None:
        """SIGCONT: everything that should have happened meanwhile happens now."""
        self.frozen = False
        self._announce()

    def run_ready(self) -> None:
        self._announced = False
        if not self.alive or self.frozen:
            return
        self._running = True
        self.world.skew = self.skew
        asyncio._set_running_loop(self)
        try:
            while self._ready:
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            asyncio._set_running_loop(None)
            self._running = False
            self.world.skew = 0.0

    def tidy(self) -> None:
        """Close what is still open, so that the garbage collector need not."""
        self.alive = False
        asyncio._set_running_loop(self)
        try:
            for task in list(self._tasks):
                with contextlib.suppress(BaseException):
                    task.get_coro().close()
        finally:
            asyncio._set_running_loop(None)

    def again(self) -> None:
        """After a workflow's loop has run inside this one."""
        asyncio._set_running_loop(self)

    def _announce(self) -> None:
        if self._ready and not (self._running or self._announced or self.frozen):
            self._announced = True
            self.world.after(0, self.run_ready)

    def _due(self, handle: asyncio.TimerHandle) -> None:
        if self.alive and not handle.cancelled():
            self._ready.append(handle)
            if self._announced or self.frozen:
                return
            self.run_ready()

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if self.alive:
            self._ready.append(handle)
            self._announce()
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self.world.at(when, self._due, handle)
        return handle

    def time(self) -> float:
        return self.world.now

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, **kwargs)
        # Of a process that was killed, nothing is tidied up.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def begin(self, coro: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        return self.create_task(coro)

    def run_in_executor(
        self, executor: Any, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        """Threads take no time of their own here."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It stays in the heap, and does nothing when its time comes."""


def settle(future: Any, result: Any, error: Exception | None) -> None:
    """An answer has come: of several the first one counts."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


class Table(PayloadConverter):
    """All values of one history, by number; what is asked for as another kind is converted."""

    def __init__(self) -> None:
        self._values: list[Any] = []

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        payloads = []
        for value in values:
            payloads.append(Payload(data=b"%d" % len(self._values)))
            self._values.append(list(value) if isinstance(value, list) else value)
        return payloads

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        hints: Sequence[type | None] = type_hints or [None] * len(payloads)
        return [self._value(*pair) for pair in zip(payloads, hints, strict=False)]

    def _value(self, payload: Payload, hint: type | None) -> Any:
        value = self._values[int(payload.data)]
        if isinstance(value, list):
            return list(value)
        if not isinstance(hint, type) or value is None or isinstance(value, hint):
            return value
        return TypeAdapter(hint).validate_python(to_jsonable_python(value))

    def of(self, *values: Any) -> Payloads:
        """Several at once, as events carry them."""
        return Payloads(payloads=self.to_payloads(values))
