"""What the semaphore says does not depend on how its messages are grouped into tasks."""

from dataclasses import replace

from tests.simulation.plan import drawn
from tests.simulation.simulation import simulate

SEEDS = range(1000, 1030)


def test_signals_seen_ahead_of_their_task_replay() -> None:
    """A query may let a run see them one by one; its history tells of one task."""
    plans = [drawn(seed) for seed in SEEDS]
    overtaken = [replace(plan, options=replace(plan.options, overtakes=0.3)) for plan in plans]
    assert [each for plan in overtaken for each in simulate(plan).violations] == []
