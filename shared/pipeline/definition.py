"""A pipeline as data: its name, its stages in order, its job's input.

Every service may import a definition: it opens nothing and reads no setting.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from shared.pipeline.callbacks import Reader
from shared.semaphore.messages import DEFAULT_PRIORITY, CleanUp, Message, Wait, memo_of

STAGE_PATTERN = "[a-z][a-z0-9_]{0,30}"
StageName = Annotated[str, StringConstraints(pattern=f"^{STAGE_PATTERN}$")]
# Activities that each worker of a pipeline has, on its own task queue.
DRAIN_ACTIVITY = "drain_job"
OPEN_RECORDS_ACTIVITY = "open_records"

# A control character would break log lines and visibility queries.
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
# Temporal's bound for a search attribute; as JSON an emoji has 12 bytes.
MOST_TAG_BYTES = 2048


def _is_searchable(tag: str) -> str:
    if len(json.dumps(tag)) > MOST_TAG_BYTES:
        raise ValueError("It has too many emoji or other rare characters.")
    return tag


Tag = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=PRINTABLE),
    AfterValidator(_is_searchable),
]
Priority = Annotated[int, Field(ge=1, le=5, strict=True)]


class JobInput(Message):
    """The input of a job of any pipeline. Priority 1 is served first, 5 last, as in Temporal."""

    tag: Tag | None = None
    priority: Priority = DEFAULT_PRIORITY

    @property
    def title(self) -> str:
        """What the job makes, in the user's words."""
        return ""

    @property
    def details(self) -> str:
        """The job's details in the Temporal UI; without the title, because the text is Markdown."""
        return f"Its priority is {self.priority}, and 1 is served first."


@dataclass(frozen=True)
class FileKind:
    """How a result is stored. `name`: by Pillow's and FFmpeg's names, such as `PNG`."""

    name: str
    suffix: str
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One part of a job, with one file as its result; times are in seconds.

    `vendor`: the role of its vendor; two stages may share one. `deadline`: of the vendor's work,
    after which it is late; `give_up`: in all. `lost`: how long the vendor may deny what it has
    accepted, or withhold the result's address. `poll`: between two polls,
    if a callback ends the wait as well. `callback`: the vendor reports the end to `/callback/` and
    this word, beside being polled; empty if it does not. `points`: the rise of percent that is
    reported, because each report costs history. The semaphore of the stage's name is its gate, if
    the worker's settings switch it on.
    """

    name: str
    file: FileKind
    vendor: str
    deadline: float
    give_up: float
    lost: float = 60
    poll: float = 2
    callback: str = ""
    points: int = 51

    def __post_init__(self) -> None:
        if not re.fullmatch(STAGE_PATTERN, self.name):
            raise ValueError(f"not a stage name: {self.name!r} is not {STAGE_PATTERN}")

    @property
    def called_back(self) -> bool:
        return bool(self.callback)


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A pipeline as the services outside its worker know it.

    `name`: also its task queue. `workflow`: the type of its workflow. `done`: the signal that a
    stage with callbacks has ended. `readers`: the readers of callback bodies, by the last part of
    their address. `slot`: the semaphore that each job holds from its grant to its close; pipelines
    may share one.
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
        return tuple(stage.name for stage in self.stages)

    def stage(self, name: str) -> Stage:
        return {stage.name: stage for stage in self.stages}[name]

    @property
    def clean_up(self) -> CleanUp:
        """Return the clean-up after a job that was closed from outside."""
        return CleanUp(task_queue=self.name, activity=DRAIN_ACTIVITY)

    def memo(self, priority: int) -> dict[str, object]:
        """Return the memo that marks a job, from its start, as waiting for the slot."""
        return memo_of(self.slot, Wait(priority=priority, clean_up=self.clean_up))

    def attempts(self) -> dict[str, int]:
        """Return the counts of a job without attempts."""
        return dict.fromkeys(self.names, 0)
