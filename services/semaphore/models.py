"""What the semaphore carries from run to run, and what its activities tell it."""

from services.semaphore.packing import Packed
from shared.jobs.messages import Message
from shared.slot.messages import CAPACITY, Closed, Gate, Holder, RunRef, SemaphoreSettings
from shared.temporal.pace import Pace

# What an activity of a killed job submits it has asked the semaphore for in the second before, and
# nothing after the job's close: in this time it has arrived.
DRAIN_HOLD_SECONDS = 3.0

# Some 29 events a grant; a new run begins long before the server asks for it: a replay has to fit
# into a task's two seconds on a machine that has little time for it.
MAX_HISTORY = 500

WATCH_RUN = "watch_run"
FIND_JOBS = "find_jobs"
SEMAPHORE_RULES = "semaphore_rules"
RUN_CLOSED_UPDATE = "run_closed"

# Who is next and does not ask for a free place is passed over after this: its worker is dead, or
# its code fails.
ASK_PATIENCE_SECONDS = 60.0


class SemaphoreRules(Message):
    """What the process sets for one run of the semaphore; read once and kept in its history.

    `max_history`: events, roughly, after which it begins a new run, beside those of its watches.
    `capacity`: how many may wait. `ask_patience`: seconds for which a free place waits for whoever
    is next. `stack`: whose semaphore it is; empty where nobody said. `pace`: how soon it notices
    that its process, or the worker at a clean-up, is gone.
    """

    max_history: int = MAX_HISTORY
    capacity: int = CAPACITY
    ask_patience: float = ASK_PATIENCE_SECONDS
    stack: str = ""
    pace: Pace = Pace.FAST


class Watch(Message):
    """Wait until a run closes, and first `tell` it that it is next at the gate."""

    run: RunRef
    gate: Gate
    tell: bool


class Ended(Message):
    """How a watched run closed; `newer`: the run that goes on in its place after a reset."""

    closed: Closed
    newer: str | None = None

    @property
    def is_clear(self) -> bool:
        return self.closed is Closed.ORDERLY


class SemaphoreState(Message):
    """Everything a run of the semaphore hands to the next one.

    `silent`: the first of the runs that were passed over.
    """

    settings: SemaphoreSettings = SemaphoreSettings()
    next_token: int = 0
    holders: tuple[Holder, ...] = ()
    waiting: Packed = ()
    silent: tuple[str, ...] = ()


class Found(Message):
    """What Temporal knows of the jobs with a permit or without, and of the last settings."""

    settings: SemaphoreSettings
    holders: tuple[Holder, ...]
    waiting: Packed
