"""What a job is on the wire and on disk; every message is frozen and passes over unknown fields."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from shared.jobs.states import OnVideoFailure, Status, Step
from shared.semaphore.messages import DEFAULT_PRIORITY as DEFAULT_PRIORITY
from shared.semaphore.messages import Message as Message

UNTAGGED = "untagged"

# A control character would break log lines and visibility queries.
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"

Prompt = Annotated[str, StringConstraints(min_length=1, max_length=2500, pattern=r"^[^\x00]*$")]
Style = Annotated[str, StringConstraints(max_length=200, pattern=_PRINTABLE)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PRINTABLE)]
Priority = Annotated[int, Field(ge=1, le=5, strict=True)]
Percent = Annotated[int, Field(ge=0, le=100)]


class JobInput(Message):
    """What a job is started with. Priority 1 is served first, 5 last, as with Temporal."""

    prompt: Prompt
    style: Style
    tag: Tag | None = None
    priority: Priority = DEFAULT_PRIORITY
    on_video_failure: OnVideoFailure = OnVideoFailure.FAIL


class Attempts(Message):
    """Generation attempts that a vendor accepted, per stage; delivery problems don't count."""

    image: int = 0
    video: int = 0

    def of(self, step: Step) -> int:
        """Those of one stage."""
        count: int = getattr(self, step.value)
        return count

    def raised_to(self, other: "Attempts") -> "Attempts":
        """With each count at least what is known from elsewhere."""
        return Attempts(image=max(self.image, other.image), video=max(self.video, other.video))


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
    step: Step | None
    percent: Percent
    attempt: int
    note: str
    attempts: Attempts = Attempts()
    asset_url: str | None = None
    vendor_position: int | None = None
    error: JobError | None = None


def started_at(transitions: tuple[Transition, ...]) -> datetime | None:
    """When a job first ran; None where it has not yet."""
    running = (change.at for change in transitions if change.status is Status.RUNNING)
    return next(running, None)


class Job(Message):
    """A job as the API shows it; `version` rises by one with each change.

    `vendor_position`: how many are before its generation in the vendor's own queue, 0 for the next
    one; None where it does not wait there, or the vendor doesn't say.
    """

    job_id: str
    prompt: str
    style: str
    tag: str | None = None
    priority: int = DEFAULT_PRIORITY
    status: Status = Status.QUEUED
    step: Step | None = None
    percent: Percent = 0
    asset_url: str | None = None
    queue_position: int | None = None
    vendor_position: int | None = None
    attempts: Attempts = Attempts()
    error: JobError | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    version: int = 0


class Record(Job):
    """The JSON file of a job: the Job, its transitions, and what a recovery needs.

    `units`: what a vendor says that it charged, in its own units, by our id of the generation.
    `namespace`: the Temporal namespace in which its workflow runs.
    """

    on_video_failure: OnVideoFailure = OnVideoFailure.FAIL
    namespace: str = ""
    run_id: str = ""
    token: int | None = None
    tasks: dict[str, str] = Field(default_factory=dict)
    units: dict[str, str] = Field(default_factory=dict)
    assets: dict[Step, Asset] = Field(default_factory=dict)
    transitions: tuple[Transition, ...] = ()

    @classmethod
    def of(
        cls, job: JobInput, *, job_id: str, run_id: str, created_at: datetime, namespace: str = ""
    ) -> Self:
        """A job before its first change: whatever it was started with, under the same names."""
        return cls(
            job_id=job_id,
            run_id=run_id,
            created_at=created_at,
            namespace=namespace,
            **job.model_dump(),
        )

    def is_of(self, namespace: str) -> bool:
        """Whether its workflow runs in this namespace; True where one of the two is not known."""
        return self.namespace == namespace or not (self.namespace and namespace)

    @property
    def attempt(self) -> int:
        """The number of the attempt at the present step, 0 before the first."""
        return self.attempts.of(self.step) if self.step else 0

    def followed(self, at: datetime, note: str) -> "Record":
        """This state as the record's last transition, under the version that it has."""
        transition = Transition(
            version=self.version,
            at=at,
            status=self.status,
            step=self.step,
            percent=self.percent,
            attempt=self.attempt,
            note=note,
            attempts=self.attempts,
            asset_url=self.asset_url,
            vendor_position=self.vendor_position,
            error=self.error,
        )
        return self.model_copy(update={"transitions": (*self.transitions, transition)})

    def job(self) -> Job:
        """The part of the record that the API shows."""
        return Job.model_validate({name: getattr(self, name) for name in Job.model_fields})


class Progress(Message):
    """The answer to `get_progress`."""

    step: Step | None
    status: Status
    percent: Percent
    asset_url: str | None
    version: int
    attempts: Attempts
    note: str


class ProgressReport(Message):
    """A signal from an activity: how far the vendor is, in percent, or what holds it up.

    `position`: in the vendor's queue, as in the Job.
    """

    external_id: str
    percent: Percent
    waiting: str = ""
    position: int | None = None


class KlingDone(Message):
    """The `kling_done` signal: a video task ended, says a callback. A hint, never a proof."""

    external_id: str
    task_id: str
    task_status: str
    updated_at: int = 0
    message: str = ""
