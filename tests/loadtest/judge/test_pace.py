"""Hand-overs, the lower bound of a makespan, and how values spread."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.books.executions import Execution
from loadtest.books.facts import Generation
from loadtest.books.model import Books, JobFacts, StageBook
from loadtest.judge.pace import HandOver, hand_overs, lower_bound, percentile, spread


def made(
    step: str, accepted: float, finished: float, *, good: bool = True, attempt: int = 1
) -> Generation:
    return Generation(
        step=step,
        vendor_id="v",
        external_id=f"j.{step}.{attempt}",
        job_id="j",
        attempt=attempt,
        accepted=accepted,
        finished=finished,
        outcome="succeeded" if good else "failed",
    )


def fact(
    name: str, asked: float, generations: list[Generation], *, granted: float, end: float
) -> JobFacts:
    run = Execution(name, started=asked, heard=asked + 0.1, granted=granted, closed=end)
    return JobFacts(name, 0, executions=[run], generations=generations)


def followed(jobs: list[JobFacts], limit: int = 1) -> list[HandOver]:
    stage = StageBook(
        number=0,
        planned_jobs=len(jobs),
        tag="t",
        began=0,
        ended=1000,
        why="done",
        limit=limit,
        jobs={job.job_id: job for job in jobs},
    )
    return hand_overs(stage, Books(run={"limit": limit}, stages=[stage]))


def test_hand_over_is_from_a_close_to_the_next_acceptance() -> None:
    generations = [
        made("image", 1, 2, good=False),
        made("image", 3, 5, attempt=2),
        made("video", 5, 9),
    ]
    jobs = [
        fact("a", 0, generations, granted=0.5, end=10),
        fact("b", 0, [made("image", 12, 13)], granted=11, end=13),
    ]

    [found] = followed(jobs)
    assert (found.begin - found.end, found.begin - found.vendor_end) == (2, 3)


def test_idle_slot_without_waiting_jobs_has_no_gap() -> None:
    jobs = [
        fact("a", 0, [made("image", 1, 2)], granted=1, end=2),
        fact("b", 7, [made("image", 8, 9)], granted=8, end=9),
    ]
    assert followed(jobs) == []


def test_place_that_fell_free_first_is_the_one_that_was_waited_for() -> None:
    jobs = [
        fact("a", 0, [made("image", 1, 9)], granted=1, end=9),
        fact("b", 0, [made("image", 2, 4)], granted=1, end=4),
        fact("c", 0, [made("image", 5, 8)], granted=5, end=8),
        fact("d", 0, [], granted=8, end=9),
    ]
    assert [(each.last.job_id, each.job.job_id) for each in followed(jobs, 2)] == [("b", "c")]


PLANNED = st.lists(
    st.tuples(st.floats(0, 20, width=16), st.floats(0.125, 5, width=16)), min_size=1, max_size=20
)


def first_come(jobs: list[tuple[float, float]], limit: int) -> float:
    """First come, first served, without any loss."""
    free = [0.0] * limit
    end = 0.0
    first = min(planned for planned, _ in jobs)
    for planned, seconds in sorted(jobs):
        done = max(heapq.heappop(free), planned - first) + seconds
        heapq.heappush(free, done)
        end = max(end, done)
    return end


@given(PLANNED, st.integers(1, 4))
def test_no_schedule_is_faster_than_the_bound(jobs: list[tuple[float, float]], limit: int) -> None:
    bound = lower_bound(jobs, limit)

    assert bound is not None
    assert bound <= first_come(jobs, limit) + 1e-9


@given(PLANNED)
def test_one_slot_reaches_the_bound(jobs: list[tuple[float, float]]) -> None:
    bound = lower_bound(jobs, 1)

    assert bound is not None
    assert abs(bound - first_come(jobs, 1)) < 1e-6


def test_bound_of_parallel_jobs_is_their_sum() -> None:
    assert lower_bound([(5.0, 1.0)] * 7, 1) == 7.0
    assert lower_bound([], 1) is None


def test_percentiles_are_measured_values() -> None:
    ordered = [float(n) for n in range(1, 101)]

    assert [percentile(ordered, p) for p in (1, 50, 95, 99, 100)] == [1, 50, 95, 99, 100]
    assert percentile([7.0], 95) == 7.0


@pytest.mark.parametrize(
    ("n", "p95", "p99"), [(19, False, False), (20, True, False), (100, True, True)]
)
def test_small_samples_have_no_percentiles(n: int, p95: bool, p99: bool) -> None:
    found = spread(float(value) for value in range(n))

    assert (found.p95 is not None, found.p99 is not None) == (p95, p99)
    assert found.n == n


def test_unknown_values_are_left_out() -> None:
    found = spread([None, 3.0, 1.0])

    assert (found.n, found.min, found.median, found.max, found.total) == (2, 1.0, 2.0, 3.0, 4.0)
    assert spread([None]).median is None
