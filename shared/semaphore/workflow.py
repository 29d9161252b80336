"""The semaphore: grants places in order; a permit lives exactly as long as its holder's run."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

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
    UNKNOWN_QUERY,
    VIEW_QUERY,
    WITHDRAW_SIGNAL,
    Drain,
    Drained,
    Holder,
    OpenRecords,
    Release,
    RunRef,
    SlotChange,
    SlotFree,
    SlotRequest,
    SlotView,
    drain_id,
    name_of,
    refused_signal,
    valid_requests,
)
from .queue import Permits
from .state import (
    DRAIN_HOLD_SECONDS,
    FIND_JOBS,
    MEMO_SETTINGS,
    MEMO_STACK,
    SEMAPHORE_RULES,
    WATCH_RUN,
    Ended,
    Found,
    SemaphoreRules,
    SemaphoreState,
    Watch,
)

M = TypeVar("M", bound=BaseModel)
# An activity that an operator failed, or completed with garbage, is started again after this.
AGAIN_SECONDS = 1.0
# What a grant adds to the history, roughly.
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

# The workflow validates the result, because an operator can complete an activity with anything.
Handle = workflow.ActivityHandle[Any]


@workflow.defn(name=SEMAPHORE_WORKFLOW)
class SemaphoreWorkflow:
    """One run of a named semaphore."""

    @workflow.init
    def __init__(self, state: SemaphoreState | None = None) -> None:
        name = name_of(workflow.info().workflow_id)
        self._permits = Permits(state or SemaphoreState(is_new=True), name)
        self._rules = SemaphoreRules()
        # `_ready`: holders and waiters are known. `_handed_on`: the next run decides from here on.
        self._ready = self._handed_on = False
        self._rebuilds = state is None or state.is_new
        # What came in before it was ready.
        self._early: list[Callable[[], None]] = []
        self._max_length = 0
        # By run: waits until a holder's place is free.
        self._follows: dict[str, asyncio.Task[None]] = {}
        self._refusing: set[asyncio.Task[None]] = set()

    @workflow.run
    async def run(self, state: SemaphoreState | None = None) -> None:
        """Grant places; continue as new with the whole state when the history grows."""
        await self._serve()
        await workflow.wait_condition(
            lambda: workflow.all_handlers_finished() and not self._refusing
        )
        workflow.continue_as_new(self._permits.state(), memo=self._memo())

    async def _serve(self) -> None:
        """Learn who holds and who waits, then grant until the history is long."""
        about = "the rules of the process at work"
        ask = partial(_start, SEMAPHORE_RULES, about=about, limit=RULES_TIMEOUT)
        self._rules = await _completed(SemaphoreRules, ask)
        self._permits.capacity = self._rules.capacity
        if self._rebuilds:
            # Other stacks must see the owner during a rebuild, too.
            workflow.upsert_memo({MEMO_STACK: self._rules.stack})
            await self._rebuild()
            self._rebuilds = False
        workflow.upsert_memo(self._memo())
        self._begin()
        await workflow.wait_condition(lambda: self._handed_on)

    async def _rebuild(self) -> None:
        """Find holders and waiters before any grant, because no run handed over a state."""
        name, rules = self._permits.name, self._rules
        # The next process ends the tries of the one before, so a stall needs no restart.
        beats, about = rules.watch_seconds, "rebuild from the runs"
        look = partial(_start, FIND_JOBS, about=about, beats=beats, limit=REBUILD_TIMEOUT)
        found = await _completed(Found, look)
        permits = Permits(found.model_copy(update={"waiting": ()}), name, capacity=rules.capacity)
        if found.is_new:
            permits.settings = self._permits.settings
        if found.is_new and (recall := rules.recalls.get(name)) is not None:
            # Needs a worker of those records.
            queue, beats = recall.task_queue, rules.beat_seconds
            about = "Temporal remembers no semaphore: which records are open?"
            ask = partial(_start, recall.activity, about=about, queue=queue, beats=beats)
            records = await _completed(OpenRecords, ask)
            for each in records.runs:
                # Its watch finds out whether it is open, has left something at a vendor, or is
                # unknown.
                clean_up = recall.clean_ups.get(each.pipeline)
                if clean_up is not None and each.run_id not in permits.held:
                    now, run = workflow.now(), dict(each.run)
                    permits.hold(SlotRequest(requested_at=now, clean_up=clean_up, **run), now)
        self._permits = permits
        self._queue(found.waiting)

    def _begin(self) -> None:
        """Watch all holders and take in early messages; from now on there are grants."""
        for holder in self._permits.held.values():
            self._follow(holder, again=True)
        # The watches of a high limit must not fill a run's history by themselves.
        self._max_length = self._rules.max_history + GRANT_EVENTS * len(self._follows)
        self._ready = True
        for act in self._early:
            act()
        self._early.clear()
        self._decide()

    def _decide(self) -> None:
        """Grant each free place; called after everything that may free or request one."""
        if not self._ready or self._handed_on:
            return
        while self._permits.can_grant():
            self._follow(self._permits.grant(workflow.now()), again=False)
        self._handed_on = workflow.info().get_current_history_length() > self._max_length

    def _follow(self, holder: Holder, *, again: bool) -> None:
        """Watch a holder, or drain it; the first activity starts in this step."""
        handle = None if holder.drains_until else self._start(holder, again=again)
        follow = asyncio.create_task(self._until_free(holder, handle))
        self._follows[holder.run.run_id] = follow

    def _start(self, holder: Holder, *, again: bool) -> Handle:
        """Start a watch, or a drain, which returns when nothing of a closed run acts any more."""
        clean_up, run = holder.request.clean_up, holder.run
        if holder.drain is None or clean_up is None:
            watch = Watch(name=self._permits.name, holder=holder, again=again)
            about = f"grant to {run.job_id}, and watch it until it closes"
            return _start(WATCH_RUN, watch, about=about, beats=self._rules.watch_seconds)
        drain = Drain(
            job_id=run.job_id,
            run_id=run.run_id,
            hold_seconds=DRAIN_HOLD_SECONDS,
            closed=holder.drain,
            since=holder.drains_since,
        )
        return _start(
            clean_up.activity,
            drain,
            about=f"clear up after {run.job_id}",
            queue=clean_up.task_queue,
            beats=self._rules.beat_seconds,
            activity_id=drain_id(run.run_id),
        )

    async def _until_free(self, holder: Holder, handle: Handle | None) -> None:
        """Wait until a run has closed and what it left is cleared; then decide again.

        If anything ends a watch or a drain early, another one follows.
        """
        run_id, permits = holder.run.run_id, self._permits
        while handle is not None:
            drains = holder.drain is not None and holder.request.clean_up is not None
            ended = await _result(handle, Drained if drains else Ended)
            if self._follows.get(run_id) is not asyncio.current_task():
                # The place was given back. The cancellation ends the activity, not this task.
                return
            if isinstance(ended, Ended) and not ended.is_clear:
                holder = permits.drain(run_id, ended, workflow.now())
                if holder.drains_until is not None:
                    break
            elif ended is not None:
                break
            else:
                await workflow.sleep(AGAIN_SECONDS)
            handle = self._start(holder, again=True)
        if holder.drains_until is not None:
            why = _summary(f"what {holder.run.job_id} has begun may run on")
            await workflow.sleep(holder.drains_until - workflow.now(), summary=why)
        self._give_back(run_id)
        self._decide()

    def _give_back(self, run_id: str) -> None:
        self._permits.held.pop(run_id, None)
        follow = self._follows.pop(run_id, None)
        if follow is not None and follow is not asyncio.current_task():
            follow.cancel()

    def _queue(self, requests: Iterable[SlotRequest]) -> None:
        """Add waiters; a run that does not fit into the queue gets `queue_full` at once."""
        for request in requests:
            if not self._permits.request(request, workflow.now()):
                refusing = asyncio.create_task(self._refuse(request.run))
                self._refusing.add(refusing)
                refusing.add_done_callback(self._refusing.discard)

    async def _refuse(self, run: RunRef) -> None:
        handle = workflow.get_external_workflow_handle(run.job_id, run_id=run.run_id)
        try:
            await handle.signal(refused_signal(self._permits.name), self._permits.capacity)
        except ApplicationError:
            workflow.logger.info("run closed before it was refused: %s", run.job_id)

    def _take(self, act: Callable[[], None]) -> None:
        if self._ready:
            act()
            self._decide()
        else:
            self._early.append(act)

    @workflow.signal(name=REQUEST_SIGNAL)
    def request(self, requests: list[object]) -> None:
        """Take requests; each run counts once, and what is out of bounds is dropped."""
        fitting = valid_requests(requests)
        if len(fitting) < len(requests):
            workflow.logger.warning("dropped %d invalid requests", len(requests) - len(fitting))
        self._take(partial(self._queue, fitting))

    @workflow.signal(name=WITHDRAW_SIGNAL)
    def withdraw(self, run_id: str) -> None:
        """Remove a waiter that gives up."""
        self._take(lambda: self._permits.withdraw(run_id))

    @workflow.signal(name=RELEASE_SIGNAL)
    def release(self, release: Release) -> None:
        """Free the gate of a run that goes on; its close would free it as well."""

        def give_back() -> None:
            if self._permits.returned(release):
                self._give_back(release.run_id)

        self._take(give_back)

    @workflow.update(name=CHANGE_UPDATE)
    async def change(self, change: SlotChange) -> SlotView:
        """Set limit or pause, in force when it returns; a lower limit lets holders finish."""
        await workflow.wait_condition(lambda: self._ready)
        changed = change.model_dump(exclude_none=True)
        self._permits.settings = self._permits.settings.model_copy(update=changed)
        workflow.upsert_memo(self._memo())
        self._decide()
        return self._permits.view()

    @workflow.update(name=FREE_UPDATE)
    def free(self, wanted: SlotFree) -> SlotView:
        """Give up a drain that cannot end."""
        self._give_back(wanted.run_id)
        self._decide()
        return self._permits.view()

    @free.validator
    def _drains(self, wanted: SlotFree) -> None:
        """Refuse any other run; so an update that the history has as accepted freed its run."""
        holder = self._permits.held.get(wanted.run_id)
        if not self._ready or holder is None or holder.drain is None:
            raise ApplicationError("This run is not draining.", type="not_draining")

    @workflow.query(name=VIEW_QUERY)
    def view(self) -> SlotView:
        """Return limit, pause, holders, and the first waiters."""
        return self._permits.view().model_copy(update={"rebuilding": self._rebuilds})

    @workflow.query(name=UNKNOWN_QUERY)
    def unknown(self, run_ids: list[str]) -> list[str]:
        """Return those of the runs that neither hold nor wait; none before this run is ready."""
        return [each for each in run_ids if self._ready and not self._permits.knows(each)]

    def _memo(self) -> dict[str, object]:
        """Write limit, pause and owner into the memo, which outlives this run.

        A later rebuild takes a run whose memo has the settings for one that knew its holders.
        """
        settings = self._permits.settings.model_dump(mode="json")
        return {MEMO_SETTINGS: settings, MEMO_STACK: self._rules.stack}


def _start(
    name: str,
    *arguments: object,
    about: str,
    queue: str | None = None,
    beats: float | None = None,
    limit: timedelta = FOR_EVER,
    activity_id: str | None = None,
) -> Handle:
    return workflow.start_activity(
        name,
        args=arguments,
        summary=_summary(about),
        task_queue=queue,
        start_to_close_timeout=limit,
        heartbeat_timeout=None if beats is None else timedelta(seconds=beats),
        retry_policy=RETRY_POLICY,
        activity_id=activity_id,
    )


def _summary(text: str) -> str:
    """Return a short line for the Temporal UI."""
    line = " ".join(text.split())
    return line if len(line) <= SUMMARY_LENGTH else line[: SUMMARY_LENGTH - 1] + "…"


async def _completed(kind: type[M], start: Callable[[], Handle]) -> M:
    """Return an activity's result; start it again until there is one."""
    while (found := await _result(start(), kind)) is None:
        await workflow.sleep(AGAIN_SECONDS)
    return found


async def _result(handle: Handle, kind: type[M]) -> M | None:
    """Return an activity's result, or None if it failed or is invalid."""
    try:
        return kind.model_validate(await handle)
    except (ActivityError, ValidationError):
        return None
