"""The semaphore's activities: take requests, signal a permit and watch its run, find all runs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from .client import start_semaphore
from .messages import (
    ASK_ACTIVITY,
    RESET,
    RESET_MESSAGE,
    SEMAPHORE_QUEUE,
    Ask,
    Permit,
    granted_signal,
    name_of,
)
from .rebuild import find
from .server import end_unreachable, grace_of, is_no_run, until_closed
from .state import FIND_JOBS, SEMAPHORE_RULES, WATCH_RUN, Ended, Found, SemaphoreRules, Watch

log = logging.getLogger(__name__)
# Heartbeat after this share of the time-out, so that one beat may be late or lost.
BEAT_SHARE = 0.48


@dataclass
class SemaphoreActivities:
    """The activities of the semaphore's process."""

    client: Client
    rules: SemaphoreRules
    task_queue: str = SEMAPHORE_QUEUE

    @activity.defn(name=ASK_ACTIVITY)
    async def ask(self, ask: Ask) -> None:
        """Take the request of a run, and start the semaphore if there is none.

        Fails for a run that was reset to before its request, which names the run before it.
        """
        if ask.request.run_id != activity.info().workflow_run_id:
            raise ApplicationError(RESET_MESSAGE, type=RESET, non_retryable=True)
        await start_semaphore(
            self.client,
            ask.name,
            requests=[ask.request],
            limit=ask.limit,
            task_queue=self.task_queue,
        )

    @activity.defn(name=SEMAPHORE_RULES)
    async def semaphore_rules(self) -> SemaphoreRules:
        """Return the rules of this process; the calling run keeps them."""
        return self.rules

    @activity.defn(name=WATCH_RUN)
    async def grant_and_watch(self, watch: Watch) -> Ended:
        """Signal the permit to its run, wait by long poll until that run closes, return how it
        closed.

        There is no release message that could be lost, and no lease that could lapse under good
        work.
        """
        name, holder, run = watch.name, watch.holder, watch.holder.run
        permit = Permit(name=name, token=holder.token, **dict(run))
        handle = self.client.get_workflow_handle(run.job_id, run_id=run.run_id)
        async with _beating():
            try:
                await handle.signal(granted_signal(name), permit)
                seen = {"semaphore": name, "job_id": run.job_id, "token": permit.token}
                log.info("granted", extra=seen)
            except RPCError as error:
                if not is_no_run(error):
                    raise
                if error.status is RPCStatusCode.INVALID_ARGUMENT:
                    await end_unreachable(self.client, name, run)
            closed = await until_closed(self.client, run)
            grace = await grace_of(self.client, name, holder.request, closed)
        return Ended(closed=closed, grace=grace)

    @activity.defn(name=FIND_JOBS)
    async def find_jobs(self) -> Found:
        """Return holders and waiters, by the histories of the jobs and of earlier semaphores."""
        info = activity.info()
        name, run_id = name_of(str(info.workflow_id)), str(info.workflow_run_id)
        async with _beating():
            found = await find(self.client, name, run_id=run_id, now=info.started_time)
        counts = {"holders": len(found.holders), "waiting": len(found.waiting)}
        log.info("semaphore rebuilt", extra={"semaphore": name, **counts})
        return found


@asynccontextmanager
async def _beating() -> AsyncIterator[None]:
    pause = (activity.info().heartbeat_timeout or timedelta(minutes=1)) * BEAT_SHARE

    async def beat() -> None:
        while True:
            await asyncio.sleep(pause.total_seconds())
            activity.heartbeat()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
