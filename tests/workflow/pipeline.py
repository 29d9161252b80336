"""The pipeline in one process, every part the real one, over real HTTP and a real server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import WorkflowAlreadyStartedError

from services.api.temporal.client import Temporal
from services.callback.app import create_app as create_callback
from services.callback.settings import CallbackSettings
from services.semaphore.worker import running_semaphore
from services.worker.settings.worker import WorkerSettings
from services.worker.worker import running_worker
from shared.errors import TemporalUnavailable
from shared.jobs.ids import new_job_id
from shared.jobs.messages import JobInput, Progress, Record
from shared.jobs.states import Status, may_follow
from shared.semaphore.messages import (
    CHANGE_UPDATE,
    STAGE_GATES,
    Gate,
    SlotChange,
    SlotView,
    semaphore_id,
)
from shared.semaphore.state import SemaphoreRules
from shared.store.records import RecordStore
from tests.fixtures.eventually import PATIENCE_SECONDS, eventually
from tests.fixtures.semaphore_view import semaphore_view
from tests.services.mock_core.serving import Json, Service, comfyui, kling, running, served

SECRET = SecretStr("a-secret-of-32-characters-or-more")
# Quick, and the same for all: a job takes some tenths of a second.
QUICK: Json = {
    "image_attempt_seconds": 30,
    "video_attempt_seconds": 30,
    "video_poll_seconds": 1,
    "drain_seconds": 20,
    "accept_seconds": 1,
    "image_lost_seconds": 0.2,
    "video_lost_seconds": 0.2,
    "image_address_seconds": 0.2,
    "video_address_seconds": 0.2,
    "shutdown_seconds": 0.1,
}


@dataclass
class Pipeline:
    """What a test does with it, and what it looks at afterwards."""

    client: Client
    settings: WorkerSettings
    images: Service
    videos: Service

    @property
    def records(self) -> RecordStore:
        return RecordStore(self.settings.data_dir)

    async def submit(self, prompt: str = "a cat", **fields: Any) -> str:
        """Start a job as the API does, and as its clients do, who are told to try again; its id."""
        job_id, temporal = new_job_id(), Temporal(self.client)
        job = JobInput.model_validate({"style": "ink", **fields, "prompt": prompt})
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    await temporal.start(job_id, job)
                except WorkflowAlreadyStartedError:
                    return job_id
                except TemporalUnavailable:
                    continue
                return job_id

    async def submit_at_once(self, *prompts: str) -> list[str]:
        """Jobs that all wait before the first of them may begin; their ids."""
        await self.change(paused=True)
        jobs = [await self.submit(prompt) for prompt in prompts]
        await self.slots(lambda view: view.waiting == tuple(jobs))
        await self.change(paused=False)
        return jobs

    def job(self, job_id: str, *, run_id: str | None = None) -> WorkflowHandle[Any, Progress]:
        return self.client.get_workflow_handle(job_id, run_id=run_id, result_type=Progress)

    async def run(self, prompt: str = "a cat", **fields: Any) -> Record:
        """A job from its submission to its end."""
        job_id = await self.submit(prompt, **fields)
        return await self.ended(job_id)

    async def ended(self, job_id: str) -> Record:
        """The record of a job as soon as its newest run has closed; checked as a whole."""
        with contextlib.suppress(Exception):
            await self.job(job_id).result()
        # A server that was just restarted may have ended the wait, and not the job.
        await eventually(lambda: self._closed(job_id), bool)
        record = self.record(job_id)
        check(record)
        return record

    async def _closed(self, job_id: str) -> bool:
        return (await self.job(job_id).describe()).close_time is not None

    def record(self, job_id: str) -> Record:
        record = self.records.read(job_id)
        assert record is not None
        return record

    async def until(self, job_id: str, *statuses: Status) -> Record:
        """The record as soon as it has reached one of these states."""

        async def look() -> Record | None:
            return self.records.read(job_id)

        found = await eventually(look, lambda it: it is not None and it.status in statuses)
        assert found is not None
        return found

    async def noted(self, job_id: str, note: str) -> Record:
        """The record as soon as a transition says this."""

        async def look() -> Record | None:
            return self.records.read(job_id)

        def says(record: Record | None) -> bool:
            return record is not None and any(note in each.note for each in record.transitions)

        found = await eventually(look, says)
        assert found is not None
        return found

    async def slots(
        self, reached: Callable[[SlotView], object] = bool, gate: Gate = Gate.JOB
    ) -> SlotView:
        """The semaphore's view as soon as it has reached something."""
        view = await eventually(
            lambda: semaphore_view(self.client, gate),
            lambda view: view is not None and reached(view),
        )
        assert view is not None
        return view

    async def free(self) -> None:
        """Return when nobody holds the slot, or waits or holds at any other gate."""
        await self.slots(lambda view: not view.holders)
        for gate in STAGE_GATES:
            await self.slots(lambda view: not view.holders and not view.waiting, gate)

    async def change(self, gate: Gate = Gate.JOB, **fields: Any) -> None:
        """Set a gate's limit or pause."""
        semaphore = self.client.get_workflow_handle(semaphore_id(gate))
        await self.slots(gate=gate)
        await semaphore.execute_update(CHANGE_UPDATE, SlotChange(**fields))

    async def events(self, job_id: str) -> int:
        return (await self.job(job_id).describe()).history_length


def check(record: Record) -> None:
    """What every record must show, however its job went."""
    transitions = record.transitions
    assert [each.version for each in transitions] == list(range(1, record.version + 1))
    for before, after in pairwise(transitions):
        assert may_follow(before.status, after.status), (before, after)
        assert after.at >= before.at
        if (before.step, before.attempt) == (after.step, after.attempt):
            assert after.percent >= before.percent, (before, after)
    last = transitions[-1]
    assert (last.status, last.step, last.percent) == (record.status, record.step, record.percent)
    assert record.status.ended == (record.finished_at is not None)
    if record.status in (Status.FAILED, Status.DEGRADED, Status.CANCELLED):
        assert record.error is not None


def paid_once(rows: Iterable[Json]) -> bool:
    """Whether no id of ours was charged twice."""
    charged = [row["external_id"] for row in rows if row["charged"]]
    return len(charged) == len(set(charged))


@contextlib.asynccontextmanager
async def vendors(**settings: Any) -> AsyncIterator[tuple[Service, Service]]:
    """Both mocks, 1000 times as fast as the vendors."""
    async with running(comfyui()) as images, running(kling()) as videos:
        yield images, videos


@contextlib.asynccontextmanager
async def pipeline(client: Client, data_dir: Path, **changes: Any) -> AsyncIterator[Pipeline]:
    """Mocks, receiver, and what is needed to start workers; no worker and no semaphore yet."""
    callback = CallbackSettings(callback_secret=SECRET, data_dir=data_dir)
    async with vendors() as (images, videos), served(create_callback(callback, client)) as base:
        settings = WorkerSettings.model_validate(
            {
                **QUICK,
                "image_service_url": str(images.http.base_url).rstrip("/"),
                "video_service_url": str(videos.http.base_url).rstrip("/"),
                "callback_url": base,
                "callback_secret": SECRET,
                "data_dir": data_dir,
                **changes,
            }
        )
        yield Pipeline(client, settings, images, videos)


@contextlib.asynccontextmanager
async def working(
    client: Client, data_dir: Path, *, rules: SemaphoreRules | None = None, **changes: Any
) -> AsyncIterator[Pipeline]:
    """The whole of it, with one worker and one semaphore."""
    async with (
        pipeline(client, data_dir, **changes) as line,
        running_semaphore(client, rules=rules, shutdown_seconds=0.1),
        running_worker(line.settings, client),
    ):
        yield line
