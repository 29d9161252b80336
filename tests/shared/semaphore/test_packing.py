"""What a semaphore hands on fits into one payload, however many wait and hold."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter

from shared.jobs.ids import new_job_id
from shared.semaphore.messages import CAPACITY, Closed, Holder, SemaphoreSettings, SlotRequest
from shared.semaphore.state import SemaphoreState

MOST = 2 * 1024 * 1024
START = datetime(2026, 1, 1, tzinfo=UTC)
WIDEST = 1000


def request(number: int) -> SlotRequest:
    at = START + timedelta(microseconds=number * 7_368_787)
    return SlotRequest(job_id=new_job_id(), run_id=str(uuid4()), priority=5, requested_at=at)


def holder(number: int) -> Holder:
    return Holder(
        request=request(number),
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
        waiting=tuple(request(number) for number in range(CAPACITY)),
    )


@pytest.mark.parametrize("state", [full(), SemaphoreState()])
async def test_largest_state_leaves_a_fifth_of_the_payload_free(
    state: SemaphoreState,
) -> None:
    [payload] = await pydantic_data_converter.encode([state])
    assert payload.ByteSize() < MOST * 0.8
    assert await pydantic_data_converter.decode([payload], [SemaphoreState]) == [state]
