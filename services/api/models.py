"""What the API takes and gives beside Job and SlotView, and examples of whole requests.

What it takes is strict: a field that we don't know is told, since it may be a mistake.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import Body, Header
from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from services.api.fields import KeyText, PromptText, StyleText, TagText
from shared.jobs.messages import Job, JobInput, Message
from shared.semaphore.messages import RunId, SlotChange

MAX_PAGE = 1000
MAX_BATCH = 1000
DEFAULT_PAGE = 100

STRICT = ConfigDict(extra="forbid")

IdempotencyKey = Annotated[
    KeyText | None,
    Header(
        description="The same key and body give the same job; 1 to 200 visible ASCII characters.",
        examples=["order-4711"],
    ),
]

ORDER_EXAMPLES: dict[str, Any] = {
    "plain": {"summary": "A prompt", "value": {"prompt": "a red fox in snow", "style": "ink"}},
    "full": {
        "summary": "All fields",
        "value": {
            "prompt": "雪地里的红狐狸",
            "style": "水墨",
            "tag": "batch-7",
            "priority": 1,
            "on_video_failure": "image",
        },
    },
}


class JobOrder(JobInput):
    """What a caller asks for. Priority 1 is served first, 5 last, as with Temporal's own keys."""

    model_config = STRICT

    prompt: PromptText
    style: StyleText = ""
    tag: TagText | None = None

    def input(self) -> JobInput:
        """The same as a message to the job."""
        return JobInput.model_validate(self.model_dump())


class SlotOrder(SlotChange):
    """The body of `PUT /slots`."""

    model_config = STRICT

    def change(self) -> SlotChange:
        """The same as a message to the semaphore."""
        return SlotChange.model_validate(self.model_dump())


class FreeOrder(Message):
    """The body of `POST /slots/{name}/free`: the run whose drain is given up."""

    model_config = STRICT

    run_id: RunId


JobBody = Annotated[JobOrder, Body(openapi_examples=ORDER_EXAMPLES)]

EXAMPLE_ID = "job-0123456789abcdef01234567"


class Accepted(Message):
    """A job was taken on: where to look at it, and where to listen."""

    job_id: str
    status_url: str
    events_url: str
    ws_url: str


class JobList(Message):
    """One page of jobs, newest first; `next_cursor` is null on the last one.

    `change`: the last change of any job by then, from which `/ws/jobs` and `/events` go on. It is
    handed back as it is: a name, no number.
    """

    jobs: list[Job]
    next_cursor: str | None
    change: str = ""


BATCH_EXAMPLES: dict[str, Any] = {
    "counted": {
        "summary": "The same job many times",
        "value": {"count": 50, "job": {"prompt": "a red fox in snow", "style": "ink"}},
    },
    "listed": {
        "summary": "Different jobs",
        "value": {
            "tag": "batch-7",
            "jobs": [
                {"prompt": "a red fox in snow", "style": "ink"},
                {"prompt": "雪地里的红狐狸", "style": "水墨", "priority": 1},
            ],
        },
    },
}


class BatchOrder(Message):
    """Either `jobs`, or `count` times the same `job`; the tag is the whole batch's."""

    model_config = STRICT

    jobs: Annotated[tuple[JobOrder, ...], Field(min_length=1, max_length=MAX_BATCH)] | None = None
    count: Annotated[int, Field(ge=1, le=MAX_BATCH, strict=True)] | None = None
    job: JobOrder | None = None
    tag: TagText | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        listed, counted = self.jobs is not None, self.count is not None and self.job is not None
        if listed == counted or (listed and (self.count, self.job) != (None, None)):
            raise ValueError("Give either jobs, or count and job.")
        return self

    @model_validator(mode="after")
    def _one_tag(self) -> Self:
        jobs = [(("jobs", number), job) for number, job in enumerate(self.jobs or ())]
        places = [*jobs, *([] if self.job is None else [(("job",), self.job)])]
        if wrong := [(*where, "tag") for where, job in places if job.tag is not None]:
            raise ValidationError.from_exception_data("BatchOrder", list(map(_own_tag, wrong)))
        return self

    def all(self) -> Sequence[JobInput]:
        """Each job's input, in order."""
        if self.jobs is not None:
            return [job.input() for job in self.jobs]
        return [] if self.job is None or self.count is None else [self.job.input()] * self.count


def _own_tag(where: tuple[str | int, ...]) -> InitErrorDetails:
    kind = PydanticCustomError("own_tag", "A batch has one tag: give it beside the jobs.")
    return InitErrorDetails(type=kind, loc=where, input=None)


BatchBody = Annotated[BatchOrder, Body(openapi_examples=BATCH_EXAMPLES)]


class BatchAccepted(Message):
    """Every job of the batch was taken on."""

    tag: str
    count: int
    job_ids: tuple[str, ...]
    status_url: str


class Counts(Message):
    """How many jobs of the batch are in each state."""

    queued: int = 0
    running: int = 0
    succeeded: int = 0
    degraded: int = 0
    failed: int = 0
    cancelled: int = 0


class Batch(Message):
    """All jobs of one tag. `percent` of them have ended; 100 only when all have."""

    tag: str
    total: int
    counts: Counts
    percent: Annotated[int, Field(ge=0, le=100)]
    first_created_at: datetime
    last_created_at: datetime
    first_started_at: datetime | None
    last_finished_at: datetime | None


class PageConfig(Message):
    """What the dashboard must know before it draws anything."""

    mocks: bool
    temporal_ui_url: str
    temporal_namespace: str


def accepted(public_url: str, job_id: str) -> Accepted:
    """The reply for a job under the API's public address."""
    sockets = public_url.replace("http", "ws", 1)
    return Accepted(
        job_id=job_id,
        status_url=f"{public_url}/jobs/{job_id}",
        events_url=f"{public_url}/jobs/{job_id}/events",
        ws_url=f"{sockets}/ws/jobs/{job_id}",
    )
