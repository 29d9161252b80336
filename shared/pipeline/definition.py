"""What a pipeline is, as data: its name, its stages in order, what a job is started with.

Every service may import a definition: it opens nothing and reads no setting.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, StringConstraints

from shared.pipeline.callbacks import Reader
from shared.semaphore.messages import DEFAULT_PRIORITY, CleanUp, Message, Wait, memo_of

STAGE_PATTERN = "[a-z][a-z0-9_]{0,30}"
StageName = Annotated[str, StringConstraints(pattern=f"^{STAGE_PATTERN}$")]
# Activities that each worker of a pipeline has, in its own task queue.
DRAIN_ACTIVITY = "drain_job"
OPEN_RECORDS_ACTIVITY = "open_records"

# A control character would break log lines and visibility queries.
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
Tag = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE)]
Priority = Annotated[int, Field(ge=1, le=5, strict=True)]


class JobInput(Message):
    """What a job of any pipeline is started with. Priority 1 is served first, 5 last, as with
    Temporal."""

    tag: Tag | None = None
    priority: Priority = DEFAULT_PRIORITY

    @property
    def title(self) -> str:
        """What the job is to make, in the words of its user."""
        return ""

    @property
    def details(self) -> str:
        """What Temporal's UI says of the job; its text is Markdown, and so no title is in it."""
        return f"Its priority is {self.priority}, where 1 goes first."


@dataclass(frozen=True)
class FileKind:
    """How a result is stored. `name`: by Pillow's and FFmpeg's names, such as `PNG`."""

    name: str
    suffix: str
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One part of a job, whose result is one file; times are in seconds.

    `vendor`: the role of the vendor that makes it; two stages may have the same one. `deadline`: of
    the vendor's work, after which it is late; `give_up`: in all. `lost`: how long the vendor may
    deny what it has accepted; `address`: how long it may withhold where the result is. `poll`:
    between two polls, if a callback ends the wait as well.
    `callback`: the vendor reports the end to `/callback/` and this word, beside being polled; empty
    where it does not. `points`: a percent is reported when it has risen by so many, because each
    report costs history. The semaphore of the stage's name is its gate, if the worker's settings
    say so.
    """

    name: str
    file: FileKind
    vendor: str
    deadline: float
    give_up: float
    lost: float = 60
    address: float = 60
    poll: float = 2
    callback: str = ""
    points: int = 51

    def __post_init__(self) -> None:
        if not re.fullmatch(STAGE_PATTERN, self.name):
            raise ValueError(f"no name of a stage: {self.name!r} is not {STAGE_PATTERN}")

    @property
    def called_back(self) -> bool:
        """Whether its vendor reports the end."""
        return bool(self.callback)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A pipeline as the services outside its worker know it.

    `name`: also its task queue. `workflow`: the type of its workflow. `done`: the signal which
    tells that a stage that is called back has ended. `readers`: how the bodies of callbacks are
    read, by the last part of their address. `slot`: the semaphore that each job holds from its
    grant to its close; pipelines may share one.
    """

    name: str
    workflow: str
    input: type[JobInput]
    stages: tuple[Stage, ...]
    done: str = "stage_done"
    readers: Mapping[str, Reader] = field(default_factory=dict)
    slot: str = "job"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its stages, in order."""
        return tuple(stage.name for stage in self.stages)

    def stage(self, name: str) -> Stage:
        """The stage of this name; KeyError if there is none."""
        return {stage.name: stage for stage in self.stages}[name]

    @property
    def clean_up(self) -> CleanUp:
        """What clears up after a job that was closed from outside."""
        return CleanUp(task_queue=self.name, activity=DRAIN_ACTIVITY)

    def memo(self, priority: int) -> dict[str, object]:
        """What marks a job, from its start, as one that waits for the slot."""
        return memo_of(self.slot, Wait(priority=priority, clean_up=self.clean_up))

    def attempts(self) -> dict[str, int]:
        """The counts of a job that has begun no attempt."""
        return dict.fromkeys(self.names, 0)
