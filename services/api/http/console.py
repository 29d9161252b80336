"""The page's calls beside jobs and slots; only here the API calls the other services."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

import httpx
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from services.api.http import upstream
from services.api.http.routes import JobId, ServiceDep
from services.api.http.upstream import Health, Lines
from services.api.jobs import JobNotFound, check_id
from shared.errors import GenvideoError, NotJson, NotReady
from shared.health import temporal_reason
from shared.http.client import http_client
from shared.http.problems import documented
from shared.http.queries import DIGITS, ONLY_KNOWN
from shared.jobs.messages import Record
from shared.telemetry.job_lines import LINES

# The number of recent hits in one answer; the page keeps them.
MOST_HITS = 5000
# The headers of another service's answer that are passed on.
_JSON = re.compile(r"application/(problem\+)?json")


class MocksOff(GenvideoError, code="mocks_off", status=409, title="The mocks are off"):
    """Faults exist only in mocks, and the real services are in use."""


class _State(TypedDict):
    http: httpx.AsyncClient


@asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[_State]:
    async with http_client() as http:
        yield {"http": http}


async def _http(request: Request) -> httpx.AsyncClient:
    http = request.state.http
    assert isinstance(http, httpx.AsyncClient)  # noqa: S101 - set by the lifespan
    return http


Http = Annotated[httpx.AsyncClient, Depends(_http)]
Mock = Annotated[str, Path(pattern="^mock-[a-z0-9-]+$", max_length=60)]

router = APIRouter(lifespan=_lifespan, dependencies=[ONLY_KNOWN])


@router.get(
    "/jobs/{job_id}/record",
    tags=["jobs"],
    operation_id="get_record",
    responses=documented(JobNotFound, 422, 503, NotReady),
)
async def get_record(job_id: JobId, service: ServiceDep) -> Record:
    """A job's whole record: the Job, its transitions, its tasks and files."""
    await service.jobs.find(job_id)
    record = await service.repairer.read(job_id)
    if record is None:
        raise JobNotFound(f"{job_id} has no record yet.")
    return record


@router.get("/console/health", include_in_schema=False)
async def get_health(service: ServiceDep, http: Http) -> list[Health]:
    """Every service of the stack, the API itself first."""
    others = dict(service.settings.upstreams)
    workers = others.pop("worker")
    each = [upstream.health(http, name, base) for name, base in others.items()]
    found, singles = await asyncio.gather(
        upstream.health_of_workers(http, workers, wanted=service.settings.workers),
        asyncio.gather(_temporal(service), *each),
    )
    return [Health(name="api", ready=True, detail="ready"), *singles, *found]


async def _temporal(service: ServiceDep) -> Health:
    reason = await temporal_reason(service.client, seconds=upstream.PATIENCE_SECONDS)
    return Health(name="temporal", ready=reason is None, detail=reason or "ready")


@router.get("/console/callbacks", include_in_schema=False)
async def get_callbacks(
    job_id: Annotated[str, Query(max_length=64)], service: ServiceDep, http: Http
) -> Response:
    """The receipts of one job's callbacks."""
    check_id(job_id)
    url = f"{service.settings.upstreams['callback']}/callbacks"
    key = service.settings.operator_key
    return _relayed(await upstream.forward(http, "GET", url, query={"job_id": job_id}, key=key))


@router.get("/console/lines", include_in_schema=False)
async def get_lines(
    job_id: Annotated[str, Query(max_length=64)], service: ServiceDep, http: Http
) -> Lines:
    """The last log lines of one job, of every process that answers."""
    check_id(job_id)
    found = await upstream.gathered(http, service.settings, job_id)
    return found.with_own(LINES.of(job_id))


@router.api_route(
    "/console/{mock}/faults", methods=["GET", "POST", "PUT", "DELETE"], include_in_schema=False
)
async def faults(
    mock: Mock, request: Request, *, service: ServiceDep, http: Http, name: str | None = None
) -> Response:
    """A mock's own answer to a call of its `/admin/faults`."""
    url = f"{_mock(service, mock)}/admin/faults"
    query = None if name is None else {"name": name}
    body = await request.body()
    if body and not request.headers.get("content-type", "").startswith("application/json"):
        # This also blocks other sites' pages, because a browser asks first before it sends JSON.
        raise NotJson("Content-Type: application/json.")
    return _relayed(await upstream.forward(http, request.method, url, query=query, body=body))


@router.get("/console/{mock}/stats", include_in_schema=False)
async def stats(mock: Mock, service: ServiceDep, http: Http) -> Response:
    """A mock's counts."""
    return _relayed(await upstream.forward(http, "GET", f"{_mock(service, mock)}/admin/stats"))


class ClockOrder(BaseModel):
    """How many times faster than real time a mock's clock runs."""

    model_config = ConfigDict(extra="forbid")

    speed: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]


@router.put("/console/{mock}/clock", include_in_schema=False)
async def set_clock(mock: Mock, order: ClockOrder, *, service: ServiceDep, http: Http) -> Response:
    """A mock's own answer to another speed; running delays keep their nominal length."""
    url = f"{_mock(service, mock)}/admin/config"
    body = order.model_dump_json().encode()
    return _relayed(await upstream.forward(http, "PUT", url, body=body))


@router.get("/console/{mock}/trace", include_in_schema=False)
async def trace(
    mock: Mock, service: ServiceDep, http: Http, *, after: Annotated[int, Field(ge=0), DIGITS] = 0
) -> Response:
    """The faults that a mock has injected after that number."""
    query = {"after": str(after), "limit": str(MOST_HITS)}
    url = f"{_mock(service, mock)}/admin/trace"
    return _relayed(await upstream.forward(http, "GET", url, query=query))


def _mock(service: ServiceDep, mock: str) -> str:
    base = service.settings.mock_services.get(mock)
    if base is None:
        raise MocksOff("A real service is in use; make mocks-on brings the mock back.")
    return base


def _relayed(answer: httpx.Response) -> Response:
    """Pass on status and body; an answer that isn't JSON is not from a service of the stack."""
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if not _JSON.fullmatch(media_type):
        raise upstream.UpstreamAway(f"{answer.url.host} answers, but not with JSON.")
    return Response(answer.content, answer.status_code, media_type=media_type)
