"""HTTP, metrics and Temporal, as the load test reads them."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from pydantic import SecretStr

from loadtest.settings import Settings
from loadtest.wire.api import Api
from loadtest.wire.http import Unreachable
from loadtest.wire.processes import RUNNER, Processes, addresses
from loadtest.wire.temporal import connect
from shared.settings.common import Mocks
from tests.fixtures.processes import free_port, serving


async def test_token_is_sent_with_each_request() -> None:
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return httpx.Response(202, json={"job_id": "job-1"})

    for token in (SecretStr("a-token-of-the-tests"), None):
        transport = httpx.MockTransport(answer)
        async with Api("http://api", token=token, transport=transport) as api:
            assert (await api.submit({}, "key")).job_id == "job-1"

    assert seen == ["Bearer a-token-of-the-tests", None]


TEXT = """# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
process_cpu_seconds_total 12.5
process_resident_memory_bytes 9.1e+07
process_virtual_memory_bytes 5
genvideo_code{digest="0a1b",package="shared"} 1.0
genvideo_code{digest="2c3d",package="services.api"} 1.0
"""


def settings(*, workers: int = 1, mocks: Mocks = "on") -> Settings:
    return Settings(
        worker_url="http://127.0.0.1:9100",
        semaphore_url="http://127.0.0.1:9099",
        workers=workers,
        mocks=mocks,
    )


def test_each_local_worker_has_its_own_port() -> None:
    found = addresses(settings(workers=2))

    assert found["worker-1"] == "http://127.0.0.1:9100"
    assert found["worker-2"] == "http://127.0.0.1:9101"
    assert found["semaphore"] == "http://127.0.0.1:9099"


@pytest.mark.parametrize(
    ("mocks", "called"),
    [("off", set()), ("image", {"mock-comfyui"}), ("video", {"mock-kling"})],
)
def test_real_vendor_is_not_called(mocks: Mocks, called: set[str]) -> None:
    found = addresses(settings(mocks=mocks))

    assert set(found) == {"api", "callback", "semaphore", "worker"} | called


async def test_operators_key_is_sent_only_to_the_receiver() -> None:
    shown: dict[str, str | None] = {}
    app = FastAPI()

    @app.get("/{name}/metrics", response_class=PlainTextResponse)
    async def metrics(name: str, request: Request) -> str:
        shown[name] = request.headers.get("authorization")
        return TEXT

    async with serving(app) as base:
        urls = {name: f"{base}/{name}" for name in ("api", "callback")}
        processes = Processes(urls, tokens={"callback": SecretStr("a-key")})
        rows = await processes.sample()
        code = await processes.code()
        await processes.close()

    cpu = {row["name"]: row["cpu"] for row in rows}
    assert cpu == {"api": 12.5, "callback": 12.5, RUNNER: cpu[RUNNER]}
    assert code == {name: {"shared": "0a1b", "services.api": "2c3d"} for name in urls}
    assert shown == {"api": None, "callback": "Bearer a-key"}


async def test_silent_process_has_no_row_and_the_runner_always_has_one() -> None:
    processes = Processes({"api": "http://127.0.0.1:9"})
    [row] = await processes.sample()
    await processes.close()

    assert row["name"] == RUNNER
    assert row["cpu"] > 0


async def test_local_files_do_not_choose_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, ours = free_port(), free_port()
    file = tmp_path / "temporalio" / "temporal.toml"
    file.parent.mkdir()
    file.write_text(f'[profile.default]\naddress = "127.0.0.1:{theirs}"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("TEMPORAL_ADDRESS", raising=False)
    with pytest.raises(Unreachable, match=f"127.0.0.1:{ours}"):
        await connect(Settings(temporal_address=f"127.0.0.1:{ours}"))
