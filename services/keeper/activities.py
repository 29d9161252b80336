"""The keeper's hands: grant a permit and watch its run, find the running jobs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from temporalio import activity
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.exceptions import TerminatedError, TimeoutError
from temporalio.service import RPCError, RPCStatusCode

from services.keeper.models import FIND_JOBS, GRANT_AND_WATCH, Closed, Found, Watch
from services.keeper.predecessor import find_predecessor
from services.keeper.rebuild import find_jobs
from shared.slots import GRANTED_SIGNAL

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 1.0

ABNORMAL = {
    WorkflowExecutionStatus.TERMINATED: Closed.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: Closed.TIMED_OUT,
}


class KeeperActivities:
    """Run in the keeper's own process."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn(name=GRANT_AND_WATCH)
    async def grant_and_watch(self, watch: Watch) -> Closed:
        """Signal the permit to exactly that run, wait until it closes, say how.

        There is no release that could be lost, and no lease that could lapse.
        """
        permit = watch.permit
        handle = self._client.get_workflow_handle(permit.job_id, run_id=permit.run_id)
        async with _beating():
            try:
                await handle.signal(GRANTED_SIGNAL, permit)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                return await self._already_closed(handle, watch)
            log.info("slot granted", job_id=permit.job_id, token=permit.token)
            return await _closed(handle)

    async def _already_closed(self, handle: WorkflowHandle[object, object], watch: Watch) -> Closed:
        """The run closed before this grant; a first grant can't have been acted on."""
        if watch.fresh and activity.info().attempt == 1:
            log.info("waiter is gone", job_id=watch.permit.job_id)
            return Closed.ORDERLY
        try:
            description = await handle.describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return Closed.TERMINATED
            raise
        return ABNORMAL.get(
            description.status or WorkflowExecutionStatus.TERMINATED, Closed.ORDERLY
        )

    @activity.defn(name=FIND_JOBS)
    async def find_jobs(self) -> Found:
        """Who holds and who waits, as the histories of the jobs and of the last keeper tell.

        The keeper knows of permits whose jobs are closed but not cleared, or not yet told.
        """
        async with _beating():
            granted, asking = await find_jobs(self._client)
            before = await find_predecessor(self._client, str(activity.info().workflow_run_id))
        holders = {holder.run_id: holder for holder in (*granted, *before.holders)}
        waiting = tuple(request for request in asking if request.run_id not in holders)
        log.info("keeper rebuilt", holders=len(holders), waiting=len(waiting))
        return Found(settings=before.settings, holders=tuple(holders.values()), waiting=waiting)


async def _closed(handle: WorkflowHandle[object, object]) -> Closed:
    try:
        await handle.result(follow_runs=False)
    except WorkflowFailureError as failure:
        if isinstance(failure.cause, TerminatedError):
            return Closed.TERMINATED
        if isinstance(failure.cause, TimeoutError):
            return Closed.TIMED_OUT
    return Closed.ORDERLY


@asynccontextmanager
async def _beating() -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
