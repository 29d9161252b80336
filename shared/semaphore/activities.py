"""The semaphore's activities: take requests, signal a permit and watch its run, find all runs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError

from .client import Requests
from .messages import (
    ASK_ACTIVITY,
    SEMAPHORE_QUEUE,
    Ask,
    Closed,
    RunRef,
    granted_signal,
    name_of,
    refused_signal,
)
from .predecessor import find_predecessor
from .queue import turn
from .rebuild import find_jobs, merged
from .server import grace_of, is_first_try, is_no_run, until_closed
from .state import (
    FIND_JOBS,
    SEMAPHORE_RULES,
    WATCH_RUN,
    Ended,
    Found,
    SemaphoreRules,
    Watch,
)

log = logging.getLogger(__name__)
# Heartbeat after this share of the time-out, so that one beat may be late or lost.
BEAT_SHARE = 0.48


class SemaphoreActivities:
    """The activities of the semaphore's process."""

    def __init__(
        self, client: Client, rules: SemaphoreRules, *, task_queue: str = SEMAPHORE_QUEUE
    ) -> None:
        self._client = client
        self._rules = rules
        self._requests = Requests(client, task_queue=task_queue)
        # The names of the semaphores that this process has served.
        self.known: set[str] = set()
        self._watched: dict[tuple[str, str], asyncio.Task[object] | None] = {}

    def watches(self, name: str) -> bool:
        """True if this process watches a holder of this semaphore."""
        return any(watched == name for watched, _ in self._watched)

    @activity.defn(name=ASK_ACTIVITY)
    async def ask(self, asked: dict[str, Any]) -> None:
        """Take the request of a run (an `Ask`), and start the semaphore if there is none."""
        try:
            ask = Ask.model_validate(asked)
        except ValidationError as error:
            raise ApplicationError(str(error), type="unfit", non_retryable=True) from error
        await self._requests.send(ask.request, name=ask.name, limit=ask.limit)
        # Register the name last, because the watchdog would start the semaphore with another limit.
        self.known.add(ask.name)

    @activity.defn(name=SEMAPHORE_RULES)
    async def semaphore_rules(self) -> SemaphoreRules:
        """Return the rules of this process; the calling run keeps them."""
        return self._rules

    @activity.defn(name=WATCH_RUN)
    async def grant_and_watch(self, watch: Watch) -> Ended:
        """Signal the permit to its run, wait by long poll until that run closes, return how it
        closed.

        There is no release message that could be lost, and no lease that could lapse under good
        work.
        """
        permit = watch.permit
        self.known.add(watch.name)
        async with _beating(), self._watching(watch.name, watch.run):
            signalled = await self._signal(watch.run, granted_signal(watch.name), permit)
            if signalled:
                seen = {"semaphore": watch.name, "job_id": permit.job_id, "token": permit.token}
                log.info("granted", extra=seen)
            closed = await until_closed(self._client, watch.run)
            # An unknown run may have heard of its permit, because another semaphore may have
            # granted it.
            may_know = signalled or watch.again or not is_first_try() or closed is Closed.UNKNOWN
            grace = await grace_of(self._client, watch.holder.request, closed) if may_know else None
            return Ended(closed=closed, granted=may_know, grace=grace)

    @asynccontextmanager
    async def _watching(self, name: str, run: RunRef) -> AsyncIterator[None]:
        """End an earlier watch of the same run when a new one begins.

        The earlier try, or its run of the semaphore, is over. It would occupy a slot of this worker
        until its next heartbeat.
        """
        key, task = (name, run.run_id), asyncio.current_task()
        if before := self._watched.get(key):
            before.cancel()
        self._watched[key] = task
        try:
            yield
        except asyncio.CancelledError:
            if self._watched.get(key) is task:
                raise
            raise ApplicationError(
                "Another watch of this run has begun.", category=ApplicationErrorCategory.BENIGN
            ) from None
        finally:
            if self._watched.get(key) is task:
                del self._watched[key]

    async def _signal(self, run: RunRef, signal: str, argument: object) -> bool:
        """Signal a run; return False if it has closed."""
        handle = self._client.get_workflow_handle(run.job_id, run_id=run.run_id)
        try:
            await handle.signal(signal, argument)
        except RPCError as error:
            if not is_no_run(error):
                raise
            return False
        return True

    @activity.defn(name=FIND_JOBS)
    async def find_jobs(self) -> Found:
        """Return holders and waiters, by the histories of the jobs and of earlier semaphores."""
        info = activity.info()
        name = name_of(str(info.workflow_id))
        async with _beating():
            before = await find_predecessor(
                self._client,
                str(info.workflow_run_id),
                name=name,
                recalls=name in self._rules.recalls,
            )
            seen = await find_jobs(self._client, name, now=info.started_time)
            found = await merged(self._client, seen, before, now=info.started_time)
            found = await self._within_capacity(name, found)
        counts = {"holders": len(found.holders), "waiting": len(found.waiting)}
        log.info("semaphore rebuilt", extra={"semaphore": name, **counts})
        return found

    async def _within_capacity(self, name: str, found: Found) -> Found:
        """Return the result without the waiters that exceed the capacity; they are refused."""
        waiting = sorted(found.waiting, key=turn)
        for request in waiting[self._rules.capacity :]:
            await self._signal(request.run, refused_signal(name), self._rules.capacity)
        return found.model_copy(update={"waiting": tuple(waiting[: self._rules.capacity])})


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
