"""The feed learns everything from visibility and the store, and who watches costs nothing."""

import asyncio
import contextlib
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from websockets.asyncio.client import connect

from services.api import follow, parts, repair
from services.api.follow import LAG, Follower
from services.api.repair import Repairer
from services.api.service import Service, make_service
from services.api.settings import ApiSettings
from services.api.slots import EMPTY, Slots
from shared.jobs.closing import MESSAGES, RESET
from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Job, Record
from shared.jobs.states import Status
from shared.semaphore.messages import HolderView, SlotView
from shared.store.folder import Folder
from shared.store.protocol import Listed
from shared.store.records import Records, to_json
from shared.temporal.client import GET_RECORD_QUERY
from tests.fixtures.eventually import eventually
from tests.fixtures.object_store import given_for
from tests.fixtures.present import present
from tests.fixtures.processes import free_port
from tests.fixtures.records import RecordStore
from tests.fixtures.temporal import has_done_tasks, reset
from tests.services.api.conftest import (
    NewApi,
    all_temporal_calls,
    change,
    ended,
    temporal_calls,
    terminated,
)
from tests.shared.standins import CREATED, client_of_nobody, sample_record, standing_in
from tests.workflow.pipeline import Pipeline, working

Given = dict[str, Any]


in_a_bucket = pytest.mark.parametrize("given", ["bucket"], indirect=True)
# Where it matters how a store lists, and how it gives what it has.
in_both_stores = pytest.mark.parametrize("given", ["folder", "bucket"], indirect=True)


@pytest.fixture
def given(request: pytest.FixtureRequest) -> Given:
    """The settings of a store that several share: a folder, where a test doesn't say."""
    if getattr(request, "param", "folder") == "folder":
        return {}
    return given_for(request.getfixturevalue("moto"), prefix=new_job_id())


@pytest.fixture
async def line(client: Client, tmp_path: Path, given: Given) -> AsyncIterator[Pipeline]:
    async with working(client, tmp_path, **given) as line:
        yield line


@pytest.fixture
def service(client: Client, tmp_path: Path, given: Given) -> Service:
    """An API's parts, which do nothing but what the test says."""
    (tmp_path / "state" / "jobs").mkdir(parents=True)
    return make_service(ApiSettings(data_dir=tmp_path, **given), client)


def records_of(service: Service) -> Records:
    return Records(service.assets.store)


async def polled(service: Service, job_id: str, status: Status) -> Job:
    """The job as soon as a poll has found it so; the list lags behind."""

    async def look() -> Job | None:
        await service.follower.poll()
        job = service.feed.get(job_id)
        return job if job is not None and job.status is status else None

    return present(await eventually(look))


async def started(service: Service, prompt: str = "p") -> Record:
    """A job that runs, with its first record."""
    job_id, job = new_job_id(), GenVideoInput(prompt=prompt, style="")
    temporal = service.temporal
    await temporal.start(job_id, job)
    found = present(await temporal.describe(job_id))
    record = sample_record(job_id, job, run_id=found.run_id)
    assert records_of(service).write(record)
    return record


@in_both_stores
async def test_each_api_follows_a_job_to_its_end(
    line: Pipeline, new_api: NewApi, client: Client, *, given: Given
) -> None:
    async with new_api(client, **given) as first, new_api(client, **given) as second:
        job_id = await first.submit(prompt="a cat", tag="t")
        async with (
            connect(f"{first.sockets}/ws/jobs/{job_id}", proxy=None) as one,
            connect(f"{second.sockets}/ws/jobs", proxy=None) as every,
        ):
            frames = [json.loads(frame) async for frame in one]
            news = [json.loads(await every.recv())]
            while news[-1]["status"] != "succeeded":
                news.append(json.loads(await every.recv()))
        assert one.close_code == 1000
        told = present(records_of(first.service).read(job_id))
        # A look may have been there between the submission and the socket.
        begins = frames[0]["version"]
        assert [frame["version"] for frame in frames] == list(range(begins, told.version + 1))
        assert frames[-1] == told.job().model_dump(mode="json")
        versions = [frame["version"] for frame in news]
        assert versions == sorted(set(versions))
        assert {frame["job_id"] for frame in news} == {job_id}
        for api in (first, second):
            listed = (await api.http.get("/jobs?status=succeeded&tag=t")).json()["jobs"]
            assert listed == [(await api.http.get(f"/jobs/{job_id}")).json()] == [frames[-1]]
        record = (await second.http.get(f"/jobs/{job_id}/record")).json()
        assert record == told.model_dump(mode="json")
        image = await second.http.get(f"/jobs/{job_id}/image")
        assert (image.status_code, image.headers["content-type"]) == (200, "image/png")


async def test_new_process_shows_a_job_by_its_record_or_its_start(
    service: Service,
) -> None:
    """Never as a list has it; a memo of garbage hides no job, and no other one."""
    record = await started(service)
    records_of(service).write(change(record, status=Status.RUNNING))
    await polled(service, record.job_id, Status.RUNNING)
    assert service.feed.change == 1
    garbage: list[object] = ["garbage", {"prompt": 5}, [], None]
    for memo in garbage:
        by_hand = new_job_id()
        await service.client.start_workflow(
            GENVIDEO.workflow, id=by_hand, task_queue="nobody", memo={"input": memo}
        )
        shown = await polled(service, by_hand, Status.QUEUED)
        assert shown.prompt == "(not recorded)", memo
        assert (await service.jobs.find(by_hand)).job_id == by_hand
    record = await started(service)
    records_of(service).remove(record.job_id)
    shown = await polled(service, record.job_id, Status.QUEUED)
    assert (shown.version, shown.prompt) == (0, "p")


async def test_listeners_cost_temporal_nothing(
    new_api: NewApi, client: Client, moto: str, *, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One list and one look at the semaphore a poll, however many listen and ask."""
    monkeypatch.setattr(parts, "FRESH_SECONDS", 3600)
    monkeypatch.setattr(Service, "running", lambda _: contextlib.nullcontext())
    async with new_api(client, **given_for(moto, prefix=new_job_id())) as api, standing_in(client):
        jobs = [await api.submit() for _ in range(5)]
        await api.http.get("/jobs")
        before = all_temporal_calls()
        async with contextlib.AsyncExitStack() as stack:
            for number in range(40):
                path = "/ws/jobs" if number % 2 else f"/ws/jobs/{jobs[number % 5]}"
                socket = await stack.enter_async_context(connect(api.sockets + path, proxy=None))
                await socket.recv()
            await asyncio.gather(*(api.http.get(f"/jobs/{job_id}") for job_id in jobs * 8))
            await asyncio.gather(*(api.http.get("/jobs") for _ in range(40)))
            assert all_temporal_calls() == before
            monkeypatch.setattr(parts, "FRESH_SECONDS", 0)
            for _ in range(3):
                await api.service.follower.poll()
        assert all_temporal_calls() - before == 3 * 2


@in_both_stores
async def test_idle_api_reads_only_the_folder(service: Service) -> None:
    await service.follower.look()
    before = temporal_calls("list_changed")
    await service.follower.look()
    local = service.assets.store.local
    assert temporal_calls("list_changed") == before + (not local)
    await started(service)
    await service.follower.sweep()
    await service.follower.look()
    assert temporal_calls("list_changed") == before + (not local) + 1


@in_a_bucket
async def test_holder_of_the_slot_is_read_at_every_poll(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once more after having left it."""
    holder, waiting = [await started(service) for _ in range(2)]
    held = HolderView(job_id=holder.job_id, token=1, since=CREATED, draining=False)
    views = iter([(held,), (held,), (), ()])
    read: list[str] = []

    async def view(self: Slots) -> SlotView:
        return EMPTY.model_copy(update={"holders": next(views)})

    await service.follower.sweep()
    monkeypatch.setattr(Slots, "view", view)
    monkeypatch.setattr(Records, "read", lambda self, job_id: read.append(job_id))
    counts = []
    for _ in range(4):
        await service.follower.poll()
        counts.append(read.count(holder.job_id))
    assert counts == [1, 2, 3, 3]
    assert waiting.job_id not in read


async def test_poll_looks_up_a_bounded_number_of_jobs(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "LOOK_UPS", 3)
    async with standing_in(service.client):
        jobs = [await started(service, "end") for _ in range(8)]
        for record in jobs:
            await service.client.get_workflow_handle(record.job_id).result()
            records_of(service).remove(record.job_id)

        async def all_asked() -> bool:
            before = temporal_calls("query_record")
            await service.follower.poll()
            assert temporal_calls("query_record") - before <= 3
            found = [service.feed.get(record.job_id) for record in jobs]
            return all(job is not None and job.version == 1 for job in found)

        assert await eventually(all_asked)


@pytest.mark.parametrize(
    ("has_record", "seen", "version"),
    [(True, 1, 2), (False, None, 1), (False, 4, 5)],
    ids=["recorded", "lost", "lost, and seen before"],
)
async def test_terminated_job_is_closed_without_a_worker(
    service: Service, *, has_record: bool, seen: int | None, version: int
) -> None:
    record = await started(service)
    if not has_record:
        records_of(service).remove(record.job_id)
    if seen is not None:
        service.feed.put(record.model_copy(update={"version": seen}).job())
    await terminated(service.client, record.job_id)

    job = await polled(service, record.job_id, Status.FAILED)

    closed = present(records_of(service).read(record.job_id))
    assert job.error is not None
    assert (job.error.code, job.version) == ("terminated", version)
    assert closed.job() == job
    assert (closed.run_id, closed.namespace or service.client.namespace) == (
        record.run_id,
        service.client.namespace,
    )
    before = all_temporal_calls()
    await service.follower.poll()
    assert all_temporal_calls() == before + 1
    assert not service.feed.any_open()


async def test_lost_record_of_a_closed_job_is_written_as_soon_as_a_worker_answers(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.api.temporal.QUERY_TIMEOUT", timedelta(seconds=0.2))
    monkeypatch.setattr(repair, "SILENCE_SECONDS", 0)
    record = await started(service, "end")
    records_of(service).remove(record.job_id)
    await service.follower.poll()
    async with standing_in(service.client):
        await service.client.get_workflow_handle(record.job_id).result()

    async def is_damaged() -> bool:
        await service.follower.poll()
        return list(service.feed.damaged) == [record.job_id]

    await eventually(is_damaged)
    job = service.feed.get(record.job_id)
    assert job is not None
    assert job.status is Status.QUEUED
    async with standing_in(service.client):

        async def is_written() -> bool:
            await service.follower.poll()
            written = records_of(service).read(record.job_id) is not None
            return written and not service.feed.damaged

        assert await eventually(is_written)


async def test_job_that_continues_after_a_reset_is_left_unchanged(service: Service) -> None:
    record = await started(service)
    async with standing_in(service.client):
        await service.client.get_workflow_handle(record.job_id).query("told")
    await reset(service.client, record.job_id, back_to="last")
    await service.follower.sweep()
    for _ in range(3):
        await service.follower.poll()
    assert records_of(service).read(record.job_id) == record


@workflow.defn(name=GENVIDEO.workflow)
class EndsWhereReset:
    """As a job that waits: a run of it that was reset ends, and can't be replayed behind that."""

    def __init__(self) -> None:
        self._job_id = workflow.info().workflow_id

    @workflow.run
    async def run(self, job: GenVideoInput) -> None:
        info = workflow.info()
        if info.run_id != info.first_execution_run_id and not workflow.unsafe.is_replaying():
            raise ApplicationError(MESSAGES[RESET], type=RESET, non_retryable=True)
        await workflow.sleep(3600)

    @workflow.query(name=GET_RECORD_QUERY)
    def get_record(self) -> Record:
        return sample_record(self._job_id, run_id=workflow.info().run_id)


@pytest.mark.parametrize("lost", [False, True])
async def test_job_reset_while_waiting_is_closed(service: Service, *, lost: bool) -> None:
    record = await started(service)
    await service.follower.sweep()
    async with Worker(
        service.client,
        task_queue=GENVIDEO.name,
        workflows=[EndsWhereReset],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await has_done_tasks(service.client, record.job_id)
        await reset(service.client, record.job_id, back_to="first")
        with pytest.raises(WorkflowFailureError):
            await service.client.get_workflow_handle(record.job_id).result()
        if lost:
            records_of(service).remove(record.job_id)
        job = await polled(service, record.job_id, Status.FAILED)
    assert job.error is not None
    assert (job.error.code, job.version) == (RESET, record.version + 1)


@in_both_stores
async def test_sweep_reads_only_changed_records(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (sample_record(new_job_id()) for _ in range(2))
    for record in (one, other):
        records_of(service).write(record)
    await service.follower.sweep()
    read: list[str] = []
    real = Records.read

    def counted(self: Records, job_id: str) -> Record | None:
        read.append(job_id)
        return real(self, job_id)

    monkeypatch.setattr(Records, "read", counted)
    await service.follower.sweep()
    assert read == []
    records_of(service).write(change(one))
    read.clear()
    await service.follower.sweep()
    assert read == [one.job_id]
    assert service.feed.get(one.job_id) == change(one).job()


async def test_lost_record_of_an_open_job_is_written_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that never saw it: once the job is old enough, when asked for it, and unasked
    after a start."""
    record = await started(service)
    records_of(service).remove(record.job_id)
    assert (await polled(service, record.job_id, Status.QUEUED)).version == 0
    monkeypatch.setattr(repair, "FRESH_SECONDS", 0)
    async with standing_in(service.client):
        await service.follower.poll()
        assert records_of(service).read(record.job_id) is not None
        records_of(service).remove(record.job_id)
        assert (await service.jobs.find(record.job_id)).version > 0
        records_of(service).remove(record.job_id)
        fresh = make_service(service.settings, service.client)
        await polled(fresh, record.job_id, Status.QUEUED)
    assert records_of(service).read(record.job_id) is not None


async def test_damaged_record_is_repaired_unasked(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "FRESH_SECONDS", 0)
    record = await started(service)
    key = f"state/jobs/{record.job_id}.json"
    service.assets.store.put(key, b"{")
    async with standing_in(service.client):
        await service.follower.sweep()
        assert list(service.feed.damaged) == [record.job_id]
        await service.follower.poll()
    assert records_of(service).read(record.job_id) is not None
    assert service.feed.damaged == {}


async def test_record_may_become_whole_while_another_is_repaired(service: Service) -> None:
    records = [await started(service) for _ in range(2)]

    class Repairing(Repairer):
        async def recover(self, job_id: str) -> Job | None:
            for record in records:
                records_of(service).write(record)
            await follower.sweep()
            return service.feed.get(job_id)

    follower = Follower(service, service.slots, Repairing(service))
    for record in records:
        service.assets.store.put(f"state/jobs/{record.job_id}.json", b"{")
    await follower.sweep()
    assert len(service.feed.damaged) == 2
    await follower.poll()
    assert service.feed.damaged == {}


@in_both_stores
async def test_record_replaced_by_an_older_copy_is_repaired(service: Service) -> None:
    record = await started(service)
    await terminated(service.client, record.job_id)
    async with standing_in(service.client):

        async def has_ended() -> bool:
            await service.follower.sweep()
            await service.follower.poll()
            found = records_of(service).read(record.job_id)
            return found is not None and found.status.ended

        await eventually(has_ended)
        await service.follower.sweep()
        service.assets.store.put(f"state/jobs/{record.job_id}.json", to_json(record))
        assert await has_ended()


@in_both_stores
async def test_records_of_a_lost_store_are_repaired(service: Service) -> None:
    """While the API runs, and by one that starts without any."""
    async with standing_in(service.client):
        jobs = [await started(service, "end") for _ in range(6)]
        for record in jobs:
            await service.client.get_workflow_handle(record.job_id).result()
        first, later = jobs[:3], jobs[3:]
        for record in first:
            records_of(service).write(ended(record))
        await service.follower.sweep()
        await service.follower.poll()
        for record in first:
            records_of(service).remove(record.job_id)
        await service.follower.sweep()
        await service.follower.poll()
        assert all(records_of(service).read(record.job_id) for record in first)

        for record in later:
            records_of(service).remove(record.job_id)
        fresh = make_service(service.settings, service.client)

        async def all_there() -> bool:
            await fresh.follower.poll()
            return all([records_of(service).read(record.job_id) for record in later])

        assert await eventually(all_there)


class SlowFolder(Folder):
    """A folder on a disk, or of a process, that stood still for a moment."""

    def list(self, prefix: str) -> Iterator[Listed]:
        time.sleep(0.2)
        return super().list(prefix)


async def test_change_is_looked_for_soon_after_a_list_that_stood_still(
    service: Service, tmp_path: Path
) -> None:
    service.records.store = SlowFolder(tmp_path)
    await service.follower.sweep()
    assert service.follower.pause() < 0.2


async def test_folder_is_read_again_whatever_happens_to_it(tmp_path: Path) -> None:
    nobody, records = await client_of_nobody(free_port()), RecordStore(tmp_path)
    service = make_service(ApiSettings(data_dir=tmp_path), nobody)

    async def is_seen(record: Record) -> None:
        await service.follower.sweep()
        assert service.feed.get(record.job_id) == record.job()

    # It is removed and made again.
    for _ in range(2):
        records.write(record := sample_record(new_job_id()))
        await is_seen(record)
        shutil.rmtree(tmp_path / "state")
        await service.follower.sweep()
    # A file is in its place for a while.
    (tmp_path / "state").touch()
    await service.follower.sweep()
    (tmp_path / "state").unlink()
    # The clock of the disk stands still, so it has the time that it had when it was listed.
    moment = time.time_ns() + 10**10
    for _ in range(2):
        records.write(record := sample_record(new_job_id()))
        os.utime(records.folder, ns=(moment, moment))
        await is_seen(record)
    # A link leads nowhere.
    os.symlink("nowhere", records.path(new_job_id()))
    records.write(record := sample_record(new_job_id()))
    await is_seen(record)


@in_a_bucket
async def test_refusing_store_is_tried_once_a_poll_and_written_when_it_recovers(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def full(self: Records, record: Record) -> bool:
        tried.append(record.job_id)
        raise OSError(28, "No space left on device")

    jobs = [await started(service) for _ in range(3)]
    for record in jobs:
        await terminated(service.client, record.job_id)
    with monkeypatch.context() as patched:
        patched.setattr(Records, "write", full)

        async def all_shown() -> bool:
            await service.follower.poll()
            return len(service.feed.damaged) == 3

        await eventually(all_shown)
        tried.clear()
        await service.follower.poll()
        assert len(tried) == 1
    for _ in range(3):
        await service.follower.poll()
    for record in jobs:
        assert present(records_of(service).read(record.job_id)).status is Status.FAILED


@pytest.mark.parametrize("ahead", [-90, 90])
async def test_list_begins_shortly_before_the_newest_change_by_the_servers_clock(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ahead: int
) -> None:
    """Whatever the clock of this machine says; one that was set back is not waited for."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=ahead)

    (tmp_path / "state" / "jobs").mkdir(parents=True)
    service = make_service(ApiSettings(data_dir=tmp_path), client)
    record = await started(service)
    found = present(await service.temporal.describe(record.job_id))
    begun = found.start_time
    monkeypatch.setattr(follow, "datetime", Clock)

    async def listed() -> bool:
        await service.follower.poll()
        return service.follower._since > datetime.fromtimestamp(0, UTC)

    await eventually(listed)
    for _ in range(3):
        await service.follower.poll()
        assert service.follower._since <= begun - LAG
    assert service.follower._since > begun - LAG - timedelta(seconds=100)
