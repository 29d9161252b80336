"""A receiver over real HTTP, in front of a real server with a stand-in for the job."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from services.callback import receiver
from services.callback.app import create_app
from services.callback.settings import CallbackSettings
from shared.http.client import http_client
from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.ids import external_id, new_job_id
from shared.jobs.messages import Record, StageDone
from shared.jobs.states import Status
from shared.jobs.tokens import callback_url
from tests.fixtures.processes import free_port, serving
from tests.fixtures.records import RecordStore
from tests.shared.standins import StandIn, client_of_nobody, sample_record, standing_in

SECRET = "a-secret-of-32-characters-or-more"


@dataclass
class Vendor:
    """Sends callbacks for one job, as the real one would."""

    http: httpx.AsyncClient
    job_id: str
    data_dir: Path

    def address(self, attempt: int = 1, secret: str = SECRET) -> str:
        return callback_url("", secret, external_id(self.job_id, "video", attempt))

    def body(self, status: str = "succeed", at: int = 1000, **more: Any) -> dict[str, Any]:
        return {"task_id": "task-1", "task_status": status, "updated_at": at} | more

    async def send(self, status: str = "succeed", at: int = 1000, **more: Any) -> httpx.Response:
        return await self.http.post(self.address(), json=self.body(status, at, **more))

    async def fate(self, status: str = "succeed", at: int = 1000, **more: Any) -> str:
        answer = await self.send(status, at, **more)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["fate"])

    async def receipts(self) -> list[dict[str, Any]]:
        answer = await self.http.get("/callbacks", params={"job_id": self.job_id})
        rows = answer.json()
        assert isinstance(rows, list)
        return rows

    def record(self, **fields: Any) -> Record:
        """Write the job's record, running and with its task known unless told otherwise."""
        record = record_of(self.job_id, **fields)
        RecordStore(self.data_dir).write(record)
        return record


def record_of(job_id: str, **fields: Any) -> Record:
    """The record of a job that waits for its first video, unless told otherwise."""
    known = {f"{job_id}.video.1": "task-1"}
    return sample_record(job_id).model_copy(
        update={"status": Status.RUNNING, "step": "video", "tasks": known, **fields}
    )


async def start_job(client: Client, job_id: str, prompt: str = "wait") -> None:
    await client.start_workflow(
        GENVIDEO.workflow,
        GenVideoInput(prompt=prompt, style=""),
        id=job_id,
        task_queue=GENVIDEO.name,
    )


async def told(client: Client, job_id: str) -> list[StageDone]:
    return await client.get_workflow_handle(job_id).query(StandIn.told)


def settings_for(data_dir: Path, **given: object) -> CallbackSettings:
    return CallbackSettings.model_validate(
        {"data_dir": data_dir, "callback_secret": SecretStr(SECRET), **given}
    )


@asynccontextmanager
async def receiving(data_dir: Path, **given: object) -> AsyncIterator[Vendor]:
    """A receiver without sockets and Temporal, for what is refused before it is judged."""
    app = create_app(settings_for(data_dir, **given), await client_of_nobody(free_port()))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as http,
    ):
        yield Vendor(http, new_job_id(), data_dir)


@pytest.fixture(autouse=True)
def _patient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is there may answer as late as a busy machine has it."""
    if "client" in request.fixturenames and "away" not in request.fixturenames:
        monkeypatch.setattr(receiver, "SIGNAL_SECONDS", 60.0)


@pytest.fixture
async def jobs(client: Client) -> AsyncIterator[None]:
    async with standing_in(client):
        yield


@pytest.fixture
async def vendor(client: Client, tmp_path: Path) -> AsyncIterator[Vendor]:
    """A vendor with one task, and a receiver that it can reach."""
    app = create_app(settings_for(tmp_path), client)
    async with serving(app) as base, http_client(base) as http:
        yield Vendor(http, new_job_id(), tmp_path)


@pytest.fixture
async def offline(tmp_path: Path) -> AsyncIterator[Vendor]:
    async with receiving(tmp_path) as vendor:
        yield vendor
