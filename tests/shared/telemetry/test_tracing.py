"""What leaves the process: names that are listed, an error's kind, and of nothing else a word."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from shared.jobs.ids import new_job_id
from shared.telemetry import tracing
from tests.fixtures.mocks import Collector, collecting, said

SECRET = "what-nobody-may-read"
# The modules that a process without traces may load.
OFF = """
import sys
import services.api.app, services.callback.app, services.worker.worker, shared.semaphore.worker
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "requests")
sys.exit(", ".join(name for name in sys.modules if name.startswith(heavy)) or 0)
"""


@asynccontextmanager
async def traced() -> AsyncIterator[Collector]:
    """Traces are on within the block; at its end all have been sent."""
    async with collecting() as collector:
        tracing.configure(f"{collector.url}/v1/traces", headers={}, service="a test's")
        yield collector
        await asyncio.to_thread(tracing.stop)


async def test_an_error_is_told_by_its_kind() -> None:
    job_id = new_job_id()
    async with traced() as collector:
        with suppress(KeyError), tracing.of_job(job_id, "callback", prompt=SECRET):
            with suppress(ValueError), tracing.call("GET", "vendor.example"):
                tracing.note(status=502, token=SECRET)
                raise ValueError(SECRET)
            tracing.note(fate="applied")
            raise KeyError(SECRET)

    called, callback = collector.spans()
    assert SECRET.encode() not in b"".join(collector.bodies)
    assert said(called) == {
        "genvideo.job_id": job_id,
        "http.request.method": "GET",
        "server.address": "vendor.example",
        "http.response.status_code": 502,
        "error.type": "ValueError",
    }
    assert said(callback) == {
        "genvideo.job_id": job_id,
        "genvideo.fate": "applied",
        "error.type": "KeyError",
    }
    assert called.parent_span_id == callback.span_id
    assert callback.trace_id.hex() == job_id.replace("job-", "00000000")


async def test_what_belongs_to_no_job_begins_no_trace() -> None:
    async with traced() as collector:
        with tracing.call("GET", "vendor.example"), tracing.of_job("no job's", "callback"):
            tracing.note(fate="applied")
    assert collector.spans() == []


def test_off_is_nothing() -> None:
    with tracing.of_job(new_job_id(), "callback"), tracing.call("GET", "vendor.example"):
        tracing.note(fate="applied")
    assert tracing.interceptors() == ()


async def test_off_loads_nothing() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OFF, stderr=asyncio.subprocess.PIPE
    )
    _, loaded = await process.communicate()
    assert loaded == b""
