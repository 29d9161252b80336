"""Jobs whose worker dies at chosen places, and what must be true of each afterwards."""

import asyncio
import contextlib
import hashlib
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from services.worker.results import checker
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors import service
from services.worker.vendors.comfyui import calls as comfyui
from services.worker.vendors.kling import videos as kling
from services.worker.worker import running_worker
from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.jobs.states import Status
from shared.pipeline import heartbeat, interceptor, storage, submitting
from shared.store.folder import Folder
from shared.store.records import Records
from shared.telemetry import logs
from shared.temporal.client import GET_RECORD_QUERY, WORKFLOW_TASK_TIMEOUT
from tests.fixtures.eventually import eventually
from tests.services.mock_core.serving import Service
from tests.shared.standins import asset_path
from tests.workflow.pipeline import Pipeline, once, side_by_side, working
from tests.workflow.processes import forked

ASKS = ContextVar("asks", default="poll")
# Told of each crossing: the job, the place, and whether it is `before` or `after` it.
Hook = Callable[[str, str, str], Awaitable[None]]
SyncHook = Callable[[str, str, str], None]

STAGES = {
    f"{kind}_{stage.name}": stage.name
    for stage in GENVIDEO.stages
    for kind in (("request", "collect", "fetch") if stage.called_back else ("gen",))
}
ACTIVITIES = ("enter_queue", "record_state", *STAGES)
# The callback stops this one, or comes before it has begun.
STOPPED = "activity collect_video"
IN_A_STAGE = (
    *("look-up", "fence", "submit", "heartbeat", "poll", "file", "download", "check", "move"),
)
# Of those whose vendor has a call for the result.
RESULTS = tuple(f"{each.name} result" for each in GENVIDEO.stages if each.vendor == "image")
VERSIONS = 2 + sum(1 + each.called_back for each in GENVIDEO.stages)
PLACES = (
    *(name for each in ACTIVITIES if (name := f"activity {each}") != STOPPED),
    *(f"{name} {what}" for name in GENVIDEO.names for what in IN_A_STAGE),
    *RESULTS,
    # An undisturbed job's versions; the last one is its end.
    *(f"record {version}" for version in range(1, VERSIONS + 1)),
)
# Over the vendors' own wires: a ComfyUI has no call for the result, and is asked for its version.
NATIVE_PLACES = (*(place for place in PLACES if place not in RESULTS), "image version")


def install(patch: pytest.MonkeyPatch, hook: Hook, at_once: SyncHook) -> None:
    """Have the hooks called at every place; `at_once` where the code may not wait."""
    _around(patch, interceptor._Inbound, "execute_activity", hook, name=_activity)
    _around(patch, service, "ask", hook, name=_request)
    _around(patch, comfyui.Calls, "_ask", hook, name=_native_request)
    _around(patch, kling, "ask", hook, name=_native_request)
    patch.setattr(submitting, "_look_for", partial(_looks, submitting._look_for))
    _around(patch, submitting, "is_current_try", hook, name=_of_stage("fence"))
    _around(patch, storage.Storage, "_download", hook, name=_of_stage("download"))
    _around(patch, storage.Storage, "_copy", hook, name=_of_stage("file"))
    _around(patch, checker.Checker, "check", hook, name=_of_stage("check"))
    _around_sync(patch, Folder, "keep", at_once, name=_of_stage("move"))
    _around_sync(patch, heartbeat.Pulse, "accept", at_once, name=_of_stage("heartbeat"))
    _around_sync(patch, Records, "append", at_once, name=_record)


def _activity(*_: Any) -> str:
    return f"activity {activity.info().activity_type}"


def _request(_: Any, method: str, path: str, *__: Any) -> str:
    if method == "POST":
        return _stage("submit")
    what = path.split("/")[-2]
    return _stage(ASKS.get() if what == "status" else what)


def _native_request(_: Any, method: str, path: str, *__: Any) -> str:
    if path == "system_stats":
        return _stage("version")
    if method == "POST":
        return _stage("submit")
    return _stage(ASKS.get())


def _record(_: Any, record: Any) -> str:
    return f"record {record.version}"


def _of_stage(what: str) -> Callable[..., str]:
    return lambda *_: _stage(what)


def _stage(what: str) -> str:
    """A place in a stage; a place in the drain is reached only by a disturbed job."""
    return f"{STAGES.get(activity.info().activity_type, 'drain')} {what}"


async def _looks(inner: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """A look for what may be at the vendor already; later ones are polls, by the same id."""
    token = ASKS.set("look-up")
    try:
        return await inner(*args)
    finally:
        ASKS.reset(token)


def _job() -> str:
    return str(activity.info().workflow_id)


def _around(
    patch: pytest.MonkeyPatch, owner: Any, what: str, hook: Hook, *, name: Callable[..., str]
) -> None:
    inner = getattr(owner, what)

    async def outer(*args: Any, **kwargs: Any) -> Any:
        place = name(*args)
        await hook(_job(), place, "before")
        result = await inner(*args, **kwargs)
        await hook(_job(), place, "after")
        return result

    patch.setattr(owner, what, outer)


def _around_sync(
    patch: pytest.MonkeyPatch, owner: Any, what: str, hook: SyncHook, *, name: Callable[..., str]
) -> None:
    inner = getattr(owner, what)

    def outer(*args: Any, **kwargs: Any) -> Any:
        place = name(*args)
        hook(_job(), place, "before")
        result = inner(*args, **kwargs)
        hook(_job(), place, "after")
        return result

    patch.setattr(owner, what, outer)


# Beside the places of `boundaries`: the server has been told the vendor's id by a heartbeat.
HEARD = "image heartbeat heard"


@dataclass(frozen=True)
class Errand:
    """Whose tasks to take, and where to die; `notes` instead gathers every place that is passed."""

    settings: WorkerSettings
    address: str
    namespace: str
    queue: str
    place: str = ""
    moment: str = ""
    notes: Path | None = None
    opener: tuple[str, ...] = field(default_factory=lambda: checker.COMMAND)


def _main(errand: Errand) -> None:
    logs.configure(service="worker", level="WARNING", form="json")
    asyncio.run(_work(errand))


async def _work(errand: Errand) -> None:
    client = await Client.connect(
        errand.address, namespace=errand.namespace, data_converter=pydantic_data_converter
    )
    notes = errand.notes.open("a") if errand.notes else None

    def at_once(job_id: str, place: str, moment: str) -> None:
        if notes is not None:
            notes.write(f"{place}, {moment}\n")
            notes.flush()
        elif (place, moment) == (errand.place, errand.moment):
            os.kill(os.getpid(), signal.SIGKILL)

    async def hook(job_id: str, place: str, moment: str) -> None:
        if errand.place == HEARD and place == "image poll":
            await _heard(client, job_id)
            at_once(job_id, errand.place, errand.moment)
        at_once(job_id, place, moment)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checker, "COMMAND", errand.opener)
        install(patch, hook, at_once)
        async with running_worker(errand.settings, client, task_queue=errand.queue):
            await asyncio.Event().wait()


async def _heard(client: Client, job_id: str) -> None:
    """Return when the server knows from a heartbeat which generation is ours."""

    async def look() -> bytes:
        description = await client.get_workflow_handle(job_id).describe()
        pending = description.raw_description.pending_activities
        return b"".join(p.data for each in pending for p in each.heartbeat_details.payloads)

    await eventually(look, lambda details: b"vendor_id" in details)


# A place of `boundaries`, and which side of it.
Point = tuple[str, str]


@dataclass
class Death:
    """What became of one job whose worker died, by its record and by its workflow."""

    exit_statuses: list[int | None]
    record: Record
    workflows: Record


async def check_each(
    client: Client, data_dir: Path, deaths: Sequence[tuple[Point, ...]], **vendor_api: Any
) -> None:
    """One job each, beside each other, whose workers die at these points: it is paid for once."""
    # The jobs' own queues are others: its worker reads the records, before anything is granted.
    async with working(client, data_dir, **vendor_api) as line:
        await line.change(limit=len(deaths))

        async def scene(points: tuple[Point, ...]) -> None:
            await check_paid_once(line, await killed(line, await start(line), points))

        await side_by_side(scene, deaths)


async def killed(line: Pipeline, job_id: str, points: tuple[Point, ...]) -> Death:
    """A worker of the job's own queue dies at each point, and one more goes on to the end."""
    statuses = []
    for place, moment in points:
        errand = replace(errand_of(line, job_id), place=place, moment=moment)
        with process_of(errand) as victim:
            await first_of(ended(victim), line.job(job_id).result())
            statuses.append(victim.exitcode)
    async with running_worker(line.settings, line.client, task_queue=job_id):
        record = await line.ended(job_id)
        workflows = await line.job(job_id).query(GET_RECORD_QUERY, result_type=Record)
    return Death(statuses, record, workflows)


async def check_paid_once(line: Pipeline, death: Death) -> None:
    """The worker did die, and the job succeeded with one image and one video, as they were made."""
    assert set(death.exit_statuses) == {-signal.SIGKILL}
    record = death.record
    assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
    assert _undated(record) == _undated(death.workflows)
    for step in GENVIDEO.names:
        rows = await line.ledger(step, record.job_id)
        assert [row["charged"] for row in rows] == [True]
        body = asset_path(line.settings.data_dir, record.job_id, GENVIDEO.stage(step)).read_bytes()
        assert hashlib.sha256(body).hexdigest() == record.assets[step].sha256


def _undated(record: Record) -> dict[str, Any]:
    """All but the moments of its changes.

    Where a write takes longer than most of a workflow task's time, the task is prolonged by another
    one, and a replay gives the change the moment of that one.
    """
    return record.model_dump(
        exclude={"started_at": True, "finished_at": True, "transitions": {"__all__": {"at"}}}
    )


async def start(line: Pipeline) -> str:
    """A job whose task queue is named as the job is."""
    job_id = new_job_id()
    await line.client.start_workflow(
        GENVIDEO.workflow,
        GenVideoInput(prompt="a cat", style="ink"),
        id=job_id,
        task_queue=job_id,
        task_timeout=WORKFLOW_TASK_TIMEOUT,
    )
    return job_id


def errand_of(line: Pipeline, queue: str) -> Errand:
    address = line.client.service_client.config.target_host
    # A callback always comes before such a poll, so that what it brings about is always there.
    settings = line.settings.model_copy(update={"video_poll_seconds": 60.0})
    return Errand(settings, address, line.client.namespace, queue)


@contextlib.contextmanager
def process_of(errand: Errand) -> Iterator[ForkServerProcess]:
    process = forked(_main, errand)
    try:
        yield process
    finally:
        process.kill()
        process.join()


async def first_of(*awaited: Coroutine[Any, Any, object]) -> None:
    """Return when one of them is done: a job may end without having passed the place."""
    tasks = [asyncio.create_task(each) for each in awaited]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def ended(process: ForkServerProcess) -> None:
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(process.sentinel)


def base_of(service: Service) -> str:
    return str(service.http.base_url).rstrip("/")
