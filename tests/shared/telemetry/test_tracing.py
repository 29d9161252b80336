"""What leaves the process: names that are listed, an error's kind, and of nothing else a word."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from opentelemetry.trace import get_current_span

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


async def test_error_is_recorded_by_its_kind() -> None:
    job_id = new_job_id()
    async with traced() as collector:
        with suppress(KeyError), tracing.of_job(job_id, "callback"):
            get_current_span().set_attribute("prompt", SECRET)
            raise KeyError(SECRET)

    [callback] = collector.spans()
    assert SECRET.encode() not in b"".join(collector.bodies)
    assert said(callback) == {"genvideo.job_id": job_id, "error.type": "KeyError"}
    assert callback.trace_id.hex() == job_id.replace("job-", "00000000")


async def test_work_without_a_job_starts_no_trace() -> None:
    async with traced() as collector:
        with tracing.of_job("no job's", "callback"):
            pass
    assert collector.spans() == []


def test_tracing_off_does_nothing() -> None:
    with tracing.of_job(new_job_id(), "callback"):
        assert not get_current_span().is_recording()
    assert tracing.interceptors() == ()


async def test_tracing_off_imports_nothing() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OFF, stderr=asyncio.subprocess.PIPE
    )
    _, loaded = await process.communicate()
    assert loaded == b""
