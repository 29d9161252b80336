"""What must hold of every history, by the ledgers, the server's and the semaphore's books."""

from typing import TYPE_CHECKING

from shared.jobs.messages import Record
from shared.jobs.slots import JOB_GATE
from shared.pipeline.pipeline import Pipeline
from shared.semaphore.messages import SlotRequest
from shared.semaphore.state import Permits, turn
from shared.store.records import is_beginning
from tests.simulation import product
from tests.simulation.history import Run, Status
from tests.simulation.plan import Kind, Rule, Violation
from tests.simulation.vendors import Generation, Vendor

if TYPE_CHECKING:
    from tests.simulation.core import Core
    from tests.simulation.simulation import Simulation
    from tests.simulation.worker import Worker

KILLED = frozenset({Status.TERMINATED, Status.TIMED_OUT})
# A request just before another one's grant may still have been on its way.
SLACK_SECONDS = 1.0
# A job that is just storing its end has no use for a cancellation any more.
HEED_SECONDS = 3.0
# That many versions it may write by then, on a disk that may be slow.
LAST_WRITES = 2


class Rules:
    """Told of everything as it happens; keeps the violations."""

    def __init__(self, simulation: "Simulation") -> None:
        self.violations: list[Violation] = []
        self._simulation = simulation
        self._begun: set[str] = set()
        self._reset: set[str] = set()
        self._books: dict[str, set[str]] = {}
        self._limits: dict[str, int] = {}
        # By run: how many of its tasks were taken.
        self._tasks: dict[str, int] = {}
        # Semaphores that rebuild: they grant nothing, and will clear what was begun.
        self._unready: set[str] = set()
        # All runs that ever held: a semaphore that rebuilds adopts them, and grants them nothing.
        self._granted: set[str] = set()
        self._waiting_since: dict[str, float] = {}
        self._failed_tasks: set[str] = set()
        self._was_restored = False
        options = simulation.plan.options
        raised = any(strike.kind is Kind.LIMIT for strike in simulation.plan.strikes)
        self._limit = options.limit + raised

    def broken(self, rule: Rule, text: str) -> None:
        self._simulation.tell(f"!! {rule.name}: {text}")
        self.violations.append(Violation(rule, self._simulation.world.seconds, text))

    # Vendors

    def accepted(self, generation: Generation) -> None:
        name = self._name(generation)
        self._check_at_once(name)
        self._check_paid_once(generation, name)
        self._check_open(generation, name)
        self._check_inside(generation, name)

    def _name(self, generation: Generation) -> str:
        index = self._simulation.index(generation.job_id)
        return f"{index}.{generation.step}.{generation.attempt}"

    def _check_at_once(self, name: str) -> None:
        vendors = self._simulation.vendors.values()
        jobs = {each.job_id for vendor in vendors for each in vendor.running()}
        if len(jobs) > self._limit:
            others = sorted({self._name(g) for v in vendors for g in v.running()} - {name})
            self.broken(Rule.AT_ONCE, f"{name} beside {', '.join(others)}")
        for vendor in vendors:
            gated = vendor.step in self._simulation.plan.options.gates
            if gated and len(vendor.running()) > 1:
                self.broken(Rule.AT_ONCE, f"{name} is not alone behind its gate")

    def _check_paid_once(self, generation: Generation, name: str) -> None:
        now = self._simulation.world.now
        for other in self._vendor(generation.step).ledger:
            if other is generation or other.job_id != generation.job_id:
                continue
            if other.attempt == generation.attempt:
                self.broken(Rule.PAID_ONCE, f"{name} is paid for again")
            elif other.state(now) != "failed":
                why = f"{other.state(now)} after {now - other.accepted:.1f} s"
                self.broken(Rule.PAID_ONCE, f"{name} while {self._name(other)} is {why}")

    def _vendor(self, step: str) -> Vendor:
        return self._simulation.vendors[step]

    def _check_open(self, generation: Generation, name: str) -> None:
        run = self._simulation.server.current(generation.job_id)
        record = self._simulation.records.there.get(generation.job_id)
        assert run is not None
        if not run.is_open:
            if not self._is_drained(generation.job_id):
                self.broken(Rule.AFTER_END, f"{name}, and its run is {run.status.name}")
        elif record is not None and record.status.ended and record.run_id == run.run_id:
            # What a run before a reset had sent is the semaphore's to clear, as behind a close.
            cleared = self._is_drained(generation.job_id, but=run.run_id)
            if not cleared:
                self.broken(Rule.AFTER_END, f"{name}, and its record says {record.status}")

    def _is_drained(self, job_id: str, *, but: str = "") -> bool:
        """Whether a semaphore waits for the vendors before it lets another job begin.

        `but`: of a run that holds and goes on, which clears them itself.
        """
        if product.semaphore_of(JOB_GATE) in self._unready:
            return True
        held = {run_id for book in self._books.values() for run_id in book} - {but}
        return any(run_id.startswith(f"{job_id}/") for run_id in held)

    def _check_inside(self, generation: Generation, name: str) -> None:
        server = self._simulation.server
        self._begun.add(generation.job_id)
        begun = self._begun - self._reset
        inside = {job_id for job_id in begun if _is_open(server.current(job_id))}
        if len(inside) > self._limit:
            others = sorted(self._simulation.index(job) for job in inside)
            self.broken(Rule.INSIDE, f"{name}; inside are the jobs {others}")

    def reset(self, job_id: str) -> None:
        """A job has another run, which ends at once; what the one before had begun may go on."""
        self._reset.add(job_id)

    def restored(self) -> None:
        """The server's memory is an older one: what was noted of its runs is void."""
        self._was_restored = True
        self._books.clear()
        self._limits.clear()
        self._granted.clear()
        self._waiting_since.clear()
        self._unready |= {product.semaphore_of(JOB_GATE)}
        self._reset |= self._begun

    # The semaphore

    def semaphore_moved(self, core: "Core") -> None:
        run, semaphore = core.run, core.object
        if not run.is_open or semaphore is None:
            return
        permits: Permits = semaphore._permits
        ready, limit = semaphore._ready, permits.settings.limit
        (self._unready.discard if ready else self._unready.add)(run.workflow_id)
        held, before = set(permits.held), self._books.get(run.run_id)
        self._books = {
            name: each for name, each in self._books.items() if not name.startswith(run.workflow_id)
        }
        self._books[run.run_id] = held
        limit_before = self._limits.get(run.workflow_id, limit)
        tasks, self._tasks[run.run_id] = self._tasks.get(run.run_id, 0), len(run.records)
        if len(run.records) > tasks + 1:
            # Its worker had forgotten the run after a task, which may have raised the limit.
            limit_before = max(limit_before, self._limit)
        if ready:
            self._limits[run.workflow_id] = limit
        now = self._simulation.world.now
        self._waiting_since = {
            run_id: self._waiting_since.get(run_id, now) for run_id in permits.waiting
        } | {run_id: since for run_id, since in self._waiting_since.items() if run_id in held}
        fresh = held - self._granted
        self._granted |= held
        if before is None or not fresh:
            return
        runs = self._simulation.server.by_run
        alive = sorted(run_id for run_id in held if run_id in runs and runs[run_id].is_open)
        # A task may have granted before it heard of the lower limit that came with it.
        if len(alive) > max(limit, limit_before) and not self._was_restored:
            self.broken(Rule.HELD, f"{run.workflow_id} has granted {len(alive)}: {alive}")
        for run_id in fresh:
            self._check_order(permits, permits.held[run_id].request)

    def _check_order(self, permits: Permits, granted: SlotRequest) -> None:
        """Each earlier waiter has a place, did not come in time, or has closed."""
        runs, now = self._simulation.server.by_run, self._simulation.world.now
        passed = [
            other.run_id
            for other in permits.queue()
            if other.priority == granted.priority
            and turn(other) < turn(granted)
            and now - self._waiting_since[other.run_id] > SLACK_SECONDS
            and other.run_id in runs
            and runs[other.run_id].is_open
        ]
        if len(passed) > max(0, permits.settings.limit - len(permits.held)):
            self.broken(Rule.ORDER, f"{granted.run_id} was granted before {', '.join(passed)}")

    def semaphore_was_reset(self, run: Run) -> None:
        """Its book goes back in time."""
        self._books.pop(run.run_id, None)
        self._unready.add(run.workflow_id)

    # Workflows

    def task_failed(self, run: Run, why: str) -> None:
        """Once for each run."""
        if run.run_id in self._failed_tasks or self._is_void(run):
            return
        self._failed_tasks.add(run.run_id)
        rule = Rule.REPLAYS if why.startswith("replay: ") else Rule.TASKS
        self.broken(rule, f"{run.run_id}: {why}")

    def closed(self, run: Run) -> None:
        if run.type in product.TYPES and run.status not in KILLED:
            self._check_clear(run.workflow_id)
        if run.status is not Status.COMPLETED or run.closed_at is None:
            return
        heard = _heard_of_cancel(run)
        server = self._simulation.server
        writing = LAST_WRITES * server.dawdle[1] if server.dawdles else 0.0
        if heard is not None and run.closed_at - heard > HEED_SECONDS + writing:
            index = self._simulation.index(run.workflow_id)
            went_on = f"{run.closed_at - heard:.1f} s after it had heard of its cancellation"
            self.broken(Rule.HEEDED, f"job {index} completed {went_on}")

    def replayed(self, run: Run, workflow: object) -> None:
        """What its code believes at its end is what is stored, perhaps with a drain's findings."""
        if not isinstance(workflow, Pipeline) or run.status in {*KILLED, Status.RUNNING}:
            return
        ours, journal = workflow.get_record(), workflow._journal
        stored = self._simulation.records.there.get(run.workflow_id)
        if stored is None or journal._stop is not None or self._is_void(run):
            return
        if ours != stored and not (is_beginning(ours, stored) and stored.version > ours.version):
            self.broken(Rule.KNOWN, f"{run.run_id} believes in version {ours.version}: {ours}")

    def _check_clear(self, job_id: str) -> None:
        """The place is free at once; what an old run had begun is the semaphore's to clear."""
        vendors = self._simulation.vendors.values()
        running = [g for vendor in vendors for g in vendor.running() if g.job_id == job_id]
        if running and job_id not in self._reset:
            names = ", ".join(map(self._name, running))
            self.broken(Rule.CLEAR, f"the run has closed over {names}")

    def all_ended(self) -> bool:
        for index, _ in self._simulation.plan.present():
            run = self._simulation.server.current(self._simulation.job_id(index))
            if run is None and self._was_restored:
                continue
            if run is None or run.is_open:
                return False
        return self._semaphores_free()

    def _semaphores_free(self) -> bool:
        return not any(self._books.values())

    # The end

    def at_end(self) -> None:
        for index, _ in self._simulation.plan.present():
            job_id = self._simulation.job_id(index)
            run = self._simulation.server.current(job_id)
            if run is None and self._was_restored:
                continue
            if run is None or run.is_open:
                self.broken(Rule.ALL_END, f"job {index} has not ended")
                continue
            record = self._simulation.records.there.get(job_id)
            # The API ends the record of a job that was reset while it waited.
            has_code = run.status not in KILLED and not self._is_void(run)
            if has_code and (record is None or not record.status.ended):
                status = record.status if record else "missing"
                self.broken(
                    Rule.RECORD_ENDS, f"job {index} is {run.status.name}, its record {status}"
                )
            self._check_recorded(index, job_id, record)
        for gate in product.gates(self._simulation.plan.options):
            self._check_free(product.semaphore_of(gate))

    def _check_recorded(self, index: int, job_id: str, record: Record | None) -> None:
        for step in self._simulation.vendors:
            paid = [g.attempt for g in self._vendor(step).ledger if g.job_id == job_id]
            told = record.attempts.get(step, 0) if record else 0
            if paid and max(paid) > told:
                text = f"job {index} has paid {max(paid)} of {step}, its record says {told}"
                self.broken(Rule.RECORDED, text)

    def _check_free(self, semaphore: str) -> None:
        run = self._simulation.server.current(semaphore)
        if run is None or not run.is_open:
            self.broken(Rule.NOBODY_HELD, f"{semaphore} is not running")
            return
        for process in self._simulation.semaphores:
            core = process.cache.get(run.run_id)
            if process.alive and core is not None and core.object is not None:
                permits: Permits = core.object._permits
                waiting = [each.run_id for each in permits.queue()]
                if permits.held or waiting:
                    text = f"{semaphore}: held {list(permits.held)}, waiting {waiting}"
                    self.broken(Rule.NOBODY_HELD, text)

    def warned(self, warnings: list[tuple[str, str]]) -> None:
        """What the SDK has warned of, run by run."""
        for run_id, text in warnings:
            if not self._is_void(self._simulation.server.by_run[run_id]):
                self.broken(Rule.HANDLERS, f"{run_id}: {text}")

    def _is_void(self, run: Run) -> bool:
        """Whether it is a run that a reset has made: it is meant to fail at once."""
        return run.run_id != run.original_run_id

    def errors_of(self, process: "Worker") -> None:
        """What went wrong in a process without anybody seeing it."""
        for error in process.errors:
            self.broken(Rule.ERRORS, f"{process.name}: {error}")


def _heard_of_cancel(run: Run) -> float | None:
    """When the workflow was told of a cancellation, in a task that was taken."""
    for event in run.events:
        if event.kind == "cancel_requested":
            told = [record.at for record in run.records if record.seen >= event.number]
            return min(told, default=None)
    return None


def _is_open(run: Run | None) -> bool:
    return run is not None and run.is_open
