"""A job on the wire and on disk; messages are frozen and ignore unknown fields."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import Field

from shared.jobs.states import Status
from shared.pipeline.definition import Definition, JobInput, StageName
from shared.semaphore.messages import DEFAULT_PRIORITY as DEFAULT_PRIORITY
from shared.semaphore.messages import Message as Message

UNTAGGED = "untagged"

Percent = Annotated[int, Field(ge=0, le=100)]
# How many generations are before one in the vendor's queue; JSON's readers know larger numbers as
# floats.
Position = Annotated[int, Field(ge=0, lt=2**53)]
# Accepted generation attempts by stage; delivery problems don't count.
Attempts = dict[str, int]


def raised(attempts: Mapping[str, int], known: Mapping[str, int]) -> Attempts:
    """Return the attempts, each at least as high as the other source knows."""
    higher = {stage: max(count, attempts.get(stage, 0)) for stage, count in known.items()}
    return {**attempts, **higher}


class JobError(Message):
    """Why a job ended badly: a stable code and a sentence."""

    code: str
    message: str


class Asset(Message):
    """A stored result: size in bytes, SHA-256 in hex, media type."""

    size: int
    sha256: str
    media_type: str


class Transition(Message):
    """One change of a job, as its record lists it: enough to show the job as of that version."""

    version: int
    at: datetime
    status: Status
    step: StageName | None
    percent: Percent
    attempt: int
    note: str
    attempts: Attempts = Field(default_factory=dict)
    asset_url: str | None = None
    vendor_position: int | None = None
    error: JobError | None = None


def started_at(transitions: tuple[Transition, ...]) -> datetime | None:
    running = (change.at for change in transitions if change.status is Status.RUNNING)
    return next(running, None)


class Job(Message):
    """A job as the API shows it; `version` rises by one with each change.

    `prompt`: what the job makes, in the user's words, under this name in every pipeline.
    `vendor_position`: the number of generations before this one in the vendor's queue, 0 for the
    next one; None if it does not wait there, or the vendor doesn't say.
    """

    job_id: str
    pipeline: str = "genvideo"
    prompt: str
    style: str = ""
    tag: str | None = None
    priority: int = DEFAULT_PRIORITY
    status: Status = Status.QUEUED
    step: StageName | None = None
    percent: Percent = 0
    asset_url: str | None = None
    queue_position: int | None = None
    vendor_position: int | None = None
    attempts: Attempts = Field(default_factory=dict)
    error: JobError | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    version: int = 0


class Record(Job):
    """The JSON file of a job: the Job, its transitions, and what a recovery needs.

    `input`: the input of the pipeline besides the fields of a Job. `units`: what a vendor charged,
    in its own units, by external id. `namespace`: the Temporal namespace of its workflow.
    """

    input: dict[str, Any] = Field(default_factory=dict)
    namespace: str = ""
    run_id: str = ""
    token: int | None = None
    tasks: dict[str, str] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)
    assets: dict[StageName, Asset] = Field(default_factory=dict)
    transitions: tuple[Transition, ...] = ()

    @classmethod
    def of(
        cls,
        pipeline: Definition,
        job: JobInput,
        *,
        job_id: str,
        run_id: str,
        created_at: datetime,
        namespace: str = "",
    ) -> Self:
        """Return a job of a pipeline before its first change."""
        given = job.model_dump(mode="json")
        return cls.model_validate(
            {
                "prompt": job.title,
                **given,
                "input": {name: given[name] for name in given if name not in Job.model_fields},
                "job_id": job_id,
                "pipeline": pipeline.name,
                "run_id": run_id,
                "created_at": created_at,
                "namespace": namespace,
                "attempts": pipeline.attempts(),
            }
        )

    def input_of(self, pipeline: Definition) -> JobInput:
        """Return the job's input; raise ValidationError if it belongs to another pipeline."""
        return pipeline.input.model_validate({**dict(self), **self.input})

    def is_of(self, namespace: str) -> bool:
        """True if its workflow runs in this namespace, or one of the two is unknown."""
        return self.namespace == namespace or not (self.namespace and namespace)

    @property
    def attempt(self) -> int:
        """The number of the attempt at the present step, 0 before the first."""
        return self.attempts.get(self.step, 0) if self.step else 0

    def followed(self, at: datetime, note: str) -> "Record":
        """Return the record with its present state as the last transition, under the same
        version."""
        change = {**dict(self), "attempt": self.attempt, "at": at, "note": note}
        transition = Transition.model_validate(change)
        return self.model_copy(update={"transitions": (*self.transitions, transition)})

    def job(self) -> Job:
        return Job.model_validate(dict(self))


class Progress(Message):
    """The answer to `get_progress`."""

    step: StageName | None
    status: Status
    percent: Percent
    asset_url: str | None
    version: int
    attempts: Attempts
    note: str


class ProgressReport(Message):
    """A signal from an activity: the vendor's progress in percent, or the reason of a wait.

    `position`: in the vendor's queue, as in the Job. Each field has bounds, because any client of
    Temporal can send a signal; one that is out of bounds is dropped.
    """

    external_id: str
    percent: Percent
    waiting: Annotated[str, Field(max_length=1000)] = ""
    position: Position | None = None


class StageDone(Message):
    """The signal of a callback that a vendor's task has ended; a hint, never a proof."""

    external_id: str
    task_id: str
    task_status: str
    updated_at: int = 0
    message: str = ""
