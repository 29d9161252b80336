"""That a semaphore is always running, knows every job that waits, and survives broken code.

Everything here is decided by the server's word and clock, never by the clock of this machine.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
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
    DRAIN_ACTIVITY,
    JOB_GATE,
    REQUEST_SIGNAL,
    UNKNOWN_QUERY,
    VIEW_QUERY,
    Gate,
    HolderView,
    SlotRequest,
    SlotView,
    semaphore_id,
)
from .rebuild import JOBS, OPEN, look_at
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

# Hears how many drains of a gate fail at present.
OnFailingDrains = Callable[[Gate, int], None]


def nobody(gate: Gate, failing: int) -> None:
    pass


async def watch_over(
    client: Client,
    task_queue: str,
    *,
    rules: SemaphoreRules,
    watches: Callable[[Gate], bool],
    gates: Iterable[Gate] = tuple(Gate),
    on_failing_drains: OnFailingDrains = nobody,
) -> None:
    """Start each gate's semaphore if there is none, and look after what it cannot see itself:
    forgotten jobs, holders whose code fails, drains that fail, its own failing tasks.

    `watches`: whether anybody is watched at a gate; otherwise nobody holds, and no holder is asked
    for. A semaphore that does not answer keeps no other one from being looked after.
    """
    gates = tuple(gates)
    running = (_keep_running(client, gate, task_queue) for gate in gates)
    care = _care(client, rules, watches, gates, on_failing_drains)
    tasks = [asyncio.create_task(each) for each in (*running, care)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for each in tasks:
            each.cancel()


async def _keep_running(client: Client, gate: Gate, task_queue: str) -> None:
    """Start the gate's semaphore whenever there is none; its end is learnt by long poll."""
    while True:
        with _later(gate):
            await start_semaphore(client, gate, task_queue=task_queue)
            with suppress(WorkflowFailureError):
                await client.get_workflow_handle(semaphore_id(gate)).result()
        await asyncio.sleep(PAUSE_SECONDS)


async def _care(
    client: Client,
    rules: SemaphoreRules,
    watches: Callable[[Gate], bool],
    gates: Iterable[Gate],
    on_failing_drains: OnFailingDrains,
) -> None:
    rounds = max(1, round(rules.look_seconds / rules.care_seconds))
    number = 0
    while True:
        await asyncio.sleep(rules.care_seconds)
        number += 1
        for gate in gates:
            with _later(gate):
                await end_standing(client, gate, on_failing_drains)
            if watches(gate):
                with _later(gate):
                    await end_failing(client, gate)
        if number % rounds == 0:
            with _later(JOB_GATE):
                await remind(client)


@contextmanager
def _later(gate: Gate) -> Iterator[None]:
    """What can't be done now is done the next time."""
    try:
        yield
    except (RPCError, WorkflowQueryFailedError) as error:
        seen = {"gate": gate, "reason": str(error)}
        log.warning("a semaphore could not be looked after", extra=seen)


async def end_standing(
    client: Client, gate: Gate, on_failing_drains: OnFailingDrains = nobody
) -> bool:
    """Report the gate's failing drains, and end a semaphore that stands still, so that the next one
    rebuilds; returns whether it did."""
    try:
        described = await client.get_workflow_handle(semaphore_id(gate)).describe()
    except RPCError as error:
        if not is_gone(error):
            raise
        return False
    pending = described.raw_description.pending_activities
    failing = [each for each in pending if _is_failing_drain(each)]
    on_failing_drains(gate, len(failing))
    for each in failing:
        reason = each.last_failure.message
        seen = {"drain": each.activity_id, "tries": each.attempt, "reason": reason}
        log.error("a drain fails", extra={"gate": gate, **seen})
    failed = (await find_failures(client, described)).times
    if failed < FAILED_TASKS:
        return False
    # It holds up everybody; the next one rebuilds.
    log.error("a semaphore stands still and is ended", extra={"gate": gate, "failed": failed})
    with _unless_gone():
        handle = client.get_workflow_handle(semaphore_id(gate), run_id=described.run_id)
        await handle.terminate(reason=STANDS)
    return True


def _is_failing_drain(pending: PendingActivityInfo) -> bool:
    return pending.activity_type.name == DRAIN_ACTIVITY and pending.attempt > FAILED_DRAINS


async def end_failing(
    client: Client, gate: Gate, *, failing_for: timedelta = FAILING_FOR
) -> list[str]:
    """End the holders whose code has failed for so long; their ids.

    They are drained like any other run that was ended from outside.
    """
    semaphore = client.get_workflow_handle(semaphore_id(gate))
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


async def remind(client: Client) -> int:
    """Have the semaphore hear of open jobs that it doesn't know; how many there were.

    The lists from which a semaphore rebuilds are eventually consistent, and may lack one. A job
    that has just begun may be among them: it counts once, however often it is requested.
    """
    semaphore = client.get_workflow_handle(semaphore_id(JOB_GATE))
    found = 0
    async for jobs in _open_jobs(client):
        unknown = await semaphore.query(
            UNKNOWN_QUERY, list(jobs), result_type=list[str], rpc_timeout=QUERY_TIMEOUT
        )
        requests = [await _request(client, jobs[run_id]) for run_id in unknown]
        forgotten = [request for request in requests if request is not None]
        if forgotten:
            job_ids = [each.job_id for each in forgotten]
            log.warning("jobs that nobody knew", extra={"job_ids": job_ids})
            await semaphore.signal(REQUEST_SIGNAL, forgotten)
        found += len(forgotten)
    return found


async def _open_jobs(client: Client) -> AsyncIterator[dict[str, WorkflowExecution]]:
    """Open jobs by run, in pages."""
    page: dict[str, WorkflowExecution] = {}
    async for job in client.list_workflows(f"WorkflowType = '{JOBS}' AND {OPEN}"):
        page[job.run_id] = job
        if len(page) == AT_ONCE:
            yield page
            page = {}
    if page:
        yield page


async def _request(client: Client, job: WorkflowExecution) -> SlotRequest | None:
    seen = await look_at(client, job, gate=JOB_GATE)
    return seen.request if seen is not None and seen.open and seen.asking else None


async def begin_anew(client: Client, gates: Iterable[Gate] = tuple(Gate)) -> int:
    """End each try of a semaphore's own activities that another process has begun; how many.

    Before this process polls, so that none is its own. Where the other one is alive after all, it
    hears that its try is void, and the next one does the same.
    """
    begun = 0
    for gate in gates:
        try:
            begun += await _begin_anew(client, gate)
        except RPCError as error:
            seen = {"gate": gate, "reason": error.message}
            log.info("nothing is begun anew", extra=seen)
    return begun


async def _begin_anew(client: Client, gate: Gate) -> int:
    described = await client.get_workflow_handle(semaphore_id(gate)).describe()
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
