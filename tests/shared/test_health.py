"""A process that polls Temporal: alive without it, ready with it, and never hard to stop."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from shared.health import reasons_of
from shared.http.client import http_client
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import Running, free_port, running

MODULES = {"services.worker": "WORKER_HTTP_PORT", "services.semaphore": "SEMAPHORE_HTTP_PORT"}
# A body that fails by itself as soon as it has a client.
FAILING = """
from contextlib import asynccontextmanager
from shared.health import run_worker
from shared.settings.common import PollingSettings

@asynccontextmanager
async def body(client):
    raise ValueError("no luck today")
    yield

run_worker("failing", body, PollingSettings(), port=0)
"""


def environment(data_dir: Path, address: str) -> dict[str, str]:
    return {
        "DATA_DIR": str(data_dir),
        "CALLBACK_SECRET": "a-secret-of-32-characters-or-more",
        "TEMPORAL_ADDRESS": address,
        "LOG_FORMAT": "json",
    }


async def test_readiness_reasons_are_collected_concurrently() -> None:
    both = asyncio.Barrier(2)

    async def silent() -> str:
        async with asyncio.timeout(60):
            await both.wait()
        return "does not answer"

    checks = {"temporal": silent(), "store": silent()}
    assert await reasons_of(checks) == dict.fromkeys(checks, "does not answer")


async def readiness(service: Running) -> tuple[int, str]:
    async with http_client(service.base) as http:
        answer = await http.get("/readyz")
        return answer.status_code, answer.json().get("detail", "")


async def metrics(service: Running) -> str:
    async with http_client(service.base) as http:
        return (await http.get("/metrics")).text


@pytest.mark.parametrize(("module", "port"), MODULES.items())
async def test_service_without_a_server_is_alive_with_a_reason_and_stops_at_once(
    module: str, port: str, tmp_path: Path
) -> None:
    nobody = environment(tmp_path, f"127.0.0.1:{free_port()}")
    async with running(module, port, environment=nobody) as service:
        status, detail = await readiness(service)
        assert (status, detail.partition(":")[0]) == (503, "temporal")
        ended, output = await service.terminated()
    # uvicorn ends well, then lets the signal have its default effect.
    assert ended in (0, -signal.SIGTERM)
    assert "Traceback" not in output


@pytest.mark.parametrize(("module", "port"), MODULES.items())
async def test_service_with_a_server_becomes_ready_and_stops_in_order(
    module: str, port: str, tmp_path: Path, temporal_address: str
) -> None:
    there = environment(tmp_path, temporal_address)
    async with running(module, port, environment=there) as service:
        await eventually(lambda: readiness(service), lambda answer: answer[0] == 200)
        await eventually(lambda: metrics(service), lambda text: "temporal_request_total{" in text)
        ended, output = await service.terminated()
    assert ended in (0, -signal.SIGTERM)
    assert "Traceback" not in output


async def test_failing_body_ends_the_process_with_the_reason(temporal_address: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        FAILING,
        env={"TEMPORAL_ADDRESS": temporal_address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert b"no luck today" in output
