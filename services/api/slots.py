"""The view of a semaphore, read at most once a second for all callers together."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import structlog
from prometheus_client import Gauge
from temporalio.client import (
    Client,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import QueryRejectCondition
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from services.api.metrics import TEMPORAL_CALLS
from services.api.parts import Fresh
from services.api.temporal import RPC_TIMEOUT, is_missing
from shared.errors import (
    GenvideoError,
    InvalidInput,
    QueueFull,
    TemporalRefuses,
    TemporalUnavailable,
)
from shared.health import temporal_reason
from shared.jobs.messages import Job
from shared.jobs.slots import JOB_GATE
from shared.jobs.states import Status
from shared.semaphore import client as library
from shared.semaphore.client import start_semaphore, with_drains
from shared.semaphore.messages import (
    DEFAULT_LIMIT,
    VIEW_QUERY,
    RunId,
    SlotChange,
    SlotView,
    semaphore_id,
)
from shared.temporal.client import answer

log = structlog.get_logger(__name__)

# How long each try to ask the semaphore may take. A query is lost with a worker that dies, and on a
# busy machine it waits behind the worker's other tasks.
TRY_SECONDS = (3.0, 4.0)
# A list does not wait longer for its queue positions.
PATIENCE_SECONDS = 0.5
UPDATE_SECONDS = 5.0
# A full queue moves on by one job at a time.
FULL_RETRY_SECONDS = 10.0
# How an update fails if its semaphore was reset, or ended before it was done.
ENDED = ("reset", "AcceptedUpdateCompletedWorkflow")

# A scrape does not wait longer for a slow semaphore.
METRICS_SECONDS = 2.0

SEEN = Gauge("genvideo_api_slot_seen", "1 if the semaphore has answered for these figures")
LIMIT = Gauge("genvideo_api_slot_limit", "Jobs that may hold the slot at once")
PAUSED = Gauge("genvideo_api_slot_paused", "1 while paused")
HOLDERS = Gauge("genvideo_api_slot_holders", "Jobs that hold the slot", ["draining"])
WAITING = Gauge("genvideo_api_slot_waiting", "Jobs that wait for the slot")
HELD = Gauge("genvideo_api_slot_held_seconds", "For how long the oldest holder has had the slot")
TOKEN = Gauge("genvideo_api_slot_token", "The highest token of a holder; it grows with each grant")


EMPTY = SlotView(limit=DEFAULT_LIMIT, paused=False, holders=(), waiting=(), waiting_count=0)


class SemaphoreSlow(TemporalUnavailable, status=504, title="The semaphore is slow"):
    """Temporal answers, but no worker has answered for the semaphore in time."""


class NotDraining(GenvideoError, status=409, title="The run is not draining"):
    """The run does not drain, so its place can't be given up."""


class Slots:
    """Limit, pause, holders and queue; the last answer is used for a second."""

    def __init__(self, client: Client, gate: str = JOB_GATE) -> None:
        self._client = client
        self._gate = gate
        self._handle = client.get_workflow_handle(semaphore_id(gate))
        self._seen: SlotView | None = None
        self._fresh = Fresh(self._ask)
        # The places of its waiting jobs, from 1.
        self._places: dict[str, int] = {}

    async def is_there(self) -> bool:
        try:
            await answer(self._handle.describe(rpc_timeout=RPC_TIMEOUT))
        except RPCError as error:
            if is_missing(error):
                return False
            raise TemporalUnavailable("Temporal does not answer.") from error
        return True

    async def view(self) -> SlotView:
        """Return the slot, up to a second old; raise TemporalUnavailable or SemaphoreSlow."""
        return await self._fresh.get()

    async def _ask(self) -> SlotView:
        """Return the first answer of several tries; raise SemaphoreSlow only if Temporal itself
        answers."""
        for seconds in TRY_SECONDS:
            TEMPORAL_CALLS.labels("query_slots").inc()
            query = self._handle.query(
                VIEW_QUERY,
                result_type=SlotView,
                reject_condition=QueryRejectCondition.NOT_OPEN,
                rpc_timeout=timedelta(seconds=seconds),
            )
            try:
                return await self._see(await answer(query, seconds=seconds))
            except WorkflowQueryRejectedError:
                # It was ended from outside; the next request starts it.
                await answer(start_semaphore(self._client, self._gate))
            except TemporalRefuses:
                raise
            except (RPCError, WorkflowQueryFailedError, TemporalUnavailable) as error:
                if is_missing(error):
                    return await self._see(EMPTY)
                if await temporal_reason(self._client) is not None:
                    raise TemporalUnavailable("Temporal does not answer; try again.") from error
        raise SemaphoreSlow(
            f"Temporal answers, but the semaphore has not answered within {sum(TRY_SECONDS):g} s."
        )

    async def _see(self, view: SlotView) -> SlotView:
        """Note a view, and how often each drain in it was tried and why the last try failed.

        Only the server knows that, and it is asked only while a run drains.
        """
        if any(holder.draining for holder in view.holders):
            TEMPORAL_CALLS.labels("describe_slots").inc()
            with suppress(GenvideoError, RPCError):
                described = await answer(self._handle.describe(rpc_timeout=RPC_TIMEOUT))
                view = with_drains(view, described)
        self._seen = view
        self._places = {job_id: number for number, job_id in enumerate(view.waiting, start=1)}
        return view

    async def change(self, change: SlotChange) -> SlotView:
        """Set limit or pause; start the semaphore if there is none."""
        TEMPORAL_CALLS.labels("change_slots").inc()
        with suppress(RPCError):
            return await self._updated(library.change(self._client, self._gate, change))
        await answer(start_semaphore(self._client, self._gate))
        try:
            return await self._updated(library.change(self._client, self._gate, change))
        except RPCError as error:
            raise TemporalUnavailable("The semaphore does not answer.") from error

    async def free(self, run_id: RunId) -> SlotView:
        """Give up the drain of a run, whose place is free at once; raise NotDraining.

        What it left at a vendor may run on, beside the next holder.
        """
        TEMPORAL_CALLS.labels("free_slot").inc()
        try:
            view = await self._updated(library.free(self._client, self._gate, run_id))
        except RPCError as error:
            raise NotDraining("There is no semaphore, so no run drains.") from error
        log.warning("operator freed a place", gate=self._gate, run_id=run_id)
        return view

    async def _updated(self, update: Awaitable[SlotView]) -> SlotView:
        """Return the view after an update; raise RPCError only if there is no semaphore."""
        try:
            view = await self._see(await answer(update, seconds=UPDATE_SECONDS))
        except WorkflowUpdateFailedError as error:
            kind = error.cause.type if isinstance(error.cause, ApplicationError) else None
            if kind == NotDraining.code:
                raise NotDraining("This run is not draining.") from error
            if kind in ENDED:
                # The next semaphore rebuilds.
                raise TemporalUnavailable("The semaphore does not answer.") from error
            raise InvalidInput(str(error.cause)) from error
        except TemporalRefuses:
            raise
        except (RPCError, TemporalUnavailable) as error:
            if is_missing(error):
                raise
            # Its task failed, for example because a signal came as it ended.
            raise TemporalUnavailable(
                "The semaphore has not answered; the change may still take effect."
            ) from error
        self._fresh.put(view)
        return view

    async def require_room(self) -> None:
        """Raise QueueFull while the queue has no room.

        The last answer counts, so no submission waits. Only if it says "full" is the semaphore
        asked again, because that answer may be out of date.
        """
        asking = self._fresh.asking()
        view = self._seen
        if view is None or not view.is_full:
            return
        with suppress(GenvideoError, RPCError, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                view = await asyncio.shield(asking)
        if view.is_full:
            raise QueueFull(
                f"{view.waiting_count} jobs wait, which is the limit; nothing was started.",
                retry_after=FULL_RETRY_SECONDS,
            )

    async def with_positions(self, jobs: list[Job]) -> list[Job]:
        """Return the jobs with their queue positions, from 1; without them if the semaphore is
        silent."""
        if any(job.status is Status.QUEUED for job in jobs) and await self.look():
            return [self.placed(job) for job in jobs]
        return jobs

    async def look(self) -> bool:
        """True if the queue's order is known, up to a second old."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self.view()
        except (GenvideoError, RPCError, TimeoutError):
            return False
        return True

    def placed(self, job: Job) -> Job:
        """Return the job with its position by the last answer."""
        position = self._places.get(job.job_id) if job.status is Status.QUEUED else None
        return job if position is None else job.model_copy(update={"queue_position": position})


async def refresh_metrics(slots: Slots) -> None:
    """Set all metrics. If the semaphore does not answer, or rebuilds, only `SEEN` changes, to 0."""
    try:
        view: SlotView | None = await asyncio.wait_for(slots.view(), METRICS_SECONDS)
    except (TemporalUnavailable, TimeoutError):
        view = None
    SEEN.set(view is not None and not view.rebuilding)
    if view is None or view.rebuilding:
        return
    LIMIT.set(view.limit)
    PAUSED.set(view.paused)
    WAITING.set(view.waiting_count)
    draining = sum(holder.draining for holder in view.holders)
    HOLDERS.labels("no").set(len(view.holders) - draining)
    HOLDERS.labels("yes").set(draining)
    now = datetime.now(UTC)
    HELD.set(max(((now - holder.since).total_seconds() for holder in view.holders), default=0.0))
    if view.holders:
        TOKEN.set(max(holder.token for holder in view.holders))
