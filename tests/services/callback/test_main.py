"""The receiver as a process: it starts without Temporal, tells no token, and ends on SIGTERM."""

import signal
from pathlib import Path

from shared.http.client import http_client
from shared.jobs.ids import new_job_id
from tests.fixtures.processes import free_port, running
from tests.services.callback.conftest import SECRET, Vendor


async def test_receiver_works_without_temporal_and_logs_no_token(tmp_path: Path) -> None:
    environment = {
        "DATA_DIR": str(tmp_path),
        "CALLBACK_SECRET": SECRET,
        "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
    }
    async with (
        running("services.callback", "CALLBACK_PORT", environment=environment) as service,
        http_client(service.base) as http,
    ):
        vendor = Vendor(http, new_job_id(), tmp_path)
        vendor.record()
        assert (await vendor.send("processing")).status_code == 200
        away = await vendor.send("succeed")
        assert (away.status_code, away.headers["retry-after"]) == (503, "1")
        assert (await http.post(vendor.address(secret="x" * 20), json={})).status_code == 404
        assert 'fate="rejected"' in (await http.get("/metrics")).text
        status, output = await service.terminated()

    # uvicorn ends well, then lets the signal have its default effect.
    assert status in (0, -signal.SIGTERM)
    assert vendor.job_id in output
    assert "token" not in output
    assert vendor.address().rpartition("=")[2] not in output
