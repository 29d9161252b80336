"""Find holders and waiters by Temporal's data, without relying on one listing.

Two sources are merged: the histories of the runs that carry the semaphore's mark, and the last
state of the semaphore's earlier runs.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError
from temporalio.api.common.v1 import Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution, WorkflowQueryFailedError
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from .client import state_of
from .messages import (
    ASK_ACTIVITY,
    CAPACITY,
    MEMO,
    RELEASE_SIGNAL,
    WITHDRAW_SIGNAL,
    Ask,
    Holder,
    Permit,
    SemaphoreSettings,
    SlotRequest,
    granted_signal,
    semaphore_id,
    valid_requests,
)
from .server import is_gone, read_one
from .state import MEMO_SETTINGS, Found, SemaphoreState, turn

# The listing is eventually consistent, so the first one may lack runs that just started.
LISTING_PAUSE_SECONDS = 1.0
# The SDK takes 128 MiB at once, and a run's memo has up to 2.
PAGE = 60
AT_ONCE = 20
# The watchdog starts the next semaphore a second after the last one.
GAP = timedelta(seconds=5)
# As milliseconds since 1970 in the year 144683. After it there would soon be no numbers left.
FORGED = 2**52
# A run that was killed so recently, while no semaphore watched, may have left something running.
RECENT = timedelta(hours=1)
CLOSES = tuple(
    f"workflow_execution_{end}_event_attributes"
    for end in ("completed", "failed", "timed_out", "canceled", "terminated", "continued_as_new")
)
# Of a run whose last task failed, or that was closed before its first one.
UNQUERIED = RPCStatusCode.FAILED_PRECONDITION
OPEN = "ExecutionStatus = 'Running'"
KILLED = "ExecutionStatus IN ('Terminated', 'TimedOut')"


async def find(client: Client, name: str, *, run_id: str, now: datetime) -> Found:
    """Return the state for the semaphore's new run `run_id`.

    The last semaphore that knew its holders accounts for each token below its next one: a killed
    run with such a token has been cleared, if that semaphore does not hold its place. The runs'
    histories have the permits that were signalled, even if that semaphore is deleted. `now` is by
    the server's clock, because this machine's clock may be wrong.
    """
    before, has_gap = await find_predecessor(client, name, run_id, now=now)
    state = before or SemaphoreState()
    held = {each.run.run_id: each for each in state.holders}
    waiting = {each.run_id: each for each in state.waiting}
    for run in await find_jobs(client, name, now=now):
        request, known = run.request, held.get(run.request.run_id)
        waiting.pop(request.run_id, None)
        if run.open and run.asks:
            waiting[request.run_id] = request
        if known is not None and known.token <= run.released:
            # The run has given it back without that semaphore hearing of it.
            del held[request.run_id]
        is_cleared = not run.open and run.token < state.next_token
        if max(run.released, known.token if known else -1) < run.token and not is_cleared:
            held[request.run_id] = Holder(request=request, token=run.token, since=now)
    # Milliseconds since 1970 are above every token that an earlier semaphore can have given.
    floor = max(state.next_token, int(now.timestamp() * 1000))
    queue = sorted((each for each in waiting.values() if each.run_id not in held), key=turn)
    return Found(
        is_new=before is None,
        has_gap=has_gap,
        settings=state.settings,
        next_token=max([floor, *(each.token + 1 for each in held.values())]),
        # The watch of each finds out whether it is open; its permit is signalled again.
        holders=tuple(sorted(held.values(), key=lambda each: each.token)),
        # The watchdog requests a place for the others again.
        waiting=tuple(queue[:CAPACITY]),
    )


@dataclass
class Seen:
    """A run by its history. `asks`: it wants a place. `token`: of its last permit. `released`: the
    last token that it returned."""

    request: SlotRequest
    asks: bool
    open: bool = True
    token: int = -1
    released: int = -1


async def find_jobs(client: Client, name: str, *, now: datetime) -> list[Seen]:
    """Return all open runs with the mark of this semaphore, and the recently killed ones."""
    since = (now - RECENT).strftime("%Y-%m-%dT%H:%M:%SZ")
    query = f"{OPEN} OR ({KILLED} AND CloseTime > '{since}')"
    jobs = {job.run_id: job async for job in client.list_workflows(query, page_size=PAGE)}
    await asyncio.sleep(LISTING_PAUSE_SECONDS)
    jobs |= {job.run_id: job async for job in client.list_workflows(query, page_size=PAGE)}
    at_once = asyncio.Semaphore(AT_ONCE)

    async def look(job: WorkflowExecution) -> Seen | None:
        async with at_once:
            return await read_run(client, job, name=name)

    marked = [job for job in jobs.values() if name in names_in(job)]
    return [item for item in await asyncio.gather(*map(look, marked)) if item]


def names_in(run: WorkflowExecution) -> list[str]:
    """Return the names of the semaphores whose mark a listed run carries."""
    keys = run.raw_info.memo.fields
    return [key.removeprefix(MEMO) for key in keys if key.startswith(MEMO)]


async def read_run(client: Client, job: WorkflowExecution, *, name: str) -> Seen | None:
    """Read one run by its mark and its history; None if it is gone or can't be read."""
    converter = client.data_converter
    marked = Payloads(payloads=[job.raw_info.memo.fields[f"{MEMO}{name}"]])
    run = {"job_id": job.id, "run_id": job.run_id}
    mark = await read_one(converter, marked, dict[str, object])
    found = valid_requests([run | {"requested_at": job.start_time} | (mark or {})])
    if mark is None or not found:
        return None
    [request] = found
    # A run that continued as new has the mark of another run, and requests for itself.
    seen = Seen(request.model_copy(update=run), asks=request.run_id == job.run_id)
    handle = client.get_workflow_handle(job.id, run_id=job.run_id)
    try:
        async for event in handle.fetch_history_events():
            await _apply(converter, seen, event, name)
    except RPCError as error:
        if not is_gone(error):
            raise
        return None
    return seen


async def _apply(converter: DataConverter, seen: Seen, event: HistoryEvent, name: str) -> None:
    """Apply a permit, a request, a signal to the semaphore, whether it arrived or not, or the end.

    A permit or a request of another run is from before a reset.
    """
    run_id = seen.request.run_id
    granted = event.workflow_execution_signaled_event_attributes
    said = event.signal_external_workflow_execution_initiated_event_attributes
    task = event.activity_task_scheduled_event_attributes
    if granted.signal_name == granted_signal(name):
        permit = await read_one(converter, granted.input, Permit)
        if permit and (permit.run_id, permit.name) == (run_id, name) and permit.token < FORGED:
            seen.token = permit.token
    elif task.activity_type.name == ASK_ACTIVITY:
        asked = await read_one(converter, task.input, Ask)
        if asked is not None and (asked.request.run_id, asked.name) == (run_id, name):
            seen.request, seen.asks = asked.request, True
    elif said.workflow_execution.workflow_id == semaphore_id(name):
        if said.signal_name == WITHDRAW_SIGNAL:
            seen.asks = False
        elif said.signal_name == RELEASE_SIGNAL and (
            release := await read_one(converter, said.input, Permit)
        ):
            seen.asks, seen.released = False, release.token
    elif event.WhichOneof("attributes") in CLOSES:
        # The listing may still have the run as open.
        seen.open = False


async def find_predecessor(
    client: Client, name: str, run_id: str, *, now: datetime
) -> tuple[SemaphoreState | None, bool]:
    """Return the state at the end of the last run before `run_id` that knew its holders, and
    whether a run after it may be deleted, because none was open for a while.

    The settings are in its memo, too, and are all that is left of a run that can't be queried. A
    run that was reset has the memo of an earlier time.
    """
    listed = client.list_workflows(f"WorkflowId = '{semaphore_id(name)}'")
    # Their status isn't read, because the listing may be late.
    runs = [run async for run in listed if run.run_id != run_id]
    kept: dict[str, SemaphoreSettings] = {}
    following, has_gap = now, False
    for run in sorted(runs, key=lambda run: run.start_time, reverse=True):
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        memo: Mapping[str, Any] = {}
        try:
            described = await handle.describe()
            has_gap = has_gap or following - (described.close_time or now) > GAP
            following = described.start_time
            memo = await described.memo()
            if (state := await state_of(client, name, run.run_id)) is not None:
                return state.model_copy(update=kept), has_gap
        except (RPCError, WorkflowQueryFailedError) as error:
            if not isinstance(error, RPCError) or error.status is UNQUERIED:
                with suppress(ValidationError):
                    found = SemaphoreSettings.model_validate(memo.get(MEMO_SETTINGS))
                    kept = kept or {"settings": found}
            elif not is_gone(error):
                raise
    return SemaphoreState.model_validate(kept) if kept else None, has_gap
