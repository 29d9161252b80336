"""Call the other services for the page; a silent one gives an answer, too, never a crash."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from services.api.settings import ApiSettings
from shared.errors import GenvideoError
from shared.health import READY_SECONDS
from shared.jobs.messages import Message
from shared.telemetry.job_lines import JobLine

PATIENCE_SECONDS = 2.0
# A service that waits for a silent Temporal answers at its own limit.
HEALTH_SECONDS = READY_SECONDS + 1


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


MISSING = Health(name="worker", ready=False, detail="is not there")


async def forward(
    http: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    query: dict[str, str] | None = None,
    body: bytes = b"",
    key: SecretStr | None = None,
) -> httpx.Response:
    """Return the other service's own answer, errors included; raise UpstreamAway if there is
    none."""
    headers = {"Content-Type": "application/json"} if body else {}
    if key is not None:
        headers["Authorization"] = f"Bearer {key.get_secret_value()}"
    try:
        return await http.request(method, url, params=query, content=body, headers=headers)
    except httpx.TransportError as error:
        host = urlsplit(url).netloc
        raise UpstreamAway(f"{host} does not answer; see make ps.") from error


async def health(http: httpx.AsyncClient, name: str, base: str) -> Health:
    """Return what a service reports about itself."""
    try:
        async with asyncio.timeout(HEALTH_SECONDS):
            answer = await http.get(f"{base}/readyz")
    except (httpx.TransportError, TimeoutError):
        return Health(name=name, ready=False, detail="does not answer")
    return Health(name=name, ready=answer.is_success, detail=_detail(answer))


async def health_of_workers(http: httpx.AsyncClient, base: str, *, wanted: int) -> list[Health]:
    """Return every worker; each of the `wanted` ones that is not found is reported as missing."""
    asked = (health(http, "worker", each) for each in await workers(base, wanted))
    found = [*await asyncio.gather(*asked)]
    found += [MISSING] * (wanted - len(found))
    if len(found) == 1:
        return found
    return [
        each.model_copy(update={"name": f"worker {number}"})
        for number, each in enumerate(found, start=1)
    ]


async def workers(base: str, wanted: int) -> list[str]:
    """Return the bases of all workers: one per address of a container's name, or per consecutive
    port."""
    bases = await _addresses(base)
    return bases if len(bases) > 1 else [_beside(base, number) for number in range(wanted)]


def _beside(base: str, number: int) -> str:
    parts = urlsplit(base)
    return urlunsplit(parts._replace(netloc=f"{parts.hostname}:{(parts.port or 80) + number}"))


async def _addresses(base: str) -> list[str]:
    """Return the base once per address of its host."""
    parts = urlsplit(base)
    loop = asyncio.get_running_loop()
    try:
        rows = await loop.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except OSError:
        return [base]
    hosts = sorted({str(row[4][0]) for row in rows if row[0] == socket.AF_INET})
    return [urlunsplit(parts._replace(netloc=f"{host}:{parts.port}")) for host in hosts]


def _detail(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        body = None
    known = body if isinstance(body, dict) else {}
    if answer.is_success:
        return "ready"
    return str(known.get("detail") or f"HTTP {answer.status_code}")[:300]


# The number of lines of a job, newest ones.
MOST_SHOWN = 300
_LINES = TypeAdapter(list[JobLine])


class Lines(BaseModel):
    """A job's lines, oldest first; `silent`: the services that did not answer."""

    model_config = ConfigDict(frozen=True)

    lines: tuple[JobLine, ...] = ()
    silent: tuple[str, ...] = ()

    def with_own(self, own: Sequence[JobLine]) -> Self:
        """Merge these with those of this process, by time."""
        found = sorted([*self.lines, *own], key=lambda line: line.at)
        return self.model_copy(update={"lines": tuple(found[-MOST_SHOWN:])})


async def gathered(http: httpx.AsyncClient, settings: ApiSettings, job_id: str) -> Lines:
    """Return the lines of workers, semaphore and callback receiver."""
    bases = settings.upstreams
    found = await workers(bases["worker"], settings.workers)
    asked = {f"worker {number}": base for number, base in enumerate(found, 1)}
    asked |= {name: bases[name] for name in ("semaphore", "callback")}
    answers = await asyncio.gather(
        *(
            _asked(http, base, job_id, key=settings.operator_key if name == "callback" else None)
            for name, base in asked.items()
        )
    )
    silent = [name for name, answer in zip(asked, answers, strict=True) if answer is None]
    return Lines(lines=tuple(line for each in answers for line in each or ()), silent=tuple(silent))


async def _asked(
    http: httpx.AsyncClient, base: str, job_id: str, *, key: SecretStr | None
) -> list[JobLine] | None:
    query = {"job_id": job_id}
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = await forward(http, "GET", f"{base}/lines", query=query, key=key)
        return _LINES.validate_json(answer.content)
    except (UpstreamAway, TimeoutError, ValidationError):
        return None
