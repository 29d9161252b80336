"""The pipeline in one process, every part the real one, over real HTTP and a real server."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.exceptions import WorkflowAlreadyStartedError

from loadtest.judge.intervals import Interval, Sweep, sweep
from services.api.temporal import Temporal
from services.callback.app import create_app as create_callback
from services.callback.settings import CallbackSettings
from services.mock_core.settings import RuntimeConfig
from services.semaphore.worker import running_semaphore
from services.worker.settings.worker import WorkerSettings
from services.worker.worker import running_worker
from services.worker.workflows import GenVideoWorkflow
from shared.errors import TemporalUnavailable
from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Attempts, JobError, Progress, Record
from shared.jobs.slots import JOB_GATE
from shared.jobs.states import Status, may_follow
from shared.replay.replaying import replay
from shared.semaphore.messages import CHANGE_UPDATE, SlotChange, SlotView, semaphore_id
from shared.semaphore.state import WATCH_RUN, SemaphoreRules
from shared.temporal.codec import PayloadKeys
from tests.fixtures.eventually import PATIENCE_SECONDS, eventually
from tests.fixtures.records import RecordStore
from tests.fixtures.semaphore import semaphore_view
from tests.services.mock_core.serving import Json, Service, comfyui, kling, running, served

# A minute: what is to happen meanwhile is sure to come in time; then the vendor hurries.
LONG: Json = {"where": "start", "do": "slow", "with": {"extra": 60_000}}
SECRET = SecretStr("a-secret-of-32-characters-or-more")
# The stages that tests disturb; a further stage makes no difference to them.
STEPS = ("image", "video")
# The stage whose file the video is made of.
BEFORE_VIDEO = GENVIDEO.names[GENVIDEO.names.index("video") - 1]
# Quick, and the same for all: a job takes some tenths of a second.
QUICK: Json = {
    "image_attempt_seconds": 30,
    "video_attempt_seconds": 30,
    "video_poll_seconds": 1,
    "drain_seconds": 20,
    "accept_seconds": 1,
    "image_lost_seconds": 0.2,
    "video_lost_seconds": 0.2,
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
        """Start a job as the API does, and retry as its clients do; return its id."""
        job_id, temporal = new_job_id(), Temporal(self.client)
        job = GenVideoInput.model_validate({"style": "ink", **fields, "prompt": prompt})
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

    def service(self, step: str) -> Service:
        return {"image": self.images, "video": self.videos}[GENVIDEO.stage(step).vendor]

    async def ledger(self, step: str, job_id: str = "") -> list[Json]:
        """The vendor's rows of a step, of one job or of all."""
        rows = await self.service(step).json("/admin/ledger")
        begins = (job_id, f".{step}.")
        return [row for row in rows if all(part in row["external_id"] for part in begins)]

    async def held(self, step: str, prompt: str = "held") -> str:
        """A job that its vendor works at for a minute, or until that has it hurry."""
        await self.service(step).arm({**LONG, "match": {"prompt": prompt}})
        job_id = await self.submit(prompt)
        await begun(self.service(step), f"{job_id}.{step}.1")
        return job_id

    async def is_over_before(self, job_id: str, step: str, following: str) -> None:
        """Raise AssertionError if the next job began while this one's generation still ran."""
        row = await self.service(step).row(f"{job_id}.{step}.1")
        next_row = await self.images.row(f"{following}.image.1")
        assert row["finished_ts"] <= next_row["accepted_ts"]

    def job(self, job_id: str, *, run_id: str | None = None) -> WorkflowHandle[Any, Progress]:
        return self.client.get_workflow_handle(job_id, run_id=run_id, result_type=Progress)

    async def run(self, prompt: str = "a cat", **fields: Any) -> Record:
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

    async def reaches(self, job_id: str, reached: Callable[[Record], object]) -> Record:
        """The record as soon as it has reached something."""

        async def look() -> Record | None:
            return self.records.read(job_id)

        found = await eventually(look, lambda it: it is not None and reached(it))
        assert found is not None
        return found

    async def until(self, job_id: str, *statuses: Status) -> Record:
        return await self.reaches(job_id, lambda record: record.status in statuses)

    async def noted(self, job_id: str, note: str) -> Record:
        """The record as soon as a transition says this."""
        return await self.reaches(
            job_id, lambda record: any(note in each.note for each in record.transitions)
        )

    async def slots(
        self, reached: Callable[[SlotView], object] = bool, gate: str = JOB_GATE
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
        for gate in GENVIDEO.names:
            await self.slots(lambda view: not view.holders and not view.waiting, gate)

    async def renew(self, images: RuntimeConfig, videos: RuntimeConfig) -> None:
        """Wait until nothing runs, and have slot and vendors be as at first."""
        await self.free()
        view = await self.slots()
        if view.paused or view.limit != 1:
            await self.change(limit=1, paused=False)
        for service, config in ((self.images, images), (self.videos, videos)):
            await service.quiet()
            await service.arm()
            service.app.state.mock.configure(config)
            (await service.post("/admin/reset", {})).raise_for_status()

    async def change(self, gate: str = JOB_GATE, **fields: Any) -> None:
        semaphore = self.client.get_workflow_handle(semaphore_id(gate))
        await self.slots(gate=gate)
        await semaphore.execute_update(CHANGE_UPDATE, SlotChange(**fields))

    async def replays(self, job_id: str, *, run_id: str | None = None) -> None:
        history = await self.job(job_id, run_id=run_id).fetch_history()

        async def only() -> AsyncIterator[WorkflowHistory]:
            yield history

        found = await replay(only(), PayloadKeys(), GenVideoWorkflow)
        assert found == {"replayed": 1, "failures": {}}

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


def once(**but: int) -> Attempts:
    """One attempt at each stage, except at these."""
    return dict.fromkeys(GENVIDEO.names, 1) | but


def up_to(step: str, attempts: int) -> Attempts:
    """One attempt at each stage before this one, and none at those behind it."""
    at = GENVIDEO.names.index(step)
    return {name: int(n < at) for n, name in enumerate(GENVIDEO.names)} | {step: attempts}


def why(record: Record) -> JobError:
    assert record.error is not None
    return record.error


def paid_once(rows: Iterable[Json]) -> bool:
    """Whether no external id was charged twice."""
    charged = [row["external_id"] for row in rows if row["charged"]]
    return len(charged) == len(set(charged))


@contextlib.asynccontextmanager
async def vendors() -> AsyncIterator[tuple[Service, Service]]:
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
    async with (
        pipeline(client, data_dir, **changes) as line,
        running_semaphore(client, rules=rules, shutdown_seconds=0.1),
        running_worker(line.settings, client),
    ):
        yield line


async def rows(line: Pipeline) -> list[Json]:
    """Every generation that either mock accepted, in the order of acceptance."""
    found = [row for step in GENVIDEO.names for row in await line.ledger(step)]
    return sorted(found, key=lambda row: float(row["accepted_ts"]))


async def at_once(line: Pipeline, limit: int = 1) -> Sweep:
    """The jobs by the mocks' clocks, each from its first acceptance to its last end."""
    spans: dict[str, Interval] = {}
    for row in await rows(line):
        job_id = str(row["external_id"]).split(".")[0]
        begin, end = row["accepted_ts"], row["finished_ts"] or float("inf")
        before = spans.get(job_id, Interval(job_id, begin, end))
        spans[job_id] = Interval(job_id, min(begin, before.begin), max(end, before.end))
    return sweep(spans.values(), limit)


async def grants(client: Client) -> Counter[str]:
    """By how they stand (`granted`, `returned`): runs that were told a permit and watched."""
    told: set[str] = set()
    closed: set[str] = set()
    async for events in _semaphores_runs(client):
        watched: dict[int, str] = {}
        for event in events:
            task = event.activity_task_scheduled_event_attributes
            if task.activity_type.name == WATCH_RUN:
                run_id = json.loads(task.input.payloads[0].data)["holder"]["request"]["run_id"]
                watched[event.event_id] = run_id
                told.add(run_id)
            done = event.activity_task_completed_event_attributes
            closed |= {watched.get(done.scheduled_event_id, "")}
    return Counter(granted=len(told), returned=len(told & closed))


async def _semaphores_runs(client: Client) -> AsyncIterator[list[HistoryEvent]]:
    """The events of its present run, and of each that was continued, back to the first."""
    run_id: str | None = None
    while run_id != "":
        handle = client.get_workflow_handle(semaphore_id(JOB_GATE), run_id=run_id)
        events = [event async for event in handle.fetch_history_events()]
        yield events
        run_id = events[0].workflow_execution_started_event_attributes.continued_execution_run_id


Case = TypeVar("Case")


async def side_by_side(scene: Callable[[Case], Awaitable[None]], cases: Iterable[Case]) -> None:
    """The scene for each case, all at once; what fails says for which."""

    async def play(case: Case) -> None:
        try:
            await scene(case)
        except Exception as error:
            error.add_note(f"case: {case}")
            raise

    async with asyncio.TaskGroup() as group:
        for case in cases:
            group.create_task(play(case))


async def begun(service: Service, external_id: str, *, until: str = "started_ts") -> Json:
    """The ledger's row as soon as the vendor works at it, or has noted something later."""

    async def look() -> Json | None:
        rows = await service.json(f"/admin/ledger?external_id={external_id}")
        return dict(rows[-1]) if rows else None

    row = await eventually(look, lambda row: row is not None and row[until] is not None)
    assert row is not None
    return row
