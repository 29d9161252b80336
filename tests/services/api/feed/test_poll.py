"""The feed from Temporal alone: everything is learnt, and who watches costs nothing."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client
from websockets.asyncio.client import connect

from services.api.feed import poll
from services.api.feed.poll import JobPoll
from services.api.repair import repairer
from services.api.temporal import slots
from services.api.temporal.slots import EMPTY, Slots
from shared.jobs.messages import Job
from shared.jobs.states import Status
from shared.semaphore import rebuild
from shared.semaphore.messages import HolderView, SlotView
from shared.temporal import pace
from shared.temporal.pace import Pace
from tests.services.api.conftest import Api, NewApi, all_temporal_calls, temporal_calls
from tests.shared.standins import CREATED, standing_in
from tests.shared.waiting import eventually
from tests.workflow.pipeline import Pipeline, working


@pytest.fixture
async def afar(new_api: NewApi, client: Client) -> AsyncIterator[Api]:
    """An API that shares no folder with anyone."""
    async with new_api(client, feed="temporal") as made:
        yield made


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Polls happen when the test says so."""
    monkeypatch.setattr(JobPoll, "running", lambda _: nullcontext())


@pytest.fixture
async def line(
    client: Client, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Pipeline]:
    """Workers, semaphore and mocks on a machine with another folder."""
    monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.05)
    quick = replace(Pace.FAST.times, poll=timedelta(seconds=0.1))
    monkeypatch.setitem(pace._TIMES, Pace.FAST, quick)
    async with working(client, Path(tmp_path_factory.mktemp("there"))) as line:
        yield line


def feed_of(api: Api) -> JobPoll:
    feed = api.service.feed
    assert isinstance(feed, JobPoll)
    return feed


async def shown(api: Api, job_id: str, status: Status) -> Job:
    """The job as soon as the feed shows it so."""

    async def look() -> Job | None:
        job = api.service.feed.index.get(job_id)
        return job if job is not None and job.status is status else None

    job = await eventually(look)
    assert job is not None
    return job


async def swept(api: Api, job_id: str, status: Status) -> Job:
    """The job as soon as a poll has found it so; the list lags behind."""

    async def look() -> Job | None:
        await feed_of(api).poll()
        job = api.service.feed.index.get(job_id)
        return job if job is not None and job.status is status else None

    job = await eventually(look)
    assert job is not None
    return job


async def test_a_job_is_followed_to_its_end(line: Pipeline, afar: Api) -> None:
    job_id = await afar.submit(prompt="a cat", tag="t")
    async with connect(f"{afar.sockets}/ws/jobs/{job_id}", proxy=None) as socket:
        frames = [json.loads(frame) async for frame in socket]
    assert socket.close_code == 1000

    told = line.record(job_id)
    # A poll may have been there between the submission and the socket.
    first = frames[0]["version"]
    assert [frame["version"] for frame in frames] == list(range(first, told.version + 1))
    assert frames[-1] == told.job().model_dump(mode="json")
    assert (await afar.http.get("/jobs?status=succeeded&tag=t")).json()["jobs"] == [frames[-1]]
    record = (await afar.http.get(f"/jobs/{job_id}/record")).json()
    assert record == told.model_dump(mode="json")
    batch = (await afar.http.get("/batches/t")).json()
    assert (batch["percent"], batch["counts"]["succeeded"]) == (100, 1)

    image = await afar.http.get(f"/jobs/{job_id}/image")
    assert (image.status_code, image.json()["code"]) == (404, "asset_elsewhere")
    assert not (afar.data_dir / "state").exists()
    assert (await afar.http.get("/readyz")).json()["checks"] == {"temporal": "ok"}


async def test_a_new_process_knows_open_and_closed_jobs(
    line: Pipeline, new_api: NewApi, client: Client
) -> None:
    done = await line.run("a dog", tag="old")
    failed = await line.submit("a dog", tag="old")
    await line.job(failed).terminate()

    async with new_api(client, feed="temporal") as late:
        assert (await shown(late, done.job_id, Status.SUCCEEDED)).tag == "old"
        error = (await shown(late, failed, Status.FAILED)).error
        known = await late.http.get(f"/jobs/{done.job_id}")

    assert error is not None
    assert error.code == "terminated"
    assert known.json() == done.job().model_dump(mode="json")


@pytest.mark.usefixtures("by_hand", "workers")
async def test_who_watches_costs_temporal_nothing(
    afar: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One list and one look at the semaphore a poll, however many listen and ask."""
    monkeypatch.setattr(slots, "FRESH_SECONDS", 0)
    # A job's age makes no difference here.
    monkeypatch.setattr(repairer, "FRESH_SECONDS", 0)
    jobs = [await afar.submit() for _ in range(5)]
    alone = await _calls_of_sweeps(afar)
    monkeypatch.setattr(slots, "FRESH_SECONDS", 3600)
    before = all_temporal_calls()
    async with contextlib.AsyncExitStack() as stack:
        for number in range(40):
            path = "/ws/jobs" if number % 2 else f"/ws/jobs/{jobs[number % 5]}"
            socket = await stack.enter_async_context(connect(afar.sockets + path, proxy=None))
            await socket.recv()
        await asyncio.gather(*(afar.http.get(f"/jobs/{job_id}") for job_id in jobs * 8))
        await asyncio.gather(*(afar.http.get("/jobs") for _ in range(40)))
        assert all_temporal_calls() == before
        monkeypatch.setattr(slots, "FRESH_SECONDS", 0)
        watched = await _calls_of_sweeps(afar)

    assert alone == watched == 3 * 2


async def _calls_of_sweeps(api: Api) -> float:
    before = all_temporal_calls()
    for _ in range(3):
        await feed_of(api).poll()
    return all_temporal_calls() - before


@pytest.mark.usefixtures("by_hand", "workers")
async def test_who_holds_the_slot_is_asked_at_every_sweep(
    afar: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once more after having left it."""
    holder, waiting = [await afar.submit() for _ in range(2)]
    held = HolderView(job_id=holder, token=1, since=CREATED, draining=False)
    views = iter([(held,), (held,), (), ()])

    async def view(self: Slots) -> SlotView:
        return EMPTY.model_copy(update={"holders": next(views)})

    monkeypatch.setattr(Slots, "view", view)
    asked = []
    for _ in range(4):
        before = temporal_calls("query_record")
        await feed_of(afar).poll()
        asked.append(temporal_calls("query_record") - before)

    assert asked == [1, 1, 1, 0]
    index = afar.service.feed.index
    assert [job and job.version for job in map(index.get, (holder, waiting))] == [1, 0]


@pytest.mark.usefixtures("by_hand", "workers")
async def test_a_sweep_asks_a_bounded_number_of_jobs(
    afar: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "LOOK_UPS", 3)
    jobs = [await afar.submit(prompt="end") for _ in range(8)]
    for job_id in jobs:
        await client.get_workflow_handle(job_id).result()

    async def all_asked() -> bool:
        before = temporal_calls("query_record")
        await feed_of(afar).poll()
        assert temporal_calls("query_record") - before <= 3
        return all(afar.service.feed.index.get(job_id).version == 1 for job_id in jobs)  # type: ignore[union-attr]

    assert await eventually(all_asked)


@pytest.mark.usefixtures("by_hand")
async def test_a_job_that_was_terminated_before_it_began_is_closed_by_the_list(
    afar: Api, client: Client
) -> None:
    """Nobody can ever be asked about it."""
    job_id = await afar.submit()
    await client.get_workflow_handle(job_id).terminate()

    job = await swept(afar, job_id, Status.FAILED)

    assert job.error is not None
    assert (job.version, job.error.code) == (1, "terminated")
    before = temporal_calls("query_record")
    await feed_of(afar).poll()
    assert temporal_calls("query_record") == before
    assert (await afar.http.get(f"/jobs/{job_id}")).json() == job.model_dump(mode="json")


@pytest.mark.usefixtures("by_hand")
async def test_without_a_worker_an_end_is_shown_as_listed_and_asked_for_again(
    afar: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.api.temporal.client.QUERY_TIMEOUT", timedelta(seconds=0.2))
    job_id = await afar.submit(prompt="end")
    async with standing_in(client):
        await client.get_workflow_handle(job_id).result()

    assert (await swept(afar, job_id, Status.SUCCEEDED)).version == 0
    assert not afar.service.feed.index.any_open()
    async with standing_in(client):

        async def told() -> bool:
            await feed_of(afar).poll()
            job = afar.service.feed.index.get(job_id)
            return job is not None and job.version == 1

        assert await eventually(told)


async def test_with_temporal_away_it_starts_and_says_so(new_api: NewApi, lonely: Api) -> None:
    async with new_api(lonely.service.client, feed="temporal") as api:
        assert (await api.http.get("/jobs")).json()["jobs"] == []
        assert (await api.http.get("/readyz")).status_code == 503
