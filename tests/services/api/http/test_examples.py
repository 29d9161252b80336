"""The examples for the shell and for Python, run as they stand against the whole pipeline."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from temporalio.client import Client

from shared.semaphore import rebuild
from tests.services.api.conftest import Api, NewApi
from tests.services.mock_core.serving import served
from tests.workflow.pipeline import working

EXAMPLES = Path("docs/examples")
TOKEN = "a-token-of-the-tests"


@pytest.fixture
async def stack(
    new_api: NewApi, client: Client, tmp_path: Path, *, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Api]:
    """An API with a token, a worker, a semaphore and both mocks over one folder."""
    monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.05)
    async with working(client, tmp_path), new_api(client, api_token=TOKEN) as api:
        yield api


async def run(api: Api, *command: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "API_URL": api.base, "API_TOKEN": TOKEN, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_batch_by_python_and_one_job_by_curl(stack: Api, tmp_path: Path) -> None:
    status, said = await run(stack, sys.executable, str(EXAMPLES / "batch.py"), "2", "a fox")
    assert status == 0, said
    assert "0 to go" in said
    assert "'succeeded': 2" in said

    if shutil.which("curl") is None:
        pytest.skip("left out: the example for curl (it is not installed)")
    video = tmp_path / "video.mp4"
    status, said = await run(stack, "sh", str(EXAMPLES / "submit.sh"), 'a "fox"', OUTPUT=str(video))
    assert status == 0, said
    assert "succeeded" in said
    assert video.read_bytes()[4:8] == b"ftyp"

    refused, said = await run(stack, "sh", str(EXAMPLES / "submit.sh"), API_TOKEN="")
    assert refused != 0
    assert "401" in said


async def test_permanent_refusal_ends_the_batch(stack: Api) -> None:
    refusing = Route("/jobs", lambda _: Response(status_code=503), methods=["POST"])
    async with served(Starlette(routes=[refusing])) as url:
        batch = (sys.executable, str(EXAMPLES / "batch.py"), "1", "a fox")
        status, said = await run(stack, *batch, API_URL=url)

    assert status == 1
    assert "503 Service Unavailable" in said
