"""A full queue refuses, and says so to the run that asked; no run waits for what never comes."""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from shared.semaphore.state import SemaphoreRules
from tests.shared.semaphore.standins import JobHandle, Jobs, semaphore_of


@pytest.fixture
def rules() -> SemaphoreRules:
    return SemaphoreRules(capacity=3)


async def ask(jobs: Jobs, *names: str) -> list[JobHandle]:
    """Several that may be refused, in one signal."""
    handles = [await jobs.begin(name) for name in names]
    await jobs.ask(*[await jobs.request_of(each) for each in handles])
    return handles


async def is_refused(handle: JobHandle) -> bool:
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    cause = failure.value.cause
    return isinstance(cause, ApplicationError) and cause.type == "queue_full"


async def test_beyond_it_a_request_is_refused_and_the_others_are_served(kept: Jobs) -> None:
    *_, waiter = await kept.line_up("holder", "a", "b", "c")
    view = await kept.view()
    assert (view.waiting_count, view.capacity, view.is_full) == (3, 3, True)
    # One that waits already is not refused for asking again.
    await kept.ask(await kept.request_of(waiter))
    [refused] = await ask(kept, "too-many")
    assert await is_refused(refused)
    await kept.finish("holder")
    await kept.book.has_entered("a")
    await kept.start("later")
    await kept.finish_all("a", "b", "c", "later")


async def test_while_paused_too(kept: Jobs) -> None:
    await kept.change(paused=True)
    handles = await ask(kept, *"abcdef")
    assert all([await is_refused(each) for each in handles[3:]])
    assert (await kept.view()).waiting == ("a", "b", "c")


async def test_a_rebuilt_semaphore_refuses_those_at_the_end_of_the_queue(jobs: Jobs) -> None:
    """They began while no semaphore's process was there to refuse them."""
    handles = [await jobs.begin(f"job-{n}") for n in range(5)]
    async with semaphore_of(jobs.client, capacity=3):
        assert all([await is_refused(each) for each in handles[3:]])
        await jobs.finish_all("job-0", "job-1", "job-2")
