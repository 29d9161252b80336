"""The plan's disturbances, each done at its moment."""

from typing import TYPE_CHECKING

from temporalio.service import RPCError

from tests.simulation import product
from tests.simulation.plan import Kind, Strike
from tests.simulation.resets import reset
from tests.simulation.runs import Reset, Run, Status
from tests.simulation.worker import Worker
from tests.simulation.world import BEGINNING

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation

# A strike whose mark is never reached is given up when all else is over.
SUBMITTED_BY = 2.5


class Striker:
    """Waits for the marks that the strikes hang on."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._world = simulation.world
        self._server = simulation.server
        self._waiting: dict[str, list[Strike]] = {}
        self._announced = 0
        self._done = 0

    def begin(self) -> None:
        """Announce what depends on the time alone."""
        for strike in self._simulation.plan.strikes:
            if strike.mark:
                self._waiting.setdefault(strike.mark, []).append(strike)
            else:
                self._announce(BEGINNING + SUBMITTED_BY + strike.delay, strike)

    def reached(self, mark: str) -> None:
        """A mark is reached for the first time."""
        for strike in self._waiting.pop(mark, []):
            self._announce(self._world.now + strike.delay, strike)

    def is_over(self) -> bool:
        """Whether nothing is announced any more."""
        return self._announced == self._done

    def _announce(self, at: float, strike: Strike) -> None:
        self._announced += 1
        self._world.at(at, self._strike, strike)

    def _strike(self, strike: Strike) -> None:
        self._done += 1
        text = f"** {strike.kind}"
        if strike.kind in _OF_A_JOB:
            text += f" of {strike.job}"
        self._simulation.tell(text)
        try:
            getattr(self, f"_{strike.kind}")(strike)
        except (RPCError, Reset):
            self._simulation.tell("   came too late or too early")

    def _later(self, strike: Strike, action: object, *args: object) -> None:
        """Its end is a part of it."""
        self._announced += 1

        def end() -> None:
            self._done += 1
            action(*args)  # type: ignore[operator]

        self._world.after(strike.seconds, end)

    def _open_run(self, workflow_id: str) -> Run:
        run = self._server.find(workflow_id)
        if not run.is_open:
            raise Reset(workflow_id)
        return run

    # Jobs

    def _cancel(self, strike: Strike) -> None:
        self._server.cancel(self._simulation.job_id(strike.job))

    def _terminate(self, strike: Strike) -> None:
        self._server.terminate(self._open_run(self._simulation.job_id(strike.job)))

    def _time_out(self, strike: Strike) -> None:
        run = self._open_run(self._simulation.job_id(strike.job))
        self._server.close(run, Status.TIMED_OUT)

    def _reset(self, strike: Strike) -> None:
        run = self._open_run(self._simulation.job_id(strike.job))
        self._simulation.rules.reset(run.workflow_id)
        reset(self._server, run, int(strike.share * len(run.records)))

    def _break(self, strike: Strike) -> None:
        self._simulation.broken.add(self._simulation.job_id(strike.job))

    def _lose(self, strike: Strike) -> None:
        self._server.loses_next.add(self._simulation.job_id(strike.job))

    # Processes

    def _kill_worker(self, strike: Strike) -> None:
        if victim := self._victim(strike, self._simulation.workers):
            self._later(strike, self._simulation.add_worker)
            self._simulation.tell(f"   {victim.name}")
            victim.kill()

    def _kill_semaphore(self, strike: Strike) -> None:
        if victim := self._victim(strike, self._simulation.semaphores):
            self._later(strike, self._simulation.add_semaphore)
            victim.kill()

    def _freeze_worker(self, strike: Strike) -> None:
        self._freeze(strike, self._simulation.workers)

    def _freeze_semaphore(self, strike: Strike) -> None:
        self._freeze(strike, self._simulation.semaphores)

    def _freeze(self, strike: Strike, workers: list[Worker]) -> None:
        if victim := self._victim(strike, workers):
            self._simulation.tell(f"   {victim.name} for {strike.seconds} s")
            victim.freeze()
            self._later(strike, victim.thaw)

    def _victim(self, strike: Strike, workers: list[Worker]) -> Worker | None:
        alive = [worker for worker in workers if worker.polls]
        return alive[int(0.999 * strike.share * len(alive))] if alive else None

    # The semaphore

    def _semaphore(self, strike: Strike) -> Run:
        gates = product.gates(self._simulation.plan.options)
        return self._open_run(product.semaphore_of(gates[int(strike.share * 7) % len(gates)]))

    def _terminate_semaphore(self, strike: Strike) -> None:
        self._server.terminate(self._semaphore(strike))

    def _reset_semaphore(self, strike: Strike) -> None:
        run = self._semaphore(strike)
        self._simulation.rules.semaphore_was_reset(run)
        reset(self._server, run, int(strike.share * len(run.records)))

    def _lose_semaphore(self, strike: Strike) -> None:
        self._server.loses_next.add(self._semaphore(strike).workflow_id)

    def _pause(self, strike: Strike) -> None:
        now = self._world.seconds
        self._simulation.operator.change(now, paused=True)
        self._simulation.operator.change(now + strike.seconds, paused=False)
        self._later(strike, lambda: None)

    def _limit(self, strike: Strike) -> None:
        now, limit = self._world.seconds, self._simulation.plan.options.limit
        self._simulation.operator.change(now, limit=limit + 1)
        self._simulation.operator.change(now + strike.seconds, limit=limit)
        self._later(strike, lambda: None)

    # All around

    def _vendor_away(self, strike: Strike) -> None:
        vendor = self._simulation.images if strike.share < 0.5 else self._simulation.videos
        vendor.away_until = self._world.now + strike.seconds
        self._later(strike, lambda: None)

    def _server_away(self, strike: Strike) -> None:
        self._server.is_away = True
        self._later(strike, self._server_back)

    def _server_back(self) -> None:
        self._server.is_away = False


_OF_A_JOB = frozenset(
    {Kind.CANCEL, Kind.TERMINATE, Kind.TIME_OUT, Kind.RESET, Kind.BREAK, Kind.LOSE}
)
