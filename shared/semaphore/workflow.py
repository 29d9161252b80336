"""The semaphore: grants places in order; a permit lives exactly as long as its holder's run."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from textwrap import shorten
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from .messages import (
    CHANGE_UPDATE,
    FREE_UPDATE,
    RELEASE_SIGNAL,
    REQUEST_SIGNAL,
    SEMAPHORE_WORKFLOW,
    STATE_QUERY,
    VIEW_QUERY,
    WITHDRAW_SIGNAL,
    Drain,
    Drained,
    Holder,
    OpenRecords,
    Permit,
    SlotChange,
    SlotRequest,
    SlotView,
    drain_id,
    name_of,
    semaphore_id,
    valid_requests,
)
from .state import (
    DRAIN_HOLD_SECONDS,
    FIND_JOBS,
    MEMO_SETTINGS,
    MEMO_STACK,
    SEMAPHORE_RULES,
    WATCH_RUN,
    Ended,
    Found,
    Permits,
    SemaphoreRules,
    SemaphoreState,
    Watch,
)

M = TypeVar("M", bound=BaseModel)
# An activity that an operator failed, or completed with garbage, is started again after this.
AGAIN_SECONDS = 1.0
# What a grant adds to the history, apart from its request.
GRANT_EVENTS = 9
# The server takes 400 bytes; a character has up to four.
SUMMARY_LENGTH = 80
# A watch and a drain have their own bounds, in the settings of job and worker.
FOR_EVER = timedelta(days=3650)
RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=2)
)
RULES_TIMEOUT = timedelta(seconds=5)
REBUILD_TIMEOUT = timedelta(minutes=5)


@workflow.defn(name=SEMAPHORE_WORKFLOW)
class SemaphoreWorkflow:
    """One run of a named semaphore."""

    @workflow.init
    def __init__(self, state: SemaphoreState | None = None) -> None:
        self._name = name_of(workflow.info().workflow_id)
        self._permits = Permits(state or SemaphoreState())
        self._rules = SemaphoreRules()
        # Holders and waiters are known; until then each message waits.
        self._ready = False
        # What this run has added to its history, roughly.
        self._events = 0
        # By run: keeps a holder's place until it is free.
        self._places: dict[str, asyncio.Task[None]] = {}

    @workflow.run
    async def run(self, state: SemaphoreState | None = None) -> None:
        """Learn who holds and who waits, then grant each free place, until the history is long:
        continue as new with the whole state."""
        info = workflow.info()
        if info.workflow_id != semaphore_id(self._name):
            # It would grant the places of another workflow: the semaphore of this name.
            raise ApplicationError("This is no semaphore's id.", non_retryable=True)
        self._rules = await workflow.execute_local_activity(
            SEMAPHORE_RULES,
            result_type=SemaphoreRules,
            summary="the rules of the process at work",
            start_to_close_timeout=RULES_TIMEOUT,
        )
        self._permits.capacity = self._rules.capacity
        # A state counts only from the run before. One that was started by hand may have an old one,
        # and a retry or a cron schedule repeats it.
        if info.continued_run_id is None or info.attempt > 1 or info.cron_schedule:
            # Other stacks must see the owner during a rebuild, too.
            workflow.upsert_memo({MEMO_STACK: self._rules.stack})
            await self._rebuild()
        workflow.upsert_memo(self._memo())
        for holder in self._permits.held.values():
            self._keep(holder)
        # Each new run starts all watches again: the more there are, the more it grants.
        self._events = -GRANT_EVENTS * len(self._places)
        self._ready = True
        while True:
            await workflow.wait_condition(lambda: self._can_grant() or self._is_long())
            if self._is_long():
                break
            self._keep(self._permits.grant(workflow.now()))
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._permits.state(), memo=self._memo())

    async def _rebuild(self) -> None:
        """Find holders and waiters before any grant, because no run handed over a state."""
        rules = self._rules
        found = await _result(
            Found,
            FIND_JOBS,
            about="rebuild from the runs",
            # The next process ends the tries of the one before, so a stall needs no restart.
            beats=rules.watch_seconds,
            limit=REBUILD_TIMEOUT,
        )
        permits = Permits(found.model_copy(update={"waiting": ()}), capacity=rules.capacity)
        if found.is_new:
            permits.settings = self._permits.settings
        is_forgetful = found.is_new or found.has_gap
        if is_forgetful and (recall := rules.recalls.get(self._name)) is not None:
            # Needs a worker of those records.
            records = await _result(
                OpenRecords,
                recall.activity,
                about="Temporal may remember no semaphore: which records are open?",
                queue=recall.task_queue,
                beats=rules.beat_seconds,
            )
            for each in records.runs:
                # Its watch finds out whether it is open, has left something at a vendor, or is
                # unknown.
                clean_up = recall.clean_ups.get(each.pipeline)
                is_here = each.run_id not in permits.held and recall.step in (None, each.step)
                if clean_up is not None and is_here:
                    now, run = workflow.now(), dict(each.run)
                    permits.hold(SlotRequest(requested_at=now, clean_up=clean_up, **run), now)
        self._permits = permits
        self._queue(found.waiting)

    async def _message(self) -> None:
        """Count a message, and let it wait until holders and waiters are known."""
        self._events += 1
        await workflow.wait_condition(lambda: self._ready)

    def _is_long(self) -> bool:
        """True if this run should end: by its own count, because the SDK's length changes with
        queries and time-outs, and the history would not replay; by the server's suggestion (4096
        events; it takes 10,000 signals) for signals without a handler, or that can't be read."""
        is_suggested = workflow.info().is_continue_as_new_suggested()
        return self._events > self._rules.max_history or is_suggested

    def _can_grant(self) -> bool:
        return self._ready and self._permits.can_grant() and not self._is_long()

    def _keep(self, holder: Holder) -> None:
        self._events += GRANT_EVENTS
        self._places[holder.run.run_id] = asyncio.create_task(self._until_free(holder))

    async def _until_free(self, holder: Holder) -> None:
        """Keep a holder's place until its run has closed, and nothing of it acts any more."""
        run, clean_up = holder.run, holder.request.clean_up
        if holder.drain is None:
            ended = await _result(
                Ended,
                WATCH_RUN,
                Watch(name=self._name, holder=holder),
                about=f"grant to {run.job_id}, and watch it until it closes",
                beats=self._rules.watch_seconds,
            )
            if ended.grace != 0:
                holder = self._permits.drain(run.run_id, ended, workflow.now())
        if holder.drains_until is not None:
            why = shorten(f"what {run.job_id} has begun may run on", SUMMARY_LENGTH)
            # It may have passed while no semaphore ran; the SDK refuses a timer of the past.
            if (left := holder.drains_until - workflow.now()) > timedelta():
                await workflow.sleep(left, summary=why)
        elif holder.drain is not None and clean_up is not None:
            hold, since = DRAIN_HOLD_SECONDS, holder.drains_since
            drain = Drain(hold_seconds=hold, closed=holder.drain, since=since, **dict(run))
            await _result(
                Drained,
                clean_up.activity,
                drain,
                about=f"clear up after {run.job_id}",
                queue=clean_up.task_queue,
                beats=self._rules.beat_seconds,
                activity_id=drain_id(run.run_id),
            )
        del self._permits.held[run.run_id], self._places[run.run_id]

    def _free(self, run_id: str) -> None:
        """Free a place; its watch or drain is cancelled."""
        del self._permits.held[run_id]
        self._places.pop(run_id).cancel()

    async def _granted_view(self) -> SlotView:
        """Return the view once each free place is granted."""
        await workflow.wait_condition(lambda: not self._can_grant())
        return self._permits.view()

    @workflow.signal(name=REQUEST_SIGNAL)
    async def request(self, requests: list[object]) -> None:
        """Take requests; each run counts once, and what is out of bounds is dropped."""
        fitting = valid_requests(requests)
        if len(fitting) < len(requests):
            workflow.logger.warning("dropped %d invalid requests", len(requests) - len(fitting))
        await self._message()
        self._queue(fitting)

    def _queue(self, requests: Iterable[SlotRequest]) -> None:
        """Add waiters. The watchdog requests a place again for a run that does not fit."""
        for each in requests:
            self._permits.request(each, workflow.now())

    @workflow.signal(name=WITHDRAW_SIGNAL)
    async def withdraw(self, run_id: str) -> None:
        """Remove a waiter that gives up."""
        await self._message()
        self._permits.withdraw(run_id)

    @workflow.signal(name=RELEASE_SIGNAL)
    async def release(self, permit: Permit) -> None:
        """Free the gate of a run that goes on; its close would free it as well."""
        await self._message()
        holder = self._permits.held.get(permit.run_id)
        # Not a later permit of this run, nor one that drains.
        if holder is not None and holder.drain is None and holder.token == permit.token:
            self._free(permit.run_id)

    @workflow.update(name=CHANGE_UPDATE)
    async def change(self, change: SlotChange) -> SlotView:
        """Set limit or pause, in force when it returns; a lower limit lets holders finish."""
        await self._message()
        changed = change.model_dump(exclude_none=True)
        self._permits.settings = self._permits.settings.model_copy(update=changed)
        workflow.upsert_memo(self._memo())
        return await self._granted_view()

    @workflow.update(name=FREE_UPDATE)
    async def free(self, run_id: str) -> SlotView:
        """Give up a drain that cannot end."""
        self._free(run_id)
        return await self._granted_view()

    @free.validator
    def _drains(self, run_id: str) -> None:
        """Refuse any other run; so an update that the history has as accepted freed its run."""
        holder = self._permits.held.get(run_id)
        if not self._ready or holder is None or holder.drain is None:
            raise ApplicationError("This run is not draining.", type="not_draining")

    @workflow.query(name=VIEW_QUERY)
    def view(self) -> SlotView:
        """Return limit, pause, holders, and the first waiters."""
        return self._permits.view().model_copy(update={"rebuilding": not self._ready})

    @workflow.query(name=STATE_QUERY)
    def state(self) -> SemaphoreState | None:
        """Return holders and waiters, for a rebuild after this run as well; None if this run
        rebuilds, or was reset, because its state is out of date."""
        info = workflow.info()
        is_reset = info.run_id != info.original_execution_run_id
        return self._permits.state() if self._ready and not is_reset else None

    def _memo(self) -> dict[str, object]:
        """Write limit, pause and owner into the memo, which outlives this run."""
        settings = self._permits.settings.model_dump(mode="json")
        return {MEMO_SETTINGS: settings, MEMO_STACK: self._rules.stack}


async def _result(
    kind: type[M],
    activity: str,
    *arguments: object,
    about: str,
    beats: float,
    queue: str | None = None,
    limit: timedelta = FOR_EVER,
    activity_id: str | None = None,
) -> M:
    """Return an activity's result; if anything else ends it, start it again.

    The result is validated, because an operator can complete an activity with anything.
    """
    while True:
        try:
            result = await workflow.execute_activity(
                activity,
                args=arguments,
                summary=shorten(about, SUMMARY_LENGTH),
                task_queue=queue,
                start_to_close_timeout=limit,
                heartbeat_timeout=timedelta(seconds=beats),
                retry_policy=RETRY_POLICY,
                activity_id=activity_id,
            )
            return kind.model_validate(result)
        except (ActivityError, ValidationError):
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # The cancellation of this task has ended the activity.
                raise asyncio.CancelledError from None
        await workflow.sleep(AGAIN_SECONDS)
