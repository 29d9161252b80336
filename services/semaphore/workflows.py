"""The semaphore: answers who may go on, in order; a permit lives exactly as long as its run."""

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from services.semaphore import starts
    from services.semaphore.begun import Begun
    from services.semaphore.models import SemaphoreRules, SemaphoreState, Watch
    from services.semaphore.permits import Permits, permit_of
    from shared.slots import (
        ACQUIRE_UPDATE,
        AWAITED_QUERY,
        CHANGE_UPDATE,
        FENCED,
        GRANTED_SIGNAL,
        ON_DECK_SIGNAL,
        OVERDUE_QUERY,
        REFUSED_SIGNAL,
        RELEASE_SIGNAL,
        REQUEST_SIGNAL,
        SEMAPHORE_WORKFLOW,
        SKIP_SIGNAL,
        UNKNOWN_QUERY,
        VIEW_QUERY,
        WITHDRAW_SIGNAL,
        Acquire,
        Answer,
        Permit,
        Release,
        RunRef,
        SlotChange,
        SlotRequest,
        SlotView,
        gate_of,
    )
    from shared.stacks import MEMO_STACK


# How long a history is depends on what was seen together; what its messages cost, some 21 events a
# grant, does not: a signal may share its task with many, an ask or an end has its own.
SIGNAL_EVENTS, TURN_EVENTS = 1, 10


@workflow.defn(name=SEMAPHORE_WORKFLOW)
class SemaphoreWorkflow:
    """Answers `acquire` and watches whom it said yes to; all decisions are made by `Permits`."""

    @workflow.init
    def __init__(self, state: SemaphoreState | None = None) -> None:
        info = workflow.info()
        self._gate = gate_of(info.workflow_id)
        self._is_reset = info.run_id != info.original_execution_run_id
        self._permits = Permits(state or SemaphoreState(), self._gate)
        self._rules = SemaphoreRules()
        self._length = self._max_length = 0
        self._ready = False
        self._turns_over = False
        self._early: list[SlotRequest] = []
        self._early_releases: list[Release] = []
        # Each ask that has no answer yet, in the order of their coming.
        self._unanswered: dict[asyncio.Future[None], Acquire] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    @workflow.run
    async def run(self, state: SemaphoreState | None = None) -> None:
        """Keep the slot; begins a new run with everything carried when the history grows.

        A run that was reset believes what has long been out of date: it fails before it grants
        anything, and the next semaphore rebuilds.
        """
        await self._end_if_void()
        # No local activity: a replay may put its result before signals that it came behind.
        self._rules = await starts.rules()
        self._permits.capacity = self._rules.capacity
        if state is None:
            await self._rebuild()
        await self._end_if_void()
        self._remember_settings()
        for holder in self._permits.held.values():
            self._watch(holder.run, tell=False)
        for run in self._permits.silent():
            self._watch(run, tell=True)
        # A wide gate's watches, and those who ask at it in vain, must not end a run by themselves.
        asks = TURN_EVENTS * (self._permits.most_on_deck() - 1)
        self._max_length = self._rules.max_history + len(self._watches) + asks
        self._ready = True
        for release in self._early_releases:
            self._permits.give_back(release)
        self._queue(self._early)
        self._decide()
        await workflow.wait_condition(lambda: self._is_void() or self._is_long())
        self._turns_over = True
        self._answer_all()
        await self._end_if_void()
        await workflow.wait_condition(
            lambda: workflow.all_handlers_finished() and (self._is_void() or not self._sending)
        )
        await self._end_if_void()
        workflow.continue_as_new(self._permits.state(), memo=self._memo())

    def _is_void(self) -> bool:
        """Whether this run was reset, and has replayed what it must not deviate from."""
        return self._is_reset and not workflow.unsafe.is_replaying()

    def _check_not_void(self) -> None:
        if self._is_void():
            raise ApplicationError("This run was reset; the next semaphore rebuilds.", type="reset")

    async def _end_if_void(self) -> None:
        """Fail where this run is void, once all who ask it are refused."""
        if self._is_void():
            await workflow.wait_condition(workflow.all_handlers_finished)
            self._check_not_void()

    def _decide(self, events: int = SIGNAL_EVENTS) -> None:
        """Whoever is next is told, and answered where it asks: at once with each message.

        A query may let this code see messages one by one that a replay sees together. What it
        says must not depend on that; so nothing waits for the end of a step, or for a time.
        """
        permits = self._permits
        if not self._ready or self._turns_over or self._is_void():
            return
        while permits.has_next():
            self._grant(permits.next_permit(workflow.now()))
        for run in permits.to_tell():
            self._call(run)
        decided = [each for each, ask in self._unanswered.items() if permits.is_decided(ask)]
        for each in decided:
            del self._unanswered[each]
            each.set_result(None)
        self._length += events
        self._turns_over = self._length > self._max_length

    def _answer_all(self) -> None:
        """This run decides nothing more: whoever asks is told to ask again."""
        for each in self._unanswered:
            each.set_result(None)
        self._unanswered.clear()

    async def _rebuild(self) -> None:
        """Nobody handed anything over: ask Temporal who holds and who waits, before any grant."""
        found = await starts.find_jobs(self._rules.pace.times)
        # Milliseconds since 1970 are above every token that an earlier semaphore can have given.
        floor = int(workflow.info().start_time.timestamp() * 1000)
        self._permits = Permits(
            SemaphoreState(
                settings=found.settings,
                next_token=max([floor, *(holder.token + 1 for holder in found.holders)]),
                holders=found.holders,
                waiting=found.waiting,
            ),
            self._gate,
            capacity=self._rules.capacity,
        )
        for holder in found.holders:
            # In case its run missed it.
            self._tell(permit_of(holder, gate=self._gate))

    def _grant(self, permit: Permit) -> None:
        """The run is answered in this very step; it may have asked without being told."""
        if permit.run_id not in self._watches:
            self._watch(permit.run, tell=False)
        self._tell(permit)

    def _tell(self, permit: Permit) -> None:
        """A run that holds hears of it also here: its activity may die with the answer."""
        self._send(permit.run, GRANTED_SIGNAL, permit)

    def _call(self, run: RunRef) -> None:
        """Tell a run that it is next; from then on it is watched."""
        if run.run_id in self._watches:
            self._send(run, ON_DECK_SIGNAL, self._gate)
        else:
            self._watch(run, tell=True)

    def _send(self, run: RunRef, signal: str, argument: object) -> None:
        """Signal a run without waiting for it; of one that has closed, its watch tells."""

        async def send() -> None:
            handle = workflow.get_external_workflow_handle(run.job_id, run_id=run.run_id)
            try:
                await handle.signal(signal, argument)
            except ApplicationError:
                workflow.logger.info("a run closed before it was told: %s", run.job_id)

        task = asyncio.ensure_future(Begun(send()))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _watch(self, run: RunRef, *, tell: bool) -> None:
        follow = Begun(self._follow(run, tell=tell))
        self._watches[run.run_id] = asyncio.ensure_future(follow)

    async def _follow(self, run: RunRef, *, tell: bool) -> None:
        """Until a run has closed, and its leftovers are cleared where it held the permit."""
        times = self._rules.pace.times
        ended = await starts.watch(Watch(run=run, gate=self._gate, tell=tell), times)
        del self._watches[run.run_id]
        permits = self._permits
        request = permits.request_of(run.run_id)
        permits.withdraw(run.run_id)
        if run.run_id in permits.held:
            if not ended.is_clear:
                permits.drain(run.run_id)
                self._decide()
                await starts.drain(run, ended.closed, times)
            permits.release(run.run_id)
        if ended.newer is not None and request is not None:
            # It may have asked already, or may not know yet that what it replays is void.
            self._queue([request.model_copy(update={"run_id": ended.newer})])
        self._decide(TURN_EVENTS)

    def _is_long(self) -> bool:
        return self._turns_over or workflow.info().is_continue_as_new_suggested()

    def _remember_settings(self) -> None:
        """The memo outlives this run: a semaphore started anew finds limit and pause in it."""
        workflow.upsert_memo(self._memo())

    def _memo(self) -> dict[str, object]:
        """Also whose it is, for other stacks to keep away; a next run begins with it."""
        settings = self._permits.settings.model_dump(mode="json")
        return {"settings": settings, MEMO_STACK: self._rules.stack}

    @workflow.signal(name=REQUEST_SIGNAL)
    def request(self, requests: list[SlotRequest]) -> None:
        """Runs ask to wait; one that holds or waits already counts once.

        Whom there is no room for is told, so that it doesn't wait for what never comes.
        """
        if self._ready:
            self._queue(requests)
            self._decide()
        else:
            self._early.extend(requests)

    def _queue(self, requests: list[SlotRequest]) -> None:
        for request in requests:
            if not self._permits.request(request):
                self._send(request.run, REFUSED_SIGNAL, self._permits.capacity)

    @workflow.signal(name=WITHDRAW_SIGNAL)
    def withdraw(self, run_id: str) -> None:
        """A run that waits gives up."""
        self._permits.withdraw(run_id)
        self._early = [request for request in self._early if request.run_id != run_id]
        self._decide()

    @workflow.signal(name=RELEASE_SIGNAL)
    def release(self, release: Release) -> None:
        """A run has passed a stage's gate, and still goes on; its close would do as well."""
        if not self._ready:
            self._early_releases.append(release)
        else:
            self._permits.give_back(release)
            self._decide()

    @workflow.signal(name=SKIP_SIGNAL)
    def pass_over(self, run_ids: list[str]) -> None:
        """Who is next and has kept silent for long lets others be next until it asks."""
        self._permits.pass_over(set(run_ids))
        self._decide()

    @workflow.update(name=ACQUIRE_UPDATE)
    async def acquire(self, ask: Acquire) -> Answer:
        """Answered when the run's turn has come, or when it is not next any more.

        A run that holds already is answered at once: it asks before each submit.
        """
        await workflow.wait_condition(lambda: self._ready or self._is_void())
        self._check_not_void()
        self._permits.ask(ask)
        self._decide(TURN_EVENTS)
        if not (self._turns_over or self._permits.is_decided(ask)):
            answered = asyncio.Future[None]()
            self._unanswered[answered] = ask
            await answered
            self._check_not_void()
        permit = self._permits.permit_for(ask)
        if permit is None:
            # It may be next again already, and has to be told.
            self._decide()
        return Answer(
            at=workflow.now(),
            permit=permit,
            first=permit is not None and self._permits.is_first(ask),
            again=permit is None and self._turns_over,
        )

    @acquire.validator
    def _not_fenced(self, ask: Acquire) -> None:
        if ask.fence < self._permits.heard(ask.request.run_id):
            raise ApplicationError("A later try of this run has asked.", type=FENCED)

    @workflow.update(name=CHANGE_UPDATE)
    async def change(self, change: SlotChange) -> SlotView:
        """Set limit or pause; a lower limit lets holders finish. In force at its answer."""
        await workflow.wait_condition(lambda: self._ready or self._is_void())
        self._check_not_void()
        changed = change.model_dump(exclude_none=True)
        self._permits.settings = self._permits.settings.model_copy(update=changed)
        self._remember_settings()
        self._decide()
        return self._permits.view()

    @workflow.query(name=VIEW_QUERY)
    def view(self) -> SlotView:
        """Limit, pause, holders, and the first of those who wait."""
        return self._permits.view()

    @workflow.query(name=UNKNOWN_QUERY)
    def unknown(self, run_ids: list[str]) -> list[str]:
        """Those of the runs that neither hold nor wait; none before it knows anybody."""
        return [each for each in run_ids if self._ready and not self._permits.knows(each)]

    @workflow.query(name=AWAITED_QUERY)
    def awaited(self) -> list[str]:
        """The runs for whom a place is free, and who do not ask for it."""
        return sorted(self._permits.awaited())

    @workflow.query(name=OVERDUE_QUERY)
    def overdue(self, now: datetime) -> list[RunRef]:
        """Who has held for longer than its own limit and its clean-up allow."""
        return self._permits.overdue(now)
