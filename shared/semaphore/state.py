"""What the semaphore carries from run to run, and what its activities return.

The waiting requests are packed, each value under its field's name: a payload may have 2 MiB, and a
queue is long.
"""

import base64
import json
import zlib
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

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

# An activity submits within a second of the server's word that its run is open, and the run has
# closed since: after this the submit has arrived.
DRAIN_HOLD_SECONDS = 3.0

# Some 10 events a grant; a new run begins long before the server asks for it, because a replay has
# to fit into a task's two seconds on a slow machine.
MAX_HISTORY = 1000

WATCH_RUN = "grant_and_watch"
FIND_JOBS = "find_jobs"
SEMAPHORE_RULES = "semaphore_rules"
# What the semaphore's memo calls the stack that it belongs to.
MEMO_STACK = "stack"
# The quickest level; ids are random, so that more effort gains little.
LEVEL = 1


def pack(requests: tuple[SlotRequest, ...]) -> str:
    """A third of the size that the requests have as JSON."""
    rows = [list(request.model_dump(mode="json").values()) for request in requests]
    return packed({"names": list(SlotRequest.model_fields), "rows": rows})


def packed(table: object) -> str:
    """A table in the form in which it is handed on."""
    return base64.b64encode(zlib.compress(json.dumps(table).encode(), LEVEL)).decode()


def unpack(value: object) -> object:
    """What `pack` made, as requests; anything else as it is, for the model to judge."""
    if not isinstance(value, str):
        return value
    table = json.loads(zlib.decompress(base64.b64decode(value)))
    rows = (dict(zip(table["names"], row, strict=True)) for row in table["rows"])
    return tuple(map(SlotRequest.model_validate, rows))


Packed = Annotated[
    tuple[SlotRequest, ...],
    BeforeValidator(unpack),
    PlainSerializer(pack, return_type=str, when_used="json"),
]


class SemaphoreRules(Message):
    """What the process sets for one run of the semaphore; read once and kept in its history.

    `max_history`: events, roughly, after which it begins a new run, beside those of its watches.
    `capacity`: how many may wait. `stack`: whose semaphore it is; empty without a name.
    `recalls`: by name of a semaphore, who knows of runs that Temporal has forgotten.
    `ends_failing`: whether a holder whose code fails for a minute is terminated. Silences in
    seconds: `watch_seconds` of its process at a watch, which the next process begins anew at
    once; `beat_seconds` of the worker at a drain; `sticky_seconds` of the worker that knows it.
    `care_seconds` from one look for failing code to the next, `look_seconds` for forgotten runs.
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
    """Signal a permit to its run, then wait until that run closes.

    `again`: an earlier watch may have signalled it before.
    """

    name: Name
    holder: Holder
    again: bool

    @property
    def permit(self) -> Permit:
        """What is signalled."""
        return Permit(name=self.name, token=self.holder.token, **self.run.model_dump())

    @property
    def run(self) -> RunRef:
        """The run that is watched."""
        return self.holder.run


class Ended(Message):
    """How a watched run closed; `granted`: it may have heard of its permit before.

    `grace`: seconds for which its activities may run on; None where a clean-up finds that out.
    """

    closed: Closed
    granted: bool
    grace: Seconds | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the run left nothing to clear."""
        return (
            not self.granted
            or self.grace == 0
            or (self.grace is None and self.closed is Closed.ORDERLY)
        )


class SemaphoreState(Message):
    """Everything a run of the semaphore hands to the next one. `is_new`: of the first one, whose
    settings hold unless Temporal remembers others."""

    is_new: bool = False

    settings: SemaphoreSettings = SemaphoreSettings()
    next_token: int = 0
    holders: tuple[Holder, ...] = ()
    waiting: Packed = ()


class Found(Message):
    """What Temporal knows: last settings, holders, and waiting runs.

    `remembered`: an earlier run of the semaphore was found. Without one, Temporal may have lost its
    memory, and the records are read as well.
    """

    settings: SemaphoreSettings | None
    holders: tuple[Holder, ...]
    waiting: Packed
    remembered: bool = True
