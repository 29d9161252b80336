"""Waiters in their order, and holders; pure, so that it replays and can be tested in any order.

The order is by priority, then submission. Waiting raises a low priority, so none starves.
"""

from bisect import bisect_left, insort
from datetime import datetime, timedelta

from .messages import CAPACITY, Holder, HolderView, Permit, SlotRequest, SlotView
from .state import Ended, SemaphoreState

# The number that `GET /slots` lists.
VIEW_LENGTH = 1000
# Out of this range a request's key would put it before, or behind, all others.
NEAR = timedelta(days=366)
# A job that has waited this long counts as one priority higher than a new one.
AGEING_SECONDS = 600.0


def turn(request: SlotRequest) -> tuple[float, str]:
    """Return the sort key of a request, smaller first.

    It never changes: the difference of two waits is constant, so ageing costs nothing.
    """
    submitted = request.requested_at.timestamp()
    return submitted + request.priority * AGEING_SECONDS, request.run_id


class Permits:
    """Waiters and holders, each a map of runs, never a counter."""

    def __init__(self, state: SemaphoreState, name: str, *, capacity: int = CAPACITY) -> None:
        self.name = name
        self.capacity = capacity
        self.settings = state.settings
        self.next_token = state.next_token
        self.held = {holder.run.run_id: holder for holder in state.holders}
        self.waiting = {request.run_id: request for request in state.waiting}
        self._turns = sorted(map(turn, self.waiting.values()))

    def state(self) -> SemaphoreState:
        """Return the state for the semaphore's next run."""
        return SemaphoreState(
            settings=self.settings,
            next_token=self.next_token,
            holders=tuple(self.held.values()),
            waiting=self.queue(),
        )

    def queue(self, length: int | None = None) -> tuple[SlotRequest, ...]:
        """Return the waiters in order, or the first ones."""
        return tuple(self.waiting[run_id] for _, run_id in self._turns[:length])

    def request(self, request: SlotRequest, now: datetime) -> bool:
        """Add a waiter, unless the run already waits or holds; return False if the queue is
        full."""
        if self.knows(request.run_id) or abs(request.requested_at - now) > NEAR:
            return True
        if len(self.waiting) >= self.capacity:
            return False
        self.waiting[request.run_id] = request
        insort(self._turns, turn(request))
        return True

    def knows(self, run_id: str) -> bool:
        """True if a run holds or waits."""
        return run_id in self.held or run_id in self.waiting

    def withdraw(self, run_id: str) -> None:
        """Remove a run from the queue, if it is there."""
        if (request := self.waiting.pop(run_id, None)) is not None:
            del self._turns[bisect_left(self._turns, turn(request))]

    def can_grant(self) -> bool:
        """True if a place is free and a run waits for it."""
        has_room = len(self.held) < self.settings.limit
        return has_room and not self.settings.paused and bool(self.waiting)

    def grant(self, now: datetime) -> Holder:
        """Make the first waiter a holder, before anything is awaited."""
        return self.hold(self.waiting[self._turns[0][1]], now)

    def hold(self, request: SlotRequest, now: datetime) -> Holder:
        """Make a run a holder."""
        self.withdraw(request.run_id)
        holder = Holder(request=request, token=self.next_token, since=now)
        self.next_token += 1
        self.held[request.run_id] = holder
        return holder

    def drain(self, run_id: str, ended: Ended, now: datetime) -> Holder:
        """Keep the place of a closed run that may have left something, until it is cleared."""
        until = None if ended.grace is None else now + timedelta(seconds=ended.grace)
        change = {"drain": ended.closed, "drains_since": now, "drains_until": until}
        self.held[run_id] = self.held[run_id].model_copy(update=change)
        return self.held[run_id]

    def is_held(self, permit: Permit) -> bool:
        """True if its run holds this permit, and not a later one, and has not closed."""
        holder = self.held.get(permit.run_id)
        return holder is not None and holder.drain is None and holder.token == permit.token

    def view(self) -> SlotView:
        """Return what `GET /slots` shows."""
        return SlotView(
            limit=self.settings.limit,
            paused=self.settings.paused,
            holders=tuple(
                HolderView(
                    job_id=each.run.job_id,
                    run_id=each.run.run_id,
                    token=each.token,
                    since=each.since,
                    draining=each.drain is not None,
                    drains_since=each.drains_since,
                    drains_until=each.drains_until,
                )
                for each in self.held.values()
            ),
            waiting=tuple(each.job_id for each in self.queue(VIEW_LENGTH)),
            waiting_count=len(self.waiting),
            capacity=self.capacity,
        )
