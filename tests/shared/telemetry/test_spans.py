"""What leaves the process: names that are listed, an error's kind, and of nothing else a word."""

import asyncio
import sys
from contextlib import suppress

import pytest

from shared.jobs.ids import new_job_id
from shared.telemetry.spans import Spans
from shared.telemetry.tracing import (
    beginning,
    call,
    client_interceptors,
    note,
    of_job,
    worker_interceptors,
)
from tests.fixtures.collector import collecting, said

SECRET = "what-nobody-may-read"
# What whoever has no traces is to load.
OFF = """
import sys
import services.api.app, services.callback.app, services.worker.worker, services.semaphore.worker
heavy = ("opentelemetry.sdk", "opentelemetry.exporter", "requests")
sys.exit(", ".join(name for name in sys.modules if name.startswith(heavy)) or 0)
"""

# A fork by a process with traces: 1 where its child has made a thread, or has done anything at all
# to the spans, before it could become another program.
FORKED = """
import os, sys, threading
from shared.telemetry.spans import Spans
spans = Spans("http://127.0.0.1:9/v1/traces", headers={}, service="a test's")
made, start, resource = [], threading.Thread.start, spans._provider.resource
threading.Thread.start = lambda thread: made.append(thread) or start(thread)
child = os.fork()
if child == 0:
    os._exit(bool(made) or spans._provider.resource is not resource)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


async def test_an_error_is_told_by_its_kind() -> None:
    job_id = new_job_id()
    async with collecting() as collector:
        spans = Spans(f"{collector.url}/v1/traces", headers={}, service="a test's")
        with suppress(KeyError), spans.of_job(job_id, "callback", {"prompt": SECRET}):
            with suppress(ValueError), spans.call("GET", "vendor.example"):
                spans.note({"status": 502, "token": SECRET})
                raise ValueError(SECRET)
            spans.note({"fate": "applied"})
            raise KeyError(SECRET)
        await asyncio.to_thread(spans.stop)

        called, callback = collector.spans()
        assert SECRET.encode() not in collector.bodies[0]
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


async def test_what_fails_to_begin_begins_no_trace_and_what_belongs_to_no_job_neither() -> None:
    first, second = new_job_id(), new_job_id()
    async with collecting() as collector:
        spans = Spans(f"{collector.url}/v1/traces", headers={}, service="a test's")
        with spans.call("GET", "vendor.example"), spans.of_job("no job's", "callback", {}):
            pass
        with pytest.raises(KeyError), spans.beginning(first, {}):
            raise KeyError
        with spans.beginning(second, {}):
            pass
        await asyncio.to_thread(spans.stop)

        [begun] = collector.spans()
    assert begun.trace_id.hex() == second.replace("job-", "00000000")
    with spans.of_job(second, "callback", {}):
        pass


async def test_off_is_nothing() -> None:
    with beginning(new_job_id()), of_job(new_job_id(), "callback"), call("GET", "vendor.example"):
        note(fate="applied")
    assert (*client_interceptors(), *worker_interceptors()) == ()


async def test_off_loads_nothing() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OFF, stderr=asyncio.subprocess.PIPE
    )
    _, loaded = await process.communicate()
    assert loaded == b""


async def test_a_forked_child_has_no_spans() -> None:
    """Its parent waits until it is another program; a lock that it waits for would hold up both."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", FORKED)
    assert await process.wait() == 0
