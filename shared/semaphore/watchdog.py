"""Keep semaphores running, send them every open request, and end code that keeps failing.

Every decision uses the server's answers and clock, never this machine's clock.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, timedelta
from typing import NamedTuple

from temporalio.api.common.v1 import WorkflowExecution as Execution
from temporalio.api.enums.v1 import (
    EventType,
    PendingActivityState,
    TimeoutType,
    WorkflowTaskFailedCause,
)
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowFailureError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from .client import QUERY_TIMEOUT, start_semaphore
from .messages import (
    REQUEST_SIGNAL,
    SEMAPHORE_QUEUE,
    SEMAPHORE_WORKFLOW,
    UNKNOWN_QUERY,
    VIEW_QUERY,
    SlotView,
    drain_id,
    name_of,
    semaphore_id,
)
from .rebuild import OPEN, names_in, read_run
from .server import is_gone
from .state import FIND_JOBS, WATCH_RUN, SemaphoreRules

log = logging.getLogger(__name__)
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED

# A semaphore that was ended by hand is started again after this, even without a request.
PAUSE_SECONDS = 1.0
# This many run ids make some 40 kB of a query.
AT_ONCE = 1000
# Code that fails its task this often, and for this long, fails for good. A deployment that is fixed
# in this time ends no holder. The server's pauses double, so the sixth try comes after some 20 s.
FAILED_TASKS = 5
FAILING_FOR = timedelta(minutes=1)
# Causes that are not the code's: something came in while the run was about to end, or it was reset.
PASSING = frozenset(
    {
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_UPDATE,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_STICKY_TASK_QUEUE,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
        WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_FAILOVER_CLOSE_COMMAND,
    }
)
FAILS = "Its workflow tasks have failed for more than a minute."
STANDS = "Its workflow task keeps failing; the next semaphore rebuilds."
# A drain that a vendor's outage delays fails for a while, and then ends.
FAILED_DRAINS = 5

# Gets the number of a semaphore's failing drains.
OnFailingDrains = Callable[[str, int], None]


class Watchdog:
    """Keeps semaphores running, and finds what they can't see: forgotten runs, holders whose code
    fails, drains that fail, their own failing tasks. A silent semaphore delays no other."""

    def __init__(
        self,
        client: Client,
        rules: SemaphoreRules,
        *,
        task_queue: str = SEMAPHORE_QUEUE,
        on_failing_drains: OnFailingDrains | None = None,
    ) -> None:
        self._client = client
        self._rules = rules
        self._task_queue = task_queue
        self._on_failing_drains = on_failing_drains
        self._kept: dict[str, asyncio.Task[None]] = {}

    def keep(self, name: str) -> None:
        """Start this semaphore whenever there is none."""
        if name not in self._kept:
            self._kept[name] = asyncio.create_task(self._keep_running(name))

    async def run(self, names: Iterable[str]) -> None:
        """Look after these semaphores, each one that exists, and each one that an open run
        requests."""
        rounds, number = max(1, round(self._rules.look_seconds / self._rules.care_seconds)), 0
        try:
            for name in names:
                self.keep(name)
            while True:
                with _surviving("all"):
                    for name in await running_semaphores(self._client):
                        self.keep(name)
                await asyncio.sleep(self._rules.care_seconds)
                number += 1
                for name in [*self._kept]:
                    await end_failing(
                        self._client,
                        name,
                        holders=self._rules.ends_failing,
                        on_failing_drains=self._on_failing_drains,
                    )
                if number % rounds == 0:
                    with _surviving("all"):
                        for name in await remind(self._client):
                            self.keep(name)
        finally:
            for each in self._kept.values():
                each.cancel()

    async def _keep_running(self, name: str) -> None:
        while True:
            with _surviving(name):
                await start_semaphore(self._client, name, task_queue=self._task_queue)
                with suppress(WorkflowFailureError):
                    # A long poll that reports its end.
                    await self._client.get_workflow_handle(semaphore_id(name)).result()
            await asyncio.sleep(PAUSE_SECONDS)


async def running_semaphores(client: Client) -> list[str]:
    """Return the names of all running semaphores, by the listing."""
    query = f"WorkflowType = '{SEMAPHORE_WORKFLOW}' AND {OPEN}"
    return [name_of(each.id) async for each in client.list_workflows(query)]


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


async def end_failing(
    client: Client,
    name: str,
    *,
    holders: bool = True,
    failing_for: timedelta = FAILING_FOR,
    on_failing_drains: OnFailingDrains | None = None,
) -> list[str]:
    """Report failing drains; terminate the runs whose code keeps failing, and return their ids.

    A failing semaphore blocks all its users, and the next one rebuilds. Failing `holders` are
    drained like any other run that was ended from outside.
    """
    with _surviving(name):
        semaphore = client.get_workflow_handle(semaphore_id(name))
        described = await semaphore.describe()
        pending = described.raw_description.pending_activities
        failing = [
            each
            for each in pending
            if each.activity_id.startswith(drain_id("")) and each.attempt > FAILED_DRAINS
        ]
        if on_failing_drains is not None:
            on_failing_drains(name, len(failing))
        for each in failing:
            reason = each.last_failure.message
            seen = {"drain": each.activity_id, "tries": each.attempt, "reason": reason}
            log.error("drain keeps failing", extra={"semaphore": name, **seen})
        if await _ended_if_failing(client, described, failing_for=timedelta(), reason=STANDS):
            return [described.id]
        # Without a holder there is nothing to ask.
        if not holders or not any(each.activity_type.name == WATCH_RUN for each in pending):
            return []
        view: SlotView = await semaphore.query(
            VIEW_QUERY, result_type=SlotView, rpc_timeout=QUERY_TIMEOUT
        )
        ended = []
        for holder in view.holders:
            with _surviving(name):
                handle = client.get_workflow_handle(holder.job_id, run_id=holder.run_id)
                if not holder.draining and await _ended_if_failing(
                    client, await handle.describe(), failing_for=failing_for, reason=FAILS
                ):
                    ended.append(holder.job_id)
        return ended
    return []


async def _ended_if_failing(
    client: Client, run: WorkflowExecutionDescription, *, failing_for: timedelta, reason: str
) -> bool:
    if not (await find_failures(client, run)).are_final(failing_for):
        return False
    log.error("code keeps failing, run gets terminated", extra={"job_id": run.id})
    await client.get_workflow_handle(run.id, run_id=run.run_id).terminate(reason=reason)
    return True


class Failures(NamedTuple):
    """The failed workflow tasks since the last completed one: how many, and over how many
    seconds."""

    times: int = 0
    lasted: timedelta = timedelta()

    def are_final(self, failing_for: timedelta = FAILING_FOR) -> bool:
        return self.times >= FAILED_TASKS and self.lasted >= failing_for


async def find_failures(client: Client, described: WorkflowExecutionDescription) -> Failures:
    """Read from the end of a run's history why its workflow task is pending.

    The pending task does not show it, because the server resets its number of tries with each
    signal, and the time of its first try with each try. No history has the later tries of a task.
    """
    if not described.raw_description.HasField("pending_workflow_task"):
        return Failures()
    task = described.raw_description.pending_workflow_task
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=Execution(workflow_id=described.id, run_id=described.run_id),
        maximum_page_size=100,
    )
    failed, completed = [], False
    while not completed:
        page = await client.workflow_service.get_workflow_execution_history_reverse(request)
        for event in page.history.events:
            completed = event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
            if completed:
                break
            if _is_failure(event):
                failed.append(event.event_time.ToDatetime(UTC))
        request.next_page_token = page.next_page_token
        completed = completed or not page.next_page_token
    if not failed:
        return Failures()
    times = len(failed) + max(0, task.attempt - 2)
    return Failures(times, task.scheduled_time.ToDatetime(UTC) - failed[-1])


def _is_failure(event: HistoryEvent) -> bool:
    """True if a workflow task failed by its code, or hung in it; False if nothing polled."""
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
        return event.workflow_task_failed_event_attributes.cause not in PASSING
    timed_out = event.workflow_task_timed_out_event_attributes.timeout_type
    return timed_out == TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE


async def remind(client: Client) -> dict[str, int]:
    """Send the semaphores the requests of open runs that they don't know; return how many, by name.

    The listings from which a semaphore rebuilds are eventually consistent, and may lack a run. A
    run that has just begun may be among them; it counts once, however often it is requested.
    """
    marked: dict[str, dict[str, WorkflowExecution]] = {}
    async for run in client.list_workflows(OPEN):
        for name in names_in(run):
            marked.setdefault(name, {})[run.run_id] = run
    found = dict.fromkeys(marked, 0)
    for name, runs in marked.items():
        with _surviving(name):
            found[name] = await _remind(client, name, runs)
    return found


async def _remind(client: Client, name: str, runs: dict[str, WorkflowExecution]) -> int:
    semaphore, found, run_ids = client.get_workflow_handle(semaphore_id(name)), 0, [*runs]
    for place in range(0, len(run_ids), AT_ONCE):
        some = run_ids[place : place + AT_ONCE]
        unknown = await semaphore.query(
            UNKNOWN_QUERY, some, result_type=list[str], rpc_timeout=QUERY_TIMEOUT
        )
        seen = [await read_run(client, runs[run_id], name=name) for run_id in unknown]
        if forgotten := [each.request for each in seen if each and each.waits]:
            extra = {"semaphore": name, "job_ids": [each.job_id for each in forgotten]}
            log.warning("requested the slot for unknown runs", extra=extra)
            await semaphore.signal(REQUEST_SIGNAL, forgotten)
            found += len(forgotten)
    return found


async def end_stale_tries(client: Client, names: Iterable[str]) -> int:
    """End each try of a semaphore's own activities that another process has begun; return how many.

    This runs before this process polls, so none is its own. If the other process is alive after
    all, its try is void, and the next try does the same work.
    """
    ended = 0
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
                        await stale.fail(
                            ApplicationError("A process of the semaphore has started.")
                        )
                        ended += 1
    return ended
