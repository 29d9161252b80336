"""The slot's keeper: grants permits in order; a permit lives exactly as long as its run."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from services.keeper.models import (
        DRAIN_HOLD_SECONDS,
        FIND_JOBS,
        GRANT_AND_WATCH,
        KEEPER_RULES,
        Ended,
        Found,
        KeeperRules,
        KeeperState,
        Watch,
    )
    from services.keeper.places import Places
    from shared.slots import (
        CHANGE_UPDATE,
        DISARM_SIGNAL,
        DISARMED_SIGNAL,
        DRAIN_ACTIVITY,
        GRANTED_SIGNAL,
        KEEPER_WORKFLOW,
        REFUSED_SIGNAL,
        RELEASE_SIGNAL,
        REQUEST_SIGNAL,
        VIEW_QUERY,
        WITHDRAW_SIGNAL,
        Drain,
        Permit,
        Release,
        RunRef,
        SlotChange,
        SlotRequest,
        SlotView,
        gate_of,
    )
    from shared.temporal import GENVIDEO_QUEUE
    from shared.watching import Closed

# The keeper's process is gone when it has not been heard of for this long.
HEARTBEAT_TIMEOUT = timedelta(seconds=3)
FOR_EVER = timedelta(days=3650)
RETRY_POLICY = RetryPolicy(
    initial_interval=timedelta(milliseconds=100), maximum_interval=timedelta(seconds=2)
)
# A pause is answered when whoever was armed has stood down; a dead worker is waited for so long.
DISARM_TIMEOUT = timedelta(seconds=10)
RULES_TIMEOUT = timedelta(seconds=5)


@workflow.defn(name=KEEPER_WORKFLOW)
class SlotKeeperWorkflow:
    """Tells runs their permits and watches them; all decisions are made by `Places`."""

    @workflow.init
    def __init__(self, state: KeeperState | None = None) -> None:
        self._gate = gate_of(workflow.info().workflow_id)
        self._places = Places(state or KeeperState(), self._gate)
        self._rules = KeeperRules()
        self._max_history = 0
        self._ready = False
        self._early: list[SlotRequest] = []
        self._early_releases: list[Release] = []
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    @workflow.run
    async def run(self, state: KeeperState | None = None) -> None:
        """Keep the slot; begins a new run with everything carried when the history grows."""
        self._rules = await workflow.execute_local_activity(
            KEEPER_RULES, result_type=KeeperRules, start_to_close_timeout=RULES_TIMEOUT
        )
        self._places.capacity = self._rules.capacity
        if state is None:
            await self._rebuild()
        self._remember_settings()
        for permit in self._places.permits():
            self._watch(permit, fresh=False)
        # A wide gate's watches alone must not end a run that has granted nothing yet.
        self._max_history = self._rules.max_history + len(self._watches)
        self._ready = True
        self.request(self._early)
        for release in self._early_releases:
            self.release(release)
        while True:
            for permit in self._places.to_disarm():
                self._send(permit.run, DISARM_SIGNAL, permit)
            while self._places.has_next():
                self._tell(self._places.next_permit(workflow.now()))
            # Last, so that a replay that sees two moments as one says the same as they did.
            if self._history_is_long():
                break
            await workflow.wait_condition(self._has_work)
        await workflow.wait_condition(
            lambda: workflow.all_handlers_finished() and not self._sending
        )
        workflow.continue_as_new(self._places.state())

    def _has_work(self) -> bool:
        places = self._places
        return places.has_next() or places.wants_disarming() or self._history_is_long()

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
        tokens = [h.token for h in (*found.holders, *(item.holder for item in found.armed))]
        # Milliseconds since 1970 are above every token that an earlier keeper can have given.
        floor = int(workflow.now().timestamp() * 1000)
        self._places = Places(
            KeeperState(
                settings=found.settings,
                next_token=max([floor, *(token + 1 for token in tokens)]),
                holders=found.holders,
                armed=found.armed,
                waiting=found.waiting,
            ),
            self._gate,
            capacity=self._rules.capacity,
        )

    def _tell(self, permit: Permit) -> None:
        """A run that is told for the first time is watched from then on."""
        if permit.run_id in self._watches:
            self._send(permit.run, GRANTED_SIGNAL, permit)
        else:
            self._watch(permit, fresh=True)

    def _send(self, run: RunRef, signal: str, argument: object) -> None:
        """Signal a run without waiting for it."""
        task = asyncio.create_task(_signal(run, signal, argument))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _watch(self, permit: Permit, *, fresh: bool) -> None:
        watch = Watch(permit=permit, fresh=fresh)
        self._watches[permit.run_id] = asyncio.create_task(self._hold(watch))

    async def _hold(self, watch: Watch) -> None:
        """Keep a place for as long as its run is open, and its leftovers run."""
        run_id = watch.permit.run_id
        ended = await self._until_closed(watch)
        if ended is None:
            return
        request = self._places.request_of(run_id)
        if not ended.is_clear:
            self._places.drain(run_id)
            await _drain(watch.permit, ended.closed)
        for waiting in self._places.release(run_id, ended.orderly, now=workflow.now()):
            self._unwatch(waiting)
        del self._watches[run_id]
        if ended.newer is not None:
            # It may have asked already, or may not know yet that what it replays is void.
            self.request([request.model_copy(update={"run_id": ended.newer})])

    async def _until_closed(self, watch: Watch) -> Ended | None:
        """How the run has closed; None when it isn't watched any more."""
        try:
            ended = await workflow.execute_activity(
                GRANT_AND_WATCH,
                watch,
                result_type=Ended,
                summary=watch.permit.job_id,
                start_to_close_timeout=FOR_EVER,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                retry_policy=RETRY_POLICY,
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                return None
            raise
        watched = self._watches.get(watch.permit.run_id) is asyncio.current_task()
        return ended if watched else None

    def _unwatch(self, run_id: str) -> None:
        """A run that waits again is not watched; at its next permit it will be."""
        task = self._watches.pop(run_id, None)
        if task is not None:
            task.cancel()

    def _history_is_long(self) -> bool:
        info = workflow.info()
        length = info.get_current_history_length()
        return length > self._max_history or info.is_continue_as_new_suggested()

    def _remember_settings(self) -> None:
        """The memo outlives this run: a keeper started anew finds limit and pause in it.

        A next run doesn't inherit it, so each run writes its own.
        """
        workflow.upsert_memo({"settings": self._places.settings.model_dump(mode="json")})

    @workflow.signal(name=REQUEST_SIGNAL)
    def request(self, requests: list[SlotRequest]) -> None:
        """Runs ask for the slot; one that holds it or waits for it already counts once.

        Whom there is no room for is told, so that it doesn't wait for what never comes.
        """
        if not self._ready:
            self._early.extend(requests)
            return
        for request in requests:
            if not self._places.request(request):
                self._send(request.run, REFUSED_SIGNAL, self._places.capacity)

    @workflow.signal(name=WITHDRAW_SIGNAL)
    def withdraw(self, run_id: str) -> None:
        """A run that waits gives up."""
        self._places.queue.remove(run_id)
        self._early = [request for request in self._early if request.run_id != run_id]

    @workflow.signal(name=RELEASE_SIGNAL)
    def release(self, release: Release) -> None:
        """A run has passed a stage's gate, and still goes on; its close would do as well."""
        if not self._ready:
            self._early_releases.append(release)
        elif self._places.give_back(release):
            self._unwatch(release.run_id)

    @workflow.signal(name=DISARMED_SIGNAL)
    def disarmed(self, permit: Permit) -> None:
        """An armed run has stood down, and has not begun."""
        if self._places.disarmed(permit):
            self._unwatch(permit.run_id)

    @workflow.update(name=CHANGE_UPDATE)
    async def change(self, change: SlotChange) -> SlotView:
        """Set limit or pause; a lower limit lets holders finish.

        Answered when nobody begins by itself any more: a pause is in force at its answer.
        """
        await workflow.wait_condition(lambda: self._ready)
        before = self._places.settings
        after = before.model_copy(update=change.model_dump(exclude_none=True))
        self._places.settings = after
        self._remember_settings()
        if after.paused or after.limit < before.limit:
            await self._until_disarmed()
        return self._places.view()

    async def _until_disarmed(self) -> None:
        """Return when nobody begins by itself any more."""
        places = self._places
        try:
            await workflow.wait_condition(
                lambda: not places.wants_disarming() and not places.is_disarming(),
                timeout=DISARM_TIMEOUT,
            )
        except TimeoutError:
            workflow.logger.warning("an armed job did not answer that it stood down")

    @workflow.query(name=VIEW_QUERY)
    def view(self) -> SlotView:
        """Limit, pause, holders, and the first of those who wait."""
        return self._places.view()


async def _signal(run: RunRef, signal: str, argument: object) -> None:
    """Tell a run; one that has closed needs no telling."""
    handle = workflow.get_external_workflow_handle(run.job_id, run_id=run.run_id)
    try:
        await handle.signal(signal, argument)
    except ApplicationError:
        workflow.logger.info("a run closed before it was told: %s", run.job_id)


async def _drain(permit: Permit, closed: Closed) -> None:
    """Return when nothing of a killed run acts any more, at its worker or at a vendor."""
    await workflow.execute_activity(
        DRAIN_ACTIVITY,
        Drain(
            job_id=permit.job_id,
            run_id=permit.run_id,
            hold_seconds=DRAIN_HOLD_SECONDS,
            close_code=closed.value,
        ),
        task_queue=GENVIDEO_QUEUE,
        summary=f"clear the vendors after {permit.job_id}",
        start_to_close_timeout=timedelta(hours=1),
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=RETRY_POLICY,
    )
