"""The page of a real API in Debian's Chromium; records are written as the worker would."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect
from temporalio.client import Client

from services.api.app import create_app
from services.api.settings import ApiSettings
from shared.records import RecordStore
from shared.web import server
from tests.shared.processes import free_port
from tests.shared.standins import client_of_nobody, standing_in

# A page takes a fifth of the processor in the one without windows.
CHROMIUM = Path(shutil.which("chromium-headless-shell") or "/usr/bin/chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
DESKTOP = {"width": 1280, "height": 900}
PATIENCE_MILLISECONDS = 60_000


@dataclass
class Place:
    """Where an API answers, can be stopped, and started again on the same port and data."""

    port: int
    data_dir: Path
    client: Client
    settings: dict[str, Any]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def records(self) -> RecordStore:
        return RecordStore(self.data_dir)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The API, until the end of the block."""
        settings = ApiSettings(data_dir=self.data_dir, api_port=self.port, **self.settings)
        listener = socket.create_server(("127.0.0.1", self.port))
        program = server(create_app(settings, self.client), "127.0.0.1", port=0, shutdown_seconds=1)
        task = asyncio.create_task(program.serve(sockets=[listener]))
        try:
            while not program.started:
                if task.done():
                    task.result()
                await asyncio.sleep(0.01)
            yield
        finally:
            program.should_exit = True
            await task
            listener.close()


NewPlace = Callable[..., Place]
NewPage = Callable[..., AbstractAsyncContextManager[Page]]


@pytest.fixture
def away() -> dict[str, Any]:
    """Settings by which no other service is there, and none of a stack on this machine is seen."""
    ports = (
        "callback_port",
        "comfyui_port",
        "kling_port",
        "worker_http_port",
        "semaphore_http_port",
    )
    return {name: free_port() for name in ports}


@pytest.fixture
async def place(tmp_path: Path, client: Client, away: dict[str, Any]) -> AsyncIterator[Place]:
    """A running API in front of a real server, where the stand-ins answer."""
    made = Place(free_port(), tmp_path, client, away)
    async with standing_in(client), made.running():
        yield made


@pytest.fixture
async def lonely(tmp_path: Path, away: dict[str, Any]) -> Place:
    """An API, not yet started, whose Temporal is away: what is shown is what the folder has."""
    return Place(free_port(), tmp_path, await client_of_nobody(free_port()), away)


@pytest.fixture
def chromium() -> str:
    """The browser's program; without it the tests in a browser are left out."""
    if not CHROMIUM.exists():
        pytest.skip(f"left out: the tests in a browser ({CHROMIUM} is missing)")
    return str(CHROMIUM)


@pytest.fixture
async def new_page(chromium: str) -> AsyncIterator[NewPage]:
    """Opens pages; anything that the page itself gets wrong fails the test."""
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)

        @asynccontextmanager
        async def make(url: str, **options: Any) -> AsyncIterator[Page]:
            context = await browser.new_context(**{"viewport": DESKTOP, **options})
            context.set_default_timeout(PATIENCE_MILLISECONDS)
            page = await context.new_page()
            wrong: list[str] = []
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda message: wrong.extend(_violations(message.text)))
            await page.goto(url)
            yield page
            await context.close()
            assert wrong == []

        yield make
        await browser.close()


def _violations(text: str) -> list[str]:
    """What the browser says of our own policy; refused calls are told there, too, and are fine."""
    return [text] if "Content Security Policy" in text else []
