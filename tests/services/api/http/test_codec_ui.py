"""The real Temporal UI in a browser shows an encrypted job's prompt, by our codec endpoint."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect
from temporalio.client import Client

from services.api.app import create_app
from services.api.settings import ApiSettings
from services.api.temporal.client import Temporal
from shared.jobs.ids import new_job_id
from shared.jobs.messages import JobInput
from tests.fixtures.browser import ARGUMENTS, CHROMIUM, PATIENCE_MILLISECONDS
from tests.fixtures.server import running_server
from tests.shared.processes import free_port
from tests.shared.serving import serving
from tests.shared.temporal.test_codec import NEW, PROMPT


@asynccontextmanager
async def with_ui(port: int, codec: str) -> AsyncIterator[Client]:
    """A server with its UI, started as the stack starts it."""
    ui = ("--ui-port", str(port), f"--ui-codec-endpoint={codec}/codec")
    with running_server(*ui) as server:
        yield await server.client(NEW)


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
