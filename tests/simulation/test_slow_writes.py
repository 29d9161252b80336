"""A write of the record outlives its task, a report waits for it, and the job goes on beside."""

from dataclasses import dataclass

import pytest

from shared.jobs.messages import ProgressReport
from shared.temporal.client import PROGRESS_SIGNAL
from tests.simulation.plan import ATTEMPTS, JobPlan, Options, Plan, Quirk
from tests.simulation.simulation import Simulation
from tests.simulation.stubs import CLOCK
from tests.simulation.tell import told
from tests.simulation.world import BEGINNING

CALM = Options(jobs=1, strikes=0, odd=0.0, forgets=0.0, loses=0.0, slow=0.0)
CALLBACK_SECONDS = 0.02
# Longer than a workflow task goes on without telling the server.
SLOW_SECONDS = 1.9


@dataclass(frozen=True)
class Scene:
    """Two reports of a step at a time, and what the job goes on by while the first is written."""

    step: str
    at: float
    callback: float | None = CALLBACK_SECONDS
    cancelled_after: float | None = None

    def plan(self) -> Plan:
        long = (Quirk(runs=8.0, callback=self.callback),) * ATTEMPTS
        quick = (Quirk(),) * ATTEMPTS
        image, video = (long, quick) if self.step == "image" else (quick, long)
        return Plan(1, CALM, (JobPlan(at=0.0, image=image, video=video),))


SCENES = {
    "a callback": Scene("video", 18.0),
    "a poll's end": Scene("video", 18.8, callback=None),
    "a cancel at the image": Scene("image", 8.5, cancelled_after=1.7),
    "a cancel at the video": Scene("video", 18.5, cancelled_after=2.0),
}


class Slow(Simulation):
    """Every local activity takes its time."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene.plan(), tells=True)
        self.server.dawdles, self.server.dawdle = 1.0, (SLOW_SECONDS, SLOW_SECONDS)
        self._mine, self._step = self.job_id(0), scene.step
        for number in (1, 2):
            self.world.at(BEGINNING + scene.at, self._report, number)
        if scene.cancelled_after is not None:
            self.world.at(
                BEGINNING + scene.at + scene.cancelled_after, self.server.cancel, self._mine
            )

    def _report(self, number: int) -> None:
        report = ProgressReport(
            external_id=f"{self._mine}.{self._step}.1", percent=1, waiting=f"report {number}"
        )
        args = self.server.table.of(report)
        self.server.signal(self._mine, None, name=PROGRESS_SIGNAL, args=args)


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_beside_a_slow_write_breaks_no_rule(scene: Scene) -> None:
    slow = Slow(scene)
    try:
        outcome = slow.run()
    finally:
        CLOCK.world = None

    assert not outcome.violations, told(outcome)
    [record] = slow.records.there.values()
    assert {"report 1", "report 2"} <= {each.note for each in record.transitions}
