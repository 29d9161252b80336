"""An API over real HTTP in front of a real server; the folder is written as the worker would."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from temporalio.client import Client

from services.api.app import create_app
from services.api.parts import Dependencies
from services.api.service import Service, make_service
from services.api.settings import ApiSettings
from shared.http.client import http_client
from shared.jobs.messages import Record
from shared.jobs.states import Status
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import free_port, serving
from tests.fixtures.records import RecordStore
from tests.shared.standins import CREATED, client_of_nobody, standing_in

# Nothing is asked whether it is ready.
READY = Dependencies({})
BODY = {"prompt": "雪地里的红狐狸", "style": "ink"}


@dataclass
class Api:
    """The API as its callers and the worker's files see it."""

    http: httpx.AsyncClient
    base: str
    data_dir: Path
    service: Service

    @property
    def sockets(self) -> str:
        return self.base.replace("http", "ws", 1)

    @property
    def records(self) -> RecordStore:
        return RecordStore(self.data_dir)

    async def submit(self, key: str | None = None, **fields: Any) -> str:
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = await self.http.post("/jobs", json={**BODY, **fields}, headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def write(self, record: Record) -> Record:
        """Record a state, as the worker does."""
        assert self.records.write(record)
        return record


def change(record: Record, **fields: Any) -> Record:
    """The next version of a record, with its transition."""
    after = record.model_copy(update={**fields, "version": record.version + 1})
    return after.followed(CREATED, "a test's")


def ended(record: Record, status: Status = Status.SUCCEEDED) -> Record:
    return change(record, status=status, step="video", percent=100, finished_at=CREATED)


async def terminated(client: Client, job_id: str) -> None:
    """Ended from outside, so that visibility shows it."""
    await client.get_workflow_handle(job_id).terminate()
    query = f"WorkflowId='{job_id}' AND ExecutionStatus='Terminated'"

    async def listed() -> list[object]:
        return [each async for each in client.list_workflows(query)]

    await eventually(listed)


def temporal_calls(name: str) -> float:
    """How often this process has made such a call."""
    value = REGISTRY.get_sample_value("genvideo_api_temporal_calls_total", {"call": name})
    return value or 0.0


def all_temporal_calls() -> float:
    """How often this process has called Temporal, in whatever way."""
    samples = (sample for metric in REGISTRY.collect() for sample in metric.samples)
    return sum(each.value for each in samples if each.name == "genvideo_api_temporal_calls_total")


def calls_for_callers() -> float:
    """The same without what a running API asks by itself, every few seconds."""
    by_itself = ("list_changed", "look_for")
    return all_temporal_calls() - sum(map(temporal_calls, by_itself))


NewApi = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture
def new_api(tmp_path: Path) -> NewApi:
    """Makes APIs over one data folder, with settings of their own."""

    @asynccontextmanager
    async def make(client: Client, **settings: Any) -> AsyncIterator[Api]:
        app = create_app(ApiSettings(data_dir=tmp_path, **settings), client)
        async with serving(app) as base, http_client(base) as http:
            # A browser's, which keeps the cookie of a session; the product's client keeps none.
            http.cookies = httpx.Cookies()
            yield Api(http, base, tmp_path, app.state.service)

    return make


@pytest.fixture
async def api(new_api: NewApi, client: Client) -> AsyncIterator[Api]:
    """An API; nothing works on its jobs but what the test itself does."""
    async with new_api(client) as made:
        yield made


@pytest.fixture
def new_lonely(new_api: NewApi) -> NewApi:
    """Makes APIs whose Temporal is away."""

    @asynccontextmanager
    async def make(**settings: Any) -> AsyncIterator[Api]:
        async with new_api(await client_of_nobody(free_port()), **settings) as made:
            yield made

    return make


@pytest.fixture
async def lonely(new_lonely: NewApi) -> AsyncIterator[Api]:
    async with new_lonely() as made:
        yield made


NewHttp = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def new_http(tmp_path: Path) -> NewHttp:
    """Makes APIs without sockets, folder and Temporal, by their settings."""

    @asynccontextmanager
    async def make(**fields: Any) -> AsyncIterator[httpx.AsyncClient]:
        settings = ApiSettings(data_dir=tmp_path, **fields)
        app = create_app(settings)
        app.state.service = make_service(settings, await client_of_nobody(free_port()))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as http:
            yield http

    return make


@pytest.fixture
async def offline(new_http: NewHttp) -> AsyncIterator[httpx.AsyncClient]:
    """One for what is refused before any of them is needed."""
    async with new_http() as http:
        yield http


@pytest.fixture
async def workers(client: Client) -> AsyncIterator[None]:
    """Someone who answers queries."""
    async with standing_in(client):
        yield
