"""A process as an event loop in virtual time: it can be killed, frozen and thawed at any moment."""

import asyncio
import contextlib
import contextvars
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, TypeVarTuple, Unpack

from tests.simulation.world import World

Ts = TypeVarTuple("Ts")
T = TypeVar("T")


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
        """Run what is due."""
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
        """After a workflow's loop has run inside of ours."""
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
        """Run something in this process, from outside."""
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
