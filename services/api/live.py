"""The live feed over WebSockets and server-sent events; a version never follows a newer one."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event

from services.api.hub import Frame, Subscription
from services.api.replay import versions_after
from services.api.routes import JobId
from services.api.service import Service, ServiceDep
from shared.errors import JobNotFound, TemporalUnavailable
from shared.messages import Job
from shared.problems import documented

# 1000 is the normal end; 4404 is ours, as close codes from 4000 on are free to use.
NORMAL, GOING_AWAY, TRY_AGAIN_LATER, UNKNOWN_JOB = 1000, 1001, 1013, 4404
HEARTBEAT_SECONDS = 10.0
# So many frames are sent in a row before others get their turn.
BURST = 50

router = APIRouter()


@router.websocket("/ws/jobs")
async def every_job(socket: WebSocket, service: ServiceDep) -> None:
    """Every job at once, oldest first, then each change of any."""
    await socket.accept()
    with service.feed.hub.subscribe() as subscription:
        jobs = list(service.feed.index.oldest_first())
        await _serve(socket, _all_of(await service.slots.placed(jobs), subscription))


@router.websocket("/ws/jobs/{job_id}")
async def one_job(socket: WebSocket, job_id: str, service: ServiceDep) -> None:
    """The job at once, then each change; closes normally after its end."""
    await socket.accept()
    with service.feed.hub.subscribe(job_id) as subscription:
        try:
            job = await service.jobs.find(job_id)
        except JobNotFound as error:
            await socket.close(UNKNOWN_JOB, error.message[:100])
            return
        except TemporalUnavailable as error:
            await socket.close(TRY_AGAIN_LATER, error.message[:100])
            return
        first = (await service.slots.placed([job]))[0]
        await _serve(socket, _until_end([first], subscription))


async def _serve(socket: WebSocket, jobs: AsyncIterator[Frame]) -> None:
    """Send until there is no more, or the other side leaves; what it sends is ignored."""
    sending = asyncio.create_task(_send(socket, jobs))
    leaving = asyncio.create_task(_until_gone(socket))
    done, rest = await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    if sending in done and sending.exception() is None and leaving not in done:
        await _close(socket, NORMAL if sending.result() else GOING_AWAY)


async def _close(socket: WebSocket, code: int) -> None:
    try:
        await socket.close(code)
    except (RuntimeError, WebSocketDisconnect):
        return


async def _send(socket: WebSocket, jobs: AsyncIterator[Frame]) -> bool:
    """Whether the job's end was the last frame; a stream may also end because we stop."""
    sent, ended = 0, False
    async for frame in jobs:
        await socket.send_text(frame.text)
        ended = frame.job.status.ended
        sent += 1
        if sent % BURST == 0:
            await asyncio.sleep(0)
    return ended


async def _until_gone(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue


async def _all_of(jobs: list[Job], subscription: Subscription) -> AsyncIterator[Frame]:
    for job in jobs:
        yield Frame(job)
    while (news := await subscription.take()) or not subscription.closed:
        for frame in news:
            yield frame


async def _until_end(jobs: list[Job], subscription: Subscription) -> AsyncIterator[Frame]:
    """One job's versions, rising, until its end."""
    last = -1
    waiting = [Frame(job) for job in jobs]
    while True:
        for frame in waiting:
            if frame.job.version > last:
                last = frame.job.version
                yield frame
                if frame.job.status.ended:
                    return
        waiting = await subscription.take()
        if not waiting and subscription.closed:
            return


LastEventId = Annotated[
    str | None, Header(max_length=20, description="The version after which to go on.")
]

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One event per version: `id` is the version, `data` the Job",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    },
    204: {"description": "The job has ended, and nothing comes after that version"},
    **documented(404, 503),
}


@router.get(
    "/jobs/{job_id}/events",
    tags=["live"],
    operation_id="job_events",
    response_class=Response,
    responses=RESPONSES,
)
async def job_events(
    job_id: JobId, service: ServiceDep, last_event_id: LastEventId = None
) -> Response:
    """One event per version, its id the version, its data the Job; ends after the last.

    With `Last-Event-ID` the versions since then come first. Comments keep a quiet stream open.
    """
    job = await service.jobs.find(job_id)
    since = _version(last_event_id)
    if since is not None and job.status.ended and since >= job.version:
        # A browser connects again after every end, unless it is told so.
        return Response(status_code=204)
    return StreamingResponse(
        _events(job, since, service=service),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _version(last_event_id: str | None) -> int | None:
    """The version in a Last-Event-ID; a foreign one is the same as none."""
    known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
    return int(last_event_id) if known and last_event_id is not None else None


async def _events(job: Job, since: int | None, *, service: Service) -> AsyncIterator[bytes]:
    with service.feed.hub.subscribe(job.job_id) as subscription:
        jobs = await _begin(job, since, service=service)
        last = -1 if since is None else since
        waiting = [Frame(each) for each in jobs]
        while True:
            for frame in waiting:
                if frame.job.version > last:
                    last = frame.job.version
                    yield format_sse_event(data_str=frame.text, id=str(last))
                    if frame.job.status.ended:
                        return
            waiting = await subscription.take(seconds=HEARTBEAT_SECONDS)
            if not waiting:
                if subscription.closed:
                    return
                yield format_sse_event(comment="still here")


async def _begin(job: Job, since: int | None, *, service: Service) -> list[Job]:
    """What to send first, as of after the subscription, so that no change falls between."""
    if since is not None:
        record = await service.jobs.record(job.job_id)
        if record is not None:
            return versions_after(record, since)
    newest = service.feed.index.get(job.job_id)
    return [newest if newest is not None and newest.version > job.version else job]
