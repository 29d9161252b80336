"""The semaphore's state: waiters in their order, and holders; what its next run gets, its rules,
and the results of its activities.

All of it is pure, so that it replays and can be tested in any order. The order is by priority, then
submission. Waiting raises a low priority, so none starves.
"""

import base64
import zlib
from bisect import bisect_left, insort
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, TypeAdapter

from .messages import (
    CAPACITY,
    Closed,
    Holder,
    HolderView,
    Message,
    Name,
    Recall,
    Seconds,
    SemaphoreSettings,
    SlotRequest,
    SlotView,
)

# An activity submits within a second of its fence. If the run has closed since, the submit has
# arrived after this.
DRAIN_HOLD_SECONDS = 3.0

# Some 10 events a grant. A new run begins long before the server asks for it, because a replay has
# to fit into a task's two seconds on a slow machine.
MAX_HISTORY = 1000

WATCH_RUN = "grant_and_watch"
FIND_JOBS = "find_jobs"
SEMAPHORE_RULES = "semaphore_rules"
# The keys of the stack's name, and of limit and pause, in the semaphore's memo.
MEMO_STACK, MEMO_SETTINGS = "stack", "settings"
# The quickest level of compression, because ids are random, so that more effort gains little.
LEVEL = 1
# As many bytes as the ids of `CAPACITY` waiters may have.
ID_LENGTH = 60
# The number that `GET /slots` lists.
VIEW_LENGTH = 1000
# Out of this range a request's key would put it before, or behind, all others.
NEAR = timedelta(days=366)
# A job that has waited this long counts as one priority higher than a new one.
AGEING_SECONDS = 600.0


_REQUESTS = TypeAdapter(tuple[SlotRequest, ...])


def pack(requests: tuple[SlotRequest, ...]) -> str:
    """Pack requests into a third of their size as JSON."""
    packed = zlib.compress(_REQUESTS.dump_json(requests, exclude_none=True), LEVEL)
    return base64.b64encode(packed).decode()


def unpack(value: object) -> object:
    """Unpack requests; return anything else unchanged, for the model to judge."""
    if not isinstance(value, str):
        return value
    return _REQUESTS.validate_json(zlib.decompress(base64.b64decode(value)))


Packed = Annotated[
    tuple[SlotRequest, ...],
    BeforeValidator(unpack),
    PlainSerializer(pack, return_type=str, when_used="json"),
]


class SemaphoreRules(Message):
    """The settings of the process for one run of the semaphore; read once and kept in its history.

    `max_history`: events, roughly, after which a new run begins, apart from those of its watches.
    `capacity`: how many may wait. `stack`: the owner's name, or empty. `recalls`: by semaphore, the
    activity that knows of runs that Temporal has forgotten. `ends_failing`: terminate a holder
    whose code fails for a minute.

    Time-outs in seconds: `watch_seconds` of the process at a watch (the next process restarts it at
    once), `beat_seconds` of the worker at a drain, `sticky_seconds` of the worker that has the run
    in its cache. `care_seconds`: between two rounds of the watchdog.
    """

    max_history: int = MAX_HISTORY
    capacity: int = CAPACITY
    stack: str = ""
    ends_failing: bool = False
    recalls: dict[str, Recall] = Field(default_factory=dict)
    watch_seconds: float = 60
    beat_seconds: float = 10
    sticky_seconds: float = 0.4
    care_seconds: float = 30


class Watch(Message):
    """Signal a permit to its run, then wait until that run closes."""

    name: Name
    holder: Holder


class Ended(Message):
    """How a watched run closed.

    `grace`: seconds for which its place is kept; 0 if it left nothing, None if its clean-up finds
    that out.
    """

    closed: Closed
    grace: Seconds | None


class SemaphoreState(Message):
    """Everything that a run of the semaphore begins with: from the run before, or rebuilt.

    Of a state with which a semaphore was started only the settings count, if no earlier run is
    known.
    """

    settings: SemaphoreSettings = SemaphoreSettings()
    next_token: int = 0
    holders: tuple[Holder, ...] = ()
    waiting: Packed = ()


class Found(SemaphoreState):
    """A rebuilt state.

    `is_new`: Temporal remembers no earlier run, so that the settings are those of the one that
    started the semaphore. `has_gap`: it may have forgotten the last run, so the records are read as
    well.
    """

    is_new: bool
    has_gap: bool = False


def turn(request: SlotRequest) -> tuple[float, str]:
    """Return the sort key of a request, smaller first.

    It never changes: the difference of two waits is constant, so ageing costs nothing.
    """
    submitted = request.requested_at.timestamp()
    return submitted + request.priority * AGEING_SECONDS, request.run_id


class Permits:
    """Waiters and holders, each a map of runs, never a counter."""

    def __init__(self, state: SemaphoreState, *, capacity: int = CAPACITY) -> None:
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
        # The queue has to fit into one payload, so longer ids fill it earlier.
        length = max(ID_LENGTH, len(request.job_id.encode()))
        if len(self.waiting) * length >= self.capacity * ID_LENGTH:
            return False
        self.waiting[request.run_id] = request
        insort(self._turns, turn(request))
        return True

    def knows(self, run_id: str) -> bool:
        return run_id in self.held or run_id in self.waiting

    def withdraw(self, run_id: str) -> None:
        if (request := self.waiting.pop(run_id, None)) is not None:
            del self._turns[bisect_left(self._turns, turn(request))]

    def can_grant(self) -> bool:
        has_room = len(self.held) < self.settings.limit
        return has_room and not self.settings.paused and bool(self.waiting)

    def grant(self, now: datetime) -> Holder:
        """Make the first waiter a holder, before anything is awaited."""
        return self.hold(self.waiting[self._turns[0][1]], now)

    def hold(self, request: SlotRequest, now: datetime) -> Holder:
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

    def view(self) -> SlotView:
        """Return what `GET /slots` shows."""
        return SlotView(
            limit=self.settings.limit,
            paused=self.settings.paused,
            holders=tuple(
                HolderView(**dict(each.run), **dict(each), draining=each.drain is not None)
                for each in self.held.values()
            ),
            waiting=tuple(each.job_id for each in self.queue(VIEW_LENGTH)),
            waiting_count=len(self.waiting),
            capacity=self.capacity,
        )
