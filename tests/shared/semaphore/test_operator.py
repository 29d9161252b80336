"""An operator fails, completes or frees what the semaphore waits for: its place is kept right."""

import asyncio
from collections.abc import Callable, Sized

import pytest
from temporalio.client import AsyncActivityHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from shared.pipeline.definition import DRAIN_ACTIVITY
from shared.semaphore.messages import FREE_UPDATE, SlotView, drain_id
from shared.semaphore.state import WATCH_RUN
from tests.fixtures.eventually import eventually
from tests.fixtures.semaphore import drains, holders, watches
from tests.shared.semaphore.standins import Jobs

GARBAGE: list[object] = [None, {}, {"cleared": False, "closed": "yes", "granted": 1}, "done"]
FREES: list[object] = [{}, {"run_id": ""}, {"run_id": 7}, [], "me"]


async def pending(jobs: Jobs, kind: str) -> list[str]:
    """The ids of the semaphore's pending activities of one kind."""
    found = (await jobs.semaphore.describe()).raw_description.pending_activities
    return [each.activity_id for each in found if each.activity_type.name == kind]


async def activity(jobs: Jobs, kind: str) -> AsyncActivityHandle:
    """The only one of this kind, as soon as there is one."""
    [activity_id] = await eventually(lambda: pending(jobs, kind), bool)
    return jobs.client.get_async_activity_handle(
        workflow_id=jobs.semaphore.id, run_id=await jobs.run(), activity_id=activity_id
    )


def has_length(count: int) -> Callable[[Sized], bool]:
    return lambda found: len(found) == count


async def fail(activity: AsyncActivityHandle) -> None:
    """As `temporal activity fail` does, after which the server does not try again."""
    await activity.fail(ApplicationError("failed by hand", non_retryable=True))


async def free(jobs: Jobs, run_id: str) -> SlotView:
    view: SlotView = await jobs.semaphore.execute_update(FREE_UPDATE, run_id, result_type=SlotView)
    return view


async def test_watch_ended_by_hand_is_started_again(kept: Jobs) -> None:
    await kept.line_up("holder", "next")
    await fail(await activity(kept, WATCH_RUN))
    await eventually(lambda: watches(kept.client), has_length(2))
    for count, garbage in enumerate(GARBAGE, 3):
        await (await activity(kept, WATCH_RUN)).complete(garbage)
        await eventually(lambda: watches(kept.client), has_length(count))
    assert {each.run.job_id for each in await watches(kept.client)} == {"holder"}
    assert kept.book.entered == ["holder"]
    await kept.kill_semaphore()
    view = await kept.until(lambda view: bool(view.holders))
    assert (holders(view), view.waiting) == (["holder"], ("next",))
    await kept.finish_all("holder", "next")
    assert kept.book.drains == []


async def test_drain_ended_by_hand_is_started_again(kept: Jobs) -> None:
    holder, _ = await kept.line_up("holder", "next")
    await holder.terminate()
    await kept.book.has_drained("holder")
    await fail(await activity(kept, DRAIN_ACTIVITY))
    await eventually(lambda: drains(kept.client), has_length(2))
    for count, garbage in enumerate(GARBAGE, 3):
        await (await activity(kept, DRAIN_ACTIVITY)).complete(garbage)
        await eventually(lambda: drains(kept.client), has_length(count))
    begun = await drains(kept.client)
    assert {(each.job_id, each.since) for each in begun} == {("holder", begun[0].since)}
    assert kept.book.entered == ["holder"]
    count = len(kept.book.drains)
    await kept.kill_semaphore()
    await kept.book.until(lambda: len(kept.book.drains) > count)
    assert kept.book.entered == ["holder"]
    kept.book.vendors_clear.set()
    await kept.book.has_entered("next")


async def test_endless_drain_is_given_up_for_good(kept: Jobs) -> None:
    holder, _, _ = await kept.line_up("holder", "next", "last")
    await holder.terminate()
    await kept.book.has_drained("holder")
    assert await pending(kept, DRAIN_ACTIVITY) == [drain_id(str(holder.first_execution_run_id))]
    view = await free(kept, str(holder.first_execution_run_id))
    assert (holders(view), view.waiting) == (["next"], ("last",))
    await kept.book.has_entered("next")
    # Longer than until a drain that has failed is begun again.
    await asyncio.sleep(1.5)
    assert await pending(kept, DRAIN_ACTIVITY) == []
    assert len(await drains(kept.client)) == 1
    await kept.kill_semaphore()
    view = await kept.until(lambda view: bool(view.holders))
    assert (holders(view), view.waiting) == (["next"], ("last",))
    await kept.finish_all("next", "last")
    assert len(kept.book.drains) == 1


async def test_only_a_drain_can_be_given_up(kept: Jobs) -> None:
    handles = await kept.line_up("holder", "next")
    before = await kept.view()
    for run_id in (*(str(each.first_execution_run_id) for each in handles), "another"):
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await free(kept, run_id)
        assert isinstance(refused.value.cause, ApplicationError)
        assert refused.value.cause.type == "not_draining"
    for wrong in FREES:
        with pytest.raises(WorkflowUpdateFailedError):
            await kept.semaphore.execute_update(FREE_UPDATE, wrong)
    assert await kept.view() == before
    await kept.finish_all("holder", "next")
