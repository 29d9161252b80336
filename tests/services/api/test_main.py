"""The API as a process: it starts without Temporal, and ends although sockets are open."""

import asyncio
import signal
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from shared.http.client import http_client
from shared.jobs.ids import new_job_id
from tests.fixtures.processes import free_port, running
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
