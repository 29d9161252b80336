"""A process that polls Temporal: alive without it, ready with it, and never hard to stop."""

import asyncio
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from shared.health import EX_TEMPFAIL, queued_seconds, reasons_of
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

# A loop that a callback holds up until it has been looked at for long, and what it waits for then.
HELD_UP = """
import asyncio, threading, time
from shared import health

began, seen = time.monotonic(), threading.Event()

def queued(thread):
    waited = time.monotonic() - began
    if {waits} and waited > 10 * STALL:
        seen.set()
    return waited if {waits} else 0.0

async def main():
    dog = asyncio.create_task(health.watchdog(STALL))
    await asyncio.sleep(0)
    seen.wait()

health.TICK_SECONDS, STALL = 0.01, 0.1
health.queued_seconds = queued
asyncio.run(main())
"""
SPINNING = "while True: pass"


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


@pytest.mark.parametrize(("waits", "status"), [(True, 0), (False, EX_TEMPFAIL)])
async def test_loop_that_waits_for_a_processor_is_not_stalled(waits: bool, status: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HELD_UP.format(waits=waits)
    )
    assert await asyncio.wait_for(process.wait(), 60) == status


async def test_processor_wait_is_read_from_the_kernel() -> None:
    """Three have one processor between them: each waits for longer than it runs."""
    before, thread = os.sched_getaffinity(0), threading.get_native_id()
    os.sched_setaffinity(0, {min(before)})
    others = [await asyncio.create_subprocess_exec(sys.executable, "-c", SPINNING) for _ in "ab"]
    try:
        queued, ran = queued_seconds(thread), time.thread_time()
        while queued_seconds(thread) - queued < 1.2 * (time.thread_time() - ran) + 0.01:
            pass
    finally:
        os.sched_setaffinity(0, before)
        for other in others:
            other.kill()
            await other.wait()
