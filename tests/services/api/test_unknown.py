"""Open jobs that Temporal does not know any more, as after a loss of its database."""

from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import Client

from services.api import repair
from services.api.dependencies import Dependencies
from services.api.feed.feed import Feed
from services.api.repair import Repairer, UnknownJobs
from services.api.temporal import Temporal
from shared.errors import NotReady
from shared.jobs.ids import new_job_id
from shared.jobs.messages import JobInput, Record
from shared.jobs.states import Status
from shared.semaphore.messages import JOB_GATE, SlotRequest, semaphore_id
from shared.store.records import RecordStore
from tests.services.api.conftest import READY, Api, change, ended
from tests.shared.standins import CREATED, sample_record


def waiting() -> Record:
    """A job that never held the slot."""
    return sample_record(new_job_id(), run_id="run-1")


def begun(record: Record | None = None) -> Record:
    """A job that has its slot, and perhaps a vendor at work."""
    return change(record or waiting(), status=Status.RUNNING, started_at=CREATED)


def request_of(record: Record) -> SlotRequest:
    """What the semaphore is to hear of it."""
    return SlotRequest(
        job_id=record.job_id,
        run_id=record.run_id,
        priority=record.priority,
        requested_at=record.created_at,
    )


async def requests(client: Client) -> list[SlotRequest]:
    """What the semaphore was asked, in order."""
    history = await client.get_workflow_handle(semaphore_id(JOB_GATE)).fetch_history()
    found: list[SlotRequest] = []
    for event in history.events:
        if event.HasField("workflow_execution_signaled_event_attributes"):
            given = event.workflow_execution_signaled_event_attributes.input.payloads
            [asked] = await client.data_converter.decode(given, [list[SlotRequest]])
            found += asked
    return found


class Parts:
    """An API's part that looks for unknown jobs, over some records."""

    def __init__(self, data_dir: Path, *records: Record) -> None:
        self.feed, self.records = Feed(), RecordStore(data_dir)
        for record in records:
            self.records.write(record)
            self.feed.put_record(record)

    def unknown(self, client: Client, dependencies: Dependencies = READY) -> UnknownJobs:
        temporal = Temporal(client)
        repairer = Repairer(self.feed, self.records, temporal, dependencies=dependencies)
        return UnknownJobs(self.feed, temporal, repairer, dependencies=dependencies)


async def test_one_that_has_begun_is_handed_to_the_semaphore_when_it_is_cancelled(
    api: Api, client: Client
) -> None:
    record = api.write(begun())

    answer = await api.http.post(f"/jobs/{record.job_id}/cancel")

    assert answer.status_code == 202
    assert answer.json()["status"] == "running"
    assert api.records.read(record.job_id) == record
    assert await requests(client) == [request_of(record)]


async def test_one_that_went_back_to_the_queue_has_begun(api: Api, client: Client) -> None:
    """As after a reset: what the run before had ordered may still be on its way."""
    record = api.write(change(begun(), status=Status.QUEUED))
    assert (await api.http.post(f"/jobs/{record.job_id}/cancel")).status_code == 202
    assert api.records.read(record.job_id) == record
    assert await requests(client) == [request_of(record)]


async def test_the_semaphore_is_asked_at_most_once_a_minute(api: Api, client: Client) -> None:
    record = api.write(begun())
    for _ in range(3):
        assert (await api.http.post(f"/jobs/{record.job_id}/cancel")).status_code == 202
    assert len(await requests(client)) == 1


async def test_they_are_found_without_being_asked_for(client: Client, tmp_path: Path) -> None:
    queued, running, foreign = waiting(), begun(), waiting()
    foreign = foreign.model_copy(update={"namespace": "shop"})
    known = begun()
    await Temporal(client).start(known.job_id, JobInput(prompt="p", style=""))
    parts = Parts(tmp_path, queued, running, foreign, known)

    await parts.unknown(client).look()

    closed = parts.records.read(queued.job_id)
    assert closed is not None
    assert closed.error is not None
    assert (closed.status, closed.error.code) == (Status.FAILED, "forgotten")
    assert await requests(client) == [request_of(running)]
    for record in (running, foreign, known):
        assert parts.records.read(record.job_id) == record


async def test_what_was_drained_since_is_shown(client: Client, tmp_path: Path) -> None:
    """A store elsewhere tells of no change."""
    record = begun()
    parts = Parts(tmp_path, record)
    parts.records.write(ended(record, Status.FAILED))
    await parts.unknown(client).look()
    shown = parts.feed.index.get(record.job_id)
    assert shown is not None
    assert shown.status is Status.FAILED


class Counted:
    """A Temporal that knows every job."""

    def __init__(self) -> None:
        self.looked_for: list[str] = []

    async def knows(self, job_id: str) -> bool:
        self.looked_for.append(job_id)
        return True


async def test_a_round_looks_for_a_few_and_each_has_its_turn(
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
    parts = Parts(tmp_path, *records)
    part = UnknownJobs(parts.feed, cast(Any, temporal), cast(Any, None), dependencies=READY)
    for _ in range(3):
        await part.look()
    looked_for = temporal.looked_for
    # What runs is looked for in each round; of those that wait the oldest come first.
    assert [looked_for[place] for place in (0, 3, 6)] == [ids[4]] * 3
    assert [each for each in looked_for if each != ids[4]] == [*ids[:4], *ids[:2]]


async def test_nothing_is_looked_for_while_not_ready(client: Client, tmp_path: Path) -> None:
    async def check() -> str:
        return "does not answer"

    queued = waiting()
    parts = Parts(tmp_path, queued)
    with pytest.raises(NotReady):
        await parts.unknown(client, Dependencies({"temporal": check})).look()
    assert parts.records.read(queued.job_id) == queued
