"""Keep semaphores running, tell them of every waiting job, and end code that fails for good.

Every decision uses the server's answers and clock, never this machine's clock.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
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
    AsyncActivityHandle,
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowFailureError,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from .client import QUERY_TIMEOUT, start_semaphore
from .messages import (
    REQUEST_SIGNAL,
    SEMAPHORE_WORKFLOW,
    UNKNOWN_QUERY,
    VIEW_QUERY,
    HolderView,
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
OURS = (FIND_JOBS, WATCH_RUN)

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


def ignore_failing_drains(name: str, failing: int) -> None:
    """Ignore the number of failing drains; they are logged anyway."""


async def watch_over(
    client: Client,
    task_queue: str,
    *,
    rules: SemaphoreRules,
    watches: Callable[[str], bool],
    names: Iterable[str] = (),
    known: Collection[str] | None = None,
    on_failing_drains: OnFailingDrains = ignore_failing_drains,
) -> None:
    """Keep these semaphores running, and each one that exists or that an open run requests.

    Look after what they can't see: forgotten runs, holders whose code fails, drains that fail,
    their own failing tasks. `watches`: True if a run is watched for a semaphore; otherwise it has
    no holder to check. `known`: names that come up meanwhile. A semaphore that does not answer
    delays no other.
    """
    kept: dict[str, asyncio.Task[None]] = {}

    def keep(names: Iterable[str]) -> None:
        for name in names:
            if name not in kept:
                kept[name] = asyncio.create_task(_keep_running(client, name, task_queue))

    rounds, number = max(1, round(rules.look_seconds / rules.care_seconds)), 0

    async def notice(known: Collection[str]) -> None:
        while True:
            keep([*known])
            await asyncio.sleep(PAUSE_SECONDS)

    keep(names)
    noticing = None if known is None else asyncio.create_task(notice(known))
    try:
        while True:
            with _logging_failure("all"):
                keep(await running_semaphores(client))
            await asyncio.sleep(rules.care_seconds)
            number += 1
            for name in [*kept]:
                with _logging_failure(name):
                    await end_stuck(client, name, on_failing_drains)
                if rules.ends_failing and watches(name):
                    with _logging_failure(name):
                        await end_failing(client, name)
            if number % rounds == 0:
                with _logging_failure("all"):
                    keep(await remind(client))
    finally:
        for each in (*kept.values(), *([noticing] if noticing else [])):
            each.cancel()


async def running_semaphores(client: Client) -> list[str]:
    """Return the names of all running semaphores, by the listing."""
    query = f"WorkflowType = '{SEMAPHORE_WORKFLOW}' AND {OPEN}"
    return [name_of(each.id) async for each in client.list_workflows(query)]


async def _keep_running(client: Client, name: str, task_queue: str) -> None:
    """Start a semaphore whenever there is none; a long poll reports its end."""
    while True:
        with _logging_failure(name):
            await start_semaphore(client, name, task_queue=task_queue)
            with suppress(WorkflowFailureError):
                await client.get_workflow_handle(semaphore_id(name)).result()
        await asyncio.sleep(PAUSE_SECONDS)


@contextmanager
def _logging_failure(name: str) -> Iterator[None]:
    """Log a failure; the next round tries again."""
    try:
        yield
    except (RPCError, WorkflowQueryFailedError) as error:
        seen = {"semaphore": name, "reason": str(error)}
        log.warning("check of a semaphore failed", extra=seen)


async def end_stuck(
    client: Client, name: str, on_failing_drains: OnFailingDrains = ignore_failing_drains
) -> bool:
    """Report failing drains, and end a semaphore that is stuck; return True if it was ended."""
    try:
        described = await client.get_workflow_handle(semaphore_id(name)).describe()
    except RPCError as error:
        if not is_gone(error):
            raise
        return False
    pending = described.raw_description.pending_activities
    failing = [
        each
        for each in pending
        if each.activity_id.startswith(drain_id("")) and each.attempt > FAILED_DRAINS
    ]
    on_failing_drains(name, len(failing))
    for each in failing:
        reason = each.last_failure.message
        seen = {"drain": each.activity_id, "tries": each.attempt, "reason": reason}
        log.error("drain keeps failing", extra={"semaphore": name, **seen})
    failed = (await find_failures(client, described)).times
    if failed < FAILED_TASKS:
        return False
    # It blocks everybody; the next one rebuilds.
    log.error("semaphore is stuck and gets terminated", extra={"semaphore": name, "failed": failed})
    with _unless_gone():
        handle = client.get_workflow_handle(semaphore_id(name), run_id=described.run_id)
        await handle.terminate(reason=STANDS)
    return True


async def end_failing(
    client: Client, name: str, *, failing_for: timedelta = FAILING_FOR
) -> list[str]:
    """Terminate the holders whose code keeps failing, and return their ids.

    They are drained like any other run that was ended from outside.
    """
    semaphore = client.get_workflow_handle(semaphore_id(name))
    view: SlotView = await semaphore.query(
        VIEW_QUERY, result_type=SlotView, rpc_timeout=QUERY_TIMEOUT
    )
    ended = []
    for holder in view.holders:
        if not holder.draining and await _ended_if_failing(client, holder, failing_for):
            ended.append(holder.job_id)
    return ended


async def _ended_if_failing(client: Client, holder: HolderView, failing_for: timedelta) -> bool:
    handle = client.get_workflow_handle(holder.job_id, run_id=holder.run_id)
    with _unless_gone():
        described: WorkflowExecutionDescription = await handle.describe()
        if is_failing(await find_failures(client, described), failing_for):
            log.error(
                "holder's code keeps failing, run gets terminated", extra={"job_id": holder.job_id}
            )
            await handle.terminate(reason=FAILS)
            return True
    return False


class Failures(NamedTuple):
    """The failed workflow tasks since the last completed one: how many, and over how many
    seconds."""

    times: int = 0
    lasted: timedelta = timedelta()


def is_failing(failures: Failures, failing_for: timedelta = FAILING_FOR) -> bool:
    """True if the code has failed often enough, and for long enough."""
    return failures.times >= FAILED_TASKS and failures.lasted >= failing_for


async def find_failures(client: Client, described: WorkflowExecutionDescription) -> Failures:
    """Read from the end of a run's history why its workflow task is pending.

    The pending task does not show it: the server resets its number of tries with each signal, and
    the time of its first try with each try. Later tries of a task are in no history.
    """
    if not described.raw_description.HasField("pending_workflow_task"):
        return Failures()
    task = described.raw_description.pending_workflow_task
    failed = [
        event.event_time.ToDatetime(UTC)
        async for event in _since_the_last_completed_task(client, described)
        if _is_failure(event)
    ]
    if not failed:
        return Failures()
    times = len(failed) + max(0, task.attempt - 2)
    return Failures(times, task.scheduled_time.ToDatetime(UTC) - failed[-1])


async def _since_the_last_completed_task(
    client: Client, described: WorkflowExecutionDescription
) -> AsyncIterator[HistoryEvent]:
    """Return the events, latest first."""
    request = GetWorkflowExecutionHistoryReverseRequest(
        namespace=client.namespace,
        execution=Execution(workflow_id=described.id, run_id=described.run_id),
        maximum_page_size=100,
    )
    while True:
        page = await client.workflow_service.get_workflow_execution_history_reverse(request)
        for event in page.history.events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                return
            yield event
        if not page.next_page_token:
            return
        request.next_page_token = page.next_page_token


def _is_failure(event: HistoryEvent) -> bool:
    """True if a workflow task failed by its code, or hung in it; False if nothing polled."""
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
        return event.workflow_task_failed_event_attributes.cause not in PASSING
    timed_out = event.workflow_task_timed_out_event_attributes.timeout_type
    return timed_out == TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE


@contextmanager
def _unless_gone() -> Iterator[None]:
    """Ignore that a run has ended meanwhile."""
    try:
        yield
    except RPCError as error:
        if not is_gone(error):
            raise


async def remind(client: Client) -> dict[str, int]:
    """Send the semaphores the requests of open runs that they don't know; return how many, by name.

    The listings from which a semaphore rebuilds are eventually consistent, and may lack a run. A
    run that has just begun may be among them; it counts once, however often it is requested.
    """
    asking: dict[str, dict[str, WorkflowExecution]] = {}
    async for run in client.list_workflows(OPEN):
        for name in names_in(run):
            asking.setdefault(name, {})[run.run_id] = run
    return {name: await _remind(client, name, runs) for name, runs in asking.items()}


async def _remind(client: Client, name: str, runs: dict[str, WorkflowExecution]) -> int:
    semaphore, found, run_ids = client.get_workflow_handle(semaphore_id(name)), 0, list(runs)
    for place in range(0, len(run_ids), AT_ONCE):
        with _logging_failure(name):
            unknown = await semaphore.query(
                UNKNOWN_QUERY,
                run_ids[place : place + AT_ONCE],
                result_type=list[str],
                rpc_timeout=QUERY_TIMEOUT,
            )
            seen = [await read_run(client, runs[run_id], name=name) for run_id in unknown]
            forgotten = [each.request for each in seen if each and each.open and each.asking]
            if forgotten:
                job_ids = [each.job_id for each in forgotten]
                log.warning(
                    "requested the slot for unknown runs",
                    extra={"semaphore": name, "job_ids": job_ids},
                )
                await semaphore.signal(REQUEST_SIGNAL, forgotten)
            found += len(forgotten)
    return found


async def end_stale_tries(client: Client, names: Iterable[str]) -> int:
    """End each try of a semaphore's own activities that another process has begun; return how many.

    This runs before this process polls, so none is its own. If the other process is alive after
    all, its try is void, and the next try does the same work.
    """
    begun = 0
    for name in names:
        try:
            begun += await _end_stale_tries(client, name)
        except RPCError as error:
            seen = {"semaphore": name, "reason": error.message}
            log.info("no stale tries ended", extra=seen)
    return begun


async def _end_stale_tries(client: Client, name: str) -> int:
    described = await client.get_workflow_handle(semaphore_id(name)).describe()
    abandoned = [
        client.get_async_activity_handle(
            workflow_id=described.id, run_id=described.run_id, activity_id=each.activity_id
        )
        for each in described.raw_description.pending_activities
        if each.activity_type.name in OURS and each.state == STARTED
    ]
    return sum([await _ended(each) for each in abandoned])


async def _ended(activity: AsyncActivityHandle) -> bool:
    """True if the try was still under way."""
    try:
        await activity.fail(ApplicationError("A process of the semaphore has started."))
    except RPCError as error:
        if not is_gone(error):
            raise
        return False
    return True
