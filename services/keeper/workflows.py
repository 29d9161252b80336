"""The slot's keeper; what is held is a map of runs to permits, never more than the limit."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from services.keeper.models import (
        FIND_JOBS,
        GRANT_AND_WATCH,
        Closed,
        Found,
        KeeperState,
        Watch,
    )
    from services.keeper.queue import WaitingQueue
    from shared.slots import (
        CHANGE_UPDATE,
        DRAIN_ACTIVITY,
        KEEPER_WORKFLOW,
        REQUEST_SIGNAL,
        VIEW_QUERY,
        WITHDRAW_SIGNAL,
        Drain,
        Holder,
        HolderView,
        KeeperSettings,
        Permit,
        SlotChange,
        SlotRequest,
        SlotView,
    )
    from shared.temporal import GENVIDEO_QUEUE

# The keeper's process is gone when it has not been heard of for this long.
HEARTBEAT_TIMEOUT = timedelta(seconds=3)
FOR_EVER = timedelta(days=3650)
RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=2)
)
# The activities of a terminated job act until their next heartbeat (2 s), and 1 s more.
DRAIN_HOLD_SECONDS = 3.0
VIEW_LENGTH = 1000
# Eight events a grant; a new run begins long before the server asks for it, to keep replay quick.
MAX_HISTORY = 2000


@workflow.defn(name=KEEPER_WORKFLOW)
class SlotKeeperWorkflow:
    """Grants permits in order; a permit lives exactly as long as the run that it names."""

    @workflow.init
    def __init__(self, state: KeeperState | None = None) -> None:
        self._settings = state.settings if state else KeeperSettings()
        self._changed: dict[str, object] = {}
        self._next_token = state.next_token if state else 0
        self._held = {holder.run_id: holder for holder in state.holders} if state else {}
        self._queue = WaitingQueue(state.waiting if state else ())
        self._watches: dict[str, asyncio.Task[None]] = {}

    @workflow.run
    async def run(self, state: KeeperState | None = None) -> None:
        """Keep the slot; begins a new run with everything carried when the history grows."""
        if state is None:
            await self._rebuild()
        self._remember_settings()
        for holder in list(self._held.values()):
            self._watch(holder, fresh=False)
        while not self._history_is_long():
            while self._may_grant():
                self._grant(self._queue.pop())
            await workflow.wait_condition(lambda: self._may_grant() or self._history_is_long())
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(self._state())

    async def _rebuild(self) -> None:
        """Nobody handed anything over: ask Temporal who holds and who waits, before any grant."""
        found = await workflow.execute_activity(
            FIND_JOBS,
            result_type=Found,
            summary="rebuild from the running jobs",
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY_POLICY,
        )
        # What was changed while we asked counts, not what an earlier keeper had.
        self._settings = found.settings.model_copy(update=self._changed)
        for holder in found.holders:
            self._held[holder.run_id] = holder
            self._queue.remove(holder.run_id)
        for request in found.waiting:
            self._enqueue(request)
        # Milliseconds since 1970 are above every token that an earlier keeper can have given.
        floor = int(workflow.now().timestamp() * 1000)
        self._next_token = max([floor, *(holder.token + 1 for holder in found.holders)])

    def _may_grant(self) -> bool:
        return (
            len(self._queue) > 0
            and not self._settings.paused
            and len(self._held) < self._settings.limit
        )

    def _grant(self, request: SlotRequest) -> None:
        """Note the holder before anything is awaited, then tell it."""
        holder = Holder(
            job_id=request.job_id,
            run_id=request.run_id,
            token=self._next_token,
            since=workflow.now(),
        )
        self._next_token += 1
        self._held[holder.run_id] = holder
        self._watch(holder, fresh=True)

    def _watch(self, holder: Holder, *, fresh: bool) -> None:
        task = asyncio.create_task(self._hold(holder, fresh=fresh))
        self._watches[holder.run_id] = task

    async def _hold(self, holder: Holder, *, fresh: bool) -> None:
        """Hold a place for as long as the holder's run is open, and its leftovers run."""
        closed = await workflow.execute_activity(
            GRANT_AND_WATCH,
            Watch(
                permit=Permit(job_id=holder.job_id, run_id=holder.run_id, token=holder.token),
                fresh=fresh,
            ),
            result_type=Closed,
            summary=holder.job_id,
            start_to_close_timeout=FOR_EVER,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY_POLICY,
        )
        if closed is not Closed.ORDERLY:
            self._held[holder.run_id] = holder.model_copy(update={"draining": True})
            await self._drain(holder, closed)
        del self._held[holder.run_id]
        del self._watches[holder.run_id]

    async def _drain(self, holder: Holder, closed: Closed) -> None:
        await workflow.execute_activity(
            DRAIN_ACTIVITY,
            Drain(
                job_id=holder.job_id,
                run_id=holder.run_id,
                hold_seconds=DRAIN_HOLD_SECONDS,
                close_code=closed.value,
            ),
            task_queue=GENVIDEO_QUEUE,
            summary=f"clear the vendors after {holder.job_id}",
            start_to_close_timeout=timedelta(hours=1),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY_POLICY,
        )

    def _enqueue(self, request: SlotRequest) -> None:
        if request.run_id not in self._held:
            self._queue.add(request)

    def _history_is_long(self) -> bool:
        info = workflow.info()
        return (
            info.is_continue_as_new_suggested() or info.get_current_history_length() > MAX_HISTORY
        )

    def _state(self) -> KeeperState:
        return KeeperState(
            settings=self._settings,
            next_token=self._next_token,
            holders=tuple(self._held.values()),
            waiting=tuple(self._queue),
        )

    def _remember_settings(self) -> None:
        """The memo outlives this run: a keeper started anew finds limit and pause in it.

        A next run doesn't inherit it, so that each run writes its own.
        """
        workflow.upsert_memo({"settings": self._settings.model_dump(mode="json")})

    @workflow.signal(name=REQUEST_SIGNAL)
    def request(self, requests: list[SlotRequest]) -> None:
        """Runs ask for the slot; one that holds it or waits for it already counts once."""
        for request in requests:
            self._enqueue(request)

    @workflow.signal(name=WITHDRAW_SIGNAL)
    def withdraw(self, run_id: str) -> None:
        """A run that waits gives up."""
        self._queue.remove(run_id)

    @workflow.update(name=CHANGE_UPDATE)
    def change(self, change: SlotChange) -> SlotView:
        """Set limit or pause; a lower limit lets holders finish."""
        given = change.model_dump(exclude_none=True)
        self._changed |= given
        self._settings = self._settings.model_copy(update=given)
        self._remember_settings()
        return self._view()

    @workflow.query(name=VIEW_QUERY)
    def view(self) -> SlotView:
        """Limit, pause, holders, and the first of those who wait."""
        return self._view()

    def _view(self) -> SlotView:
        return SlotView(
            limit=self._settings.limit,
            paused=self._settings.paused,
            holders=tuple(
                HolderView(
                    job_id=holder.job_id,
                    token=holder.token,
                    since=holder.since,
                    draining=holder.draining,
                )
                for holder in self._held.values()
            ),
            waiting=self._queue.first(VIEW_LENGTH),
            waiting_count=len(self._queue),
        )
