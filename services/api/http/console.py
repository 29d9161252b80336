"""The page's calls besides jobs and slots; only here does the API call the other services.

A silent service is reported, and never fails the call.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict
from urllib.parse import urlsplit, urlunsplit

import httpx
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from services.api.http.routes import ServiceDep
from services.api.jobs import check_id
from shared.errors import GenvideoError, RouteNotFound
from shared.health import READY_SECONDS, temporal_reason
from shared.http.client import http_client
from shared.http.queries import ONLY_KNOWN
from shared.jobs.messages import Message

PATIENCE_SECONDS = 2.0
# A service that waits for a silent Temporal answers at its own limit.
HEALTH_SECONDS = READY_SECONDS + 1
# The calls of a mock that the page needs, below its `/admin`.
MOCK_CALLS = {"faults": "faults", "stats": "stats", "trace": "trace", "clock": "config"}
# What of another service's answer is passed on.
_JSON = re.compile(r"application/(problem\+)?json")


class MocksOff(GenvideoError, status=409, title="The mocks are off"):
    """Only mocks have faults, and the real services are in use."""


class UpstreamAway(
    GenvideoError,
    code="service_away",
    status=502,
    title="The service does not answer",
    retryable=True,
):
    """A service that the page calls through the API does not answer."""


class Health(Message):
    """One service: `ready`, or the reason why not."""

    name: str
    ready: bool
    detail: str


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
OfJob = Annotated[str, Query(max_length=64)]
Mock = Annotated[str, Path(pattern="^mock-[a-z0-9-]+$", max_length=60)]

router = APIRouter(lifespan=_lifespan, include_in_schema=False)


@router.get("/console/health", dependencies=[ONLY_KNOWN])
async def get_health(service: ServiceDep, http: Http) -> list[Health]:
    """Every service of the stack, the API itself first."""
    asked = dict(service.settings.upstreams)
    wanted = service.settings.workers
    bases = await workers(asked.pop("worker"), wanted)
    total = max(wanted, len(bases))
    names = ["worker"] if total == 1 else [f"worker {number}" for number in range(1, total + 1)]
    asked |= zip(names, bases, strict=False)
    found = await asyncio.gather(
        _temporal(service), *(health(http, name, base) for name, base in asked.items())
    )
    missing = names[len(bases) :]
    found += [Health(name=name, ready=False, detail="is not there") for name in missing]
    return [Health(name="api", ready=True, detail="ready"), *found]


async def _temporal(service: ServiceDep) -> Health:
    reason = await temporal_reason(service.client, seconds=PATIENCE_SECONDS)
    return Health(name="temporal", ready=reason is None, detail=reason or "ready")


async def health(http: httpx.AsyncClient, name: str, base: str) -> Health:
    """Return what a service reports about itself."""
    try:
        async with asyncio.timeout(HEALTH_SECONDS):
            answer = await http.get(f"{base}/readyz")
    except (httpx.TransportError, TimeoutError):
        return Health(name=name, ready=False, detail="does not answer")
    if answer.is_success:
        return Health(name=name, ready=True, detail="ready")
    try:
        reason = answer.json()["detail"]
    except (ValueError, LookupError, TypeError):
        reason = f"HTTP {answer.status_code}"
    return Health(name=name, ready=False, detail=str(reason)[:300])


async def workers(base: str, wanted: int) -> list[str]:
    """Return the bases of all workers: one per address of a container's name, or per consecutive
    port."""
    parts = urlsplit(base)
    try:
        rows = await asyncio.get_running_loop().getaddrinfo(
            parts.hostname, parts.port, family=socket.AF_INET, type=socket.SOCK_STREAM
        )
    except OSError:
        rows = []
    hosts = sorted({str(row[4][0]) for row in rows})
    if len(hosts) > 1:
        places = [f"{host}:{parts.port}" for host in hosts]
    else:
        places = [f"{parts.hostname}:{(parts.port or 80) + number}" for number in range(wanted)]
    return [urlunsplit(parts._replace(netloc=place)) for place in places]


@router.get("/console/callbacks", dependencies=[ONLY_KNOWN])
async def get_callbacks(job_id: OfJob, service: ServiceDep, http: Http) -> Response:
    """The receipts of one job's callbacks."""
    check_id(job_id)
    url = f"{service.settings.upstreams['callback']}/callbacks"
    key = service.settings.operator_key
    headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
    return await _relayed(http, "GET", url, params={"job_id": job_id}, headers=headers)


@router.api_route("/console/{mock}/{call}", methods=["GET", "POST", "PUT", "DELETE"])
async def of_a_mock(
    mock: Mock, call: str, *, request: Request, service: ServiceDep, http: Http
) -> Response:
    """A mock's own answer to a call of its `/admin`."""
    if call not in MOCK_CALLS:
        raise RouteNotFound("Not found")
    base = service.settings.mock_services.get(mock)
    if base is None:
        raise MocksOff("A real service is in use; make mocks-on brings the mock back.")
    body = await request.body()
    return await _relayed(
        http,
        request.method,
        f"{base}/admin/{MOCK_CALLS[call]}",
        params=dict(request.query_params),
        content=body,
        headers={"Content-Type": "application/json"} if body else {},
    )


async def _relayed(http: httpx.AsyncClient, method: str, url: str, **sent: Any) -> Response:
    """Pass on the other service's own answer, errors included; raise UpstreamAway if there is
    none, or it isn't JSON, because then it is not from a service of the stack."""
    host = urlsplit(url).netloc
    try:
        answer = await http.request(method, url, **sent)
    except httpx.TransportError as error:
        raise UpstreamAway(f"{host} does not answer; see make ps.") from error
    media_type = answer.headers.get("content-type", "").partition(";")[0]
    if not _JSON.fullmatch(media_type):
        raise UpstreamAway(f"{host} answers, but not with JSON.")
    return Response(answer.content, answer.status_code, media_type=media_type)
