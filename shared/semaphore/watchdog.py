"""That a semaphore is always running, knows every job that waits, and survives broken code.

Everything here is decided by the server's word and clock, never by the clock of this machine.
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
from temporalio.api.workflow.v1 import PendingActivityInfo
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
from .rebuild import OPEN, look_at, names_in
from .server import is_gone
from .state import FIND_JOBS, WATCH_RUN, SemaphoreRules

log = logging.getLogger(__name__)
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
OURS = (FIND_JOBS, WATCH_RUN)

# A semaphore that was ended by hand is back after this at the latest, also when nobody asks.
PAUSE_SECONDS = 1.0
# So many run ids make some 40 kB of a query.
AT_ONCE = 1000
# Code that fails its task so often, and for so long, fails for good: a deployment that is mended in
# this time ends no holder. The server's pauses double, so that the sixth comes after some 20 s.
FAILED_TASKS = 5
FAILING_FOR = timedelta(minutes=1)
# Failures of another kind than the code's: something came in while the run was about to end, or it
# was reset.
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
FAILS = "Its code fails: workflow task after workflow task, for more than a minute."
STANDS = "Its workflow task fails again and again; the next semaphore rebuilds."
# A drain that a vendor's outage holds up fails for a while, and then ends.
FAILED_DRAINS = 5

# Hears how many drains of a semaphore fail at present.
OnFailingDrains = Callable[[str, int], None]


def nobody(name: str, failing: int) -> None:
    """Nobody hears of failing drains, beside the log."""


async def watch_over(
    client: Client,
    task_queue: str,
    *,
    rules: SemaphoreRules,
    watches: Callable[[str], bool],
    names: Iterable[str] = (),
    known: Collection[str] | None = None,
    on_failing_drains: OnFailingDrains = nobody,
) -> None:
    """Keep the semaphores of these names running, and each one that is there, or that an open run
    asks; look after what they cannot see themselves: forgotten runs, holders whose code fails,
    drains that fail, their own failing tasks.

    `watches`: whether anybody is watched for a semaphore; otherwise nobody holds, and no holder is
    asked for. `known`: names that come up meanwhile. A semaphore that does not answer keeps no
    other one from being looked after.
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
            with _later("all"):
                keep(await running_semaphores(client))
            await asyncio.sleep(rules.care_seconds)
            number += 1
            for name in [*kept]:
                with _later(name):
                    await end_standing(client, name, on_failing_drains)
                if rules.ends_failing and watches(name):
                    with _later(name):
                        await end_failing(client, name)
            if number % rounds == 0:
                with _later("all"):
                    keep(await remind(client))
    finally:
        for each in (*kept.values(), *([noticing] if noticing else [])):
            each.cancel()


async def running_semaphores(client: Client) -> list[str]:
    """The names of all that run, as far as the list knows."""
    query = f"WorkflowType = '{SEMAPHORE_WORKFLOW}' AND {OPEN}"
    return [name_of(each.id) async for each in client.list_workflows(query)]


async def _keep_running(client: Client, name: str, task_queue: str) -> None:
    """Start a semaphore whenever there is none; its end is learnt by long poll."""
    while True:
        with _later(name):
            await start_semaphore(client, name, task_queue=task_queue)
            with suppress(WorkflowFailureError):
                await client.get_workflow_handle(semaphore_id(name)).result()
        await asyncio.sleep(PAUSE_SECONDS)


@contextmanager
def _later(name: str) -> Iterator[None]:
    """What can't be done now is done the next time."""
    try:
        yield
    except (RPCError, WorkflowQueryFailedError) as error:
        seen = {"semaphore": name, "reason": str(error)}
        log.warning("a semaphore could not be looked after", extra=seen)


async def end_standing(
    client: Client, name: str, on_failing_drains: OnFailingDrains = nobody
) -> bool:
    """Report its failing drains, and end a semaphore that stands still, so that the next one
    rebuilds; returns whether it did."""
    try:
        described = await client.get_workflow_handle(semaphore_id(name)).describe()
    except RPCError as error:
        if not is_gone(error):
            raise
        return False
    pending = described.raw_description.pending_activities
    failing = [each for each in pending if _is_failing_drain(each)]
    on_failing_drains(name, len(failing))
    for each in failing:
        reason = each.last_failure.message
        seen = {"drain": each.activity_id, "tries": each.attempt, "reason": reason}
        log.error("a drain fails", extra={"semaphore": name, **seen})
    failed = (await find_failures(client, described)).times
    if failed < FAILED_TASKS:
        return False
    # It holds up everybody; the next one rebuilds.
    log.error("a semaphore stands still and is ended", extra={"semaphore": name, "failed": failed})
    with _unless_gone():
        handle = client.get_workflow_handle(semaphore_id(name), run_id=described.run_id)
        await handle.terminate(reason=STANDS)
    return True


def _is_failing_drain(pending: PendingActivityInfo) -> bool:
    return pending.activity_id.startswith(drain_id("")) and pending.attempt > FAILED_DRAINS


async def end_failing(
    client: Client, name: str, *, failing_for: timedelta = FAILING_FOR
) -> list[str]:
    """End the holders whose code has failed for so long; their ids.

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
            log.error("a holder's code fails, and it is ended", extra={"job_id": holder.job_id})
            await handle.terminate(reason=FAILS)
            return True
    return False


class Failures(NamedTuple):
    """Of a run's workflow tasks since the last one that was completed: how many, and from the first
    one to the latest beginning, by the server's clock."""

    times: int = 0
    lasted: timedelta = timedelta()


def is_failing(failures: Failures, failing_for: timedelta = FAILING_FOR) -> bool:
    """Whether the code has failed many times, and for so long."""
    return failures.times >= FAILED_TASKS and failures.lasted >= failing_for


async def find_failures(client: Client, described: WorkflowExecutionDescription) -> Failures:
    """Read from the end of a run's history why its pending workflow task is pending.

    What the pending task itself says is not enough: the server sets its number of tries back with
    each signal, and the time of its first one with each try. A task's later tries are in no
    history.
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
    """Latest first."""
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
    """Whether a workflow task failed by its code, or hung in it; none began where none polled."""
    if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
        return event.workflow_task_failed_event_attributes.cause not in PASSING
    timed_out = event.workflow_task_timed_out_event_attributes.timeout_type
    return timed_out == TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE


@contextmanager
def _unless_gone() -> Iterator[None]:
    """What has ended meanwhile need not be ended."""
    try:
        yield
    except RPCError as error:
        if not is_gone(error):
            raise


async def remind(client: Client) -> dict[str, int]:
    """Have the semaphores hear of open runs that they don't know; by name, how many there were.

    The lists from which a semaphore rebuilds are eventually consistent, and may lack one. A run
    that has just begun may be among them: it counts once, however often it is requested.
    """
    asking: dict[str, dict[str, WorkflowExecution]] = {}
    async for run in client.list_workflows(OPEN):
        for name in names_in(run):
            asking.setdefault(name, {})[run.run_id] = run
    return {name: await _remind(client, name, runs) for name, runs in asking.items()}


async def _remind(client: Client, name: str, runs: dict[str, WorkflowExecution]) -> int:
    semaphore, found, run_ids = client.get_workflow_handle(semaphore_id(name)), 0, list(runs)
    for place in range(0, len(run_ids), AT_ONCE):
        with _later(name):
            unknown = await semaphore.query(
                UNKNOWN_QUERY,
                run_ids[place : place + AT_ONCE],
                result_type=list[str],
                rpc_timeout=QUERY_TIMEOUT,
            )
            seen = [await look_at(client, runs[run_id], name=name) for run_id in unknown]
            forgotten = [each.request for each in seen if each and each.open and each.asking]
            if forgotten:
                job_ids = [each.job_id for each in forgotten]
                log.warning("runs that nobody knew", extra={"semaphore": name, "job_ids": job_ids})
                await semaphore.signal(REQUEST_SIGNAL, forgotten)
            found += len(forgotten)
    return found


async def begin_anew(client: Client, names: Iterable[str]) -> int:
    """End each try of a semaphore's own activities that another process has begun; how many.

    Before this process polls, so that none is its own. Where the other one is alive after all, it
    hears that its try is void, and the next one does the same.
    """
    begun = 0
    for name in names:
        try:
            begun += await _begin_anew(client, name)
        except RPCError as error:
            seen = {"semaphore": name, "reason": error.message}
            log.info("nothing is begun anew", extra=seen)
    return begun


async def _begin_anew(client: Client, name: str) -> int:
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
    """Whether the try was still under way; one that has just ended leaves the others to be."""
    try:
        await activity.fail(ApplicationError("A process of the semaphore has started."))
    except RPCError as error:
        if not is_gone(error):
            raise
        return False
    return True
