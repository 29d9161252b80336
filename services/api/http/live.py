"""The live feed, by WebSocket and by server-sent events; an older version never follows a newer
one."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import closing, suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BeforeValidator, Field
from starlette.types import Receive, Scope, Send

from services.api.feed.feed import Changes, versions_after
from services.api.feed.hub import Frame, Hub, Subscription, TooManyListeners, Versions, Waiting
from services.api.http.routes import JobId, ServiceDep, address_of
from services.api.jobs import JobNotFound
from services.api.models import EXAMPLES
from services.api.service import Service
from shared.errors import GenvideoError, NotReady, TemporalUnavailable
from shared.http.problems import documented, from_error
from shared.http.queries import DIGITS, ONLY_KNOWN
from shared.jobs.messages import Job

# This many frames are sent in a row before others get their turn.
BURST = 50
# More versions than any job has.
MOST_VERSION = 10**9


async def missed_versions(job: Job, since: int | None, *, service: Service) -> list[Job]:
    """Return the versions to send first; read after the subscription, so that no change is lost."""
    if since is not None:
        record = await service.jobs.record(job.job_id)
        if record is not None:
            return versions_after(record, since)
    newest = service.feed.index.get(job.job_id)
    shown = newest if newest is not None and newest.version > job.version else job
    return [shown] if since is None or shown.version > since else []


def has_it_all(job: Job, since: int | None) -> bool:
    """True if no version will follow that one."""
    return since is not None and job.status.ended and since >= job.version


# 1000 is the normal end; codes from 4000 on are free, and 4404 is ours.
NORMAL, GOING_AWAY, TRY_AGAIN_LATER, UNKNOWN_JOB = 1000, 1001, 1013, 4404
# The longest reason of a close frame.
REASON_BYTES = 123

_Version = Annotated[int, Field(ge=0, le=MOST_VERSION), DIGITS]
Since = Annotated[_Version | None, Query(description="The last received version")]
SinceChange = Annotated[
    str | None, Query(max_length=40, description="The `change` of the last frame received")
]

Mark = Annotated[bool, Query(description="Send a frame when everything known was sent")]

router = APIRouter(dependencies=[ONLY_KNOWN])


class SocketSubscription(Subscription):
    """A socket's listener: sends what it gets, and only then has something to do."""

    def __init__(self, socket: WebSocket, waiting: Waiting, *, until_end: bool) -> None:
        super().__init__(waiting)
        self._socket = socket
        self._until_end = until_end
        # For one job: the last sent version, so that no older one follows.
        self._version = -1
        self._open = False
        self._sending: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Send what waits, unless that is under way."""
        if self._open and self._sending is None:
            self._sending = asyncio.create_task(self._send_all())

    async def serve(self, first: Iterable[Frame] = ()) -> None:
        """Send these, then whatever comes, until the client has left or the end is sent."""
        try:
            if await self._send(first):
                await self._close(NORMAL)
            self._open = True
            self.wake()
            # Messages of the client are ignored; only its leaving counts.
            while (await self._socket.receive())["type"] != "websocket.disconnect":
                continue
        except WebSocketDisconnect:
            return
        finally:
            await self._stop()

    async def _send_all(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            while (frames := self.pop()) or await self._caught_up():
                if await self._send(frames):
                    await self._close(NORMAL)
                await self.turn()
            if self.closed:
                await self._close(GOING_AWAY)
        # No await since the last pop except for the end, so a wake in between can't be missed.
        self._sending = None

    async def _caught_up(self) -> bool:
        """Send all that there is; return True if something was sent, and more may have come."""
        return False

    async def _send(self, frames: Iterable[Frame]) -> bool:
        """Send these; return True if the last frame was among them."""
        for number, frame in enumerate(frames, start=1):
            if self._until_end and frame.job.version <= self._version:
                continue
            await self._socket.send(frame.message if self._until_end else frame.numbered_message)
            self._version = frame.job.version
            if self._until_end and frame.job.status.ended:
                return True
            if number % BURST == 0:
                await asyncio.sleep(0)
        return False

    async def _close(self, code: int) -> None:
        """Close the socket; the server reports it to `receive`, which ends everything."""
        self._open = False
        await self._socket.close(code)

    async def _stop(self) -> None:
        self._open = False
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)


class MarkedSubscription(SocketSubscription):
    """A listener to every job that gets a mark once it has caught up."""

    def __init__(self, socket: WebSocket, changes: Changes) -> None:
        super().__init__(socket, changes, until_end=False)
        self._changes = changes
        self._told = False

    async def _caught_up(self) -> bool:
        if self._told:
            return False
        self._told = True
        await self._socket.send_text(self._changes.mark)
        return True


@router.websocket("/ws/jobs")
async def every_job(
    socket: WebSocket, service: ServiceDep, *, since: SinceChange = None, mark: Mark = False
) -> None:
    """Every job at once, in the order of their last changes, then each change of any job.

    With `since` only what has changed after that frame; a frame of an earlier process counts as
    none.
    """
    number = service.feed.hub.number_of(since)
    await _accepted(socket, service, _every_change(socket, service, since=number, mark=mark))


async def _every_change(socket: WebSocket, service: Service, *, since: int, mark: bool) -> None:
    asked = service.feed.index.any_open() and await service.slots.look()
    changes = service.feed.changes(since, service.slots.placed if asked else _as_it_is)
    unmarked = SocketSubscription(socket, changes, until_end=False)
    subscription = MarkedSubscription(socket, changes) if mark else unmarked
    with service.feed.hub.subscribed(subscription):
        await subscription.serve()


def _as_it_is(job: Job) -> Job:
    return job


@router.websocket("/ws/jobs/{job_id}")
async def one_job(
    socket: WebSocket, job_id: str, service: ServiceDep, *, since: Since = None
) -> None:
    """The job at once, then each change; closes normally after its end."""
    await _accepted(socket, service, _one_job(socket, job_id, service, since=since))


async def _one_job(socket: WebSocket, job_id: str, service: Service, *, since: int | None) -> None:
    subscription = SocketSubscription(socket, Versions(), until_end=True)
    # Subscribe first and read then, so that a change in between comes twice rather than never.
    with service.feed.hub.subscribed(subscription, job_id):
        try:
            job = await service.jobs.find(job_id)
        except JobNotFound as error:
            await socket.close(UNKNOWN_JOB, _reason(error))
            return
        except (TemporalUnavailable, NotReady) as error:
            await socket.close(TRY_AGAIN_LATER, _reason(error))
            return
        if has_it_all(job, since):
            await socket.close(NORMAL)
            return
        first = await service.slots.with_positions(
            await missed_versions(job, since, service=service)
        )
        await subscription.serve(Frame(each) for each in first)


def _reason(error: GenvideoError) -> str:
    return error.message.encode("utf-8", "replace")[:REASON_BYTES].decode("utf-8", "ignore")


async def _accepted(
    socket: WebSocket, service: Service, serving: Coroutine[Any, Any, None]
) -> None:
    """Serve in a place among the listeners, or refuse if there is none."""
    with closing(serving):
        try:
            with service.feed.hub.place(address_of(socket)):
                await socket.accept()
                await serving
        except TooManyListeners as error:
            await socket.send_denial_response(from_error(error))


HEARTBEAT_SECONDS = 10.0
HEARTBEAT = format_sse_event(comment="still here")
# How soon a browser reconnects, in milliseconds.
RETRY = format_sse_event(retry=1000)

# A client that has had no event yet may send an empty id.
LastVersion = Annotated[
    _Version | None,
    BeforeValidator(lambda given: given or None),
    Header(alias="Last-Event-ID", description="The `id` of the last event received", examples=[4]),
]
SinceVersion = Annotated[
    _Version | None,
    Query(description="The same as `Last-Event-ID`, which wins", examples=[4]),
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
    """Return the documentation of a stream whose events have such ids."""
    job = Job.model_validate(EXAMPLES["Job"])
    example = {"id": event_id, "data": Frame(job).text}
    return {"text/event-stream": {"schema": _EVENT, "example": example}}


class EventStream(StreamingResponse):
    """Send events as they come, in a place among the listeners; raise TooManyListeners."""

    def __init__(self, content: AsyncIterator[bytes], hub: Hub, address: str) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self._hub = hub
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._hub.place(self._address):
            await super().__call__(scope, receive, send)


JOB_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One event per version: `id` is the version, `data` the Job",
        "content": _stream(str(EXAMPLES["Job"]["version"])),
    },
    204: {"description": "The job has ended with that version"},
    **documented(JobNotFound, 422, TooManyListeners, 503, NotReady),
}


@router.get(
    "/jobs/{job_id}/events",
    tags=["live"],
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

    With `Last-Event-ID` the missed versions come first. Comments keep a quiet stream open.
    """
    job = await service.jobs.find(job_id)
    version = since if last_event_id is None else last_event_id
    if has_it_all(job, version):
        # A browser reconnects after every end, unless it gets a 204.
        return Response(status_code=204)
    content = _versions(job, version, service=service)
    return EventStream(content, service.feed.hub, address_of(request))


async def _versions(job: Job, since: int | None, *, service: Service) -> AsyncIterator[bytes]:
    # Subscribe first and read then; a change in between comes twice, and is skipped once.
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
