"""The semaphore's hands: tell a run that it is next, watch it, find the running jobs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from temporalio import activity
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError

from services.semaphore.deterministic.queue import turn
from services.semaphore.models import (
    FIND_JOBS,
    RUN_CLOSED_UPDATE,
    SEMAPHORE_RULES,
    WATCH_RUN,
    Ended,
    Found,
    SemaphoreRules,
    Watch,
)
from services.semaphore.rebuilding.merge import merged
from services.semaphore.rebuilding.predecessor import find_predecessor
from services.semaphore.rebuilding.priority import put_first
from services.semaphore.rebuilding.rebuild import find_jobs
from shared.slot.messages import (
    ON_DECK_SIGNAL,
    REFUSED_SIGNAL,
    Closed,
    Gate,
    RunRef,
    gate_of,
    semaphore_id,
)
from shared.slot.watching import is_gone, until_closed
from shared.temporal.pace import between_beats

log = structlog.get_logger(__name__)

# What holds up an answer for longer, a semaphore that is being replayed say, is not waited for.
HAND_OVER_SECONDS = 2.0
# The SDK's client tells the end of our patience in words of its own.
NOT_ARRIVED = (RPCError, RPCTimeoutOrCancelledError, WorkflowUpdateFailedError, TimeoutError)


class SemaphoreActivities:
    """Run in the semaphore's own process."""

    def __init__(self, client: Client, rules: SemaphoreRules) -> None:
        self._client = client
        self._rules = rules
        self._watched: dict[tuple[Gate, str], asyncio.Task[object] | None] = {}
        self._handing_over: set[Gate] = set()

    def watches(self, gate: Gate) -> bool:
        """Whether anybody at this gate, who is next or holds, is watched by this process."""
        return any(watched is gate for watched, _ in self._watched)

    @activity.defn(name=SEMAPHORE_RULES)
    async def semaphore_rules(self) -> SemaphoreRules:
        """This process' rules, fixed for the run that asks."""
        return self._rules

    @activity.defn(name=WATCH_RUN)
    async def watch_run(self, watch: Watch) -> Ended:
        """Tell a run that it is next, wait until it closes, say how.

        There is no release that could be lost, and no lease that could lapse under good work.
        """
        async with _beating(), self._watching(watch):
            if watch.tell:
                await put_first(self._client, watch.run)
                if await self._tell(watch.run, ON_DECK_SIGNAL, watch.gate):
                    log.info("next", gate=watch.gate, job_id=watch.run.job_id)
            closed = await until_closed(self._client, watch.run)
            if closed is Closed.ORDERLY:
                await self._hand_over(watch)
                return Ended(closed=closed)
            return Ended(closed=closed, newer=await self._newer(watch.run))

    async def _hand_over(self, watch: Watch) -> None:
        """Have the semaphore know of an orderly close before the watch ends.

        An update comes with a task that is not written down before it is done; the end of an
        activity, and the task that it brings about, are two more writes of the server's. Where it
        does not arrive, the end of the watch says the same; so it does for all but one of those who
        close together, for the server lets a workflow have ten updates in flight, asks included.
        """
        if watch.gate in self._handing_over:
            return
        self._handing_over.add(watch.gate)
        run_id = activity.info().workflow_run_id
        semaphore = self._client.get_workflow_handle(semaphore_id(watch.gate), run_id=run_id)
        try:
            with suppress(*NOT_ARRIVED):
                async with asyncio.timeout(HAND_OVER_SECONDS):
                    await semaphore.execute_update(RUN_CLOSED_UPDATE, watch.run)
        finally:
            self._handing_over.remove(watch.gate)

    @asynccontextmanager
    async def _watching(self, watch: Watch) -> AsyncIterator[None]:
        """The latest watch of a run ends the one before.

        That one's try, or its run of the semaphore, is over; until its next beat told it so, it
        would take up a place that other watches wait for.
        """
        key, task = (watch.gate, watch.run.run_id), asyncio.current_task()
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

    async def _newer(self, run: RunRef) -> str | None:
        """The run that a reset has put in the place of this one."""
        try:
            latest = await self._client.get_workflow_handle(run.job_id).describe()
        except RPCError as error:
            if not is_gone(error):
                raise
            return None
        is_open = latest.status is WorkflowExecutionStatus.RUNNING
        return latest.run_id if is_open and latest.run_id != run.run_id else None

    async def _tell(self, run: RunRef, signal: str, argument: object) -> bool:
        """Signal a run; False where it has closed."""
        handle = self._client.get_workflow_handle(run.job_id, run_id=run.run_id)
        try:
            await handle.signal(signal, argument)
        except RPCError as error:
            if not is_gone(error):
                raise
            return False
        return True

    @activity.defn(name=FIND_JOBS)
    async def find_jobs(self) -> Found:
        """Who holds and who waits, as the histories of the jobs and of the last semaphore tell."""
        info = activity.info()
        gate = gate_of(str(info.workflow_id))
        async with _beating():
            before = await find_predecessor(self._client, str(info.workflow_run_id), gate=gate)
            seen = await find_jobs(self._client, gate)
            found = await self._with_room(await merged(self._client, seen, before))
        log.info(
            "semaphore rebuilt",
            gate=gate,
            holders=len(found.holders),
            waiting=len(found.waiting),
        )
        return found

    async def _with_room(self, found: Found) -> Found:
        """Without those who stand behind the end of the queue: they are refused."""
        waiting = sorted(found.waiting, key=turn)
        for request in waiting[self._rules.capacity :]:
            await self._tell(request.run, REFUSED_SIGNAL, self._rules.capacity)
        return found.model_copy(update={"waiting": tuple(waiting[: self._rules.capacity])})


@asynccontextmanager
async def _beating() -> AsyncIterator[None]:
    pause = between_beats(activity.info().heartbeat_timeout)

    async def beat() -> None:
        while True:
            await asyncio.sleep(pause)
            activity.heartbeat()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
