"""Readers that do not read: an API keeps next to nothing for each, and serves the others."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

from shared.http.client import http_client
from shared.jobs.genvideo import GenVideoInput
from shared.jobs.ids import new_job_id
from tests.fixtures.processes import free_port, resident_megabytes, running
from tests.fixtures.records import RecordStore
from tests.shared.standins import sample_record

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
