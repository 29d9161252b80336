"""The real Temporal UI in a browser shows an encrypted job's prompt, by our codec endpoint."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import async_playwright, expect
from temporalio.client import Client

from services.api.app import create_app
from services.api.settings import ApiSettings
from services.api.temporal import Temporal
from shared.jobs.ids import new_job_id
from shared.jobs.messages import JobInput
from tests.fixtures.browser import ARGUMENTS, CHROMIUM, PATIENCE_MILLISECONDS
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import free_port, serving
from tests.fixtures.temporal import running_server
from tests.shared.temporal.test_codec import NEW, PROMPT

UI_CALLS = ("/settings", "/cluster-info", "/namespaces", "/namespaces/default/search-attributes")


@asynccontextmanager
async def with_ui(port: int, codec: str) -> AsyncIterator[Client]:
    """Start a server with its UI as the stack does, and wait until both answer.

    The UI is served at once, while its own connection to the server needs a second more: until then
    each of its calls is a 503, and a page that is opened shows an error for good.
    """
    ui = ("--ui-port", str(port), f"--ui-codec-endpoint={codec}/codec")
    with running_server(*ui) as server:
        client = await server.client(NEW)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1") as calls:

            async def statuses() -> set[int]:
                with contextlib.suppress(httpx.TransportError):
                    return {(await calls.get(path)).status_code for path in UI_CALLS}
                return set()

            await eventually(statuses, lambda found: found == {200})
        yield client


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")
async def test_the_ui_shows_the_prompt(tmp_path: Path) -> None:
    ui = free_port()
    settings = ApiSettings.model_validate(
        {"data_dir": tmp_path, "payload_key": NEW, "temporal_ui_url": f"http://127.0.0.1:{ui}"}
    )
    async with serving(create_app(settings)) as base, with_ui(ui, base) as client:
        job_id = new_job_id()
        await Temporal(client).start(job_id, JobInput(prompt=PROMPT, style="ink"))
        async with async_playwright() as drive:
            browser = await drive.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = await browser.new_page()
            await page.goto(f"http://127.0.0.1:{ui}/namespaces/default/workflows/{job_id}")
            shown = page.get_by_text(f'"prompt": "{PROMPT}"').first
            await expect(shown).to_be_visible(timeout=PATIENCE_MILLISECONDS)
            await browser.close()
