"""The lower bound of a makespan: never above what a real schedule needs."""

import heapq

from hypothesis import given
from hypothesis import strategies as st

from loadtest.judge.pace import lower_bound

JOBS = st.lists(
    st.tuples(st.floats(0, 20, width=16), st.floats(0.125, 5, width=16)), min_size=1, max_size=20
)


def schedule(jobs: list[tuple[float, float]], limit: int) -> float:
    """First come, first served, without any loss."""
    free = [0.0] * limit
    end = 0.0
    first = min(planned for planned, _ in jobs)
    for planned, seconds in sorted(jobs):
        done = max(heapq.heappop(free), planned - first) + seconds
        heapq.heappush(free, done)
        end = max(end, done)
    return end


@given(JOBS, st.integers(1, 4))
def test_no_schedule_is_faster(jobs: list[tuple[float, float]], limit: int) -> None:
    bound = lower_bound(jobs, limit)

    assert bound is not None
    assert bound <= schedule(jobs, limit) + 1e-9


@given(JOBS)
def test_with_one_slot_the_bound_is_reached(jobs: list[tuple[float, float]]) -> None:
    bound = lower_bound(jobs, 1)

    assert bound is not None
    assert abs(bound - schedule(jobs, 1)) < 1e-6


def test_all_at_once_it_is_the_sum() -> None:
    assert lower_bound([(5.0, 1.0)] * 7, 1) == 7.0
    assert lower_bound([], 1) is None
