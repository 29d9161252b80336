"""No secret gets out: planted in every place that holds one, and looked for in every book.

Real processes, a real server, payloads encrypted, against a vendor that repeats all that it hears.
"""

import asyncio
import base64
import contextlib
import json
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from temporalio.client import Client

from shared.http.client import http_client
from shared.jobs.ids import external_id
from shared.jobs.tokens import callback_token, operator_key
from shared.temporal.codec import PayloadKeys, decode_all
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import free_port, running
from tests.fixtures.temporal import NewClient
from tests.services.mock_core.serving import served
from tests.stack.talkative import Talkative

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

# What each job is to end as; the vendor reads from its prompt what to do.
PROMPTS = {
    "all goes well": "succeeded",
    "image 500": "succeeded",
    "image 503": "succeeded",
    "video 500": "succeeded",
    "video 503": "succeeded",
    "image 401": "failed",
    "video 400": "failed",
    "image fails": "failed",
    "video fails": "failed",
}
PORTS = {
    "api": "API_PORT",
    "semaphore": "SEMAPHORE_HTTP_PORT",
    "worker": "WORKER_HTTP_PORT",
    "callback": "CALLBACK_PORT",
}
# Pages that show what a service knows; `{job}` stands for each job's id.
PAGES = (
    *("/jobs", "/slots", "/readyz", "/metrics", "/openapi.json", "/console/health"),
    *("/jobs/{job}", "/jobs/{job}/record", "/jobs/{job}/events", "/callbacks?job_id={job}"),
    "/console/callbacks?job_id={job}",
)


@dataclass
class Canaries:
    """One secret of each kind, new for each run."""

    callback_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    payload_key: str = field(
        default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode()
    )
    temporal_api_key: str = field(default_factory=lambda: f"eyJ{secrets.token_urlsafe(40)}")
    vendor_password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    vendor_key: str = field(default_factory=lambda: f"sk-{secrets.token_hex(16)}")
    signature: str = field(default_factory=lambda: secrets.token_hex(32))

    def derived(self, job_ids: list[str]) -> dict[str, str]:
        """What is made of the callback secret: the operator's key, and a token per attempt."""
        return {"operator's key": operator_key(self.callback_secret)} | {
            f"callback token of {job_id}, attempt {number}": callback_token(
                self.callback_secret, external_id(job_id, "video", number)
            )
            for job_id in job_ids
            for number in range(1, 5)
        }


@dataclass
class Stack:
    """Where the services answer, what they print, and the secrets that they were given."""

    client: Client
    folder: Path
    canaries: Canaries
    vendor: Talkative
    environment: dict[str, str]
    bases: dict[str, str] = field(default_factory=dict)

    def log(self, name: str) -> Path:
        return self.folder / "logs" / name


@pytest.fixture
async def stack(
    new_client: NewClient, temporal_address: str, tmp_path: Path
) -> AsyncIterator[Stack]:
    canaries = Canaries()
    client = await new_client(canaries.payload_key)
    vendor = Talkative(key=canaries.vendor_key, signature=canaries.signature)
    async with contextlib.AsyncExitStack() as up:
        base = await up.enter_async_context(served(vendor.app()))
        inside = base.replace("http://", f"http://us:{canaries.vendor_password}@", 1)
        made = Stack(client, tmp_path, canaries, vendor, {})
        receiver = free_port()
        made.environment |= {
            "TEMPORAL_ADDRESS": temporal_address,
            "TEMPORAL_NAMESPACE": client.namespace,
            "TEMPORAL_TLS": "false",
            "TEMPORAL_API_KEY": canaries.temporal_api_key,
            "PAYLOAD_KEY": canaries.payload_key,
            "CALLBACK_SECRET": canaries.callback_secret,
            "IMAGE_SERVICE_URL": inside,
            "VIDEO_SERVICE_URL": inside,
            "CALLBACK_URL": f"http://127.0.0.1:{receiver}",
            "DATA_DIR": str(tmp_path / "data"),
            "REPORTS_DIR": str(tmp_path / "reports"),
            "MOCKS": "off",
            "ACCEPT_SECONDS": "1",
            "DRAIN_SECONDS": "1",
            "VIDEO_POLL_SECONDS": "0.5",
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "json",
        }
        made.log("x").parent.mkdir()
        for name, port in PORTS.items():
            made.bases[name] = await up.enter_async_context(started(made, name, port, receiver))
        yield made


@contextlib.asynccontextmanager
async def started(stack: Stack, name: str, port: str, receiver: int) -> AsyncIterator[str]:
    environment = stack.environment | {
        "CALLBACK_SERVICE_URL": f"http://127.0.0.1:{receiver}",
        "OPERATOR_KEY": operator_key(stack.canaries.callback_secret),
    }
    chosen = receiver if name == "callback" else None
    async with running(
        f"services.{name}", port, environment=environment, log=stack.log(name), port=chosen
    ) as service:
        yield service.base


async def test_no_secret_is_in_any_log_record_history_answer_or_report(stack: Stack) -> None:
    jobs = await all_ended(stack)
    assert await load_test(stack) in (0, 1)

    assert (used := heard(stack)) >= {"callback token", "signature", "vendor password"}, used
    planted = vars(stack.canaries) | stack.canaries.derived(list(jobs))
    found = {
        f"{name} in {place}"
        async for place, text in everything(stack, list(jobs))
        for name, secret in planted.items()
        if secret in text
    }
    assert found == set()


async def all_ended(stack: Stack) -> dict[str, str]:
    """Each job's prompt by its id, once all have ended as they should."""
    async with http_client(stack.bases["api"]) as http:
        jobs = {
            (await http.post("/jobs", json={"prompt": prompt, "style": "x"})).json()[
                "job_id"
            ]: prompt
            for prompt in PROMPTS
        }

        async def ends() -> dict[str, str]:
            listed = (await http.get("/jobs")).json()["jobs"]
            return {jobs[job["job_id"]]: job["status"] for job in listed}

        await eventually(ends, lambda found: found == PROMPTS, seconds=120)
    return jobs


def heard(stack: Stack) -> set[str]:
    """The secrets that the vendor was shown, so that the test can't pass by showing none."""
    said = json.dumps(stack.vendor.heard)
    return {
        name
        for name, secret in (
            ("callback token", "token="),
            ("signature", stack.canaries.signature),
            ("vendor password", "Basic "),
        )
        if secret in said
    }


async def load_test(stack: Stack) -> int:
    """A run of the load test against this very stack; what it prints is kept beside the logs."""
    environment = stack.environment | {
        "API_URL": stack.bases["api"],
        "CALLBACK_URL": stack.bases["callback"],
    }
    with stack.log("loadtest").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "loadtest", "run", "--jobs", "1"),
            env=environment,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )
        return await process.wait()


async def everything(stack: Stack, job_ids: list[str]) -> AsyncIterator[tuple[str, str]]:
    """Every book of the stack by its name, as text."""
    for path in filter(Path.is_file, stack.folder.rglob("*")):
        # The services go on, and may have put away what was there just now.
        with contextlib.suppress(FileNotFoundError):
            yield str(path.relative_to(stack.folder)), readable(path.read_bytes())
    async for workflow in stack.client.list_workflows():
        handle = stack.client.get_workflow_handle(workflow.id, run_id=workflow.run_id)
        keys = PayloadKeys.parse(stack.canaries.payload_key)
        async for event in handle.fetch_history_events():
            yield f"history of {workflow.id}, stored", readable(event.SerializeToString())
            await decode_all(event, keys)
            yield f"history of {workflow.id}, event {event.event_id}", str(event)
    for name, base in stack.bases.items():
        async with http_client(base) as http:
            for page in pages(job_ids):
                yield f"{name}{page}", (await answered(http, page))


def readable(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def pages(job_ids: list[str]) -> Iterator[str]:
    for page in PAGES:
        yield from (page.replace("{job}", job_id) for job_id in job_ids) if "{" in page else (page,)


async def answered(http: httpx.AsyncClient, page: str) -> str:
    answer = await http.get(page)
    return f"{answer.headers}\n{answer.text}"
