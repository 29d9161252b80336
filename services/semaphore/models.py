"""What the semaphore carries from run to run, and what its activities return."""

from services.semaphore.packing import Packed
from shared.jobs.messages import Message
from shared.slot.messages import (
    CAPACITY,
    Closed,
    Holder,
    Permit,
    RunRef,
    SemaphoreSettings,
)
from shared.temporal.pace import Pace

# An activity submits within a second of the server's word that its run is open, and the run has
# closed since: after this the submit has arrived.
DRAIN_HOLD_SECONDS = 3.0

# Some 10 events a grant; a new run begins long before the server asks for it, because a replay has
# to fit into a task's two seconds on a slow machine.
MAX_HISTORY = 1000

WATCH_RUN = "grant_and_watch"
FIND_JOBS = "find_jobs"
SEMAPHORE_RULES = "semaphore_rules"


class SemaphoreRules(Message):
    """What the process sets for one run of the semaphore; read once and kept in its history.

    `max_history`: events, roughly, after which it begins a new run, beside those of its watches.
    `capacity`: how many may wait. `stack`: whose semaphore it is; empty without a name. `pace`: how
    soon it notices that its process, or the worker at a drain, is gone.
    """

    max_history: int = MAX_HISTORY
    capacity: int = CAPACITY
    stack: str = ""
    pace: Pace = Pace.FAST


class Watch(Message):
    """Signal a permit to its run, then wait until that run closes.

    `again`: an earlier watch may have signalled it before.
    """

    permit: Permit
    again: bool

    @property
    def run(self) -> RunRef:
        """The run that is watched."""
        return self.permit.run


class Ended(Message):
    """How a watched run closed; `granted`: it may have heard of its permit before."""

    closed: Closed
    granted: bool

    @property
    def is_clear(self) -> bool:
        """Whether the run left nothing to clear."""
        return self.closed is Closed.ORDERLY or not self.granted


class SemaphoreState(Message):
    """Everything a run of the semaphore hands to the next one."""

    settings: SemaphoreSettings = SemaphoreSettings()
    next_token: int = 0
    holders: tuple[Holder, ...] = ()
    waiting: Packed = ()


class Found(Message):
    """What Temporal knows: last settings, holders, and waiting runs.

    `remembered`: an earlier run of the semaphore was found. Without one, Temporal may have lost its
    memory, and the records are read as well.
    """

    settings: SemaphoreSettings
    holders: tuple[Holder, ...]
    waiting: Packed
    remembered: bool = True
