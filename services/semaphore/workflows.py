"""The semaphore: answers who may go on, in order; a permit lives exactly as long as its run."""

from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from services.semaphore.deterministic import starts
    from services.semaphore.deterministic.deciding import Decisions
    from services.semaphore.deterministic.permits import Permits, permit_of
    from services.semaphore.models import RUN_CLOSED_UPDATE, SemaphoreState
    from shared.slot.messages import (
        ACQUIRE_UPDATE,
        AWAITED_QUERY,
        CHANGE_UPDATE,
        FENCED,
        NO_FENCE,
        OVERDUE_QUERY,
        RELEASE_SIGNAL,
        REQUEST_SIGNAL,
        SEMAPHORE_WORKFLOW,
        SKIP_SIGNAL,
        UNKNOWN_QUERY,
        VIEW_QUERY,
        WITHDRAW_SIGNAL,
        Acquire,
        Answer,
        Fence,
        Release,
        RunRef,
        SlotChange,
        SlotRequest,
        SlotView,
        gate_of,
    )
    from shared.slot.stacks import MEMO_STACK

# A patch: what was asked before anybody was known is no word about what is asked later.
EARLY_ALONE = "early_fences_for_early_asks_alone"


@workflow.defn(name=SEMAPHORE_WORKFLOW)
class SemaphoreWorkflow:
    """One run of it, and the messages that it takes; `Decisions` has what follows from them."""

    @workflow.init
    def __init__(self, state: SemaphoreState | None = None) -> None:
        self._gate = gate_of(workflow.info().workflow_id)
        self._decisions = Decisions(Permits(state or SemaphoreState(), self._gate))
        self._early: list[SlotRequest] = []
        self._early_releases: list[Release] = []
        self._early_fences: dict[str, Fence] = {}

    @workflow.run
    async def run(self, state: SemaphoreState | None = None) -> None:
        """Keep the slot; begins a new run with everything carried when the history grows.

        A run that was reset believes what has long been out of date: it fails before it grants
        anything, and the next semaphore rebuilds.
        """
        decisions = self._decisions
        await self._end_if_void()
        # No local activity: a replay may put its result before signals that it came behind.
        decisions.rules = await starts.rules()
        self._permits.capacity = decisions.rules.capacity
        if state is None:
            await self._rebuild()
        await self._end_if_void()
        self._remember_settings()
        decisions.begin()
        for release in self._early_releases:
            self._permits.give_back(release)
        decisions.queue(self._early)
        self._early_releases.clear()
        self._early.clear()
        decisions.decide()
        await workflow.wait_condition(lambda: decisions.is_void() or self._is_long())
        decisions.end()
        await self._end_if_void()
        await workflow.wait_condition(
            lambda: workflow.all_handlers_finished() and decisions.has_sent()
        )
        await self._end_if_void()
        workflow.continue_as_new(self._permits.state(), memo=self._memo())

    @property
    def _permits(self) -> Permits:
        return self._decisions.permits

    def _check_not_void(self) -> None:
        if self._decisions.is_void():
            raise ApplicationError("This run was reset; the next semaphore rebuilds.", type="reset")

    async def _until_ready(self) -> None:
        decisions = self._decisions
        await workflow.wait_condition(lambda: decisions.ready or decisions.is_void())
        self._check_not_void()

    async def _end_if_void(self) -> None:
        """Fail where this run is void, once all who ask it are refused."""
        if self._decisions.is_void():
            await workflow.wait_condition(workflow.all_handlers_finished)
            self._check_not_void()

    async def _rebuild(self) -> None:
        """Nobody handed anything over: ask Temporal who holds and who waits, before any grant."""
        found = await starts.find_jobs(self._decisions.rules.pace.times)
        # Milliseconds since 1970 are above every token that an earlier semaphore can have given.
        floor = int(workflow.info().start_time.timestamp() * 1000)
        self._decisions.permits = Permits(
            SemaphoreState(
                settings=found.settings,
                next_token=max([floor, *(holder.token + 1 for holder in found.holders)]),
                holders=found.holders,
                waiting=found.waiting,
            ),
            self._gate,
            capacity=self._decisions.rules.capacity,
        )
        for holder in found.holders:
            # In case its run missed it.
            self._decisions.tell(permit_of(holder, gate=self._gate))

    def _is_long(self) -> bool:
        return self._decisions.turns_over or workflow.info().is_continue_as_new_suggested()

    def _remember_settings(self) -> None:
        """The memo outlives this run: a semaphore started anew finds limit and pause in it."""
        workflow.upsert_memo(self._memo())

    def _memo(self) -> dict[str, object]:
        """Also whose it is, for other stacks to keep away; a next run begins with it."""
        settings = self._permits.settings.model_dump(mode="json")
        return {"settings": settings, MEMO_STACK: self._decisions.rules.stack}

    @workflow.signal(name=REQUEST_SIGNAL)
    def request(self, requests: list[SlotRequest]) -> None:
        """Runs ask to wait; one that holds or waits already counts once.

        Whom there is no room for is told, so that it doesn't wait for what never comes.
        """
        if self._decisions.ready:
            self._decisions.queue(requests)
            self._decisions.decide(by_request=True)
        else:
            self._early.extend(requests)

    @workflow.signal(name=WITHDRAW_SIGNAL)
    def withdraw(self, run_id: str) -> None:
        """A run that waits gives up."""
        self._permits.withdraw(run_id)
        self._early = [request for request in self._early if request.run_id != run_id]
        self._decisions.decide()

    @workflow.signal(name=RELEASE_SIGNAL)
    def release(self, release: Release) -> None:
        """A run has passed a stage's gate, and still goes on; its close would do as well."""
        if not self._decisions.ready:
            self._early_releases.append(release)
        else:
            self._permits.give_back(release)
            self._decisions.decide()

    @workflow.signal(name=SKIP_SIGNAL)
    def pass_over(self, run_ids: list[str]) -> None:
        """Who is next and has kept silent for long lets others be next until it asks."""
        self._permits.pass_over(set(run_ids))
        self._decisions.decide()

    @workflow.update(name=ACQUIRE_UPDATE)
    async def acquire(self, ask: Acquire) -> Answer:
        """Answered when the run's turn has come, or when it is not next any more.

        A run that holds already is answered at once: it asks before each submit. Of its tries that
        ask before anybody is known, only the latest is answered.
        """
        run_id, is_early = ask.request.run_id, not self._decisions.ready
        if is_early:
            self._early_fences[run_id] = max(ask.fence, self._early_fence(run_id))
        await self._until_ready()
        if ask.fence < self._early_fence(run_id) and (
            is_early or not workflow.patched(EARLY_ALONE)
        ):
            raise _replaced()
        await self._decisions.decided(ask)
        self._check_not_void()
        permit = self._permits.permit_for(ask)
        if permit is None:
            # It may be next again already, and has to be told.
            self._decisions.decide()
        return Answer(
            at=workflow.now(),
            permit=permit,
            first=permit is not None and self._permits.is_first(ask),
            again=permit is None and self._decisions.turns_over,
        )

    @acquire.validator
    def _not_fenced(self, ask: Acquire) -> None:
        if ask.fence < self._permits.heard(ask.request.run_id):
            raise _replaced()

    def _early_fence(self, run_id: str) -> Fence:
        return self._early_fences.get(run_id, NO_FENCE)

    @workflow.update(name=RUN_CLOSED_UPDATE)
    def run_closed(self, run: RunRef) -> None:
        """A run has closed in order: its watch says so before it ends, which takes longer.

        The answer to whoever was next is all that this task has to carry. Who is next behind that
        one is told in the task that the end of the watch brings about.
        """
        self._decisions.closed(run, calls=False)

    @workflow.update(name=CHANGE_UPDATE)
    async def change(self, change: SlotChange) -> SlotView:
        """Set limit or pause; a lower limit lets holders finish. In force at its answer."""
        await self._until_ready()
        changed = change.model_dump(exclude_none=True)
        self._permits.settings = self._permits.settings.model_copy(update=changed)
        self._remember_settings()
        self._decisions.decide()
        return self._permits.view()

    @workflow.query(name=VIEW_QUERY)
    def view(self) -> SlotView:
        """Limit, pause, holders, and the first of those who wait."""
        return self._permits.view()

    @workflow.query(name=UNKNOWN_QUERY)
    def unknown(self, run_ids: list[str]) -> list[str]:
        """Those of the runs that neither hold nor wait; none before it knows anybody."""
        return [each for each in run_ids if self._decisions.ready and not self._permits.knows(each)]

    @workflow.query(name=AWAITED_QUERY)
    def awaited(self) -> list[str]:
        """The runs for whom a place is free, and who do not ask for it."""
        return sorted(self._permits.awaited())

    @workflow.query(name=OVERDUE_QUERY)
    def overdue(self, now: datetime) -> list[RunRef]:
        """Who has held for longer than its own limit and its clean-up allow."""
        return self._permits.overdue(now)


def _replaced() -> ApplicationError:
    return ApplicationError("A later try of this run has asked.", type=FENCED)
