"""Each reply has one date, by the vendor's clock, whoever serves it."""

import time
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import pytest

from tests.services.mock_core.serving import Service
from tests.shared.processes import running


async def test_refusals_and_files_are_dated(image_mock: Service) -> None:
    for path in ("/healthz", "/nothing", "/admin/stats"):
        (told,) = (await image_mock.http.get(path)).headers.get_list("date")
        assert parsedate_to_datetime(told).timestamp() == pytest.approx(time.time(), abs=60)


async def test_the_server_adds_none(tmp_path: Path) -> None:
    module = "services.mock_comfyui"
    async with (
        running(module, "COMFYUI_PORT", environment={}, log=tmp_path / "log") as process,
        httpx.AsyncClient(base_url=process.base) as http,
    ):
        assert len((await http.get("/healthz")).headers.get_list("date")) == 1
