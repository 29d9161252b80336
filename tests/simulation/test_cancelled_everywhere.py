"""A cancel at every `await` of a job's own code: before each of its activations, and in it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from temporalio.worker._workflow_instance import _WorkflowInstanceImpl

from tests.simulation.awaits import all_awaits, standing
from tests.simulation.plan import ATTEMPTS, JobPlan, Kind, Options, Plan, Quirk, Strike
from tests.simulation.runs import Run, Task
from tests.simulation.simulation import Simulation
from tests.simulation.stubs import CLOCK
from tests.simulation.tell import told
from tests.simulation.worker import Worker

CALM = Options(jobs=2, strikes=0, odd=0.0, forgets=0.0, loses=0.0, slow=0.0)
GATED = replace(CALM, gates="image,video", limit=2)
# The job that is cancelled; the other one is before it, and sees whether the slot is free too soon.
MINE, OTHER = 1, 0
# A workflow is cancelled once, and hears of it between two of its tasks.
ONCE = "comes after a cancellation alone"
IN_ONE_TASK = "a poll that has ended, or is stopped without waiting for it"
NOT_REACHED = {
    "collecting._waited: cancellation.finish": IN_ONE_TASK,
    "ending.Ending.early: self._end": ONCE,
    # Or when the time is up just while a gate is given back since the slot was lost.
    "ending.Ending.early: self._turn.withdraw": ONCE,
    # A place in the vendor's own queue: those of the simulation have none.
    "journal.Journal.report: self._next 3": "comes of a vendor that tells places",
    "turn.SlotTurn.withdraw: to_its_end": ONCE,
}


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


FAILS, NEVER, LONG = Quirk(fails=True), Quirk(reply="never"), Quirk(runs=8.0)
RESET = Strike(Kind.RESET, f"{MINE} tried collect_video", 0.3, MINE, 0.4)
LATE_RESET = replace(RESET, share=0.99)
EARLY_RESET = Strike(Kind.RESET, f"{MINE} tried gen_image", 0.3, MINE, 0.99)
AWAY = Strike(Kind.VENDOR_AWAY, f"{MINE} accepted image", 0.3, MINE, 0.0, 5.0)
QUICK = Quirk(runs=0.2)
HURRIED = replace(CALM, job_seconds=3.0)
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
    Case("reset", _plan(CALM, RESET)),
    Case("reset at a gate", _plan(GATED, EARLY_RESET)),
    Case("reset behind its gate", _plan(GATED, LATE_RESET)),
    Case("time is up", _plan(HURRIED, video=_tries(LONG))),
    Case("reports", _plan(CALM, AWAY, image=_tries(LONG), video=_tries(LONG))),
    Case("slow disk", _plan(), SLOW),
    Case("slow disk, gates", _plan(GATED), SLOW),
    Case("slow disk, is tried again", _plan(image=_tries(FAILS), video=_tries(FAILS)), SLOW),
    Case("slow disk, fails for good", _plan(video=(FAILS,) * ATTEMPTS), SLOW),
    Case("slow disk, degraded", _plan(degrades=True, video=_tries(NEVER)), SLOW),
    Case("slow disk, refused", _plan(image=_tries(NEVER)), SLOW, _semaphore_is_quiet),
    Case("slow disk, is told late", _plan(), SLOW, _semaphore_is_quiet),
    Case("slow disk, reset", _plan(CALM, RESET), SLOW),
    Case("slow disk, reset behind its grant", _plan(CALM, LATE_RESET), SLOW),
    Case("slow disk, time is up", _plan(HURRIED, video=_tries(LONG)), SLOW),
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


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Where a job stood when its cancellation arrived."""
    found: set[str] = set()
    arrive = _WorkflowInstanceImpl._apply_cancel_workflow

    def arriving(self: _WorkflowInstanceImpl, job: Any) -> None:
        if not self._is_replaying:
            found.update(standing(self._tasks))
        arrive(self, job)

    monkeypatch.setattr(_WorkflowInstanceImpl, "_apply_cancel_workflow", arriving)
    return found


def test_a_cancel_at_every_await_breaks_no_rule(reached: set[str]) -> None:
    for case in CASES:
        undisturbed = _run(Cancelled(case))
        for after in range(undisturbed.taken):
            for within in (False, True):
                _run(Cancelled(case, after, within=within))

    assert all_awaits() - reached == set(NOT_REACHED)


def _run(simulation: Cancelled) -> Cancelled:
    outcome = simulation.run()
    CLOCK.world = None
    assert not outcome.violations, told(outcome)
    return simulation
