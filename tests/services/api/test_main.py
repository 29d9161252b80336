"""The API as a process: it starts without Temporal, ends although sockets are open, and keeps next
to nothing for readers that do not read."""

import asyncio
import resource
import signal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from shared.http.client import http_client
from shared.jobs.genvideo import GenVideoInput
from shared.jobs.ids import new_job_id
from tests.fixtures.processes import free_port, resident_megabytes, running
from tests.fixtures.records import RecordStore
from tests.shared.standins import sample_record


async def test_api_stops_with_open_sockets_and_logs_no_error_for_refused_ones(
    tmp_path: Path,
) -> None:
    """What it says has no query, because that may carry a token."""
    record = sample_record(new_job_id())
    RecordStore(tmp_path).write(record)
    environment = {
        "DATA_DIR": str(tmp_path),
        "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "DEBUG",
    }
    log = tmp_path / "log"
    async with (
        running("services.api", "API_PORT", environment=environment, log=log) as service,
        http_client(service.base) as http,
    ):
        assert (await http.get("/readyz")).status_code == 503
        assert (await http.get(f"/jobs/{record.job_id}")).json()["version"] == 1
        sockets = service.base.replace("http", "ws", 1)
        for path, origin in (
            ("/ws/jobs", "https://evil.example"),
            ("/ws/jobs?mark=maybe&token=hunter2", None),
            ("/nowhere?token=hunter2", None),
        ):
            with pytest.raises(InvalidStatus):
                await connect(f"{sockets}{path}", proxy=None, origin=origin)  # type: ignore[arg-type]
        async with (
            connect(f"{sockets}/ws/jobs", proxy=None) as every,
            connect(f"{sockets}/ws/jobs/{record.job_id}", proxy=None) as one,
            http.stream("GET", f"/jobs/{record.job_id}/events") as events,
        ):
            # Held on to: a generator that is dropped closes its stream.
            lines = events.aiter_lines()
            await asyncio.gather(every.recv(), one.recv(), anext(lines))
            service.process.terminate()
            status = await service.process.wait()

    assert status in (0, -signal.SIGTERM)
    output = log.read_text()
    for never in ("Traceback", "timeout", "hunter2", "ASGI", '"level": "error"'):
        assert never not in output


async def test_api_may_open_as_many_files_as_it_may_ask_for(tmp_path: Path) -> None:
    """Each listener is one, and a shell's usual limit is half of our own."""
    environment = {"DATA_DIR": str(tmp_path), "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most // 2, most))
    try:
        async with running("services.api", "API_PORT", environment=environment) as api:
            assert resource.prlimit(api.process.pid, resource.RLIMIT_NOFILE) == (most, most)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


READERS = 60
JOBS = 400
# All jobs for each reader would be 180 MB.
MEGABYTES = 60
LOOKS = 10
PATIENCE_SECONDS = 60


async def test_readers_that_do_not_read_cost_little(tmp_path: Path) -> None:
    records = RecordStore(tmp_path)
    for _ in range(JOBS):
        records.write(sample_record(new_job_id(), GenVideoInput(prompt="雪" * 2500, style="ink")))
    environment = {"DATA_DIR": str(tmp_path), "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}
    log = tmp_path / "log"
    async with running("services.api", "API_PORT", environment=environment, log=log) as api:
        before = resident_megabytes(api.process.pid)
        writers = [await reader_that_does_not_read(api.base) for _ in range(READERS)]
        async with http_client(api.base, seconds=PATIENCE_SECONDS) as http:
            for _ in range(LOOKS):
                assert (await http.get("/healthz")).status_code == 200
                assert resident_megabytes(api.process.pid) < before + MEGABYTES
                await asyncio.sleep(0.1)
        for writer in writers:
            writer.transport.abort()


async def reader_that_does_not_read(base: str) -> asyncio.StreamWriter:
    parts = urlsplit(base)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(
        b"GET /ws/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    return writer
