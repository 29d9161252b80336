"""No secret gets out: planted in every place that holds one, and looked for in every book.

Real processes, a real server, payloads encrypted, against a vendor that repeats all that it hears.
"""

import asyncio
import base64
import contextlib
import json
import secrets
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

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


def canaries() -> dict[str, str]:
    """One secret of each kind, new for each run."""
    return {
        "callback secret": secrets.token_urlsafe(32),
        "payload key": base64.b64encode(secrets.token_bytes(32)).decode(),
        "Temporal's API key": f"eyJ{secrets.token_urlsafe(40)}",
        "vendor's password": secrets.token_urlsafe(24),
        "vendor's key": f"sk-{secrets.token_hex(16)}",
        "signature": secrets.token_hex(32),
    }


@dataclass
class Stack:
    """Where the services answer, what they print, and the secrets that they were given."""

    client: Client
    folder: Path
    planted: dict[str, str]
    vendor: Talkative
    environment: dict[str, str]
    bases: dict[str, str]


@pytest.fixture
async def stack(
    new_client: NewClient, temporal_address: str, tmp_path: Path
) -> AsyncIterator[Stack]:
    planted = canaries()
    secret, password = planted["callback secret"], planted["vendor's password"]
    client = await new_client(planted["payload key"])
    vendor = Talkative(key=planted["vendor's key"], signature=planted["signature"])
    (tmp_path / "logs").mkdir()
    async with contextlib.AsyncExitStack() as up:
        base = await up.enter_async_context(served(vendor.app()))
        inside = base.replace("http://", f"http://us:{password}@", 1)
        receiver = free_port()
        environment = {
            "TEMPORAL_ADDRESS": temporal_address,
            "TEMPORAL_NAMESPACE": client.namespace,
            "TEMPORAL_TLS": "false",
            "TEMPORAL_API_KEY": planted["Temporal's API key"],
            "PAYLOAD_KEY": planted["payload key"],
            "CALLBACK_SECRET": secret,
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
        made = Stack(client, tmp_path, planted, vendor, environment, {})
        own = {
            "CALLBACK_SERVICE_URL": f"http://127.0.0.1:{receiver}",
            "OPERATOR_KEY": operator_key(secret),
        }
        for name, port in PORTS.items():
            service = running(
                f"services.{name}",
                port,
                environment=environment | own,
                log=tmp_path / "logs" / name,
                port=receiver if name == "callback" else None,
            )
            made.bases[name] = (await up.enter_async_context(service)).base
        yield made


async def test_no_secret_is_in_any_log_record_history_answer_or_report(stack: Stack) -> None:
    jobs = await all_ended(stack)
    assert await load_test(stack) in (0, 1)

    # The vendor was shown them, so that the test can't pass by showing none.
    heard = json.dumps(stack.vendor.heard)
    assert all(each in heard for each in ("token=", stack.planted["signature"], "Basic "))
    secret = stack.planted["callback secret"]
    derived = {"operator's key": operator_key(secret)} | {
        f"token of {task}": callback_token(secret, task)
        for job_id in jobs
        for task in (external_id(job_id, "video", number) for number in range(1, 5))
    }
    found = {
        f"{name} in {place}"
        async for place, text in everything(stack, jobs)
        for name, secret in (stack.planted | derived).items()
        if secret in text
    }
    assert found == set()


async def all_ended(stack: Stack) -> list[str]:
    """The ids of a job for each prompt, once all have ended as they should."""
    async with http_client(stack.bases["api"]) as http:
        prompts: dict[str, str] = {}
        for prompt in PROMPTS:
            answer = await http.post("/jobs", json={"prompt": prompt, "style": "x"})
            prompts[answer.json()["job_id"]] = prompt

        async def ends() -> dict[str, str]:
            listed = (await http.get("/jobs")).json()["jobs"]
            return {prompts[job["job_id"]]: job["status"] for job in listed}

        await eventually(ends, lambda found: found == PROMPTS, seconds=120)
    return [*prompts]


async def load_test(stack: Stack) -> int:
    """A run of the load test against this very stack; what it prints is kept beside the logs."""
    addresses = {"API_URL": stack.bases["api"], "CALLBACK_URL": stack.bases["callback"]}
    with (stack.folder / "logs" / "loadtest").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "loadtest", "run", "--jobs", "1"),
            env=stack.environment | addresses,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )
        return await process.wait()


async def everything(stack: Stack, job_ids: list[str]) -> AsyncIterator[tuple[str, str]]:
    """Every book of the stack by its name, as text."""

    def readable(content: bytes) -> str:
        return content.decode("utf-8", "replace")

    for path in filter(Path.is_file, stack.folder.rglob("*")):
        # The services go on, and may have put away what was there just now.
        with contextlib.suppress(FileNotFoundError):
            yield str(path.relative_to(stack.folder)), readable(path.read_bytes())
    keys = PayloadKeys.parse(stack.planted["payload key"])
    async for workflow in stack.client.list_workflows():
        handle = stack.client.get_workflow_handle(workflow.id, run_id=workflow.run_id)
        async for event in handle.fetch_history_events():
            yield f"history of {workflow.id}, stored", readable(event.SerializeToString())
            await decode_all(event, keys)
            yield f"history of {workflow.id}, event {event.event_id}", str(event)
    pages = {page.replace("{job}", job_id) for page in PAGES for job_id in job_ids}
    for name, base in stack.bases.items():
        async with http_client(base) as http:
            for page in pages:
                answer = await http.get(page)
                yield f"{name}{page}", f"{answer.headers}\n{answer.text}"
