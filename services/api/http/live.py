"""The live feed, by WebSocket and by server-sent events; an older version never follows a newer
one."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Depends, Header, Query, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BeforeValidator, Field

from services.api.feed import (
    Feed,
    Frame,
    Listeners,
    TooManyListeners,
    numbered,
    text_of,
    versions_after,
)
from services.api.http.routes import ServiceDep
from services.api.jobs import JobNotFound
from services.api.service import Service
from shared.errors import GenvideoError, NotReady
from shared.http.mistakes import DIGITS
from shared.http.problems import documented
from shared.http.queries import ONLY_KNOWN
from shared.jobs.messages import Job
from shared.store.protocol import StoreAway

# More versions than any job has.
MOST_VERSION = 10**9
# 1000 is the normal end; codes from 4000 on are free, and 4404 is ours.
NORMAL, GOING_AWAY, TRY_AGAIN_LATER, UNKNOWN_JOB = 1000, 1001, 1013, 4404
# The longest reason of a close frame.
REASON_BYTES = 123
# A quiet stream gets a comment this often.
HEARTBEAT_SECONDS = 10.0
HEARTBEAT = format_sse_event(comment="still here")
# How soon a browser reconnects, in milliseconds.
RETRY = format_sse_event(retry=1000)

_Version = Annotated[int, Field(ge=0, le=MOST_VERSION), DIGITS]
Since = Annotated[_Version | None, Query(description="The last received version")]
SinceChange = Annotated[
    str | None, Query(max_length=40, description="The `change` of the last frame received")
]
Mark = Annotated[bool, Query(description="Send a frame when everything known was sent")]
# A client that has had no event yet may send an empty id.
LastVersion = Annotated[
    _Version | None,
    BeforeValidator(lambda given: given or None),
    Header(alias="Last-Event-ID", description="The `id` of the last event received"),
]
SinceVersion = Annotated[
    _Version | None, Query(description="The same as `Last-Event-ID`, which wins")
]


async def _place(service: ServiceDep) -> AsyncIterator[None]:
    """Reserve a listener's place until its connection ends; raise TooManyListeners."""
    with service.feed.listeners.place():
        yield


IN_A_PLACE = Depends(_place)
router = APIRouter(dependencies=[ONLY_KNOWN])


@router.websocket("/ws/jobs", dependencies=[IN_A_PLACE])
async def every_job(
    socket: WebSocket, service: ServiceDep, *, since: SinceChange = None, mark: Mark = False
) -> None:
    """Every job at once, in the order of their last changes, then each change of any job.

    With `since` only what has changed after that frame; a frame of an earlier process counts as
    none.
    """
    feed, slots = service.feed, service.slots
    await socket.accept()
    shown = slots.placed if feed.any_open() and await slots.look() else None
    at = EveryJob(feed, feed.number_of(since), shown=shown, mark=mark)
    with feed.listeners.subscribed() as news:
        await _serve(socket, at, news, listeners=feed.listeners)


@router.websocket("/ws/jobs/{job_id}", dependencies=[IN_A_PLACE])
async def one_job(
    socket: WebSocket, job_id: str, service: ServiceDep, *, since: Since = None
) -> None:
    """The job at once, then each change; closes normally after its end."""
    listeners = service.feed.listeners
    await socket.accept()
    # Subscribe first and read then, so that no change in between is missed.
    with listeners.subscribed(job_id) as news, suppress(WebSocketDisconnect):
        try:
            job = await service.jobs.find(job_id)
            at = await OneJob.after(since, job, service=service)
        except GenvideoError as error:
            code = UNKNOWN_JOB if isinstance(error, JobNotFound) else TRY_AGAIN_LATER
            reason = error.message.encode("utf-8", "replace")[:REASON_BYTES]
            await socket.close(code, reason.decode("utf-8", "ignore"))
            return
        if has_it_all(job, since):
            await socket.close(NORMAL)
            return
        await _serve(socket, at, news, listeners=listeners)


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
    dependencies=[IN_A_PLACE],
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
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _events(job, version, service=service), media_type="text/event-stream", headers=headers
    )


async def _events(job: Job, since: int | None, *, service: Service) -> AsyncIterator[bytes]:
    listeners = service.feed.listeners
    yield RETRY
    # Subscribe first and read then, so that no change in between is missed. Without the store the
    # stream ends, and its reader comes again.
    with listeners.subscribed(job.job_id) as news, suppress(StoreAway):
        at = await OneJob.after(since, job, service=service)
        async for item in following(at, news, listeners=listeners, silence=HEARTBEAT_SECONDS):
            if item is None:
                yield HEARTBEAT
            else:
                yield format_sse_event(data_str=item.text, id=str(item.position))


def has_it_all(job: Job, since: int | None) -> bool:
    """True if no version will follow that one."""
    return since is not None and job.status.ended and since >= job.version


async def _serve(
    socket: WebSocket, at: "Position", news: asyncio.Event, *, listeners: Listeners
) -> None:
    async def send() -> None:
        with suppress(WebSocketDisconnect, RuntimeError):
            async for item in following(at, news, listeners=listeners):
                if item is not None:
                    await socket.send_text(item.text)
            await socket.close(NORMAL if at.ended else GOING_AWAY)

    sending = asyncio.create_task(send())
    try:
        while (await socket.receive())["type"] != "websocket.disconnect":
            continue
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


class Item(NamedTuple):
    """A text to send, and the listener's position after it."""

    text: str
    position: int


class Position(ABC):
    """How far a listener has come; nothing else is kept for it."""

    position: int
    # Once all of `next` was sent, nothing will follow.
    ended = False

    @abstractmethod
    def next(self) -> list[Item]:
        """Return some of what follows, in order; empty if that was all."""


async def following(
    at: Position, news: asyncio.Event, *, listeners: Listeners, silence: float | None = None
) -> AsyncIterator[Item | None]:
    """Yield each item that follows, and None after a silence, until the end or the service's."""
    while True:
        news.clear()
        while items := at.next():
            for item in items:
                yield item
                at.position = item.position
            if len(items) > 1:
                # Other listeners, and calls, come between two pages.
                await asyncio.sleep(0)
        if at.ended or listeners.closed:
            return
        try:
            async with asyncio.timeout(silence):
                await news.wait()
        except TimeoutError:
            yield None


class OneJob(Position):
    """The versions of one job, after `first`; a slow listener gets the newest."""

    def __init__(
        self, feed: Feed, job_id: str, position: int = -1, *, first: Iterable[Job] = ()
    ) -> None:
        self._feed = feed
        self._job_id = job_id
        self._first = [Frame(job) for job in first]
        self.position = position

    @classmethod
    async def after(cls, since: int | None, job: Job, *, service: Service) -> "OneJob":
        """Return the position after a version, or before the present one; read after the
        subscription, so that no change is lost."""
        feed, newest = service.feed, service.feed.get(job.job_id)
        shown = newest if newest is not None and newest.version > job.version else job
        first = [shown] if since is None or shown.version > since else []
        if since is not None and (record := await service.repairer.read(job.job_id)) is not None:
            first = versions_after(record, since)
        first = await service.slots.with_positions(first)
        position = job.version if since is None else since
        return cls(feed, job.job_id, position, first=first)

    def next(self) -> list[Item]:
        frames, self._first = self._first, []
        frames = frames or self._feed.versions_of(self._job_id, self.position)
        # A listener may be ahead of this process; the end is its end, too.
        newest = frames[-1].job if frames else self._feed.get(self._job_id)
        self.ended = self.ended or (newest is not None and newest.status.ended)
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
