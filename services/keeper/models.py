"""What the keeper carries from run to run, and what its activities tell it."""

from enum import StrEnum

from shared.messages import Message
from shared.slots import Holder, KeeperSettings, Permit, SlotRequest

GRANT_AND_WATCH = "grant_and_watch"
FIND_JOBS = "find_jobs"


class Closed(StrEnum):
    """How a holder's run closed."""

    ORDERLY = "orderly"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"


class Watch(Message):
    """Grant the permit and wait for its run to close; `fresh`: it can't have acted on it before."""

    permit: Permit
    fresh: bool


class KeeperState(Message):
    """Everything a run of the keeper hands to the next one."""

    settings: KeeperSettings = KeeperSettings()
    next_token: int
    holders: tuple[Holder, ...] = ()
    waiting: tuple[SlotRequest, ...] = ()


class Found(Message):
    """What Temporal knows of the running jobs and of the keeper's last settings."""

    settings: KeeperSettings
    holders: tuple[Holder, ...]
    waiting: tuple[SlotRequest, ...]
