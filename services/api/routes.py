"""Jobs and slots over HTTP; every answer is a Job, a list of them, or a problem."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.routing import APIRoute

from services.api.index import from_cursor, to_cursor
from services.api.models import (
    DEFAULT_PAGE,
    EXAMPLE_ID,
    MAX_PAGE,
    Accepted,
    IdempotencyKey,
    JobList,
    Order,
    accepted,
)
from services.api.service import Service, ServiceDep
from shared.messages import Job
from shared.problems import documented
from shared.slots import SlotChange, SlotView
from shared.states import Status

JobId = Annotated[str, Path(max_length=64, examples=[EXAMPLE_ID])]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Tag = Annotated[str | None, Query(max_length=200)]
Cursor = Annotated[str | None, Query(max_length=200)]


def _name(route: APIRoute) -> str:
    return route.name


router = APIRouter(generate_unique_id_function=_name)


@router.post("/jobs", status_code=202, tags=["jobs"], responses=documented(413, 422, 503))
async def submit_job(
    order: Order, service: ServiceDep, *, response: Response, idempotency_key: IdempotencyKey = None
) -> Accepted:
    """Start a job. The same `Idempotency-Key` and body give the same job; another body is a 422.

    503 with Retry-After while Temporal is away, and nothing has been started.
    """
    return _accepted(service, await service.jobs.submit(order, idempotency_key), response)


@router.get("/jobs", tags=["jobs"], responses=documented(422))
async def list_jobs(
    service: ServiceDep,
    status: Status | None = None,
    *,
    tag: Tag = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> JobList:
    """Jobs, newest first. Pages don't shift while new jobs arrive; `next_cursor` ends as null."""
    after = None if cursor is None else from_cursor(cursor)
    page = service.feed.index.page(limit, status=status, tag=tag, after=after)
    return JobList(
        jobs=await service.slots.placed(page.jobs),
        next_cursor=None if page.last is None else to_cursor(page.last),
    )


@router.get("/jobs/{job_id}", tags=["jobs"], responses=documented(404, 503))
async def get_job(job_id: JobId, service: ServiceDep) -> Job:
    """One job, from the moment of its 202 on."""
    return await _shown(service, await service.jobs.find(job_id))


@router.post(
    "/jobs/{job_id}/cancel", status_code=202, tags=["jobs"], responses=documented(404, 409, 503)
)
async def cancel_job(job_id: JobId, service: ServiceDep) -> Job:
    """Ask a job to end. It ends as `cancelled` once its vendors are clear; what it made stays."""
    return await _shown(service, await service.jobs.cancel(job_id))


@router.post(
    "/jobs/{job_id}/retry", status_code=202, tags=["jobs"], responses=documented(404, 409, 503)
)
async def retry_job(
    job_id: JobId,
    service: ServiceDep,
    *,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Accepted:
    """Start a new job with the same input; only for one that failed, degraded or was cancelled."""
    return _accepted(service, await service.jobs.retry(job_id, idempotency_key), response)


@router.get("/slots", tags=["slots"], responses=documented(503))
async def get_slots(service: ServiceDep) -> SlotView:
    """Who holds the slot and who waits, up to a second old."""
    return await service.slots.view()


@router.put("/slots", tags=["slots"], responses=documented(422, 503))
async def change_slots(change: SlotChange, service: ServiceDep) -> SlotView:
    """Set the limit, the pause, or both; a lower limit lets holders finish."""
    return await service.slots.change(change)


def _accepted(service: Service, job_id: str, response: Response) -> Accepted:
    reply = accepted(service.settings.public_url, job_id)
    response.headers["Location"] = reply.status_url
    return reply


async def _shown(service: Service, job: Job) -> Job:
    return (await service.slots.placed([job]))[0]
