"""Keep semaphores running, send them every open request, and end code that keeps failing.

Every decision uses the server's answers and clock, never this machine's clock.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from .client import start_semaphore, state_of, view_of
from .messages import (
    CAPACITY,
    REQUEST_SIGNAL,
    SEMAPHORE_QUEUE,
    SEMAPHORE_WORKFLOW,
    WITHDRAW_SIGNAL,
    drain_id,
    name_of,
    semaphore_id,
)
from .rebuild import OPEN, PAGE, names_in, read_run
from .server import is_gone, is_open
from .state import FIND_JOBS, WATCH_RUN, Permits, SemaphoreRules

log = logging.getLogger(__name__)
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED

# A semaphore that was ended by hand is started again after this, even without a request.
PAUSE_SECONDS = 1.0
# Open runs that a semaphore does not know are looked for in every fourth round, because that lists
# all open runs.
REMIND_ROUNDS = 4
# The server's own attribute. A holder that has it in so many rounds, so for at least a minute,
# fails for good; a deployment that is fixed before ends no holder.
PROBLEMS = SearchAttributeKey.for_keyword_list("TemporalReportedProblems")
FAILING_ROUNDS = 3
# Causes that are not the code's: more came in while the run was about to end.
PASSING = ("UnhandledCommand", "UnhandledUpdate")
FAILS = "Its workflow tasks have failed for more than a minute."
STANDS = "Its workflow task keeps failing; the next semaphore rebuilds."
# A drain that a vendor's outage delays fails for a while, and then ends.
FAILED_DRAINS = 5

# Gets the number of a semaphore's failing drains.
OnFailingDrains = Callable[[str, int], None]


@dataclass
class Watchdog:
    """Keeps semaphores running, and finds what they can't see: forgotten runs, holders whose code
    fails, drains that fail, their own failing tasks. A silent semaphore delays no other.

    `failing`: by semaphore and holder, the rounds in a row in which its code failed.
    """

    client: Client
    rules: SemaphoreRules
    task_queue: str = SEMAPHORE_QUEUE
    on_failing_drains: OnFailingDrains = lambda name, number: None
    failing: dict[str, dict[str, int]] = field(default_factory=dict)

    async def run(self, names: Iterable[str]) -> None:
        """Look after these semaphores, each one that exists, and each one that an open run
        requests."""
        kept: dict[str, asyncio.Task[None]] = {}
        try:
            for number in count(1):
                found = {*names}
                with _surviving("all"):
                    found |= {*await running_semaphores(self.client)}
                    if number % REMIND_ROUNDS == 0:
                        found |= await remind(self.client, capacity=self.rules.capacity)
                for name in found - kept.keys():
                    kept[name] = asyncio.create_task(self._keep_running(name))
                await asyncio.sleep(self.rules.care_seconds)
                for name in kept:
                    await self.end_failing(name)
        finally:
            for each in kept.values():
                each.cancel()

    async def _keep_running(self, name: str) -> None:
        while True:
            with _surviving(name):
                await start_semaphore(self.client, name, task_queue=self.task_queue)
                with suppress(WorkflowFailureError):
                    # A long poll that reports its end.
                    await self.client.get_workflow_handle(semaphore_id(name)).result()
            await asyncio.sleep(PAUSE_SECONDS)

    async def end_failing(self, name: str) -> None:
        """Report failing drains, and terminate the runs whose code keeps failing.

        A failing semaphore blocks all its users, and the next one rebuilds. A failing holder is
        drained like any other run that was ended from outside.
        """
        before, self.failing[name] = self.failing.get(name, {}), {}
        with _surviving(name):
            described = await self.client.get_workflow_handle(semaphore_id(name)).describe()
            pending = described.raw_description.pending_activities
            drains = [each for each in pending if each.activity_id.startswith(drain_id(""))]
            failing = [each for each in drains if each.attempt > FAILED_DRAINS]
            self.on_failing_drains(name, len(failing))
            for each in failing:
                seen = {"drain": each.activity_id, "tries": each.attempt}
                seen |= {"semaphore": name, "reason": each.last_failure.message}
                log.error("drain keeps failing", extra=seen)
            if is_failing(described):
                await self._end(described, STANDS)
            # Without a holder there is nothing to ask.
            elif self.rules.ends_failing and pending:
                for holder in (await view_of(self.client, name)).holders:
                    with _surviving(name):
                        run = self.client.get_workflow_handle(holder.job_id, run_id=holder.run_id)
                        seen_run = await run.describe()
                        if is_failing(seen_run):
                            rounds = before.get(holder.run_id, 0) + 1
                            self.failing[name][holder.run_id] = rounds
                            if rounds >= FAILING_ROUNDS:
                                await self._end(seen_run, FAILS)

    async def _end(self, run: WorkflowExecutionDescription, reason: str) -> None:
        log.error("code keeps failing, run gets terminated", extra={"job_id": run.id})
        await self.client.get_workflow_handle(run.id, run_id=run.run_id).terminate(reason=reason)


async def running_semaphores(client: Client) -> list[str]:
    """Return the names of all running semaphores, by the listing."""
    query = f"WorkflowType = '{SEMAPHORE_WORKFLOW}' AND {OPEN}"
    return [name_of(each.id) async for each in client.list_workflows(query, page_size=PAGE)]


@contextmanager
def _surviving(name: str) -> Iterator[None]:
    """Log a failure of whatever kind, because the watchdog must not end; the next round tries
    again. A run that has ended meanwhile is no failure."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, RPCError) or not is_gone(error):
            seen = {"semaphore": name, "reason": str(error)}
            log.warning("check of a semaphore failed", extra=seen)


def is_failing(described: WorkflowExecutionDescription) -> bool:
    """True if an open run's code has failed its workflow task, or hung in it, several times in a
    row: 5 times, or twice on Temporal Cloud. The server reports it, whatever signals have come."""
    if described.status is not WorkflowExecutionStatus.RUNNING:
        return False
    problems = described.typed_search_attributes.get(PROBLEMS) or ()
    return any(each.startswith("cause=") and not each.endswith(PASSING) for each in problems)


async def remind(client: Client, *, capacity: int = CAPACITY) -> set[str]:
    """Send the semaphores the requests of open runs that they don't know, as far as there is room,
    and withdraw the waiters that are no open runs. Return the names of all that open runs request.

    The queue was full when such a run asked, or a rebuild's late listing has lacked it. One that
    has just begun counts once, however often it is requested. A deleted waiter would be drained
    before the next one is granted.
    """
    marked: dict[str, list[WorkflowExecution]] = {}
    async for run in client.list_workflows(OPEN, page_size=PAGE):
        for name in names_in(run):
            marked.setdefault(name, []).append(run)
    for name, runs in marked.items():
        with _surviving(name):
            semaphore = client.get_workflow_handle(semaphore_id(name))
            if (state := await state_of(client, name)) is None:
                continue
            permits = Permits(state, capacity=capacity)
            for run in sorted(runs, key=lambda run: run.start_time):
                if permits.knows(run.run_id):
                    continue
                seen = await read_run(client, run, name=name)
                if seen is not None and seen.open and seen.asks:
                    if not permits.request(seen.request, run.start_time):
                        break
                    extra = {"semaphore": name, "job_id": run.id}
                    log.warning("requested the slot for an unknown run", extra=extra)
                    await semaphore.signal(REQUEST_SIGNAL, [seen.request])
            listed = {run.run_id for run in runs}
            for each in state.waiting:
                if each.run_id in listed or await is_open(client, each):
                    continue
                log.warning("withdrew a closed waiter", extra={"semaphore": name, **dict(each.run)})
                await semaphore.signal(WITHDRAW_SIGNAL, each.run_id)
    return {*marked}


async def end_stale_tries(client: Client, names: Iterable[str]) -> int:
    """End each try of a semaphore's own activities that another process has begun; return how many.

    This runs before this process polls, so none is its own. If the other process is alive after
    all, its try is void, and the next try does the same work.
    """
    ended, why = 0, ApplicationError("A process of the semaphore has started.")
    for name in names:
        with _surviving(name):
            described = await client.get_workflow_handle(semaphore_id(name)).describe()
            for each in described.raw_description.pending_activities:
                if each.activity_type.name in (FIND_JOBS, WATCH_RUN) and each.state == STARTED:
                    stale = client.get_async_activity_handle(
                        workflow_id=described.id,
                        run_id=described.run_id,
                        activity_id=each.activity_id,
                    )
                    with _surviving(name):
                        await stale.fail(why)
                        ended += 1
    return ended
