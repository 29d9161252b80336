"""The live feed, by WebSocket and by server-sent events; an older version never follows a newer
one."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Header, Query, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BeforeValidator, Field
from starlette.types import Receive, Scope, Send

from services.api.feed import (
    Feed,
    Frame,
    Listener,
    Listeners,
    TooManyListeners,
    numbered,
    text_of,
    versions_after,
)
from services.api.http.routes import ServiceDep
from services.api.jobs import JobNotFound
from services.api.service import Service
from shared.errors import NotReady, TemporalUnavailable
from shared.http.app import WRITE
from shared.http.problems import documented
from shared.http.queries import DIGITS, ONLY_KNOWN
from shared.jobs.messages import Job

# More versions than any job has.
MOST_VERSION = 10**9


async def missed_versions(job: Job, since: int | None, *, service: Service) -> list[Job]:
    """Return the versions to send first; read after the subscription, so that no change is lost."""
    if since is not None:
        record = await service.repairer.read(job.job_id)
        if record is not None:
            return versions_after(record, since)
    newest = service.feed.get(job.job_id)
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


class Item(NamedTuple):
    """A text to send, and the listener's position after it."""

    text: str
    position: int


class Position(ABC):
    """How far a listener has come; nothing else is kept for it."""

    position: int
    # Once all of `next` was sent, nothing will follow.
    ended = False

    @property
    def behind(self) -> bool:
        """True if more is missing than may be sent at once."""
        return False

    @abstractmethod
    def next(self) -> list[Item]:
        """Return some of what follows, in order; empty if that was all."""


class OneJob(Position):
    """The versions of one job; a slow listener gets the newest."""

    def __init__(self, feed: Feed, job_id: str) -> None:
        self._feed = feed
        self._job_id = job_id
        self.position = -1

    def next(self) -> list[Item]:
        frames = self._feed.versions_of(self._job_id, self.position)
        self.ended = self.ended or any(frame.job.status.ended for frame in frames)
        return [Item(text_of(frame), frame.job.version) for frame in frames]


class EveryJob(Position):
    """The changes of all jobs: first the newest state of the known ones, each `shown`, then a mark
    if requested, then each change."""

    def __init__(
        self, feed: Feed, since: int, *, shown: Callable[[Job], Job] | None, mark: bool
    ) -> None:
        self._feed = feed
        self._shown = shown
        self._known = feed.change
        self._mark = mark
        self.position = since

    @property
    def behind(self) -> bool:
        return self.position < self._known or self._mark

    def next(self) -> list[Item]:
        if self.position < self._known:
            frames = [*map(self._as_shown, self._feed.changed_after(self.position))]
        else:
            frames = self._feed.changes_after(self.position)
        if not frames:
            # A job that was forgotten meanwhile is not waited for.
            self.position = max(self.position, self._known)
        if not frames and self._mark:
            self._mark = False
            mark = {"complete": self._feed.named(self.position), "jobs": len(self._feed)}
            return [Item(json.dumps(mark), self.position)]
        return [Item(numbered(frame), frame.number) for frame in frames]

    def _as_shown(self, frame: Frame) -> Frame:
        if self._shown is None or frame.number > self._known:
            return frame
        job = self._shown(frame.job)
        return frame if job is frame.job else replace(frame, job=job)


class SocketListener(Listener):
    """A socket that gets what follows its position, until the client leaves or all is sent."""

    def __init__(self, socket: WebSocket, at: Position, *, turn: asyncio.Lock) -> None:
        self._socket = socket
        self._at = at
        self._turn = turn
        # None if the server, or what stands before the app, wants each frame as a message.
        self._write: Callable[[str], bool] | None = socket.scope["extensions"].get(WRITE)
        self._open = False
        self._sending: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Write what has come; a task sends the rest."""
        if self._open and self._sending is None and not self._written():
            self._sending = asyncio.create_task(self._send())

    def _written(self) -> bool:
        if self._write is None or self.closed or self._at.behind:
            return False
        for item in self._at.next():
            if not self._write(item.text):
                return False
            self._at.position = item.position
        return not self._at.ended

    async def _send(self) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            while items := self._at.next():
                for item in items:
                    await self._socket.send_text(item.text)
                    self._at.position = item.position
                # Of the listeners that are behind, one at a time gets a page.
                async with self._turn:
                    await asyncio.sleep(0)
            if self._at.ended:
                await self._close(NORMAL)
            elif self.closed:
                await self._close(GOING_AWAY)
        # No await since the last look except for the end, so a wake in between can't be missed.
        self._sending = None

    async def serve(self) -> None:
        """Send all that follows; messages of the client are ignored, only its leaving counts."""
        self._open = True
        self.wake()
        try:
            while (await self._socket.receive())["type"] != "websocket.disconnect":
                continue
        finally:
            self._open = False
            if self._sending is not None:
                self._sending.cancel()
                await asyncio.gather(self._sending, return_exceptions=True)

    async def _close(self, code: int) -> None:
        """Close the socket; the server reports it to `receive`, which ends everything."""
        self._open = False
        await self._socket.close(code)


@router.websocket("/ws/jobs")
async def every_job(
    socket: WebSocket, service: ServiceDep, *, since: SinceChange = None, mark: Mark = False
) -> None:
    """Every job at once, in the order of their last changes, then each change of any job.

    With `since` only what has changed after that frame; a frame of an earlier process counts as
    none.
    """
    feed, slots = service.feed, service.slots
    with feed.listeners.place():
        await socket.accept()
        asked = feed.any_open() and await slots.look()
        shown = slots.placed if asked else None
        at = EveryJob(feed, feed.number_of(since), shown=shown, mark=mark)
        listener = SocketListener(socket, at, turn=feed.listeners.turn)
        with feed.listeners.subscribed(listener):
            await listener.serve()


@router.websocket("/ws/jobs/{job_id}")
async def one_job(
    socket: WebSocket, job_id: str, service: ServiceDep, *, since: Since = None
) -> None:
    """The job at once, then each change; closes normally after its end."""
    at, listeners = OneJob(service.feed, job_id), service.feed.listeners
    listener = SocketListener(socket, at, turn=listeners.turn)
    with listeners.place():
        await socket.accept()
        # Subscribe first and read then, so that no change in between is missed.
        with listeners.subscribed(listener, job_id), suppress(WebSocketDisconnect):
            try:
                job = await service.jobs.find(job_id)
            except (JobNotFound, TemporalUnavailable, NotReady) as error:
                code = UNKNOWN_JOB if isinstance(error, JobNotFound) else TRY_AGAIN_LATER
                reason = error.message.encode("utf-8", "replace")[:REASON_BYTES]
                await socket.close(code, reason.decode("utf-8", "ignore"))
                return
            if has_it_all(job, since):
                await socket.close(NORMAL)
                return
            at.position = job.version if since is None else since
            missed = await missed_versions(job, since, service=service)
            for each in await service.slots.with_positions(missed):
                await socket.send_text(text_of(Frame(each)))
                at.position, at.ended = each.version, each.status.ended
            await listener.serve()


HEARTBEAT_SECONDS = 10.0
HEARTBEAT = format_sse_event(comment="still here")
# How soon a browser reconnects, in milliseconds.
RETRY = format_sse_event(retry=1000)

# A client that has had no event yet may send an empty id.
LastVersion = Annotated[
    _Version | None,
    BeforeValidator(lambda given: given or None),
    Header(alias="Last-Event-ID", description="The `id` of the last event received"),
]
SinceVersion = Annotated[
    _Version | None,
    Query(description="The same as `Last-Event-ID`, which wins"),
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


class EventStream(StreamingResponse):
    """Send events as they come, in a reserved place; raise TooManyListeners."""

    def __init__(self, content: AsyncIterator[bytes], listeners: Listeners) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self._listeners = listeners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._listeners.place():
            await super().__call__(scope, receive, send)


class StreamListener(Listener):
    """A stream that waits for changes."""

    def __init__(self) -> None:
        self.news = asyncio.Event()

    def wake(self) -> None:
        self.news.set()


JOB_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One event per version: `id` is the version, `data` the Job",
        "content": {"text/event-stream": {"schema": _EVENT}},
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
    job_id: str,
    service: ServiceDep,
    *,
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
    return EventStream(content, service.feed.listeners)


async def _versions(job: Job, since: int | None, *, service: Service) -> AsyncIterator[bytes]:
    listener, at = StreamListener(), OneJob(service.feed, job.job_id)
    at.position = job.version if since is None else since
    # Subscribe first and read then, so that no change in between is missed.
    with service.feed.listeners.subscribed(listener, job.job_id):
        missed = await missed_versions(job, since, service=service)
        at.ended = any(each.status.ended for each in missed)
        items = [Item(text_of(Frame(each)), each.version) for each in missed]
        yield RETRY
        while True:
            for item in items:
                at.position = item.position
                yield format_sse_event(data_str=item.text, id=str(item.position))
            if at.ended:
                return
            listener.news.clear()
            items = at.next()
            if items:
                continue
            if listener.closed:
                return
            try:
                await asyncio.wait_for(listener.news.wait(), HEARTBEAT_SECONDS)
            except TimeoutError:
                yield HEARTBEAT
