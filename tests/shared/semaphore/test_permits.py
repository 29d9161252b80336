"""Permits, one event after the other: a run waits, holds or drains, and is never two of these. They
fit into one payload, however many wait and hold."""

from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from uuid import uuid4

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter

from shared.jobs.ids import new_job_id
from shared.semaphore.messages import CAPACITY, Closed, Holder, SemaphoreSettings, SlotRequest
from shared.semaphore.state import AGEING_SECONDS, NEAR, Ended, Permits, SemaphoreState

START = datetime(2026, 1, 1, tzinfo=UTC)
KILLED = Ended(closed=Closed.TERMINATED, grace=None)


def request(run: int | str, *, after: float = 0, priority: int = 3) -> SlotRequest:
    return SlotRequest(
        job_id=f"job-{run}",
        run_id=f"run-{run}",
        priority=priority,
        requested_at=START + timedelta(seconds=after),
    )


def permits(*waiting: SlotRequest) -> Permits:
    made = Permits(SemaphoreState(next_token=100), capacity=100)
    for each in waiting:
        assert made.request(each, START)
    return made


@pytest.mark.parametrize(
    ("requests", "order"),
    [
        # First come, first served inside a priority; equal times have an order of their own.
        ([request(1, after=5), request(2, after=3), request(3, after=4)], ["2", "3", "1"]),
        ([request(2), request(1)], ["1", "2"]),
        ([request("low", priority=5), request("high", after=9, priority=1)], ["high", "low"]),
        # Waiting raises a low priority above newcomers.
        (
            [
                request("low", priority=5),
                request("late", after=4 * AGEING_SECONDS + 1, priority=1),
                request("new", after=4 * AGEING_SECONDS - 1, priority=1),
            ],
            ["new", "low", "late"],
        ),
        # A run is in the queue once, with its first request; its job's next run is another one.
        ([request(1, after=1), request(2, after=2), request(1, after=3)], ["1", "2"]),
        ([request(1), request(1).model_copy(update={"run_id": "run-1b"})], ["1", "1"]),
    ],
)
def test_order_of_the_queue(requests: list[SlotRequest], order: list[str]) -> None:
    made = permits(*requests)
    assert [each.job_id.removeprefix("job-") for each in made.queue()] == order
    assert [made.grant(START).request.job_id for _ in order] == [f"job-{each}" for each in order]


def test_request_with_an_impossible_time_is_dropped() -> None:
    made = permits()
    for now in (START - NEAR - timedelta(days=1), START + NEAR + timedelta(days=1)):
        assert made.request(request(0), now)
        assert not made.knows("run-0")


MOST = 2 * 1024 * 1024
WIDEST = 1000


def wide(number: int) -> SlotRequest:
    at = START + timedelta(microseconds=number * 7_368_787)
    return SlotRequest(job_id=new_job_id(), run_id=str(uuid4()), priority=5, requested_at=at)


def holder(number: int) -> Holder:
    return Holder(
        request=wide(number),
        token=1_800_000_000_000 + number,
        since=START,
        drain=Closed.TERMINATED,
        drains_since=START,
    )


def full() -> SemaphoreState:
    return SemaphoreState(
        settings=SemaphoreSettings(limit=WIDEST),
        next_token=1_900_000_000_000,
        holders=tuple(holder(number) for number in range(WIDEST)),
        waiting=tuple(wide(number) for number in range(CAPACITY)),
    )


def full_of_long_ids() -> SemaphoreState:
    """All long ids that the queue takes, and then all short ones."""
    made = Permits(SemaphoreState())
    long = (wide(n).model_copy(update={"job_id": token_urlsafe(700)}) for n in range(CAPACITY))
    short = map(wide, range(CAPACITY))
    assert not all([made.request(each, START + NEAR / 2) for each in (*long, *short)])
    return made.state()


@pytest.mark.parametrize("state", [full(), full_of_long_ids(), SemaphoreState()])
async def test_largest_state_leaves_a_fifth_of_the_payload_free(
    state: SemaphoreState,
) -> None:
    [payload] = await pydantic_data_converter.encode([state])
    assert payload.ByteSize() < MOST * 0.8
    assert await pydantic_data_converter.decode([payload], [SemaphoreState]) == [state]
