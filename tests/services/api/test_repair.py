"""Jobs that Temporal does not know any more, and those whose time is over."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client

from services.api import repair
from services.api.feed import Feed, Retention
from services.api.parts import Dependencies, Parts
from services.api.repair import Repairer
from services.api.temporal import Temporal
from shared.errors import NotReady
from shared.jobs.genvideo import GENVIDEO, IMAGE, VIDEO, GenVideoInput
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record, StageDone
from shared.jobs.slots import JOB_GATE
from shared.jobs.states import Status
from shared.semaphore.messages import RunRef, SlotRequest, semaphore_id
from tests.fixtures.eventually import eventually
from tests.fixtures.present import present
from tests.fixtures.records import RecordStore
from tests.fixtures.temporal import reset
from tests.services.api.conftest import READY, Api, NewApi, change, ended, temporal_calls
from tests.shared.standins import CREATED, asset_path, sample_record, standing_in


def waiting() -> Record:
    """A job that never held the slot."""
    return sample_record(new_job_id(), run_id="run-1")


def begun(record: Record | None = None) -> Record:
    """A job that has its slot, and perhaps a vendor at work."""
    return change(record or waiting(), status=Status.RUNNING, started_at=CREATED)


def request_of(record: Record) -> SlotRequest:
    return SlotRequest(
        job_id=record.job_id,
        run_id=record.run_id,
        priority=record.priority,
        requested_at=record.created_at,
        clean_up=GENVIDEO.clean_up,
    )


async def requests(client: Client) -> list[SlotRequest]:
    history = await client.get_workflow_handle(semaphore_id(JOB_GATE)).fetch_history()
    found: list[SlotRequest] = []
    for event in history.events:
        if event.HasField("workflow_execution_signaled_event_attributes"):
            given = event.workflow_execution_signaled_event_attributes.input.payloads
            [asked] = await client.data_converter.decode(given, [list[SlotRequest]])
            found += asked
    return found


class Over:
    """What an API's repairer works with, over some records."""

    def __init__(self, data_dir: Path, *records: Record) -> None:
        self.feed, self.records = Feed(), RecordStore(data_dir)
        for record in records:
            self.records.write(record)
            self.feed.put_record(record)

    def repairer(self, temporal: Temporal, dependencies: Dependencies = READY) -> Repairer:
        given = {"records": self.records, "temporal": temporal, "dependencies": dependencies}
        return Repairer(Parts(feed=self.feed, **cast(Any, given)))


async def test_started_job_is_passed_to_the_semaphore(api: Api, client: Client) -> None:
    record = api.write(begun())
    answer = await api.http.post(f"/jobs/{record.job_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "running")
    assert api.records.read(record.job_id) == record
    assert await requests(client) == [request_of(record)]


async def test_forgotten_jobs_are_found_unasked(client: Client, tmp_path: Path) -> None:
    queued, running, foreign = waiting(), begun(), waiting()
    foreign = foreign.model_copy(update={"namespace": "shop"})
    known = begun()
    await Temporal(client).start(known.job_id, GenVideoInput(prompt="p", style=""))
    parts = Over(tmp_path, queued, running, foreign, known)

    await parts.repairer(Temporal(client)).end_unknown()

    closed = present(parts.records.read(queued.job_id))
    assert closed.error is not None
    assert (closed.status, closed.error.code) == (Status.FAILED, "forgotten")
    assert await requests(client) == [request_of(running)]
    for record in (running, foreign, known):
        assert parts.records.read(record.job_id) == record


async def test_open_job_with_neither_record_nor_run_ends(client: Client, tmp_path: Path) -> None:
    """Deleted in Temporal while its record was damaged."""
    record = begun()
    parts = Over(tmp_path, record)
    path = parts.records.path(record.job_id)
    path.write_bytes(b"")

    shown = present(await parts.repairer(Temporal(client)).recover(record.job_id))

    assert shown.error is not None
    assert (shown.status, shown.error.code) == (Status.FAILED, "forgotten")
    written = present(parts.records.read(record.job_id))
    assert written.job() == shown
    assert RunRef(job_id=written.job_id, run_id=written.run_id)


async def test_query_without_an_answer_holds_up_no_other_job(
    client: Client, tmp_path: Path
) -> None:
    jobs = [begun(), begun()]
    parts = Over(tmp_path, *jobs)
    repairer, before = parts.repairer(Temporal(client)), temporal_calls("query_record")
    for job in jobs:
        await Temporal(client).start(job.job_id, GenVideoInput(prompt="p", style=""))
        assert present(await repairer.recover(job.job_id)).status is Status.RUNNING
    assert temporal_calls("query_record") == before + 1
    assert list(parts.feed.damaged) == [job.job_id for job in jobs]


async def test_drained_job_shows_its_end(client: Client, tmp_path: Path) -> None:
    """A store on another machine reports no change."""
    record = begun()
    parts = Over(tmp_path, record)
    parts.records.write(ended(record, Status.FAILED))
    await parts.repairer(Temporal(client)).end_unknown()
    assert present(parts.feed.get(record.job_id)).status is Status.FAILED


class Counted:
    """A Temporal that knows every job."""

    def __init__(self) -> None:
        self.looked_for: list[str] = []

    async def describe(self, job_id: str, *, call: str) -> str:
        self.looked_for.append(job_id)
        return job_id


async def test_round_looks_at_a_few_jobs_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "LOOKED_FOR", 2)
    records = [
        waiting().model_copy(update={"created_at": CREATED + timedelta(seconds=number)})
        for number in range(5)
    ]
    records[4] = begun(records[4])
    ids = [record.job_id for record in records]
    temporal = Counted()
    parts = Over(tmp_path, *records)
    part = parts.repairer(cast(Any, temporal))
    for _ in range(3):
        await part.end_unknown()
    looked_for = temporal.looked_for
    # What runs is looked for in each round; of those that wait the oldest come first.
    assert [looked_for[place] for place in (0, 3, 6)] == [ids[4]] * 3
    assert [each for each in looked_for if each != ids[4]] == [*ids[:4], *ids[:2]]


async def test_nothing_is_repaired_while_not_ready(client: Client, tmp_path: Path) -> None:
    async def check() -> str:
        return "does not answer"

    queued = waiting()
    parts = Over(tmp_path, queued)
    repairer = parts.repairer(Temporal(client), Dependencies({"temporal": check}))
    with pytest.raises(NotReady):
        await repairer.end_unknown()
    assert parts.records.read(queued.job_id) == queued


NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = 10


def kept(data_dir: Path, *, ended: timedelta | None, tag: str | None = None) -> str:
    """A job with a picture that ended so long before NOW, or that is open."""
    record = sample_record(new_job_id()).model_copy(update={"tag": tag})
    if ended is not None:
        record = change(record, status=Status.SUCCEEDED, finished_at=NOW - ended)
    RecordStore(data_dir).write(record)
    path = asset_path(data_dir, record.job_id, IMAGE)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"picture")
    receipts = data_dir / "callbacks" / record.job_id
    receipts.mkdir(parents=True)
    (receipts / "000.json").write_bytes(b"{}")
    return record.job_id


OLD, NEW = timedelta(days=DAYS, seconds=1), timedelta(days=DAYS, seconds=-1)


class Kept(Over):
    """A data folder, and the API's part that forgets."""

    def __init__(self, data_dir: Path, now: datetime = NOW) -> None:
        super().__init__(data_dir)
        self.now = now
        self.feed = Feed(retention=Retention(DAYS, now=lambda: self.now))
        self.data_dir = data_dir

    async def forget(self) -> None:
        await self.repairer(cast(Any, None)).remove_expired()

    def read(self) -> None:
        for job_id in self.records.job_ids():
            record = present(self.records.read(job_id))
            self.feed.put_record(record)

    def there(self, job_id: str) -> tuple[bool, bool]:
        folder = asset_path(self.data_dir, job_id, IMAGE).parent
        assert folder.exists() == (self.data_dir / "callbacks" / job_id).exists()
        return self.records.path(job_id).exists(), folder.exists()


async def test_job_expires_while_the_api_runs(tmp_path: Path) -> None:
    job_id, other = (kept(tmp_path, ended=NEW, tag="t") for _ in range(2))
    still_open = kept(tmp_path, ended=None)
    here = Kept(tmp_path)
    here.read()
    record = present(here.records.read(other))
    here.records.write(change(record, finished_at=NOW))
    here.read()
    await here.forget()
    assert here.there(job_id) == (True, True)

    here.now += timedelta(seconds=2)
    feed, limited = here.feed, here.feed.retention
    feed.retention = Retention()
    await here.forget()
    assert here.there(job_id) == (True, True)
    feed.retention = limited
    await here.forget()
    assert here.there(job_id) == (False, False)
    assert here.there(other) == here.there(still_open) == (True, True)
    assert [job.job_id for job in feed.page(10, status=None, tag="t", after=None).jobs] == [other]
    assert [
        job.job_id for job in feed.page(9, status=Status.SUCCEEDED, tag=None, after=None).jobs
    ] == [other]
    assert {frame.job.job_id for frame in feed.changed_after(0)} == {other, still_open}


class Killed(BaseException):
    """An exception that no code expects."""


@pytest.mark.parametrize("line", range(6))
async def test_repair_continues_after_a_kill_at_any_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: int
) -> None:
    """Each step on the disk is one of these calls; the process ends before one of them."""
    job_id = kept(tmp_path, ended=OLD)
    asset_path(tmp_path, job_id, VIDEO).write_bytes(b"video")
    calls = 0

    def dying(real: Callable[..., None]) -> Callable[..., None]:
        def call(*given: object, **named: object) -> None:
            nonlocal calls
            calls += 1
            if calls > line:
                raise Killed
            real(*given, **named)

        return call

    here = Kept(tmp_path)
    here.read()
    with monkeypatch.context() as patched:
        for name in ("unlink", "rmdir"):
            patched.setattr(os, name, dying(getattr(os, name)))
        patched.setattr(Path, "unlink", dying(Path.unlink))
        with pytest.raises(Killed):
            await here.forget()
    assert calls == line + 1
    assert here.records.read(job_id) is not None

    again = Kept(tmp_path)
    again.read()
    await again.forget()
    assert again.there(job_id) == (False, False)


async def test_undeletable_job_does_not_delay_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repair, "REMOVED", 1)
    ids = [kept(tmp_path, ended=OLD) for _ in range(2)]
    here = Kept(tmp_path)
    here.read()
    stuck, other = here.feed.expired
    assert {stuck, other} == set(ids)
    real = here.records.remove

    def remove(job_id: str) -> None:
        if job_id == stuck:
            raise PermissionError(13, "Permission denied")
        real(job_id)

    monkeypatch.setattr(here.records, "remove", remove)
    for _ in range(2):
        await here.forget()
    assert here.there(other) == (False, False)
    monkeypatch.undo()
    await here.forget()
    assert here.there(stuck) == (False, False)


async def test_job_reset_meanwhile_is_kept(tmp_path: Path) -> None:
    job_id = kept(tmp_path, ended=OLD)
    here = Kept(tmp_path)
    here.read()
    record = present(here.records.read(job_id))
    here.records.write(change(record, status=Status.RUNNING, finished_at=None))
    await here.forget()
    assert here.there(job_id) == (True, True)


async def test_removed_job_known_to_temporal_does_not_come_back(
    client: Client, tmp_path: Path
) -> None:
    job_id, parts = new_job_id(), Over(tmp_path)
    await Temporal(client).start(job_id, GenVideoInput(prompt="p", style=""))
    await client.get_workflow_handle(job_id).terminate()
    parts.feed = Feed(retention=Retention(DAYS, now=lambda: datetime.now(UTC) + OLD))
    async with standing_in(client):
        assert await parts.repairer(Temporal(client)).recover(job_id) is None
    assert list(parts.records.job_ids()) == []


async def test_end_that_cannot_be_written_is_one_version(client: Client, tmp_path: Path) -> None:
    """Each try to write it shows the same end."""
    job_id, parts = new_job_id(), Over(tmp_path)
    await Temporal(client).start(job_id, GenVideoInput(prompt="p", style=""))
    await client.get_workflow_handle(job_id).terminate()
    (parts.records.path(job_id) / "in the way").mkdir(parents=True)
    repairer = parts.repairer(Temporal(client))
    first = present(await repairer.recover(job_id))
    assert (first.status, job_id in parts.feed.damaged) == (Status.FAILED, True)
    assert await repairer.recover(job_id) == first


@pytest.mark.parametrize("end", ["terminated", "reset"])
async def test_signal_that_no_task_took_is_in_no_record(
    client: Client, tmp_path: Path, end: str
) -> None:
    """A query of the closed run replays it with the signal, and its code goes on."""
    stored = begun()
    parts, temporal = Over(tmp_path, stored), Temporal(client)
    await temporal.start(stored.job_id, GenVideoInput(prompt="p", style=""))
    handle = client.get_workflow_handle(stored.job_id)
    async with standing_in(client):
        assert await handle.query("told") == []
    done = StageDone(external_id=f"{stored.job_id}.video.1", task_id="t", task_status="succeed")
    await handle.signal(GENVIDEO.done, done)
    if end == "reset":
        await reset(client, stored.job_id, back_to="first")
    else:
        await handle.terminate()
    async with standing_in(client):
        await parts.repairer(temporal).recover(stored.job_id)
    record = present(parts.records.read(stored.job_id))
    assert record.transitions[: len(stored.transitions)] == stored.transitions
    assert record.version == stored.version + (end == "terminated")


async def test_removed_job_is_not_found(client: Client, new_api: NewApi) -> None:
    async with new_api(client, retention_days=1) as api:
        record = sample_record(await api.submit("a-key", tag="t"))
        old = api.write(
            change(record, status=Status.SUCCEEDED, finished_at=datetime.now(UTC) - OLD)
        )

        async def gone() -> bool:
            return (await api.http.get(f"/jobs/{old.job_id}")).status_code == 404

        await eventually(gone)
        for path in ("", "/record", "/events", "/video"):
            answer = await api.http.get(f"/jobs/{old.job_id}{path}")
            assert answer.status_code == 404, path
            assert answer.json()["code"] == "job_not_found"
        assert (await api.http.post(f"/jobs/{old.job_id}/retry")).status_code == 404
        again = await api.http.post(
            "/jobs", json={"prompt": "x", "style": ""}, headers={"Idempotency-Key": "a-key"}
        )
        assert (again.status_code, again.json()["code"]) == (422, "idempotency_conflict")
