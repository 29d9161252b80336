"""The page of a real API; records are written as the worker would."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect
from pydantic import AnyHttpUrl
from temporalio.client import Client

from services.api.app import create_app
from services.api.settings import ApiSettings
from tests.fixtures.processes import free_port, serving
from tests.fixtures.records import RecordStore
from tests.fixtures.temporal import NewClient
from tests.services.mock_core.serving import Service, comfyui, kling, running
from tests.shared.standins import client_of_nobody, standing_in


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
        settings = ApiSettings(data_dir=self.data_dir, api_port=self.port, **self.settings)
        async with serving(create_app(settings, self.client), at=self.port):
            yield


def nobody_else() -> dict[str, Any]:
    """Settings by which no other service is there, and none of a stack on this machine is seen."""
    others = ("callback_service", "mock_comfyui", "mock_kling", "worker", "semaphore")
    return {f"{name}_url": AnyHttpUrl(f"http://127.0.0.1:{free_port()}") for name in others}


@pytest.fixture
def away() -> dict[str, Any]:
    """An API's settings; no other service is there."""
    return nobody_else()


@pytest_asyncio.fixture(loop_scope="session")
async def client(new_client: NewClient) -> Client:
    """A client of a namespace of the test's own, in the browser's loop, like all that is here."""
    return await new_client()


@pytest_asyncio.fixture(loop_scope="session")
async def image_mock() -> AsyncIterator[Service]:
    async with running(comfyui()) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def video_mock() -> AsyncIterator[Service]:
    async with running(kling()) as service:
        yield service


@pytest_asyncio.fixture(loop_scope="session")
async def place(tmp_path: Path, client: Client, away: dict[str, Any]) -> AsyncIterator[Place]:
    """A running API in front of a real server, where the stand-ins answer."""
    made = Place(free_port(), tmp_path, client, away)
    async with standing_in(client), made.running():
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def lonely(tmp_path: Path, away: dict[str, Any]) -> Place:
    """An API, not yet started, whose Temporal is away: what is shown is what the folder has."""
    return await lonely_place(tmp_path, away)


async def lonely_place(folder: Path, settings: dict[str, Any]) -> Place:
    return Place(free_port(), folder, await client_of_nobody(free_port()), settings)


def job_id(number: int) -> str:
    return f"job-{number:024x}"


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text)


async def shows_link(page: Page, state: str) -> None:
    await expect(page.locator(f"#link[data-state={state}]")).to_be_visible()


async def ready(page: Page) -> None:
    """The socket is up, and the page knows its surroundings."""
    await shows_link(page, "live")
    await expect(page.locator("#mode")).to_be_visible()
