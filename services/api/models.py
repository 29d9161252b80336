"""What the API takes and gives beside Job and SlotView, with the examples of its documentation."""

from typing import Annotated, Any

from fastapi import Body, Header
from pydantic import Field

from shared.messages import Job, JobInput, Message

MAX_PAGE = 1000
DEFAULT_PAGE = 100

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
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
Order = Annotated[JobInput, Body(openapi_examples=ORDER_EXAMPLES)]

EXAMPLE_ID = "job-0123456789abcdef01234567"


class Accepted(Message):
    """A job was taken on: where to look at it, and where to listen."""

    job_id: Annotated[str, Field(examples=[EXAMPLE_ID])]
    status_url: Annotated[str, Field(examples=[f"http://127.0.0.1:8000/jobs/{EXAMPLE_ID}"])]
    events_url: Annotated[str, Field(examples=[f"http://127.0.0.1:8000/jobs/{EXAMPLE_ID}/events"])]
    ws_url: Annotated[str, Field(examples=[f"ws://127.0.0.1:8000/ws/jobs/{EXAMPLE_ID}"])]


class JobList(Message):
    """One page of jobs, newest first; `next_cursor` is null on the last one."""

    jobs: list[Job]
    next_cursor: str | None


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
