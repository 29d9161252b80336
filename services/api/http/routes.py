"""Jobs and slots over HTTP; every answer is JSON, every refusal a problem."""

from collections.abc import Mapping
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.security import HTTPBearer
from pydantic import BeforeValidator, Field

from services.api.feed import from_cursor, to_cursor
from services.api.http.access import TokenMissing
from services.api.jobs import (
    IdempotencyConflict,
    JobEnded,
    JobNotFound,
    JobNotRetryable,
    OtherNamespace,
)
from services.api.models import (
    DEFAULT_PAGE,
    MAX_PAGE,
    Accepted,
    FreeOrder,
    IdempotencyKey,
    JobList,
    JobOrder,
    Ordered,
    SlotOrder,
    reader_of,
)
from services.api.service import Service
from services.api.slots import NotDraining, SemaphoreSlow, Slots
from shared.errors import GenvideoError, NotReady, QueueFull
from shared.http.app import of_state
from shared.http.mistakes import DIGITS, read_by
from shared.http.problems import documented
from shared.http.queries import ONLY_KNOWN
from shared.jobs.messages import Job, Record
from shared.jobs.states import Status
from shared.pipeline.definition import Definition
from shared.semaphore.messages import SlotView

ServiceDep = Annotated[Service, of_state("service", Service)]


class SlotNotFound(GenvideoError, status=404, title="No such slot"):
    """No semaphore has this name."""


_Text = Annotated[str, Field(max_length=200)]
# A form sends a blank field as an empty value, which counts as missing.
_OrNone = BeforeValidator(lambda given: given or None)
Limit = Annotated[
    int,
    Field(ge=1, le=MAX_PAGE),
    DIGITS,
    BeforeValidator(lambda given: given or DEFAULT_PAGE),
    Query(description="The most jobs to return"),
]
StatusFilter = Annotated[Status | None, _OrNone, Query(description="Only jobs in this state")]
TagFilter = Annotated[_Text | None, _OrNone, Query(description="Only jobs with this tag")]
Cursor = Annotated[
    Annotated[_Text, read_by(from_cursor)] | None,
    _OrNone,
    Query(description="`next_cursor` of the page before"),
]
SlotName = Annotated[
    str,
    Path(max_length=200, description="Name of a semaphore; `job` is the slot"),
]
# Documents access control, which itself knows of every route.
_BEARER = HTTPBearer(
    scheme_name="token",
    description="The value of API_TOKEN, if it is set; calls that change nothing need it only if"
    " other machines reach the API.",
    auto_error=False,
)
# Beside the token none at all is documented, because it is needed only if API_TOKEN is set.
CHANGES: dict[str, Any] = {"dependencies": [Depends(_BEARER)], "openapi_extra": {"security": [{}]}}
# The errors of each call that changes something.
CHECKED = (TokenMissing, 422, 503)


def _router(tag: str) -> APIRouter:
    return APIRouter(
        tags=[tag],
        generate_unique_id_function=lambda route: route.name,
        dependencies=[ONLY_KNOWN],
    )


of_jobs, of_slots = _router("jobs"), _router("slots")


def submitting(known: Mapping[str, Definition]) -> APIRouter:
    """`POST /jobs` for these pipelines."""
    router = _router("jobs")

    @router.post(
        "/jobs",
        status_code=202,
        **CHANGES,
        responses=documented(*CHECKED, 413, 415, IdempotencyConflict, QueueFull),
    )
    async def submit_job(
        order: Annotated[JobOrder, reader_of(known)],
        service: ServiceDep,
        *,
        response: Response,
        idempotency_key: IdempotencyKey = None,
    ) -> Accepted:
        """Start a job. The same `Idempotency-Key` and body give the same job, another body a 422.

        503 with Retry-After while Temporal is away, and nothing has been started.
        """
        # What the reader has made of the body.
        ordered = cast(Ordered, order)
        return _accepted(service, await service.jobs.submit(ordered, idempotency_key), response)

    return router


@of_jobs.get("/jobs", responses=documented(422))
async def list_jobs(
    service: ServiceDep,
    status: StatusFilter = None,
    *,
    tag: TagFilter = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = None,
) -> JobList:
    """Jobs, newest first. Pages don't shift while new jobs arrive; `next_cursor` ends as null."""
    after = None if cursor is None else from_cursor(cursor)
    page = service.feed.page(limit, status=status, tag=tag, after=after)
    change = service.feed.named(service.feed.change)
    return JobList(
        jobs=await service.slots.with_positions(page.jobs),
        next_cursor=None if page.last is None else to_cursor(page.last),
        change=change,
    )


@of_jobs.get("/jobs/{job_id}", responses=documented(JobNotFound, 422, 503, NotReady))
async def get_job(job_id: str, service: ServiceDep) -> Job:
    """One job, from the moment of its 202 on."""
    return await _with_position(service, await service.jobs.find(job_id))


@of_jobs.get("/jobs/{job_id}/record", responses=documented(JobNotFound, 422, 503, NotReady))
async def get_record(job_id: str, service: ServiceDep) -> Record:
    """A job's whole record: the Job, its transitions, its tasks and files."""
    await service.jobs.find(job_id)
    record = await service.repairer.read(job_id)
    if record is None:
        raise JobNotFound(f"{job_id} has no record yet.")
    return record


@of_jobs.post(
    "/jobs/{job_id}/cancel",
    status_code=202,
    **CHANGES,
    responses=documented(*CHECKED, NotReady, JobNotFound, JobEnded, OtherNamespace),
)
async def cancel_job(job_id: str, service: ServiceDep) -> Job:
    """Ask a job to end. It ends as `cancelled` once its vendors are clear, and keeps its
    results."""
    return await _with_position(service, await service.jobs.cancel(job_id))


@of_jobs.post(
    "/jobs/{job_id}/retry",
    status_code=202,
    **CHANGES,
    responses=documented(
        *CHECKED,
        NotReady,
        JobNotFound,
        JobNotRetryable,
        OtherNamespace,
        IdempotencyConflict,
        QueueFull,
    ),
)
async def retry_job(
    job_id: str,
    service: ServiceDep,
    *,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Accepted:
    """Start a new job with the same input, for one that failed, degraded or was cancelled."""
    return _accepted(service, await service.jobs.retry(job_id, idempotency_key), response)


@of_slots.get("/slots", responses=documented(422, 503, SemaphoreSlow))
async def get_slots(service: ServiceDep) -> SlotView:
    """Holders and waiters of the slot, up to a second old.

    503 if Temporal can't be reached, 504 if it can, but the semaphore is slow.
    """
    return await service.slots.view()


@of_slots.put("/slots", **CHANGES, responses=documented(*CHECKED, 413, 415))
async def change_slots(order: SlotOrder, service: ServiceDep) -> SlotView:
    """Set the limit, the pause, or both; a lower limit lets holders finish."""
    return await service.slots.change(order)


@of_slots.get("/slots/{name:path}", responses=documented(SlotNotFound, 422, 503, SemaphoreSlow))
async def get_slot(name: SlotName, service: ServiceDep) -> SlotView:
    """The same for the semaphore of this name."""
    return await (await _named(service, name)).view()


@of_slots.put(
    "/slots/{name:path}",
    **CHANGES,
    responses=documented(*CHECKED, SlotNotFound, 413, 415),
)
async def change_slot(name: SlotName, order: SlotOrder, service: ServiceDep) -> SlotView:
    """Set the limit, the pause, or both, of the semaphore of this name."""
    return await (await _named(service, name)).change(order)


@of_slots.post(
    "/slots/{name:path}/free",
    **CHANGES,
    responses=documented(*CHECKED, SlotNotFound, NotDraining, 413, 415),
)
async def free_slot(name: SlotName, order: FreeOrder, service: ServiceDep) -> SlotView:
    """Give up a drain that cannot end: the place of `run_id` is free at once.

    What that run left at a vendor may then run beside the next holder. 409 if the run does not
    drain.
    """
    return await (await _named(service, name)).free(order.run_id)


async def _named(service: Service, name: str) -> Slots:
    slots = service.gates.get(name) or Slots(service.client, name)
    if name not in service.gates:
        if not await slots.is_there():
            raise SlotNotFound(f"There is no slot {name}.")
        service.gates[name] = slots
    return slots


def _accepted(service: Service, job_id: str, response: Response) -> Accepted:
    base = service.settings.public_url
    status_url = response.headers["Location"] = f"{base}/jobs/{job_id}"
    return Accepted(
        job_id=job_id,
        status_url=status_url,
        events_url=f"{status_url}/events",
        ws_url=f"{base.replace('http', 'ws', 1)}/ws/jobs/{job_id}",
    )


async def _with_position(service: Service, job: Job) -> Job:
    return (await service.slots.with_positions([job]))[0]
