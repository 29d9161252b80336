"""A full queue refuses, and says so to whoever asked; nobody waits for what never comes."""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from services.semaphore.models import SemaphoreRules
from services.semaphore.worker import running_semaphore
from shared.jobs.messages import JobInput
from shared.temporal.client import GENVIDEO_QUEUE
from tests.fixtures.semaphore_history import are_requested
from tests.services.semaphore.standins import JobHandle, Jobs, StandIn


@pytest.fixture
def rules() -> SemaphoreRules:
    return SemaphoreRules(capacity=3)


async def start(jobs: Jobs, name: str) -> JobHandle:
    """One that may be refused, so that nobody waits until the semaphore knows it."""
    return await jobs.client.start_workflow(
        StandIn.run, JobInput(prompt=name, style="1"), id=name, task_queue=GENVIDEO_QUEUE
    )


async def refusal(handle: JobHandle) -> str | None:
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    return cause.type


async def test_beyond_it_a_request_is_refused_and_the_others_are_served(kept: Jobs) -> None:
    names = ["holder", "a", "b", "c"]
    await kept.start("holder")
    await kept.book.has_entered("holder")
    for name in names[1:]:
        await kept.start(name)
    view = await kept.until(lambda view: view.is_full)
    assert (view.waiting_count, view.capacity) == (3, 3)
    assert await refusal(await start(kept, "too-many")) == "queue_full"
    await kept.finish("holder")
    await kept.book.has_entered("a")
    await kept.start("later")
    for name in ("a", "b", "c", "later"):
        await kept.book.has_entered(name)
        await kept.finish(name)
    assert kept.book.entered == ["holder", "a", "b", "c", "later"]


async def test_one_that_waits_already_is_not_refused_for_asking_again(kept: Jobs) -> None:
    await kept.start("holder")
    await kept.book.has_entered("holder")
    for name in ("a", "b"):
        await kept.start(name)
    await kept.start("c", asks=5)
    await kept.until(lambda view: view.is_full)
    for name in ("holder", "a", "b", "c"):
        await kept.book.has_entered(name)
        await kept.finish(name)


async def test_while_paused_too(kept: Jobs) -> None:
    await kept.change(paused=True)
    for name in ("a", "b", "c"):
        await kept.start(name)
    handles = [await start(kept, f"too-many-{n}") for n in range(3)]
    assert [await refusal(handle) for handle in handles] == ["queue_full"] * 3
    assert (await kept.view()).waiting == ("a", "b", "c")


async def test_a_rebuilt_semaphore_refuses_those_at_the_end_of_the_queue(
    jobs: Jobs, rules: SemaphoreRules
) -> None:
    """They asked while no semaphore's process was there to refuse them."""
    handles = [await start(jobs, f"job-{n}") for n in range(5)]
    await are_requested(jobs.client, *(handle.id for handle in handles))
    async with running_semaphore(jobs.client, rules=rules, shutdown_seconds=0):
        assert [await refusal(handle) for handle in handles[3:]] == ["queue_full"] * 2
        for n in range(3):
            await jobs.book.has_entered(f"job-{n}")
            await jobs.finish(f"job-{n}")
    assert jobs.book.entered == ["job-0", "job-1", "job-2"]
