"""What the keeper carries from run to run, and what its activities tell it."""

from services.keeper.packing import Packed
from shared.messages import Message
from shared.slots import CAPACITY, Armed, Holder, KeeperSettings, Permit
from shared.watching import Closed

# The activities of a killed job act until their next heartbeat (2 s), and 1 s more.
DRAIN_HOLD_SECONDS = 3.0

# Eight events a grant; a new run begins long before the server asks for it, to keep replay quick.
MAX_HISTORY = 2000

GRANT_AND_WATCH = "grant_and_watch"
FIND_JOBS = "find_jobs"
KEEPER_RULES = "keeper_rules"


class KeeperRules(Message):
    """What the process sets for one run of the keeper; read once and kept in its history.

    `max_history`: events after which it begins a new run, beside those that its watches cost.
    `capacity`: how many may wait.
    """

    max_history: int = MAX_HISTORY
    capacity: int = CAPACITY


class Watch(Message):
    """Tell a run its permit and wait until it closes; `fresh`: it can't have acted before."""

    permit: Permit
    fresh: bool


class Ended(Message):
    """How a watched run closed.

    `gone`: before it was ever told, so that it left nothing behind; `newer`: the run that goes on
    in its place, since the job was reset.
    """

    closed: Closed
    gone: bool = False
    newer: str | None = None

    @property
    def orderly(self) -> bool:
        return self.closed is Closed.ORDERLY

    @property
    def is_clear(self) -> bool:
        return self.orderly or self.gone


class KeeperState(Message):
    """Everything a run of the keeper hands to the next one."""

    settings: KeeperSettings = KeeperSettings()
    next_token: int = 0
    holders: tuple[Holder, ...] = ()
    armed: tuple[Armed, ...] = ()
    waiting: Packed = ()


class Found(Message):
    """What Temporal knows of the jobs with a permit or without, and of the last settings."""

    settings: KeeperSettings
    holders: tuple[Holder, ...]
    armed: tuple[Armed, ...]
    waiting: Packed
