"""A close reaches the semaphore as an update, and, where that fails, with the end of the watch."""

import asyncio
from datetime import UTC, datetime

import pytest
from temporalio import workflow
from temporalio.worker import Worker

from services.semaphore import activities
from services.semaphore.activities import SemaphoreActivities
from services.semaphore.models import RUN_CLOSED_UPDATE, WATCH_RUN, Ended, Watch
from shared.slot.messages import GRANTED_SIGNAL, REQUEST_SIGNAL, SlotRequest
from tests.fixtures.eventually import eventually
from tests.services.semaphore.standins import Jobs


async def has_happened(jobs: Jobs) -> list[str]:
    """What the semaphore's history says of closes and grants, with the names of the jobs."""
    decode = jobs.client.data_converter.decode
    found: list[str] = []
    watches: dict[int, str] = {}
    async for event in jobs.semaphore.fetch_history_events():
        begun = event.activity_task_scheduled_event_attributes
        if begun.activity_type.name == WATCH_RUN:
            [watch] = await decode(begun.input.payloads, [Watch])
            watches[event.event_id] = watch.run.job_id
            found.append(f"{watch.run.job_id} called")
        done = event.activity_task_completed_event_attributes
        if name := watches.get(done.scheduled_event_id):
            [ended] = await decode(done.result.payloads, [Ended])
            found.append(f"watch of {name} ended: {ended.closed}")
        asked = event.workflow_execution_update_accepted_event_attributes.accepted_request.input
        if asked.name == RUN_CLOSED_UPDATE:
            [run] = await decode(asked.args.payloads)
            found.append(f"{run['job_id']} closed")
        sent = event.signal_external_workflow_execution_initiated_event_attributes
        if sent.signal_name == GRANTED_SIGNAL:
            found.append(f"{sent.workflow_execution.workflow_id} granted")
    return found


async def hand_over(jobs: Jobs) -> list[str]:
    """Three jobs, one after the other; what the semaphore's history says of the first two."""
    for name in ("a", "b", "c"):
        await jobs.start(name)
    for name, after in (("a", "b"), ("b", "c")):
        await jobs.book.has_entered(name)
        await jobs.has_asked(after)
        await jobs.finish(name)
    await jobs.book.has_entered("c")
    assert jobs.book.most == 1
    return await eventually(
        lambda: has_happened(jobs), lambda found: "watch of b ended: orderly" in found
    )


async def test_the_next_is_granted_before_the_watch_ends_and_another_called_after(
    kept: Jobs,
) -> None:
    assert await hand_over(kept) == [
        "a called",
        "a granted",
        "b called",
        "a closed",
        "b granted",
        "watch of a ended: orderly",
        "c called",
        "b closed",
        "c granted",
        "watch of b ended: orderly",
    ]


async def test_an_update_that_fails_holds_nothing_up(
    kept: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activities, "RUN_CLOSED_UPDATE", "of another release")
    assert await hand_over(kept) == [
        "a called",
        "a granted",
        "b called",
        "watch of a ended: orderly",
        "b granted",
        "c called",
        "watch of b ended: orderly",
        "c granted",
    ]


@workflow.defn(sandboxed=False)
class Waits:
    """A run in the queue that asks for nothing, and ends in order when it is told."""

    def __init__(self) -> None:
        self.over = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.over)

    @workflow.signal
    def finish(self) -> None:
        self.over = True


async def test_who_is_behind_one_that_closes_in_the_queue_is_called_at_once(
    kept: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is granted then, whose submit would have to be kept clear."""
    goes_on = asyncio.Event()
    hand_over = SemaphoreActivities._hand_over

    async def held_up(process: SemaphoreActivities, watch: Watch) -> None:
        await hand_over(process, watch)
        await goes_on.wait()

    monkeypatch.setattr(SemaphoreActivities, "_hand_over", held_up)
    async with Worker(kept.client, task_queue="waits", workflows=[Waits]):
        first = await kept.client.start_workflow(Waits.run, id="first", task_queue="waits")
        run_id = str(first.first_execution_run_id)
        request = SlotRequest(job_id="first", run_id=run_id, requested_at=datetime.now(UTC))
        await kept.semaphore.signal(REQUEST_SIGNAL, [request])
        await eventually(lambda: has_happened(kept), lambda found: found == ["first called"])
        await kept.start("second")
        await first.signal(Waits.finish)
        await kept.book.has_entered("second")
    goes_on.set()
