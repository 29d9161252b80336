"""The live feed as server-sent events, from the same source as the sockets; it goes on where it
broke off."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BeforeValidator, Field
from starlette.types import Receive, Scope, Send

from services.api.feed.hub import Frame, Hub, TooManyListeners, Versions
from services.api.http.parts.accept import EVENTS, NotAcceptable, produces
from services.api.http.parts.examples import EXAMPLES
from services.api.http.parts.parameters import JobId, ServiceDep, address_of
from services.api.http.parts.resume import MOST_VERSION, has_it_all, missed_versions
from services.api.jobs.jobs import JobNotFound
from services.api.service import Service
from shared.errors import NotReady
from shared.http.problems import documented
from shared.http.queries import ONLY_KNOWN
from shared.jobs.messages import Job

HEARTBEAT_SECONDS = 10.0
HEARTBEAT = format_sse_event(comment="still here")
# How soon a browser connects again, in milliseconds.
RETRY = format_sse_event(retry=1000)

LastEventId = Annotated[
    str | None,
    Header(max_length=40, description="The `id` of the last event received", examples=["4"]),
]
_Version = Annotated[int, Field(ge=0, le=MOST_VERSION)]
# A reader that has had no event yet may say so by an empty one.
LastVersion = Annotated[
    _Version | None,
    BeforeValidator(lambda given: given or None),
    Header(alias="Last-Event-ID", description="The `id` of the last event received", examples=[4]),
]
SinceVersion = Annotated[
    _Version | None,
    Query(description="The same as `Last-Event-ID`, which wins", examples=[4]),
]
SinceChange = Annotated[
    str | None,
    Query(
        max_length=40,
        description="The same as `Last-Event-ID`, which wins",
        examples=["5ca1ab1e-117"],
    ),
]

Mark = Annotated[
    bool,
    Query(
        description="Tell by an event `complete` that all was sent that was known", examples=[True]
    ),
]

_EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/Job"},
        },
    },
    "required": ["data"],
}


def _stream(event_id: str) -> dict[str, Any]:
    """What the document says of a stream whose events have such ids."""
    job = Job.model_validate(EXAMPLES["Job"])
    example = {"id": event_id, "data": Frame(job).text}
    return {EVENTS: {"schema": _EVENT, "example": example}}


class EventStream(StreamingResponse):
    """Events for as long as they come, from a place among the listeners; TooManyListeners."""

    def __init__(self, content: AsyncIterator[bytes], hub: Hub, address: str) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(content, media_type=EVENTS, headers=headers)
        self._hub = hub
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._hub.place(self._address):
            await super().__call__(scope, receive, send)


router = APIRouter(tags=["live"], dependencies=[produces(EVENTS), ONLY_KNOWN])


@router.get(
    "/events",
    operation_id="events",
    response_class=Response,
    responses={
        200: {
            "description": "One event per change: `data` is the Job",
            "content": _stream(EXAMPLES["JobList"]["change"]),
        },
        **documented(NotAcceptable, 422, TooManyListeners),
    },
)
async def events(
    request: Request,
    service: ServiceDep,
    *,
    last_event_id: LastEventId = None,
    since: SinceChange = None,
    mark: Mark = False,
) -> Response:
    """Every job at once, in the order of their last changes, then each change of any.

    With `Last-Event-ID` only what has changed since; an id of a process that is gone is as none.
    """
    number = service.feed.hub.number_of(last_event_id or since)
    content = _changes(number, service=service, mark=mark)
    return EventStream(content, service.feed.hub, address_of(request))


JOB_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One event per version: `id` is the version, `data` the Job",
        "content": _stream(str(EXAMPLES["Job"]["version"])),
    },
    204: {"description": "The job has ended, and nothing comes after that version"},
    **documented(JobNotFound, NotAcceptable, 422, TooManyListeners, 503, NotReady),
}


@router.get(
    "/jobs/{job_id}/events",
    operation_id="job_events",
    response_class=Response,
    responses=JOB_RESPONSES,
)
async def job_events(
    job_id: JobId,
    request: Request,
    *,
    service: ServiceDep,
    last_event_id: LastVersion = None,
    since: SinceVersion = None,
) -> Response:
    """One event per version, its id the version, its data the Job; ends after the last.

    With `Last-Event-ID` the versions since then come first. Comments keep a quiet stream open.
    """
    job = await service.jobs.find(job_id)
    version = since if last_event_id is None else last_event_id
    if has_it_all(job, version):
        # A browser connects again after every end, unless it is told so.
        return Response(status_code=204)
    content = _versions(job, version, service=service)
    return EventStream(content, service.feed.hub, address_of(request))


async def _versions(job: Job, since: int | None, *, service: Service) -> AsyncIterator[bytes]:
    # Subscribed first and read then: what changes in between comes twice, once of it is skipped.
    with service.feed.hub.mailbox(Versions(), job.job_id) as subscription:
        waiting = [Frame(each) for each in await missed_versions(job, since, service=service)]
        last = -1
        yield RETRY
        while True:
            for frame in waiting:
                if frame.job.version > last:
                    last = frame.job.version
                    yield frame.event
                    if frame.job.status.ended:
                        return
            waiting = await subscription.take(seconds=HEARTBEAT_SECONDS)
            if not waiting:
                if subscription.closed:
                    return
                yield HEARTBEAT


async def _changes(since: int, *, service: Service, mark: bool) -> AsyncIterator[bytes]:
    changes = service.feed.changes(since)
    with service.feed.hub.mailbox(changes) as subscription:
        yield RETRY
        while True:
            waiting = await subscription.take(seconds=0 if mark else HEARTBEAT_SECONDS)
            # Of this moment: what comes during the turn is not known to who hears of it.
            complete = format_sse_event(event="complete", data_str=changes.mark)
            for frame in waiting:
                yield frame.numbered_event
            await subscription.turn()
            if waiting:
                continue
            if subscription.closed:
                return
            yield complete if mark else HEARTBEAT
            mark = False
