"""The plan's disturbances, each done at its moment."""

from collections import deque
from typing import TYPE_CHECKING, Any

from temporalio.service import RPCError

from shared.jobs.slots import JOB_GATE
from shared.semaphore.messages import CHANGE_UPDATE, SEMAPHORE_QUEUE, SlotChange
from tests.simulation import product
from tests.simulation.history import Activity, Reset, Run, Status, Update
from tests.simulation.plan import JOB_KINDS, Strike
from tests.simulation.resets import reset, restored
from tests.simulation.server import Server
from tests.simulation.worker import Worker
from tests.simulation.world import BEGINNING

if TYPE_CHECKING:
    from tests.simulation.simulation import Simulation


# One whose change was not taken tries once more after this.
AGAIN_SECONDS = 0.5


class Operator:
    """Knows what is still wanted."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._world = server.world
        self._wanted: deque[SlotChange] = deque()

    def change(self, at: float, **fields: Any) -> None:
        """Have the slot's limit changed, or have it paused, so many seconds from the beginning."""
        self._world.at(BEGINNING + at, self._want, SlotChange(**fields))

    def waits(self) -> bool:
        return bool(self._wanted)

    def _want(self, change: SlotChange) -> None:
        self._wanted.append(change)
        if len(self._wanted) == 1:
            self._send()

    def _send(self) -> None:
        args = self._server.table.of(self._wanted[0])
        update = Update(f"change-{self._server.number()}", CHANGE_UPDATE, args, self._sent)
        try:
            self._server.update(product.semaphore_of(JOB_GATE), update)
        except RPCError:
            self._world.after(AGAIN_SECONDS, self._send)

    def _sent(self, done: bool) -> None:
        if done:
            self._wanted.popleft()
        if self._wanted:
            self._world.after(AGAIN_SECONDS, self._send)


# A strike whose mark is never reached is given up when all else is over.
SUBMITTED_BY = 2.5
# A restore takes longer than a submit can be on its way.
STOPPED_SECONDS = 31.0
# Each of them is well-typed JSON.
POISON: list[object] = [
    {"job_id": "", "run_id": "x", "priority": 3, "requested_at": "2027-01-01T00:00:00Z"},
    {"job_id": "a", "run_id": "b", "priority": 10**400, "requested_at": "2027-01-01T00:00:00Z"},
    {"job_id": "a", "run_id": "c", "priority": 3, "requested_at": "0001-01-01T00:00:00Z"},
    {"job_id": "a", "run_id": "d", "priority": 3, "requested_at": "2027-01-01T00:00:00"},
    {"job_id": "a", "run_id": "no run", "priority": 3, "requested_at": "2027-01-01T00:00:00Z"},
    "request",
    None,
]


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
        for strike in self._waiting.pop(mark, []):
            self._announce(self._world.now + strike.delay, strike)

    def is_over(self) -> bool:
        return self._announced == self._done

    def _announce(self, at: float, strike: Strike) -> None:
        self._announced += 1
        self._world.at(at, self._strike, strike)

    def _strike(self, strike: Strike) -> None:
        self._done += 1
        text = f"** {strike.kind}"
        if strike.kind in JOB_KINDS:
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

    def _lose(self, strike: Strike) -> None:
        self._server.loses_next.add(self._simulation.job_id(strike.job))

    # An operator's tools

    def _activity(self, run: Run, share: float) -> Activity:
        pending = list(run.activities.values())
        if not pending:
            raise Reset(run.run_id)
        return pending[int(0.999 * share * len(pending))]

    def _of_job(self, strike: Strike) -> Activity:
        run = self._open_run(self._simulation.job_id(strike.job))
        activity = self._activity(run, strike.share)
        self._simulation.tell(f"   {activity.type}")
        return activity

    def _reset_activity(self, strike: Strike) -> None:
        self._server.activities.reset(self._of_job(strike), clears=strike.seconds < 3.0)

    def _pause_activity(self, strike: Strike) -> None:
        self._server.activities.pause(self._of_job(strike), strike.seconds)
        self._later(strike, lambda: None)

    def _fail_activity(self, strike: Strike) -> None:
        self._server.activities.fail_by_hand(self._of_job(strike))

    def _complete_activity(self, strike: Strike) -> None:
        self._server.activities.complete_by_hand(self._of_job(strike))

    def _delete(self, strike: Strike) -> None:
        self._server.delete(self._server.find(self._simulation.job_id(strike.job)))

    def _start_again(self, strike: Strike) -> None:
        self._simulation.start_again(strike.job)

    def _fail_watch(self, strike: Strike) -> None:
        activity = self._activity(self._semaphore(strike), strike.share)
        self._simulation.tell(f"   {activity.type}")
        if strike.seconds < 3.0:
            self._server.activities.fail_by_hand(activity)
        else:
            self._server.activities.complete_by_hand(activity)

    def _delete_semaphore(self, strike: Strike) -> None:
        run = self._semaphore(strike)
        self._simulation.rules.semaphore_was_reset(run)
        self._server.delete(run)

    def _poison(self, strike: Strike) -> None:
        args = self._server.table.of(POISON)
        self._server.signal(self._semaphore(strike).workflow_id, None, name="request", args=args)

    def _skew(self, strike: Strike) -> None:
        if victim := self._victim(strike, self._simulation.processes):
            victim.skew = 86400.0 if strike.seconds < 3.0 else -86400.0
            self._simulation.tell(f"   {victim.name}: {victim.skew:+g} s")

    def _restore(self, strike: Strike) -> None:
        """The server's memory is that of some seconds ago; all processes are stopped before."""
        for process in self._simulation.processes:
            if process.alive:
                process.kill()
        self._announced += 1
        self._world.after(STOPPED_SECONDS, self._restored, strike, self._world.now)

    def _restored(self, strike: Strike, stopped_at: float) -> None:
        self._done += 1
        restored(self._server, stopped_at - 2.0 * strike.seconds)
        # As docs/operating.md has it: the next semaphore looks for jobs that are in records alone.
        for run in list(self._server.all_runs()):
            if run.queue == SEMAPHORE_QUEUE:
                self._server.delete(run)
        self._simulation.rules.restored()
        self._simulation.records.repeats = True
        for vendor in self._simulation.vendors.values():
            vendor.is_honest = True
        self._simulation.add_workers()
        self._simulation.add_semaphore()

    # Processes

    def _kill_worker(self, strike: Strike) -> None:
        if victim := self._victim(strike, self._simulation.workers):
            self._later(strike, self._simulation.add_worker, victim.queue)
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
        vendor = self._simulation.vendors[self._step_of(strike)]
        vendor.away_until = self._world.now + strike.seconds
        self._later(strike, lambda: None)

    def _step_of(self, strike: Strike) -> str:
        job = self._simulation.plan.jobs[strike.job]
        if job is not None and job.pipeline == "sounds":
            return "sound"
        return "image" if strike.share < 0.5 else "video"

    def _server_away(self, strike: Strike) -> None:
        self._server.is_away = True
        self._later(strike, self._server_back)

    def _server_back(self) -> None:
        self._server.is_away = False
