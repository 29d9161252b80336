"""The worker of a pipeline: one Temporal worker with its activities."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import (
    CustomSlotSupplier,
    FixedSizeSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
    Worker,
    WorkerTuner,
)

from shared.http.client import http_client
from shared.pipeline.activities import StageActivities
from shared.pipeline.draining import DrainActivities
from shared.pipeline.fetching import result_transport
from shared.pipeline.interceptor import JobInterceptor
from shared.pipeline.pipeline import Pipeline
from shared.pipeline.policies import HEARTBEAT_THROTTLE
from shared.pipeline.records import StateActivities
from shared.pipeline.settings import PipelineWorkerSettings
from shared.pipeline.storage import Checker, Parts, Storage
from shared.pipeline.vendor import Vendor
from shared.semaphore.runner import WorkflowRunner
from shared.store.chosen import chosen_store
from shared.temporal.client import BUILD_ID


@asynccontextmanager
async def pipeline_worker(
    workflow: type[Pipeline[Any]],
    settings: PipelineWorkerSettings,
    client: Client,
    *,
    vendors: Mapping[str, Vendor],
    checker: Checker,
    task_queue: str | None = None,
) -> AsyncIterator[Worker]:
    """Run a polling worker during the block; `vendors` by role."""
    transport = result_transport(settings, *vendors.values())
    async with http_client(seconds=30, transport=transport) as result_http:
        storage = Storage(
            result_http,
            checker=checker,
            vendors=settings.vendor_addresses(),
            data_dir=settings.data_dir,
            store=chosen_store(settings),
            max_bytes=settings.max_result_bytes,
        )
        parts = Parts(settings=settings, client=client, vendors=vendors, storage=storage)
        state = StateActivities(settings, client=client)
        runner = WorkflowRunner()
        worker = Worker(
            client,
            task_queue=task_queue or parts.pipeline.name,
            workflows=[workflow],
            activities=activities_of(parts, state, DrainActivities(parts)),
            interceptors=[JobInterceptor()],
            workflow_runner=runner,
            tuner=tuner(),
            sticky_queue_schedule_to_start_timeout=settings.pace.times.sticky,
            max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
            graceful_shutdown_timeout=timedelta(seconds=settings.shutdown_seconds),
            build_id=BUILD_ID,
        )
        runner.serve(worker)
        async with worker:
            yield worker


def activities_of(
    parts: Parts, state: StateActivities, drain: DrainActivities
) -> list[Callable[..., Any]]:
    stages = [StageActivities(parts, each, state) for each in parts.pipeline.stages]
    return [
        *(each for stage in stages for each in stage.all()),
        drain.drain_job,
        drain.open_records,
        state.record_state,
        state.enter_queue,
    ]


# A job mostly waits for its turn, so a worker can hold many.
MAX_ACTIVITIES = 200
MAX_LOCAL_ACTIVITIES = 100
# A workflow task takes 10 to 30 ms of this process, and concurrent tasks share its time: 100 of
# them (the SDK's default), in a flood of new jobs, come near their time-out.
MAX_KNOWN, MAX_NEW = 18, 1


def tuner() -> WorkerTuner:
    return WorkerTuner.create_composite(
        workflow_supplier=WorkflowTaskSlots(),
        activity_supplier=FixedSizeSlotSupplier(MAX_ACTIVITIES),
        local_activity_supplier=FixedSizeSlotSupplier(MAX_LOCAL_ACTIVITIES),
        nexus_supplier=FixedSizeSlotSupplier(1),
    )


@dataclass(frozen=True)
class _Permit(SlotPermit):
    slots: asyncio.Semaphore


class WorkflowTaskSlots(CustomSlotSupplier):
    """Slots for tasks of cached workflows (sticky ones), and one for others.

    The first task of a job is one of the others, and so is each task of an evicted workflow.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._known = asyncio.Semaphore(MAX_KNOWN)
        self._new = asyncio.Semaphore(MAX_NEW)

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        """Reserve a slot before a poll; called on the worker's loop."""
        slots = self._known if ctx.is_sticky else self._new
        await slots.acquire()
        return _Permit(slots)

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        """Refuse, because no workflow is started by its own worker."""
        return None

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        """Do nothing."""

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        """Release a slot; called from a thread of the SDK's core."""
        if isinstance(ctx.permit, _Permit):
            self._loop.call_soon_threadsafe(ctx.permit.slots.release)
