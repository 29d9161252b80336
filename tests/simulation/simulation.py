"""One history: the plan's jobs and strikes on the product, until all is quiet."""

from dataclasses import dataclass, field
from functools import partial

from temporalio.service import RPCError

from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.messages import StageDone
from shared.jobs.states import OnVideoFailure
from shared.pipeline.definition import JobInput
from tests.simulation import product
from tests.simulation.history import Activity, Run, Try
from tests.simulation.plan import STEPS, JobPlan, Plan, Quirk, Violation
from tests.simulation.product import Records
from tests.simulation.rules import Rules
from tests.simulation.server import Server
from tests.simulation.strikes import Operator, Striker
from tests.simulation.vendors import Generation, Vendor
from tests.simulation.worker import Worker
from tests.simulation.world import BEGINNING, CLOCK, Table, World

TASK_SECONDS = 2.0
WORKERS, SEMAPHORES = 2, 1
# After all that was planned, everything must have ended within this.
GRACE_SECONDS = 400.0
QUIET_SECONDS = 8.0


@dataclass
class Outcome:
    plan: Plan
    violations: list[Violation]
    told: list[str] = field(default_factory=list)


class Simulation:
    def __init__(self, plan: Plan, *, tells: bool = False) -> None:
        self.plan = plan
        self.world = World(plan.seed)
        CLOCK.world, CLOCK.warnings = self.world, []
        self.server = Server(self.world, Table())
        self.server.forgets, self.server.loses = plan.options.forgets, plan.options.loses
        self.server.dawdles = plan.options.slow
        self.server.overtakes = plan.options.overtakes
        self.told: list[str] | None = [] if tells else None
        self.records = Records(lambda rule, text: self.rules.broken(rule, text))
        self.vendors = {step: Vendor(self.world, step, self._quirk) for step in STEPS}
        self.workers: list[Worker] = []
        self.semaphores: list[Worker] = []
        self.rules = Rules(self)
        self.operator = Operator(self.server)
        self.striker = Striker(self)
        self._quiet_since: float | None = None

    # Parts

    def job_id(self, index: int) -> str:
        return f"job-{index:024x}"

    def index(self, job_id: str) -> int:
        return int(job_id.removeprefix("job-"), 16)

    def _quirk(self, external_id: str) -> Quirk:
        job_id, step, attempt = external_id.split(".")
        job = self.plan.jobs[self.index(job_id)]
        assert job is not None
        return (job.video if step == "video" else job.image)[int(attempt) - 1]

    @property
    def processes(self) -> list[Worker]:
        return [*self.workers, *self.semaphores]

    def add_worker(self, pipeline: str = "genvideo") -> Worker:
        worker = product.job_worker(
            self.server, f"worker-{self.server.number()}", self.plan.options,
            pipeline=product.PIPELINES[pipeline], vendors=self.vendors, records=self.records,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def add_workers(self) -> None:
        """As many processes as there are at first."""
        for _ in range(WORKERS):
            self.add_worker()
        if any(job.pipeline == "sounds" for _, job in self.plan.present()):
            self.add_worker("sounds")

    def add_semaphore(self) -> Worker:
        worker = product.semaphore_worker(
            self.server, f"semaphore-{self.server.number()}", self.plan.options
        )
        worker.observe = self.rules.semaphore_moved
        self.semaphores.append(worker)
        return worker

    # The course of it

    def run(self) -> Outcome:
        self._wire()
        self.add_workers()
        for _ in range(SEMAPHORES):
            self.add_semaphore()
        if self.plan.options.limit != 1:
            self.operator.change(0.5, limit=self.plan.options.limit)
        for index, job in self.plan.present():
            self.world.at(BEGINNING + 2.5 + job.at, self._submit, index, job)
        self.striker.begin()
        self.world.run(BEGINNING + self._horizon(), self._is_over)
        self.rules.at_end()
        self.rules.warned(CLOCK.warnings)
        self._replay_all()
        for process in self.processes:
            self.rules.errors_of(process)
            process.tidy()
        return Outcome(self.plan, self.rules.violations, self.told or [])

    def _replay_all(self) -> None:
        """Each run's whole history once more, as a release's check does it."""
        for run in self.server.all_runs():
            process = [each for each in self.processes if each.queue == run.queue][-1]
            process.again()
            why = process.replay(run, partial(self.rules.replayed, run))
            if why is not None:
                self.rules.task_failed(run, f"replay: {why}")

    def _wire(self) -> None:
        for vendor in self.vendors.values():
            vendor.on_arrive = self._arrived
            vendor.on_accept = self._accepted
            vendor.on_end = self._ended
        self.server.on_close = self._closed
        self.server.on_task = self._task_taken
        self.server.on_task_failure = self._task_failed
        self.server.on_try = self._tried

    def _horizon(self) -> float:
        plan = self.plan
        generations = sum(
            quirk.runs + quirk.wire + quirk.thinks
            for _, job in plan.present()
            for quirk in (*job.image, *job.video)
        )
        return 60 + GRACE_SECONDS + generations + sum(strike.seconds for strike in plan.strikes)

    def _submit(self, index: int, job: JobPlan) -> None:
        pipeline = product.PIPELINES[job.pipeline]
        wanted: JobInput = product.SoundInput(text="a cat", priority=job.priority)
        if pipeline is GENVIDEO:
            wanted = GenVideoInput(
                prompt="a cat",
                style="ink",
                priority=job.priority,
                on_video_failure=OnVideoFailure.IMAGE if job.degrades else OnVideoFailure.FAIL,
            )
        job_id = self.job_id(index)
        run = self.server.start(
            pipeline.workflow, job_id, queue=pipeline.name,
            args=self.server.table.of(wanted), task_timeout=TASK_SECONDS,
        )  # fmt: skip
        self.server.tasks.schedule(run)
        self.mark(job_id, "submitted")

    def start_again(self, index: int) -> None:
        """The id of a job that has ended, once more, by hand."""
        job_id = self.job_id(index)
        run = self.server.find(job_id)
        job = self.plan.jobs[index]
        if not run.is_open and job is not None:
            self.rules.reset(job_id)
            self._submit(index, job)

    def _is_over(self) -> bool:
        """All jobs have ended, the strikes are over, and all has been quiet for a while."""
        if self.operator.waits() or not self.striker.is_over() or not self.rules.all_ended():
            self._quiet_since = None
            return False
        if self._quiet_since is None:
            self._quiet_since = self.world.now
        return self.world.now - self._quiet_since > QUIET_SECONDS

    # What is noticed

    def mark(self, who: str, what: str, more: str = "") -> None:
        """Something has been reached: noted, and a strike may hang on it."""
        name = str(self.index(who)) if who.startswith("job-") else who
        self.tell(f"{name}: {what} {more}")
        self.striker.reached(f"{name} {what}")

    def tell(self, text: str) -> None:
        if self.told is not None:
            self.told.append(f"{self.world.seconds:9.3f}  {text}")

    def _arrived(self, external_id: str) -> None:
        job_id, step, attempt = external_id.split(".")
        self.mark(job_id, f"arrived {step}", f"attempt {attempt}")

    def _accepted(self, generation: Generation) -> None:
        self.mark(
            generation.job_id,
            f"accepted {generation.step}",
            f"attempt {generation.attempt}, token {generation.token}, {generation.quirk}",
        )
        self.rules.accepted(generation)

    def _ended(self, generation: Generation) -> None:
        self.mark(generation.job_id, f"ended {generation.step}", f"attempt {generation.attempt}")
        quirk = generation.quirk
        if generation.step == "video" and quirk.callback is not None:
            for number in range(quirk.callbacks):
                self.world.after(quirk.callback + number * 0.1, self._call_back, generation)

    def _call_back(self, generation: Generation) -> None:
        done = StageDone(
            external_id=generation.external_id, task_id=generation.vendor_id, task_status="succeed"
        )
        try:
            self.server.signal(
                generation.job_id, None, name=GENVIDEO.done, args=self.server.table.of(done)
            )
        except RPCError:
            self.tell(f"{generation.external_id}: late callback")

    def _closed(self, run: Run) -> None:
        self.mark(run.workflow_id, "closed", f"{run.status.name} ({run.run_id})")
        self.rules.closed(run)

    def _task_taken(self, run: Run) -> None:
        self.mark(run.workflow_id, f"task {len(run.records)}")

    def _tried(self, activity: Activity, trying: Try) -> None:
        by = f"(try {trying.attempt}) by {trying.worker.name}"
        self.mark(activity.run.workflow_id, f"tried {activity.type}", by)

    def _task_failed(self, run: Run, why: str) -> None:
        self.tell(f"{run.workflow_id}: workflow task failed: {why}")
        self.rules.task_failed(run, why)


def simulate(plan: Plan, *, tells: bool = False) -> Outcome:
    """Run a plan; call inside of `product_in_virtual_time`."""
    simulation = Simulation(plan, tells=tells)
    try:
        return simulation.run()
    finally:
        CLOCK.world = None
