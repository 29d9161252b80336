"""Any workflow, of any id and type, at a semaphore of any name: with the SDK's own converter."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import (
    Client,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.converter import (
    BinaryNullPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    JSONPlainPayloadConverter,
)
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from shared.semaphore import CleanUp, Semaphore, SlotView
from shared.semaphore.client import change, free, start_semaphore, view_of
from shared.semaphore.messages import (
    RELEASE_SIGNAL,
    WITHDRAW_SIGNAL,
    Permit,
    SlotChange,
    granted_signal,
)
from shared.semaphore.worker import semaphore_worker, with_models
from tests.fixtures.eventually import PATIENCE_SECONDS, eventually
from tests.fixtures.temporal import reset

GPU = "gpu pool"
NOBODYS = CleanUp(task_queue="nobody", activity="clear")
Handle = WorkflowHandle[object, object]


class Inside:
    """Who is at work, by the work itself."""

    def __init__(self) -> None:
        self.now: set[str] = set()
        self.most = 0
        self.been: list[str] = []

    @activity.defn
    async def work(self, name: str) -> None:
        self.now.add(name)
        self.been.append(name)
        self.most = max(self.most, len(self.now))
        try:
            while not name.startswith("short"):
                activity.heartbeat()
                await asyncio.sleep(0.05)
        finally:
            self.now.discard(name)


@workflow.defn
class Foreign:
    """`kind`: what it is to do beside its work in the block."""

    @workflow.run
    async def run(self, kind: str) -> None:
        name = workflow.info().workflow_id
        clean_up = NOBODYS if kind == "clean-up" else None
        for _ in range(2 if kind == "twice" else 1):
            async with Semaphore(GPU, limit=2, clean_up=clean_up, task_queue="semaphores"):
                await workflow.execute_activity(
                    "work",
                    name,
                    start_to_close_timeout=timedelta(days=1000),
                    # So long is the place of an ended run kept: time to stop on a busy machine.
                    heartbeat_timeout=None if kind == "endless" else timedelta(seconds=5),
                    cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
                )
            if kind == "lingers":
                await workflow.wait_condition(lambda: False)


@workflow.defn
class Blocks:
    """Two blocks; it asks `queue` for the second one, and gives up after `patience` seconds."""

    def __init__(self) -> None:
        self._block = 0
        self._left = 0

    @workflow.run
    async def run(self, queue: str, patience: float | None) -> None:
        async with Semaphore(GPU, limit=1, task_queue="semaphores"):
            await self._stay()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience), Semaphore(GPU, task_queue=queue):
                await self._stay()
        await workflow.wait_condition(lambda: False)

    async def _stay(self) -> None:
        self._block += 1
        await workflow.wait_condition(lambda: self._left == self._block)

    @workflow.signal
    def leave(self) -> None:
        self._left = self._block

    @workflow.query
    def block(self) -> int:
        """Return the number of the last block that was entered."""
        return self._block


class Scene:
    def __init__(self, client: Client, inside: Inside) -> None:
        self.client = client
        self.models = with_models(client)
        self.inside = inside

    async def start(self, name: str, kind: str = "") -> Handle:
        return await self.client.start_workflow("Foreign", kind, id=name, task_queue="foreign")

    async def again(self, kind: str) -> Handle:
        return await self.client.start_workflow("Again", kind, id="again", task_queue="foreign")

    async def at_work(self, *names: str) -> None:
        await eventually(self._been, lambda been: set(names) <= set(been))

    async def _been(self) -> list[str]:
        return self.inside.been

    async def view(self) -> SlotView:
        """As soon as a semaphore answers: one that was ended is back after a second."""
        while True:
            with suppress(RPCError, WorkflowQueryFailedError):
                return await view_of(self.models, GPU)
            await asyncio.sleep(0.1)


@workflow.defn
class Again:
    """Two blocks of one name, and the types of the errors of those that failed."""

    def __init__(self) -> None:
        self._steps = 0

    @workflow.run
    async def run(self, kind: str) -> list[str | None]:
        slots = [Semaphore(GPU, task_queue="semaphores") for _ in range(2)]
        if kind == "given up":
            waits = asyncio.create_task(self._enter(slots[0]))
            await workflow.wait_condition(lambda: self._steps == 1)
            waits.cancel()
            await workflow.wait_condition(lambda: self._steps == 2)
            slots.pop()
        if kind == "beside":
            ends = await asyncio.gather(*map(self._enter, slots), return_exceptions=True)
            return [end.type for end in ends if isinstance(end, ApplicationError)]
        for slot in slots:
            await self._enter(slot)
        return []

    async def _enter(self, slot: Semaphore) -> None:
        async with slot:
            await workflow.sleep(0.01)

    @workflow.signal
    def step(self) -> None:
        self._steps += 1


@asynccontextmanager
async def _workers(client: Client, inside: Inside) -> AsyncIterator[None]:
    foreign = Worker(
        client,
        task_queue="foreign",
        workflows=[Foreign, Blocks, Again],
        activities=[inside.work],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    )
    async with foreign, semaphore_worker(client, task_queue="semaphores", shutdown_seconds=0):
        yield


class Plain(CompositePayloadConverter):
    """Knows no models."""

    def __init__(self) -> None:
        super().__init__(BinaryNullPayloadConverter(), JSONPlainPayloadConverter())


@pytest.fixture
def converter() -> DataConverter:
    return DataConverter.default


@pytest.fixture
async def scene(client: Client, converter: DataConverter) -> AsyncIterator[Scene]:
    """In a namespace that no pipeline has ever used, by a client without our converter."""
    plain = await Client.connect(
        client.service_client.config.target_host,
        namespace=client.namespace,
        data_converter=converter,
    )
    inside = Inside()
    async with _workers(plain, inside):
        yield Scene(plain, inside)


@pytest.mark.parametrize(
    "converter", [DataConverter.default, DataConverter(payload_converter_class=Plain)]
)
async def test_first_limit_stays_and_the_block_returns_its_permit(scene: Scene) -> None:
    await asyncio.gather(*[await _result(scene, f"short {n}", "twice") for n in range(5)])
    lingering = await scene.start("short lingers", "lingers")
    await scene.at_work("short lingers")
    view = await eventually(scene.view, lambda view: not view.holders)
    assert (view.limit, view.waiting_count) == (2, 0)
    assert 1 <= scene.inside.most <= 2
    assert len(scene.inside.been) == 11
    await lingering.terminate()


async def _result(scene: Scene, name: str, kind: str) -> "asyncio.Task[object]":
    return asyncio.create_task((await scene.start(name, kind)).result())


@pytest.mark.parametrize("end", ["terminated", "cancelled", "reset"])
async def test_place_of_a_terminated_holder_is_free_when_its_work_is_over(
    scene: Scene, end: str
) -> None:
    """Without a clean-up: nobody has to come for the others to go on."""
    holders = [await scene.start(name) for name in ("a", "b")]
    await scene.at_work("a", "b")
    await scene.start("short")
    if end == "terminated":
        await holders[0].terminate()
    elif end == "cancelled":
        await holders[0].cancel()
    else:
        await _fails_as_reset(scene, "a")
    await scene.at_work("short")
    assert scene.inside.most == 2
    assert scene.inside.now >= {"b"}
    await holders[1].terminate()


async def _fails_as_reset(scene: Scene, name: str, *, back_to: str = "last") -> None:
    await reset(scene.client, name, back_to=back_to, reapplies=False)
    with pytest.raises(WorkflowFailureError) as failure:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await scene.client.get_workflow_handle(name).result()
    cause = failure.value.cause
    reason = cause.cause if isinstance(cause, ActivityError) else cause
    assert isinstance(reason, ApplicationError)
    assert reason.type == "reset_not_supported"


async def test_waiter_that_is_reset_fails(scene: Scene) -> None:
    holders = [await scene.start(name) for name in ("a", "b")]
    await scene.at_work("a", "b")
    await scene.start("waiter")
    await eventually(scene.view, lambda view: view.waiting == ("waiter",))
    await _fails_as_reset(scene, "waiter")
    for each in holders:
        await each.terminate()


async def test_run_that_is_reset_to_before_its_request_fails(scene: Scene) -> None:
    await scene.start("a")
    await scene.at_work("a")
    await _fails_as_reset(scene, "a", back_to="first")


async def test_cancelled_waiter_leaves_the_queue_and_takes_no_other_permit(
    scene: Scene,
) -> None:
    holders = [await scene.start(name) for name in ("a", "b")]
    await scene.at_work("a", "b")
    waiter = await scene.start("waiter")
    await eventually(scene.view, lambda view: view.waiting == ("waiter",))
    for run_id in ("another", str(holders[0].result_run_id)):
        permit = Permit(job_id="waiter", run_id=run_id, name=GPU, token=2**52)
        await waiter.signal(granted_signal(GPU), permit.model_dump(mode="json"))
    await waiter.signal(granted_signal(GPU), {"garbage": True})
    await waiter.cancel()
    with pytest.raises(WorkflowFailureError):
        await waiter.result()
    await eventually(scene.view, lambda view: not view.waiting)
    assert "waiter" not in scene.inside.been
    for each in holders:
        await each.terminate()


async def _between_blocks(
    scene: Scene, queue: str = "semaphores", patience: float | None = None
) -> tuple[Handle, Permit]:
    """A run that has returned its first permit, and asked again while nothing is granted."""
    handle: Handle = await scene.client.start_workflow(
        "Blocks", args=[queue, patience], id="blocks", task_queue="foreign"
    )
    [holder] = (await eventually(scene.view, lambda view: bool(view.holders))).holders
    await eventually(lambda: handle.query("block"), lambda block: block == 1)
    await change(scene.models, GPU, SlotChange(paused=True))
    await handle.signal("leave")
    await eventually(scene.view, lambda view: not view.holders)
    return handle, Permit(job_id="blocks", run_id=holder.run_id, name=GPU, token=holder.token)


async def _granted(handle: Handle, permit: Permit) -> None:
    await handle.signal(granted_signal(GPU), permit.model_dump(mode="json"))


async def test_permit_of_an_earlier_block_opens_no_later_one(scene: Scene) -> None:
    """A semaphore that continues as new signals each permit again."""
    handle, old = await _between_blocks(scene)
    await eventually(scene.view, lambda view: view.waiting == ("blocks",))
    await _granted(handle, old)
    assert await handle.query("block") == 1
    await change(scene.models, GPU, SlotChange(paused=False))
    await eventually(lambda: handle.query("block"), lambda block: block == 2)
    await handle.terminate()


@pytest.mark.parametrize("queue", ["semaphores", "nobody"])
async def test_permit_that_comes_after_giving_up_is_returned(scene: Scene, queue: str) -> None:
    """While it waits, or still asks. The run goes on, so its close would return it much later."""
    handle, old = await _between_blocks(scene, queue, patience=1)

    async def said(name: str) -> int:
        sent = [
            event.signal_external_workflow_execution_initiated_event_attributes.signal_name
            for event in (await handle.fetch_history()).events
        ]
        return sent.count(name)

    await eventually(lambda: said(WITHDRAW_SIGNAL), bool)
    await _granted(handle, old.model_copy(update={"token": old.token + 1}))
    await eventually(lambda: said(RELEASE_SIGNAL), lambda count: count == 2)
    await handle.terminate()


@pytest.mark.parametrize(
    ("kind", "failed"), [("beside", ["has_place"]), ("one after the other", [])]
)
async def test_run_has_one_place_at_a_time(scene: Scene, kind: str, failed: list[str]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await (await scene.again(kind)).result() == failed


async def test_object_whose_block_was_given_up_can_be_used_again(scene: Scene) -> None:
    await start_semaphore(scene.models, GPU, task_queue="semaphores")
    await change(scene.models, GPU, SlotChange(paused=True))
    again = await scene.again("given up")
    await eventually(scene.view, lambda view: view.waiting == ("again",))
    await again.signal("step")
    await eventually(scene.view, lambda view: not view.waiting)
    await change(scene.models, GPU, SlotChange(paused=False))
    await again.signal("step")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await again.result()


async def test_work_may_take_longer_than_a_place_is_kept(scene: Scene) -> None:
    """Its place is shown and can be freed, whatever the time-out of its work."""
    endless = await scene.start("endless", "endless")
    await scene.at_work("endless")
    await endless.terminate()
    view = await eventually(scene.view, lambda view: view.holders[0].draining)
    view = await free(scene.models, GPU, view.holders[0].run_id)
    assert not view.holders


async def test_clean_up_without_a_worker_is_shown_and_given_up(scene: Scene) -> None:
    holder = await scene.start("a", "clean-up")
    await scene.at_work("a")
    await holder.terminate()

    def told(view: SlotView) -> bool:
        return any(each.drain_failure for each in view.holders)

    [stuck] = (await eventually(scene.view, told)).holders
    assert stuck.draining
    assert stuck.drains_since is not None
    assert stuck.drain_failure == "no worker has taken up its clean-up"
    assert not (await free(scene.models, GPU, stuck.run_id)).holders
