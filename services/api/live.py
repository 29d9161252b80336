"""The live feed over WebSockets; a version never follows a newer one of its job."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, WebSocket, WebSocketDisconnect

from services.api.hub import Frame, Subscription, TooManyListeners
from services.api.replay import versions_after
from services.api.service import Service, ServiceDep
from shared.errors import JobNotFound, TemporalUnavailable
from shared.messages import Job
from shared.problems import from_error

# 1000 is the normal end; 4404 is ours, as close codes from 4000 on are free to use.
NORMAL, GOING_AWAY, TRY_AGAIN_LATER, UNKNOWN_JOB = 1000, 1001, 1013, 4404
# So many frames are sent in a row before others get their turn.
BURST = 50

Since = Annotated[int | None, Query(ge=0, le=10**9, description="The version after which to go on")]

router = APIRouter()


@router.websocket("/ws/jobs")
async def every_job(socket: WebSocket, service: ServiceDep) -> None:
    """Every job at once, oldest first, then each change of any."""
    if not await _entered(socket, service):
        return
    with service.feed.hub.subscribe() as subscription:
        jobs = list(service.feed.index.oldest_first())
        await _serve(socket, _all_of(await service.slots.placed(jobs), subscription))


@router.websocket("/ws/jobs/{job_id}")
async def one_job(
    socket: WebSocket, job_id: str, service: ServiceDep, *, since: Since = None
) -> None:
    """The job at once, then each change; closes normally after its end."""
    if not await _entered(socket, service):
        return
    with service.feed.hub.subscribe(job_id) as subscription:
        try:
            job = await service.jobs.find(job_id)
        except JobNotFound as error:
            await socket.close(UNKNOWN_JOB, error.message[:100])
            return
        except TemporalUnavailable as error:
            await socket.close(TRY_AGAIN_LATER, error.message[:100])
            return
        if has_it_all(job, since):
            await socket.close(NORMAL)
            return
        first = await service.slots.placed(await versions(job, since, service=service))
        await _serve(socket, until_end(first, subscription))


async def _entered(socket: WebSocket, service: Service) -> bool:
    try:
        service.feed.hub.make_room()
    except TooManyListeners as error:
        await socket.send_denial_response(from_error(error))
        return False
    await socket.accept()
    return True


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


async def until_end(jobs: list[Job], subscription: Subscription) -> AsyncIterator[Frame]:
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


async def versions(job: Job, since: int | None, *, service: Service) -> list[Job]:
    """What to send first, as of after the subscription, so that no change falls between."""
    if since is not None:
        record = await service.jobs.kept(job.job_id)
        if record is not None:
            return versions_after(record, since)
    newest = service.feed.index.get(job.job_id)
    shown = newest if newest is not None and newest.version > job.version else job
    return [shown] if since is None or shown.version > since else []


def has_it_all(job: Job, since: int | None) -> bool:
    """Whether nothing comes after that version any more."""
    return since is not None and job.status.ended and since >= job.version
