"""Waiters in their order, and holders; pure, so that it replays and can be tested in any order.

The order is by priority, then submission. Waiting raises a low priority, so none starves.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import datetime, timedelta

from .messages import (
    CAPACITY,
    Holder,
    HolderView,
    Release,
    SlotRequest,
    SlotView,
)
from .state import Ended, SemaphoreState

# The number that `GET /slots` lists.
VIEW_LENGTH = 1000
# Out of this range a request's key would put it before, or behind, all others.
NEAR = timedelta(days=366)
# A job that has waited this long counts as one priority higher than a new one.
AGEING_SECONDS = 600.0

Key = tuple[float, str]


def turn(request: SlotRequest) -> Key:
    """Return the sort key of a request, smaller first.

    It never changes: the difference of two waits is constant, so ageing costs nothing.
    """
    submitted = request.requested_at.timestamp()
    return submitted + request.priority * AGEING_SECONDS, request.run_id


class WaitingQueue:
    """The requests in their order; each run is in it once."""

    def __init__(self, requests: tuple[SlotRequest, ...] = ()) -> None:
        self._requests: dict[str, SlotRequest] = {}
        self._keys: list[Key] = []
        for request in requests:
            self.add(request)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[SlotRequest]:
        return (self._requests[run_id] for _, run_id in self._keys)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._requests

    def add(self, request: SlotRequest) -> None:
        """Insert a request at its place; a repeat changes nothing."""
        if request.run_id not in self._requests:
            self._requests[request.run_id] = request
            insort(self._keys, turn(request))

    def remove(self, run_id: str) -> None:
        """Remove a run, if it is there."""
        request = self._requests.pop(run_id, None)
        if request is not None:
            del self._keys[bisect_left(self._keys, turn(request))]

    def pop(self) -> SlotRequest:
        """Remove and return the first; raise IndexError if nobody waits."""
        _, run_id = self._keys.pop(0)
        return self._requests.pop(run_id)

    def first(self, count: int) -> tuple[str, ...]:
        """Return the job ids of the first `count`, in order."""
        return tuple(self._requests[run_id].job_id for _, run_id in self._keys[:count])


class Permits:
    """Waiters and holders. Holders are a map of runs, never a counter."""

    def __init__(self, state: SemaphoreState, name: str, *, capacity: int = CAPACITY) -> None:
        self.name = name
        self.capacity = capacity
        self.settings = state.settings
        self.next_token = state.next_token
        self.held = {holder.request.run_id: holder for holder in state.holders}
        self.queue = WaitingQueue(state.waiting)

    def state(self) -> SemaphoreState:
        """Return the state for the semaphore's next run."""
        return SemaphoreState(
            settings=self.settings,
            next_token=self.next_token,
            holders=tuple(self.held.values()),
            waiting=tuple(self.queue),
        )

    def request(self, request: SlotRequest, now: datetime) -> bool:
        """Add a waiter, unless the run already waits or holds; return False if the queue is
        full."""
        if self.knows(request.run_id) or abs(request.requested_at - now) > NEAR:
            return True
        if len(self.queue) >= self.capacity:
            return False
        self.queue.add(request)
        return True

    def knows(self, run_id: str) -> bool:
        """True if a run holds or waits."""
        return run_id in self.held or run_id in self.queue

    def withdraw(self, run_id: str) -> None:
        """Remove a run from the queue."""
        self.queue.remove(run_id)

    def can_grant(self) -> bool:
        """True if a place is free and a run waits for it."""
        has_room = len(self.held) < self.settings.limit
        return has_room and not self.settings.paused and len(self.queue) > 0

    def grant(self, now: datetime) -> Holder:
        """Make the first waiter a holder, before anything is awaited."""
        request = self.queue.pop()
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

    def release(self, run_id: str) -> bool:
        """Free a place; return False if the run holds none."""
        return self.held.pop(run_id, None) is not None

    def returned(self, release: Release) -> bool:
        """True if a run gives back the permit that it holds, and not an earlier one."""
        holder = self.held.get(release.run_id)
        return holder is not None and holder.drain is None and holder.token == release.token

    def view(self) -> SlotView:
        """Return what `GET /slots` shows."""
        return SlotView(
            limit=self.settings.limit,
            paused=self.settings.paused,
            holders=tuple(map(_holder_view, self.held.values())),
            waiting=self.queue.first(VIEW_LENGTH),
            waiting_count=len(self.queue),
            capacity=self.capacity,
        )


def _holder_view(holder: Holder) -> HolderView:
    return HolderView(
        job_id=holder.request.job_id,
        run_id=holder.request.run_id,
        token=holder.token,
        since=holder.since,
        draining=holder.drain is not None,
        drains_since=holder.drains_since,
        drains_until=holder.drains_until,
    )
