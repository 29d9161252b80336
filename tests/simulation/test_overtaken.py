"""What a run says does not depend on how its messages are grouped into tasks.

A query may show it one ahead of the others that its history tells in the same task.
"""

from dataclasses import replace

from tests.simulation.plan import drawn
from tests.simulation.simulation import simulate

SEEDS = range(1000, 1030)
# A job sees its callback, or its cancellation, and then the end of the activity that it stops.
CALLED_BACK, CANCELLED = (1075, 1107, 1151, 1152, 1155, 1189), (1041, 1068)


def test_what_is_seen_ahead_of_its_task_replays() -> None:
    """Three of ten tasks are overtaken."""
    plans = map(drawn, (*SEEDS, *CALLED_BACK, *CANCELLED))
    often = [replace(plan, options=replace(plan.options, overtakes=0.3)) for plan in plans]
    assert [each for plan in often for each in simulate(plan).violations] == []
