"""Who is told, answered and watched: what follows from each message of a semaphore."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from services.semaphore.deterministic import starts
    from services.semaphore.deterministic.begun import Begun
    from services.semaphore.deterministic.permits import Permits
    from services.semaphore.models import Ended, SemaphoreRules, Watch
    from shared.slot.messages import (
        GRANTED_SIGNAL,
        JOB_GATE,
        ON_DECK_SIGNAL,
        REFUSED_SIGNAL,
        Acquire,
        Permit,
        RunRef,
        SlotRequest,
    )

# How long a history is depends on what was seen together; what its messages cost, some 29 events a
# grant, does not: a signal may share its task with many, an ask or an end has its own.
SIGNAL_EVENTS, TURN_EVENTS, WATCH_EVENTS = 1, 10, 5
# A patch: whom a request overtakes is answered by the next message, an ask as a rule.
REQUESTS_ANSWER_NOBODY = "requests_answer_nobody"
# A patch: a run in the place of a reset one may be far from the gate that that one had come to.
NEWER_IS_ASIDE = "newer_is_set_aside_at_a_stage"


class Decisions:
    """Carries out what `Permits` decides: signals, answers, and a watch over each run concerned."""

    def __init__(self, permits: Permits) -> None:
        info = workflow.info()
        self.permits = permits
        self._is_reset = info.run_id != info.original_execution_run_id
        # Whether it knows who holds and who waits; whether another run decides from here on.
        self.ready = self.turns_over = False
        self.rules = SemaphoreRules()
        self._length = self._max_length = 0
        # Each ask that has no answer yet, in the order of their coming.
        self._unanswered: dict[asyncio.Future[None], Acquire] = {}
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def is_void(self) -> bool:
        """Whether this run was reset, and has replayed what it must not deviate from."""
        return self._is_reset and not workflow.unsafe.is_replaying()

    def begin(self) -> None:
        """Watch whoever holds or was passed over; from now on there are decisions."""
        for holder in self.permits.held.values():
            self._watch(holder.run, tell=False)
        for run in self.permits.silent():
            self._watch(run, tell=True)
        # A wide gate's watches, and those who ask at it in vain, must not end a run by themselves.
        asks = TURN_EVENTS * (self.permits.most_on_deck() - 1)
        self._max_length = self.rules.max_history + len(self._watches) + asks
        self.ready = True

    def decide(
        self, events: int = SIGNAL_EVENTS, *, by_request: bool = False, calls: bool = True
    ) -> None:
        """Whoever is next is told, and answered where it asks: at once with each message.

        Without `calls`, whoever is next and has to wait for a place is told by a later decision.

        A query may let this code see messages one by one that a replay sees together. What it
        says must not depend on that; so nothing waits for the end of a step, or for a time. And a
        request does not answer those whom it overtakes: a replay would take in an ask of the same
        task before that answer. The overtaker's ask answers them, which no query shows ahead.
        """
        permits = self.permits
        if not self.ready or self.turns_over or self.is_void():
            return
        while permits.has_next():
            self._grant(permits.next_permit(workflow.now()))
        for run in permits.to_tell() if calls or permits.awaited() else ():
            self._call(run)
        decided = [each for each, ask in self._unanswered.items() if permits.is_decided(ask)]
        if decided and not (by_request and workflow.patched(REQUESTS_ANSWER_NOBODY)):
            for each in decided:
                del self._unanswered[each]
                each.set_result(None)
        self._length += events
        self.turns_over = self._length > self._max_length

    async def decided(self, ask: Acquire) -> None:
        """Return when there is an answer to an ask, or this run decides nothing more."""
        self.permits.ask(ask)
        self.decide(TURN_EVENTS)
        if not (self.turns_over or self.permits.is_decided(ask)):
            answered = asyncio.Future[None]()
            self._unanswered[answered] = ask
            await answered

    def end(self) -> None:
        """This run decides nothing more: whoever asks is told to ask again."""
        self.turns_over = True
        for each in self._unanswered:
            each.set_result(None)
        self._unanswered.clear()

    def has_sent(self) -> bool:
        """Whether everybody has been told, or nobody is any more."""
        return self.is_void() or not self._sending

    def queue(self, requests: list[SlotRequest]) -> None:
        """Runs wait; whom there is no room for is told."""
        for request in requests:
            if not self.permits.request(request):
                self._send(request.run, REFUSED_SIGNAL, self.permits.capacity)

    def _grant(self, permit: Permit) -> None:
        """The run is answered in this very step; it may have asked without being told."""
        if permit.run_id not in self._watches:
            self._watch(permit.run, tell=False)
        self.tell(permit)

    def tell(self, permit: Permit) -> None:
        """A run that holds hears of it also here: its activity may die with the answer."""
        self._send(permit.run, GRANTED_SIGNAL, permit)

    def _call(self, run: RunRef) -> None:
        """Tell a run that it is next; from then on it is watched."""
        if run.run_id in self._watches:
            self._send(run, ON_DECK_SIGNAL, self.permits.gate)
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
        watch = Watch(run=run, gate=self.permits.gate, tell=tell)
        ended = await starts.watch(watch, self.rules.pace.times)
        if run.run_id not in self._watches:
            self.decide(WATCH_EVENTS)
        elif ended.is_clear:
            self.closed(run)
        else:
            del self._watches[run.run_id]
            await self._killed(run, ended)

    def closed(self, run: RunRef, *, calls: bool = True) -> None:
        """A run has closed in order, and left nothing; of no effect where that was told before."""
        if self._watches.pop(run.run_id, None) is not None:
            self.permits.withdraw(run.run_id)
            self.permits.release(run.run_id)
            self.decide(TURN_EVENTS, calls=calls)

    async def _killed(self, run: RunRef, ended: Ended) -> None:
        """What it left is cleared where it held; a run in its place waits for its turn."""
        permits = self.permits
        request = permits.request_of(run.run_id)
        permits.withdraw(run.run_id)
        if run.run_id in permits.held:
            since = permits.drain(run.run_id, workflow.now())
            self.decide()
            await starts.drain(run, ended.closed, self.rules.pace.times, since=since)
            permits.release(run.run_id)
        if ended.newer is not None and request is not None:
            self._succeeds(request.model_copy(update={"run_id": ended.newer}))
        self.decide(TURN_EVENTS)

    def _succeeds(self, request: SlotRequest) -> None:
        """A run in the place of a reset one waits: it may replay that it has asked already.

        Or it may have been reset to before a stage's gate, and not even hold the slot: there it is
        told, so that it asks if it is there, and nobody waits for it. Where it has asked by itself,
        it is there, and keeps its turn.
        """
        permits, has_come = self.permits, self.permits.speaks(request.run_id)
        self.queue([request])
        waits = permits.gate is not JOB_GATE and request.run_id in permits.queue
        if waits and not has_come and workflow.patched(NEWER_IS_ASIDE):
            permits.set_aside(request.run_id)
            self._call(request.run)
