"""The parts of a pause add up to the whole, whatever the books lack."""

import math

from hypothesis import given
from hypothesis import strategies as st

from loadtest.books.facts import Activity, Execution, Receipt
from loadtest.books.model import JobFacts
from tests.bench.pipeline.split import BETWEEN, IDLE, between, divide, idle
from tests.loadtest.judge.test_schedule import made


def activity(kind: str, scheduled: float, ended: float) -> Activity:
    return Activity(kind, scheduled, scheduled, ended, 1, "completed", None, None)


def execution(
    *activities: Activity, told: float | None = 13.004, closed: float = 13.05
) -> Execution:
    return Execution(
        run_id="r",
        status="COMPLETED",
        started=0.0,
        closed=closed,
        granted=1.0,
        signals=(("kling_done", told),) if told else (),
        activities=activities,
        hops=(),
        events=55,
        workflow_tasks=8,
        bytes=1,
    )


def job(run: Execution | None) -> JobFacts:
    """An image from 10 to 11, a video from 12 to 13."""
    facts = JobFacts("j", 0, generations=[made("image", 10, 11), made("video", 12, 13)])
    facts.executions = [run] if run else []
    facts.receipts = [Receipt(13.001, "t", "succeed", "applied")]
    return facts


ACTIVITIES = (
    activity("gen_image", 9.9, 11.3),
    activity("request_video", 11.8, 12.1),
    activity("collect_video", 12.2, 13.02),
)


def test_idle_is_cut_where_each_book_says() -> None:
    parts = idle(job(execution(*ACTIVITIES)), 13.06)

    assert parts is not None
    expected = {
        "callback": 0.001,
        "signal": 0.003,
        "checking, storing and closing": 0.046,
        "hand-over": 0.01,
    }
    assert {name: round(seconds, 6) for name, seconds in parts.items()} == expected
    assert tuple(parts) == IDLE


def test_a_lost_callback_has_no_part_of_its_own() -> None:
    parts = idle(job(execution(*ACTIVITIES, told=None)), 13.06)

    assert parts is not None
    assert parts["callback"] == parts["signal"] == 0
    assert math.isclose(parts["checking, storing and closing"], 0.05, abs_tol=1e-6)


def test_a_callback_that_came_after_the_poll_has_none_either() -> None:
    parts = idle(job(execution(*ACTIVITIES, told=13.04)), 13.06)

    assert parts is not None
    assert parts["signal"] == 0


def test_image_to_video_is_cut_at_the_activities() -> None:
    parts = between(job(execution(*ACTIVITIES)))

    assert parts is not None
    assert [round(parts[name], 6) for name in BETWEEN] == [0.3, 0.5, 0.2]


def test_without_a_book_there_are_no_parts() -> None:
    assert idle(job(None), 14.0) is None
    assert between(job(None)) is None
    assert idle(JobFacts("j", 0, executions=[execution()]), 14.0) is None


CUTS = st.lists(st.none() | st.floats(0, 100), min_size=0, max_size=5)


@given(begin=st.floats(0, 100), cuts=CUTS, length=st.floats(0, 10))
def test_parts_add_up_and_none_is_negative(
    begin: float, cuts: list[float | None], length: float
) -> None:
    named = [(str(number), at) for number, at in enumerate([*cuts, begin + length])]
    parts = divide(begin, named)

    assert math.isclose(math.fsum(parts.values()), length, abs_tol=1e-6)
    assert all(seconds >= 0 for seconds in parts.values())
