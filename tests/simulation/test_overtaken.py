"""What a run says does not depend on how its messages are grouped into tasks.

A query may let it see them one by one where its history tells of one task.
"""

from collections.abc import Iterable
from dataclasses import replace

from tests.simulation.plan import drawn
from tests.simulation.simulation import simulate
from tests.simulation.verdicts import Violation

SEEDS = range(1000, 1030)
# A job sees its callback, or its cancellation, and then the end of the activity that it stops.
CALLED_BACK, CANCELLED = (1075, 1107, 1151, 1152, 1155, 1189), (1041, 1068)


def overtaken(seeds: Iterable[int]) -> list[Violation]:
    """What comes of them where three of ten tasks are overtaken."""
    plans = [drawn(seed) for seed in seeds]
    often = [replace(plan, options=replace(plan.options, overtakes=0.3)) for plan in plans]
    return [each for plan in often for each in simulate(plan).violations]


def test_signals_seen_ahead_of_their_task_replay() -> None:
    assert overtaken(SEEDS) == []


def test_a_callback_seen_ahead_of_the_end_of_its_poll_replays() -> None:
    assert overtaken(CALLED_BACK) == []


def test_a_cancellation_seen_ahead_of_the_end_of_what_it_stops_replays() -> None:
    assert overtaken(CANCELLED) == []
