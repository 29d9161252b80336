"""A cancel before each workflow task of a job, and within it, on a quick disk and on a slow one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.messages import ProgressReport, Record
from shared.jobs.states import Status
from shared.temporal.client import PROGRESS_SIGNAL
from tests.simulation.history import Run, Task
from tests.simulation.plan import ATTEMPTS, JobPlan, Kind, Options, Plan, Quirk, Strike
from tests.simulation.shrink import told
from tests.simulation.simulation import Simulation
from tests.simulation.vendors import Generation
from tests.simulation.worker import Worker
from tests.simulation.world import BEGINNING, CLOCK

CALM = Options(jobs=2, strikes=0, odd=0.0, forgets=0.0, loses=0.0, slow=0.0)
GATED = replace(CALM, gates="image,video", limit=2)
# The job that is cancelled; the other one is before it, and sees whether the slot is free too soon.
MINE, OTHER = 1, 0


@dataclass(frozen=True)
class Case:
    """What happens to the job beside its cancellation; `disk`: seconds that each write takes."""

    name: str
    plan: Plan
    disk: float = 0.0
    tune: Callable[[Simulation], None] = lambda simulation: None


def _plan(options: Options = CALM, *strikes: Strike, alone: bool = True, **mine: Any) -> Plan:
    other = None if alone else JobPlan(at=0.0)
    return Plan(1, options, (other, JobPlan(at=0.1, **mine)), strikes)


def _tries(*quirks: Quirk) -> tuple[Quirk, ...]:
    return (*quirks, *(Quirk(),) * (ATTEMPTS - len(quirks)))


def _semaphore_is_quiet(simulation: Simulation) -> None:
    """What the semaphore signals comes later than what it answers."""
    hop = simulation.server.hop

    def late(name: str) -> float:
        return 3.0 if name.startswith("external semaphore") else hop(name)

    simulation.server.hop = late  # type: ignore[method-assign]


def _record(simulation: Simulation, run_id: str, status: Status) -> None:
    """A record of the job that somebody else has written."""
    job_id = simulation.job_id(MINE)
    present = simulation.records.read(job_id)
    record = present or Record.of(
        GENVIDEO,
        GenVideoInput(prompt="a cat", style="ink"),
        job_id=job_id,
        run_id=run_id,
        created_at=datetime.fromtimestamp(BEGINNING, UTC),
    )
    at = record.created_at
    changes = {"status": status, "version": record.version + 1, "started_at": at}
    simulation.records.there[job_id] = record.model_copy(update=changes).followed(at, "by hand")


def _has_ended_before(simulation: Simulation) -> None:
    """Its end is recorded while its image is made."""
    accept = simulation.rules.accepted

    def accepted(generation: Generation) -> None:
        accept(generation)
        if generation.step == "image":
            _record(simulation, "", Status.FAILED)

    simulation.rules.accepted = accepted  # type: ignore[method-assign]


def _reports(simulation: Simulation, *, step: str, left: float | None) -> None:
    """Two reports come together, `left` seconds before a generation ends, or as it begins.

    The second one waits until the first one is written; what ends the stage comes beside it.
    """

    def report() -> None:
        for number in (1, 2):
            told = ProgressReport(
                external_id=f"{simulation.job_id(MINE)}.{step}.1",
                percent=1,
                waiting=f"report {number}",
            )
            args = simulation.server.table.of(told)
            simulation.server.signal(simulation.job_id(MINE), None, name=PROGRESS_SIGNAL, args=args)

    accept = simulation.rules.accepted

    def accepted(generation: Generation) -> None:
        accept(generation)
        if generation.step == step:
            wait = 0.0 if left is None else generation.quirk.runs - left
            simulation.world.after(wait, report)

    simulation.rules.accepted = accepted  # type: ignore[method-assign]


def _is_anothers(simulation: Simulation) -> None:
    """Its record is there before it begins, and is that of another run."""
    _record(simulation, "another", Status.RUNNING)


FAILS, NEVER, LONG = Quirk(fails=True), Quirk(reply="never"), Quirk(runs=8.0)
DRAIN_FAILS = Strike(Kind.FAIL_ACTIVITY, f"{MINE} tried drain_job", 0.0, MINE)
AWAY = Strike(Kind.VENDOR_AWAY, f"{MINE} accepted image", 0.3, MINE, 0.0, 5.0)
QUICK = Quirk(runs=0.2)
HURRIED = replace(CALM, job_seconds=3.0)
LESS_HURRIED = replace(CALM, job_seconds=9.0)
LATE = replace(CALM, image_seconds=0.3, video_seconds=0.3)
# Longer than a workflow task goes on without telling the server.
SLOW, SLOWER = 1.9, 4.5

CASES = (
    Case("undisturbed", _plan(alone=False)),
    Case("gates", _plan(GATED, alone=False)),
    Case("fails and is tried again", _plan(image=_tries(FAILS), video=_tries(FAILS))),
    Case("fails for good", _plan(video=(FAILS,) * ATTEMPTS)),
    Case("degraded", _plan(degrades=True, video=_tries(NEVER))),
    Case("refused", _plan(image=_tries(NEVER)), tune=_semaphore_is_quiet),
    Case("its drain is failed by hand", _plan(CALM, DRAIN_FAILS, image=_tries(NEVER))),
    Case("has ended before", _plan(), tune=_has_ended_before),
    Case("is started again", _plan(), tune=_is_anothers),
    Case("time is up", _plan(HURRIED, video=_tries(LONG))),
    Case("reports", _plan(CALM, AWAY, image=_tries(LONG), video=_tries(LONG))),
    Case("slow disk", _plan(), SLOW),
    Case("slow disk, gates", _plan(GATED), SLOW),
    Case("slow disk, is tried again", _plan(image=_tries(FAILS), video=_tries(FAILS)), SLOW),
    Case("slow disk, fails for good", _plan(video=(FAILS,) * ATTEMPTS), SLOW),
    Case("slow disk, degraded", _plan(degrades=True, video=_tries(NEVER)), SLOW),
    Case("slow disk, refused", _plan(image=_tries(NEVER)), SLOW, _semaphore_is_quiet),
    Case("slow disk, is told late", _plan(), SLOW, _semaphore_is_quiet),
    *(
        Case(
            f"slow disk, reports of the {step}, {when}",
            plan,
            SLOW,
            partial(_reports, step=step, left=left),
        )
        for step, plan in (
            ("image", _plan(image=_tries(LONG))),
            ("video", _plan(video=_tries(LONG))),
        )
        for when, left in (("as it begins", None), ("as it ends", 1.0))
    ),
    Case(
        "slow disk, reports of the video, no callback",
        _plan(video=_tries(replace(LONG, callback=None))),
        SLOW,
        partial(_reports, step="video", left=0.2),
    ),
    Case("slow disk, time is up", _plan(HURRIED, video=_tries(LONG)), SLOW),
    Case("slow disk, time is up at the video", _plan(LESS_HURRIED, video=_tries(LONG)), SLOW),
    Case("slow disk, time is up at the image", _plan(HURRIED, image=_tries(LONG)), SLOW),
    Case("slower disk, late", _plan(LATE, image=_tries(LONG, QUICK)), SLOWER),
)


class Cancelled(Simulation):
    """Its job is cancelled right behind its n-th workflow task, or within the one that follows."""

    def __init__(self, case: Case, after: int | None = None, *, within: bool = False) -> None:
        super().__init__(case.plan, tells=True)
        self.taken = 0
        self._mine = self.job_id(MINE)
        self._after, self._within = after, within
        if case.disk:
            self.server.dawdles, self.server.dawdle = 1.0, (case.disk, case.disk)
        case.tune(self)
        begin = self.server.tasks._begin

        def begun(run: Run, task: Task, worker: Worker) -> None:
            if run.workflow_id == self._mine and within and self.taken == after:
                self.server.cancel(self._mine)
            begin(run, task, worker)

        self.server.tasks._begin = begun  # type: ignore[method-assign]

    def mark(self, who: str, what: str, more: str = "") -> None:
        super().mark(who, what, more)
        if who == self._mine and what.startswith("task "):
            self.taken += 1
            if self.taken == self._after and not self._within:
                self.world.after(0.0, self.server.cancel, self._mine)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cancel_at_every_task_breaks_no_rule(case: Case) -> None:
    undisturbed = _run(Cancelled(case))
    for after in range(undisturbed.taken):
        for within in (False, True):
            _run(Cancelled(case, after, within=within))


def _run(simulation: Cancelled) -> Cancelled:
    outcome = simulation.run()
    CLOCK.world = None
    assert not outcome.violations, told(outcome)
    return simulation
