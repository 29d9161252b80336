"""Who waits, in which order, and who holds; pure, so that it replays and can be tried in any order.

By priority, then submission; waiting raises a low priority, none starves.
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

# As many as `GET /slots` lists.
VIEW_LENGTH = 1000
# A request of another time than ours is nobody's: its key would put it before, or behind, all.
NEAR = timedelta(days=366)
# A job that has waited this long counts as one priority higher than a newcomer's.
AGEING_SECONDS = 600.0

Key = tuple[float, str]


def turn(request: SlotRequest) -> Key:
    """The key of a request's turn, smaller first. Fixed for good, so that ageing costs nothing:
    between two requests the difference of their waits never changes."""
    submitted = request.requested_at.timestamp()
    return submitted + request.priority * AGEING_SECONDS, request.run_id


class WaitingQueue:
    """The requests in the order of their turn; each run stands in it once."""

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
        """Put a request in its place; a repeat changes nothing."""
        if request.run_id not in self._requests:
            self._requests[request.run_id] = request
            insort(self._keys, turn(request))

    def remove(self, run_id: str) -> None:
        """Take a run out, if it is there."""
        request = self._requests.pop(run_id, None)
        if request is not None:
            del self._keys[bisect_left(self._keys, turn(request))]

    def pop(self) -> SlotRequest:
        """Take out the first; IndexError where nobody waits."""
        _, run_id = self._keys.pop(0)
        return self._requests.pop(run_id)

    def first(self, count: int) -> tuple[str, ...]:
        """The job ids of the next `count`, in order."""
        return tuple(self._requests[run_id].job_id for _, run_id in self._keys[:count])


class Permits:
    """A run waits, holds or drains. What is held is a map of runs, never a counter."""

    def __init__(self, state: SemaphoreState, name: str, *, capacity: int = CAPACITY) -> None:
        self.name = name
        self.capacity = capacity
        self.settings = state.settings
        self.next_token = state.next_token
        self.held = {holder.request.run_id: holder for holder in state.holders}
        self.queue = WaitingQueue(state.waiting)

    def state(self) -> SemaphoreState:
        """All of it, for the semaphore's next run."""
        return SemaphoreState(
            settings=self.settings,
            next_token=self.next_token,
            holders=tuple(self.held.values()),
            waiting=tuple(self.queue),
        )

    def request(self, request: SlotRequest, now: datetime) -> bool:
        """Let a run wait; it counts once, whatever it is already. False: the queue is full."""
        if self.knows(request.run_id) or abs(request.requested_at - now) > NEAR:
            return True
        if len(self.queue) >= self.capacity:
            return False
        self.queue.add(request)
        return True

    def knows(self, run_id: str) -> bool:
        """Whether a run holds or waits."""
        return run_id in self.held or run_id in self.queue

    def withdraw(self, run_id: str) -> None:
        """Take a run out of the queue."""
        self.queue.remove(run_id)

    def can_grant(self) -> bool:
        """Whether a place is free and a run waits for it."""
        has_room = len(self.held) < self.settings.limit
        return has_room and not self.settings.paused and len(self.queue) > 0

    def grant(self, now: datetime) -> Holder:
        """Give a place to the first of the queue: it is a holder before anything is awaited."""
        request = self.queue.pop()
        holder = Holder(request=request, token=self.next_token, since=now)
        self.next_token += 1
        self.held[request.run_id] = holder
        return holder

    def drain(self, run_id: str, ended: Ended, now: datetime) -> Holder:
        """A run has left something, or may have: it keeps its place until that is cleared."""
        until = None if ended.grace is None else now + timedelta(seconds=ended.grace)
        change = {"drain": ended.closed, "drains_since": now, "drains_until": until}
        self.held[run_id] = self.held[run_id].model_copy(update=change)
        return self.held[run_id]

    def release(self, run_id: str) -> bool:
        """Take a place back; False where the run holds none."""
        return self.held.pop(run_id, None) is not None

    def returned(self, release: Release) -> bool:
        """Whether a run gives back the permit that it holds, and not an earlier one."""
        holder = self.held.get(release.run_id)
        return holder is not None and holder.drain is None and holder.token == release.token

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
