"""The slot's places as a pure state machine: a run waits, holds, or is drained."""

from datetime import datetime
from itertools import islice

from services.semaphore.deterministic.queue import WaitingQueue
from services.semaphore.models import SemaphoreState
from shared.slot.messages import (
    CAPACITY,
    JOB_GATE,
    NO_FENCE,
    Acquire,
    Fence,
    Gate,
    Holder,
    HolderView,
    Permit,
    Release,
    RunRef,
    SlotRequest,
    SlotView,
)

VIEW_LENGTH = 1000
# As many may be next at once; the server lets a workflow have ten updates in flight.
MAX_ON_DECK = 8
# Of those who were passed over, so many stay so in the next run, which watches each of them.
MAX_SILENT = 100


class Permits:
    """What is held is a map of runs, never a counter; being next gives no right."""

    def __init__(
        self, state: SemaphoreState, gate: Gate = JOB_GATE, *, capacity: int = CAPACITY
    ) -> None:
        self.gate = gate
        self.capacity = capacity
        self.settings = state.settings
        self.next_token = state.next_token
        self.held = {holder.request.run_id: holder for holder in state.holders}
        self.queue = WaitingQueue(state.waiting)
        # Of those who wait: who was told to be next, who asks now, who was next and never asked.
        self._told: set[str] = set()
        self._asking: dict[str, Acquire] = {}
        self._silent = set(state.silent)

    def state(self) -> SemaphoreState:
        """All of it, for the semaphore's next run."""
        return SemaphoreState(
            settings=self.settings,
            next_token=self.next_token,
            holders=tuple(self.held.values()),
            waiting=tuple(self.queue),
            silent=tuple(run.run_id for run in self.silent()[:MAX_SILENT]),
        )

    def request(self, request: SlotRequest) -> bool:
        """A run waits; it counts once, whatever it is already. False: there is no room for it.

        One that waits and asks to wait once more doesn't know that it is next, whatever it was told
        before: it has used that up elsewhere, after a reset say.
        """
        if self.knows(request.run_id):
            if request.run_id not in self._asking:
                self._forget(request.run_id)
            return True
        if len(self.queue) >= self.capacity:
            return False
        self.queue.add(request)
        return True

    def knows(self, run_id: str) -> bool:
        """Whether a run holds or waits."""
        return run_id in self.held or run_id in self.queue

    def speaks(self, run_id: str) -> bool:
        """Whether a run holds or waits, and is not passed over."""
        return self.knows(run_id) and run_id not in self._silent

    def withdraw(self, run_id: str) -> None:
        """A run that waits gives up, or has closed."""
        self.queue.remove(run_id)
        self._forget(run_id)

    def _forget(self, run_id: str) -> None:
        self._told.discard(run_id)
        self._silent.discard(run_id)
        self._asking.pop(run_id, None)

    def heard(self, run_id: str) -> Fence:
        """The highest fence by which a run has asked."""
        if holder := self.held.get(run_id):
            return holder.fence
        asking = self._asking.get(run_id)
        return asking.fence if asking else NO_FENCE

    def ask(self, ask: Acquire) -> None:
        """A try asks for the permit of its run.

        A run that nobody knew waits from now on, and is answered when it was told that it is next:
        it may have closed, and a try of it that was frozen asks.
        """
        run_id = ask.request.run_id
        if ask.fence < self.heard(run_id):
            return
        if holder := self.held.get(run_id):
            self.held[run_id] = _asked_again(holder, ask)
        elif run_id in self.queue:
            self._silent.discard(run_id)
            self._asking[run_id] = ask
        else:
            self.request(ask.request)

    def is_decided(self, ask: Acquire) -> bool:
        """Whether `permit_for` has an answer for good: the permit, or to wait to be told."""
        asking = self._asking.get(ask.request.run_id)
        return asking is None or asking.fence != ask.fence or not self._is_on_deck(ask)

    def _is_on_deck(self, ask: Acquire) -> bool:
        return ask.request.run_id in {request.run_id for request in self._deck()}

    def permit_for(self, ask: Acquire) -> Permit | None:
        """The permit of the run, if it holds and no later try of it has asked."""
        run_id = ask.request.run_id
        holder = self.held.get(run_id)
        if holder is not None:
            valid = not holder.draining and holder.fence == ask.fence
            return permit_of(holder, gate=self.gate) if valid else None
        if self._asking.get(run_id) is ask:
            # Whoever is sent away has to be told when it is next.
            self._told.discard(run_id)
            del self._asking[run_id]
        return None

    def is_first(self, ask: Acquire) -> bool:
        """Whether no earlier try of the generation has been answered yes."""
        holder = self.held.get(ask.request.run_id)
        return holder is not None and holder.began == ask.fence

    def has_next(self) -> bool:
        """Whether `next_permit` has something to grant: a free place, and who is next asks."""
        return self._next() is not None

    def next_permit(self, now: datetime) -> Permit:
        """Grant a place to whose turn it is: noted before anybody is answered."""
        ask = self._next()
        if ask is None:
            raise LookupError("there is no place to grant")
        self.withdraw(ask.request.run_id)
        holder = Holder(
            request=ask.request,
            token=self.next_token,
            since=now,
            fence=ask.fence,
            began=ask.fence,
            holds_seconds=ask.holds_seconds,
        )
        self.next_token += 1
        self.held[ask.request.run_id] = holder
        return permit_of(holder, gate=self.gate)

    def _next(self) -> Acquire | None:
        asks = (self._asking.get(request.run_id) for request in self._invited())
        return next((ask for ask in asks if ask is not None), None)

    def _invited(self) -> list[SlotRequest]:
        """Those for whom a place is free even if all before them take theirs."""
        free = 0 if self.settings.paused else self.settings.limit - len(self.held)
        return self._deck()[: max(0, free)]

    def _deck(self) -> list[SlotRequest]:
        """Who is next, in order; who was and did not ask is passed over until it does."""
        speaking = (request for request in self.queue if request.run_id not in self._silent)
        return list(islice(speaking, self.most_on_deck()))

    def most_on_deck(self) -> int:
        """So many may be next, and ask, at once."""
        return min(self.settings.limit, MAX_ON_DECK)

    def to_tell(self) -> list[RunRef]:
        """Who is next and was not told yet: noted as told."""
        deck = self._deck()
        fresh = [request.run for request in deck if request.run_id not in self._told]
        # Who was overtaken is told again when it is next again.
        self._told = {request.run_id for request in deck}
        return fresh

    def awaited(self) -> set[str]:
        """The runs for whom a place is free, and who do not ask for it."""
        return {request.run_id for request in self._invited()} - self._asking.keys()

    def pass_over(self, run_ids: set[str]) -> None:
        """Who is next and keeps silent lets others be next until it asks."""
        self._silent |= run_ids & self.awaited()

    def set_aside(self, run_id: str) -> None:
        """Who waits, but may not have come so far, lets others be next until it asks."""
        self._silent.add(run_id)

    def silent(self) -> list[RunRef]:
        """Who is passed over, in the order of their turn."""
        return [each.run for each in self.queue if each.run_id in self._silent]

    def drain(self, run_id: str, now: datetime) -> datetime:
        """A run was closed from outside; it keeps its place until its leftovers are cleared.

        Since when that is known: an earlier run of the semaphore may have begun to clear them.
        """
        holder = self.held[run_id]
        since = holder.drains_since or now
        change = {"draining": True, "drains_since": since}
        self.held[run_id] = holder.model_copy(update=change)
        return since

    def release(self, run_id: str) -> None:
        """Nothing of this run acts any more."""
        self.held.pop(run_id, None)

    def request_of(self, run_id: str) -> SlotRequest | None:
        """What a run that holds or waits had asked for."""
        holder = self.held.get(run_id)
        return holder.request if holder else self.queue.get(run_id)

    def overdue(self, now: datetime) -> list[RunRef]:
        """Who has held for too long."""
        held = self.held.values()
        return [each.run for each in held if each.ends_at < now and not each.draining]

    def give_back(self, release: Release) -> bool:
        """A run has passed; False where it holds no permit of this token, or no more."""
        holder = self.held.get(release.run_id)
        if holder is None or holder.draining or holder.token != release.token:
            return False
        del self.held[release.run_id]
        return True

    def view(self) -> SlotView:
        """What `GET /slots` shows."""
        return SlotView(
            limit=self.settings.limit,
            paused=self.settings.paused,
            holders=tuple(map(_holder_view, self.held.values())),
            waiting=self.queue.first(VIEW_LENGTH),
            waiting_count=len(self.queue),
            capacity=self.capacity,
        )


def _asked_again(holder: Holder, ask: Acquire) -> Holder:
    """A rebuilt semaphore does not know which generation a holder had come to."""
    is_new = holder.fence != NO_FENCE and holder.fence[:2] != ask.fence[:2]
    change = {
        "fence": ask.fence,
        "began": ask.fence if is_new else holder.began,
        "holds_seconds": ask.holds_seconds,
    }
    return holder.model_copy(update=change)


def permit_of(holder: Holder, *, gate: Gate) -> Permit:
    """The permit that a holder has."""
    request = holder.request
    return Permit(gate=gate, job_id=request.job_id, run_id=request.run_id, token=holder.token)


def _holder_view(holder: Holder) -> HolderView:
    return HolderView(
        job_id=holder.request.job_id,
        token=holder.token,
        since=holder.since,
        draining=holder.draining,
    )
