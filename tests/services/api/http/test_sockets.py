"""The live feed over real sockets: at once, then each change, in order, to the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from services.api.http import events as events_module
from services.api.http import sockets
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Attempts
from shared.jobs.states import Status, Step
from tests.fixtures.eventually import eventually
from tests.services.api.conftest import Api, calls_for_callers, change, ended
from tests.shared.standins import sample_record

RUNNING = {"status": Status.RUNNING, "step": Step.IMAGE, "attempts": Attempts(image=1)}


async def rest(socket: ClientConnection) -> list[dict[str, Any]]:
    """All frames until the close."""
    frames = []
    try:
        while True:
            frames.append(json.loads(await socket.recv()))
    except ConnectionClosed:
        return frames


async def test_one_job_from_now_to_its_end(api: Api) -> None:
    job_id = await api.submit()
    async with connect(f"{api.sockets}/ws/jobs/{job_id}", proxy=None) as socket:
        first = json.loads(await socket.recv())
        record = api.write(sample_record(job_id))
        record = api.write(change(record, **RUNNING))
        api.write(ended(record))
        frames = await rest(socket)

    assert (first["version"], first["status"]) == (0, "queued")
    assert [frame["version"] for frame in frames][-1] == 3
    assert frames[-1]["status"] == "succeeded"
    assert sorted({frame["version"] for frame in frames}) == [f["version"] for f in frames]
    assert socket.close_code == 1000


async def test_versions_that_the_watch_skipped_are_sent_all_the_same(api: Api) -> None:
    job_id = await api.submit()
    async with connect(f"{api.sockets}/ws/jobs/{job_id}", proxy=None) as socket:
        await socket.recv()
        record = sample_record(job_id).model_copy(update={"version": 0})
        for percent in range(5):
            record = change(record, **RUNNING, percent=percent)
        api.write(ended(record))
        frames = await rest(socket)

    assert [frame["version"] for frame in frames] == [1, 2, 3, 4, 5, 6]
    assert [frame["percent"] for frame in frames] == [0, 1, 2, 3, 4, 100]


async def test_what_was_shown_first_is_not_sent_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look that answers the connection also publishes what it finds."""

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    job_id = await api.submit()
    service = api.service
    monkeypatch.setattr(service.follower, "_read", never)
    record = sample_record(job_id)
    for percent in range(3):
        record = api.write(change(record, **RUNNING, percent=percent))

    async with connect(f"{api.sockets}/ws/jobs/{job_id}", proxy=None) as socket:
        first = json.loads(await socket.recv())
        service.feed.put_record(api.write(ended(record)))
        frames = await rest(socket)

    assert first["version"] == 4
    assert [frame["version"] for frame in frames] == [5]


async def test_an_ended_job_is_shown_and_closed(api: Api) -> None:
    record = api.write(ended(sample_record(new_job_id())))
    async with connect(f"{api.sockets}/ws/jobs/{record.job_id}", proxy=None) as socket:
        frames = await rest(socket)
    assert [frame["version"] for frame in frames] == [record.version]
    assert socket.close_code == 1000


@pytest.mark.parametrize("job_id", ["nope", "job-0123456789abcdef01234567", "%E9%9B%AA" * 64])
async def test_an_unknown_job_has_a_close_code_of_its_own(api: Api, job_id: str) -> None:
    async with connect(f"{api.sockets}/ws/jobs/{job_id}", proxy=None) as socket:
        assert await rest(socket) == []
    assert socket.close_code == sockets.UNKNOWN_JOB


async def test_every_job_and_every_change(api: Api) -> None:
    known = [api.write(sample_record(new_job_id())) for _ in range(3)]

    async def listed() -> bool:
        return len((await api.http.get("/jobs")).json()["jobs"]) == 3

    await eventually(listed)
    before = calls_for_callers()
    async with connect(f"{api.sockets}/ws/jobs", proxy=None) as socket:
        first = [json.loads(await socket.recv())["job_id"] for _ in known]
        api.write(ended(known[1]))
        news = json.loads(await socket.recv())
    assert set(first) == {record.job_id for record in known}
    assert (news["job_id"], news["status"]) == (known[1].job_id, "succeeded")
    # The queue's positions, once at the most; the rest comes from the folder.
    assert calls_for_callers() - before <= 1


async def test_many_listeners_ask_temporal_nothing(api: Api) -> None:
    record = api.write(change(sample_record(new_job_id()), **RUNNING))
    address = f"{api.sockets}/ws/jobs/{record.job_id}"
    sockets = await asyncio.gather(*(connect(address, proxy=None) for _ in range(50)))
    try:
        await asyncio.gather(*(socket.recv() for socket in sockets))
        before = calls_for_callers()
        api.write(ended(record))
        ends = await asyncio.gather(*map(rest, sockets))
    finally:
        await asyncio.gather(*(socket.close() for socket in sockets))

    assert all(frames[-1]["status"] == "succeeded" for frames in ends)
    assert calls_for_callers() == before


async def test_a_listener_that_leaves_is_forgotten(api: Api) -> None:
    job_id = await api.submit()
    before = await _subscribers(api)
    async with connect(f"{api.sockets}/ws/jobs/{job_id}", proxy=None) as socket:
        await socket.recv()
        assert await _subscribers(api) == before + 1

    async def gone() -> bool:
        return await _subscribers(api) == before

    assert await eventually(gone)


async def _subscribers(api: Api) -> float:
    text = (await api.http.get("/metrics")).text
    name = "genvideo_api_subscribers "
    return next(
        float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name)
    )


async def events(answer: httpx.Response) -> AsyncIterator[tuple[int, dict[str, Any]]]:
    """Id and job of each event."""
    data = None
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "data":
            data = json.loads(value)
        elif field == "id" and data is not None:
            yield int(value), data


async def test_events_from_now_to_the_end(api: Api) -> None:
    record = api.write(sample_record(new_job_id()))
    seen = []
    async with api.http.stream("GET", f"/jobs/{record.job_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for number, job in events(answer):
            seen.append((number, job["version"], job["status"]))
            if number == 1:
                api.write(ended(record))
    assert seen == [(1, 1, "queued"), (2, 2, "succeeded")]


async def test_events_go_on_where_they_broke_off(api: Api) -> None:
    record = api.write(sample_record(new_job_id()))
    for percent in range(4):
        record = api.write(change(record, **RUNNING, percent=percent))
    record = api.write(ended(record))

    headers = {"Last-Event-ID": "2"}
    async with api.http.stream("GET", f"/jobs/{record.job_id}/events", headers=headers) as answer:
        seen = [(number, job["percent"]) async for number, job in events(answer)]

    assert seen == [(3, 1), (4, 2), (5, 3), (6, 100)]


async def test_a_browser_that_has_it_all_is_told_to_stop(api: Api) -> None:
    record = api.write(ended(sample_record(new_job_id())))
    address = f"/jobs/{record.job_id}/events"
    answer = await api.http.get(address, headers={"Last-Event-ID": str(record.version)})
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("last", ["x", "-1", "٣", "9" * 19, "1.5"])
async def test_what_is_no_version_is_told(api: Api, last: str) -> None:
    record = api.write(ended(sample_record(new_job_id())))
    address = f"/jobs/{record.job_id}/events"
    by_header = await api.http.get(address, headers={b"Last-Event-ID": last.encode()})
    by_query = await api.http.get(address, params={"since": last})
    for answer, field in ((by_header, "Last-Event-ID"), (by_query, "since")):
        found = answer.json()
        assert (answer.status_code, found["errors"][0]["field"]) == (422, field)


async def test_an_empty_last_event_id_is_none(api: Api) -> None:
    record = api.write(ended(sample_record(new_job_id())))
    address = f"/jobs/{record.job_id}/events"
    assert (await api.http.get(address, headers={"Last-Event-ID": ""})).status_code == 200


async def test_a_quiet_stream_has_a_heartbeat(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "HEARTBEAT_SECONDS", 0.01)
    record = api.write(sample_record(new_job_id()))
    async with api.http.stream("GET", f"/jobs/{record.job_id}/events") as answer:
        lines = answer.aiter_lines()
        assert [line async for line in _until(lines, ":")][-1].startswith(":")


async def _until(lines: AsyncIterator[str], start: str) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line.startswith(start):
            return


async def test_with_temporal_away_a_known_job_is_still_followed(lonely: Api) -> None:
    record = lonely.write(change(sample_record(new_job_id()), **RUNNING))
    async with connect(f"{lonely.sockets}/ws/jobs/{record.job_id}", proxy=None) as socket:
        await socket.recv()
        lonely.write(ended(record))
        assert (await rest(socket))[-1]["status"] == "succeeded"

    async with connect(f"{lonely.sockets}/ws/jobs/{new_job_id()}", proxy=None) as socket:
        assert await rest(socket) == []
    assert socket.close_code == sockets.TRY_AGAIN_LATER


async def test_a_socket_that_asks_is_told_when_it_has_everything(api: Api) -> None:
    records = [api.write(sample_record(new_job_id())) for _ in range(2)]

    async def listed() -> dict[str, Any]:
        page: dict[str, Any] = (await api.http.get("/jobs")).json()
        return page if len(page["jobs"]) == 2 else {}

    page = await eventually(listed)
    async with connect(f"{api.sockets}/ws/jobs?mark=true", proxy=None) as socket:
        jobs = [json.loads(await socket.recv()) for _ in records]
        mark = json.loads(await socket.recv())
        api.write(ended(records[0]))
        assert json.loads(await socket.recv())["status"] == "succeeded"
    assert {job["job_id"] for job in jobs} == {record.job_id for record in records}
    assert mark == {"complete": page["change"], "jobs": 2}

    since = f"{api.sockets}/ws/jobs?mark=true&since={mark['complete']}"
    async with connect(since, proxy=None) as socket:
        assert json.loads(await socket.recv())["job_id"] == records[0].job_id
        assert json.loads(await socket.recv())["jobs"] == 2
