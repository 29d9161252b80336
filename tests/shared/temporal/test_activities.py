"""Which try of an activity is the first, and which the current one, as a real server tells."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

import pytest
from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetActivityRequest
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from shared.temporal.activities import is_current_try, is_first_try
from tests.fixtures.eventually import PATIENCE_SECONDS, eventually

ID = "work"
QUEUE = "tries"


@workflow.defn(sandboxed=False)
class Works:
    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            "work",
            activity_id=ID,
            start_to_close_timeout=timedelta(minutes=5),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=10)),
        )


class Try(NamedTuple):
    """What a try found at its beginning."""

    attempt: int
    first: bool
    current: bool
    details: tuple[object, ...]


class Tries:
    """An activity whose every try notes what it finds, and looks again whenever it is asked.

    A try doesn't hear that the server awaits it no longer, like one that a vendor keeps busy. None
    ends by itself: after a reset the server takes an old try's end for that of the new one, whose
    number is the same.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.seen: list[Try] = []
        self._asked: list[asyncio.Queue[asyncio.Future[bool] | None]] = []
        self._changed = asyncio.Condition()

    @activity.defn(name="work")
    async def work(self) -> None:
        task = asyncio.create_task(self._work())
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(task)

    async def _work(self) -> None:
        info = activity.info()
        current = await is_current_try(self.client)
        activity.heartbeat("some way")
        asked: asyncio.Queue[asyncio.Future[bool] | None] = asyncio.Queue()
        self._asked.append(asked)
        self.seen.append(Try(info.attempt, is_first_try(), current, tuple(info.heartbeat_details)))
        async with self._changed:
            self._changed.notify_all()
        while (answer := await asked.get()) is not None:
            answer.set_result(await is_current_try(self.client))

    async def begun(self, count: int) -> Try:
        """The latest try, as soon as there are so many."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(lambda: len(self.seen) == count)
        return self.seen[-1]

    async def still_current(self, number: int) -> bool:
        """What a try finds that looks again."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        await self._asked[number].put(answer)
        return await answer

    async def end(self) -> None:
        for asked in self._asked:
            await asked.put(None)

    async def fail(self, *, again_after: timedelta | None = None) -> None:
        """As an operator does; the server tries again."""
        handle = self.client.get_async_activity_handle(workflow_id=ID, run_id=None, activity_id=ID)
        await handle.fail(ApplicationError("by hand", next_retry_delay=again_after))

    async def reset(self, *, heartbeat: bool) -> None:
        """As `temporal activity reset` does."""
        await self.client.workflow_service.reset_activity(
            ResetActivityRequest(
                namespace=self.client.namespace,
                execution=WorkflowExecution(workflow_id=ID),
                id=ID,
                reset_heartbeat=heartbeat,
            )
        )


@pytest.fixture
async def tries(client: Client) -> AsyncIterator[Tries]:
    tries = Tries(client)
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[Works],
        activities=[tries.work],
        max_heartbeat_throttle_interval=timedelta(milliseconds=50),
        default_heartbeat_throttle_interval=timedelta(milliseconds=50),
    ):
        await start(client)
        yield tries
        await tries.end()


async def start(client: Client) -> None:
    await client.start_workflow(Works.run, id=ID, task_queue=QUEUE)


async def has_beaten(client: Client) -> None:
    """Return when the server has the details of a try."""

    async def details() -> bool:
        pending = (await client.get_workflow_handle(ID).describe()).raw_description
        return any(each.HasField("heartbeat_details") for each in pending.pending_activities)

    await eventually(details, bool)


async def test_retry_is_current_and_the_try_before_is_replaced(tries: Tries) -> None:
    assert await tries.begun(1) == Try(1, True, True, ())
    assert await tries.still_current(0)
    await tries.fail()
    assert (await tries.begun(2))[:3] == (2, False, True)
    assert not await tries.still_current(0)
    assert await tries.still_current(1)


@pytest.mark.parametrize("heartbeat", [False, True])
async def test_try_after_a_reset_is_current_and_not_first(tries: Tries, heartbeat: bool) -> None:
    """Its number is 1 again, and its details may be gone."""
    await tries.begun(1)
    await has_beaten(tries.client)
    await tries.fail(again_after=timedelta(hours=1))
    await tries.reset(heartbeat=heartbeat)
    assert await tries.begun(2) == Try(1, False, True, () if heartbeat else ("some way",))
    assert not await tries.still_current(0)
    assert await tries.still_current(1)


@pytest.mark.parametrize("another", [False, True])
async def test_no_try_is_current_in_a_closed_run(tries: Tries, another: bool) -> None:
    """Another run of the same id has an activity of the same id."""
    await tries.begun(1)
    await tries.client.get_workflow_handle(ID).terminate()
    if another:
        await start(tries.client)
        assert (await tries.begun(2))[:3] == (1, True, True)
    assert not await tries.still_current(0)
