"""A semaphore whose limit is wide and whose runs are as short as may be set."""

from shared.slot.messages import JOB_GATE, semaphore_id
from tests.simulation.plan import JobPlan, Options, Plan
from tests.simulation.simulation import Simulation

WIDE = Options(
    limit=5, max_history=20, strikes=0, odd=0.0, forgets=0.0, loses=0.0, slow=0.0, jobs=10
)


def test_its_runs_are_not_ended_by_those_who_ask_in_vain() -> None:
    """Told to ask again, they would end the next one as well, and nobody would hear of an end."""
    plan = Plan(1, WIDE, tuple(JobPlan(at=index / 100) for index in range(WIDE.jobs)))
    simulation = Simulation(plan)
    assert simulation.run().violations == []
    runs = simulation.server.by_run.values()
    assert sum(run.workflow_id == semaphore_id(JOB_GATE) for run in runs) <= WIDE.jobs
