"""The state that the semaphore hands to its next run, and the results of its activities.

The waiting requests are packed, because a payload may have 2 MiB, and a queue is long.
"""

import base64
import zlib
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, TypeAdapter

from .messages import (
    CAPACITY,
    Closed,
    Holder,
    Message,
    Name,
    Permit,
    Recall,
    RunRef,
    Seconds,
    SemaphoreSettings,
    SlotRequest,
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
# The quickest level, because ids are random, so that more effort gains little.
LEVEL = 1


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
    in its cache. `care_seconds` and `look_seconds`: between two checks for failing code, and for
    forgotten runs.
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
    look_seconds: float = 120


class Watch(Message):
    """Signal a permit to its run, then wait until that run closes."""

    name: Name
    holder: Holder

    @property
    def permit(self) -> Permit:
        """The permit to signal."""
        return Permit(name=self.name, token=self.holder.token, **self.run.model_dump())

    @property
    def run(self) -> RunRef:
        """The watched run."""
        return self.holder.run


class Ended(Message):
    """How a watched run closed.

    `grace`: seconds for which its place is kept; 0 if it left nothing, None if its clean-up finds
    that out.
    """

    closed: Closed
    grace: Seconds | None


class SemaphoreState(Message):
    """Everything that a run of the semaphore begins with: from the run before, or rebuilt.

    `is_new`: Temporal remembers no earlier run, so that the settings are those of the one that
    started the semaphore. Temporal may have lost its database, so the records are read as well.
    """

    is_new: bool = False
    settings: SemaphoreSettings = SemaphoreSettings()
    next_token: int = 0
    holders: tuple[Holder, ...] = ()
    waiting: Packed = ()


class Found(SemaphoreState):
    """A rebuilt state; an operator's completion without these fields is invalid."""

    is_new: bool
    next_token: int
    holders: tuple[Holder, ...]
    waiting: Packed
