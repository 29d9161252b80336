"""Run generations from acceptance to their end; every change of state passes through here."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from services.mock_core.clock import Clock, DelaySpec, random_number
from services.mock_core.faults.kinds import Hit, Where
from services.mock_core.faults.plan import FaultPlan
from services.mock_core.ledger import Generation, Ledger, State

_OUT_OF_MEMORY = (
    "Allocation on device \nThis error means you ran out of memory on your GPU.\n\nTIPS: If the "
    "workflow worked before you might have accidentally set the batch_size to a large number."
)


@dataclass(slots=True)
class PlannedRun:
    """The plan of a run: lengths in nominal seconds, points in percent; None if a point does not
    occur."""

    seconds: float
    fail_at: int | None = None
    fail_message: str = ""
    # The type of the exception, for wires that report it.
    fail_kind: str = "RuntimeError"
    stick_at: int | None = None
    vanish_at: int | None = None
    never_starts: bool = False


def plan_run(seconds: float, hits: Iterable[Hit]) -> PlannedRun:
    """Plan the run of a generation of this many nominal seconds, without faults."""
    planned = PlannedRun(seconds)
    for hit in hits:
        match hit.name:
            case "start.slow":
                planned.seconds = planned.seconds * hit["factor"] + hit["extra"]
            case "start.fail":
                planned.fail_at, planned.fail_message = hit["at"], hit["message"]
            case "start.out-of-memory":
                planned.fail_at, planned.fail_message = hit["at"], _OUT_OF_MEMORY
                planned.fail_kind = "torch.OutOfMemoryError"
            case "start.stick":
                planned.stick_at = hit["at"]
            case "start.vanish":
                planned.vanish_at = hit["at"]
            case "start.never-start":
                planned.never_starts = True
    return planned


# Share of a generation's time that it waits before it starts, so that `queued` can be seen.
_QUEUED_SHARE = 0.02

_log = logging.getLogger(__name__)

Listener = Callable[[Generation], None]


class GenerationError(Exception):
    """The generation can't be made; the message is the vendor's reason."""


class Runner:
    """Runs generations. `make` does the real work and returns the name of the stored file.

    `taker` takes a generation that runs elsewhere and reports `begin` and `end`; if it returns
    False, the generation runs here.
    """

    make: Callable[[Generation], Awaitable[str]]

    def __init__(
        self, ledger: Ledger, plan: FaultPlan, *, clock: Clock, seconds: DelaySpec
    ) -> None:
        self.ledger = ledger
        self.seconds = seconds
        self.taker: Callable[[Generation, PlannedRun], bool] = lambda generation, planned: False
        self._plan = plan
        self._clock = clock
        self._listeners: list[Listener] = []
        self._runs: dict[Generation, asyncio.Task[None]] = {}
        self._accepting: set[asyncio.Task[None]] = set()

    def listen(self, listener: Listener) -> None:
        """Call `listener` after every change of state, and when a generation vanishes; it must
        return at once."""
        self._listeners.append(listener)

    def accept(self, generation: Generation) -> None:
        """Accept a generation: from now on it counts, and it costs when it succeeds."""
        generation.accepted = time.time()
        generation.job.accepted += 1
        self.ledger.add(generation)
        self._enter(generation, State.QUEUED)
        quantile = random_number(self._plan.seed, "seconds", generation.job.key, generation.attempt)
        hits = self._plan.hits(Where.START, generation)
        # Decided once, so that the number of status calls changes nothing.
        generation.progress_hits = self._plan.hits(Where.PROGRESS, generation)
        planned = plan_run(self.seconds.at(quantile), hits)
        if self.taker(generation, planned):
            return
        task = asyncio.get_running_loop().create_task(self._run(generation, planned))
        self._runs[generation] = task
        task.add_done_callback(lambda _: self._runs.pop(generation, None))

    def accept_later(self, generation: Generation, seconds: float) -> asyncio.Task[None]:
        """Accept it after this many nominal seconds; until then no call finds it."""

        async def accept() -> None:
            await self._clock.sleep(seconds)
            self.accept(generation)

        task = asyncio.get_running_loop().create_task(accept())
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return task

    @property
    def accepted_later(self) -> int:
        return len(self._accepting)

    def cancel(self, generation: Generation) -> bool:
        """End an open generation; return False if there is nothing to cancel."""
        if not generation.open:
            return False
        self._stop(generation)
        self.end(generation, State.CANCELLED, error="cancelled")
        return True

    def vanish(self, generation: Generation) -> None:
        """Forget it as a restart would: no id finds it, but its row stays in the ledger."""
        was_open = generation.open
        generation.vanished = True
        self._stop(generation)
        if was_open:
            generation.finished = time.time()
            self.ledger.closed(generation)
        self._notify(generation)

    async def forget_all(self) -> None:
        """Stop everything without a trace."""
        tasks = [*self._runs.values(), *self._accepting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.ledger.clear()

    def _stop(self, generation: Generation) -> None:
        task = self._runs.pop(generation, None)
        # A run that vanishes by itself continues to its end here.
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _run(self, generation: Generation, planned: PlannedRun) -> None:
        forever = asyncio.get_running_loop().create_future()
        if planned.never_starts:
            await forever
        # Start the real work at once, so that encoding does not lengthen the nominal time.
        making = asyncio.ensure_future(self.make(generation))
        try:
            await self._clock.sleep(planned.seconds * _QUEUED_SHARE)
            run_for = planned.seconds * (1 - _QUEUED_SHARE)
            self.begin(generation, run_for, stick_at=planned.stick_at)
            if planned.stick_at is not None:
                # Until it is cancelled.
                await forever
            if planned.vanish_at is not None:
                await self._clock.sleep(run_for * planned.vanish_at / 100)
                self.vanish(generation)
            elif planned.fail_at is not None:
                await self._clock.sleep(run_for * planned.fail_at / 100)
                self.end(generation, State.FAILED, error=planned.fail_message)
            else:
                await self._clock.sleep(run_for)
                await self._finish(generation, making)
        finally:
            making.cancel()

    async def _finish(self, generation: Generation, making: asyncio.Future[str]) -> None:
        try:
            generation.file_name = await making
        except GenerationError as error:
            self.end(generation, State.FAILED, error=str(error))
        except Exception as error:
            _log.exception("the work on %s failed unexpectedly", generation.id)
            self.end(generation, State.FAILED, error=f"internal error: {type(error).__name__}")
        else:
            self.end(generation, State.SUCCEEDED)

    def begin(self, generation: Generation, run_for: float, *, stick_at: int | None) -> None:
        generation.run_from, generation.run_for = self._clock.now(), run_for
        generation.stick_at = stick_at
        generation.started = time.time()
        self._enter(generation, State.RUNNING)

    def end(self, generation: Generation, state: State, *, error: str | None = None) -> None:
        """Close it in this state, and charge it if it succeeded."""
        generation.error = error
        # The charge model: an accepted generation is charged when it succeeds.
        generation.charged = state is State.SUCCEEDED
        generation.units = self.ledger.price(generation)
        generation.finished = time.time()
        self.ledger.closed(generation)
        self._enter(generation, state)
        generation.shrink()

    def _enter(self, generation: Generation, state: State) -> None:
        generation.state = state
        generation.updated = time.time()
        self._notify(generation)

    def _notify(self, generation: Generation) -> None:
        for listener in self._listeners:
            listener(generation)
