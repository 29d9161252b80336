"""Callbacks of another pipeline's vendor: its own address, its own form, its own signal."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from examples.speech.definition import SPEECH, SpeechInput
from services.callback.app import create_app
from shared.http.client import http_client
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.ids import new_job_id
from shared.jobs.messages import StageDone
from shared.jobs.tokens import callback_url
from tests.fixtures.processes import serving
from tests.services.callback.conftest import SECRET, Vendor, settings_for, start_job, told

# The same stages by the same vendors, under a signal of its own.
POSTER = replace(GENVIDEO, name="poster", workflow="PosterWorkflow", done="stage_done")


@workflow.defn(name=SPEECH.workflow)
class Reading:
    """Ends with the first callback's signal."""

    def __init__(self) -> None:
        self.done: StageDone | None = None

    @workflow.run
    async def run(self, job: SpeechInput) -> StageDone | None:
        await workflow.wait_condition(lambda: self.done is not None)
        return self.done

    @workflow.signal(name=SPEECH.done)
    def stage_done(self, done: StageDone) -> None:
        self.done = done


@dataclass
class Speaker:
    """Sends the callbacks of one job."""

    http: httpx.AsyncClient
    job_id: str

    async def send(
        self, form: str = "speech", stage: str = "speech", **body: Any
    ) -> httpx.Response:
        ours = f"{self.job_id}.{stage}.1"
        usual = {"id": "7", "reference": ours, "state": "done", "at": 5}
        return await self.http.post(callback_url("", SECRET, ours, form), json={**usual, **body})


@pytest.fixture
async def speaker(client: Client, tmp_path: Path) -> AsyncIterator[Speaker]:
    named = {"pipelines": "examples.speech.definition:SPEECH"}
    app = create_app(settings_for(tmp_path).model_copy(update=named), client)
    async with serving(app) as base, http_client(base) as http:
        yield Speaker(http, new_job_id())


async def test_end_is_signalled_to_its_workflow(speaker: Speaker, client: Client) -> None:
    async with Worker(
        client,
        task_queue=SPEECH.name,
        workflows=[Reading],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        job = await client.start_workflow(
            SPEECH.workflow,
            SpeechInput(text="x"),
            id=speaker.job_id,
            task_queue=SPEECH.name,
            result_type=StageDone,
        )
        assert (await speaker.send(state="reading", at=4)).json() == {"fate": "early"}
        assert (await speaker.send(error="hoarse")).json() == {"fate": "early"}
        done = await job.result()
    assert (done.task_id, done.task_status, done.message) == ("7", "succeed", "hoarse")
    receipts = await speaker.http.get("/callbacks", params={"job_id": speaker.job_id})
    assert [row["task_status"] for row in receipts.json()] == ["processing", "succeed"]


async def test_body_of_another_vendor_is_refused(speaker: Speaker) -> None:
    wrong = await speaker.send(state="singing")
    assert [each["field"] for each in wrong.json()["errors"]] == ["state"]
    assert (await speaker.send(form="kling")).status_code == 404
    assert (await speaker.send(form="opera")).status_code == 404
    assert (await speaker.send(stage="video")).status_code == 404


@pytest.mark.usefixtures("jobs")
async def test_each_pipeline_of_one_vendor_has_its_own_signal(
    client: Client, tmp_path: Path
) -> None:
    named = {"pipelines": "tests.services.callback.test_pipelines:POSTER"}
    app = create_app(settings_for(tmp_path).model_copy(update=named), client)
    async with serving(app) as base, http_client(base) as http:
        vendor = Vendor(http, new_job_id(), tmp_path)
        vendor.record()
        await start_job(client, vendor.job_id)
        assert await vendor.fate("succeed") == "applied"
        assert len(await told(client, vendor.job_id)) == 1
