"""The events of all jobs: from the same source as the sockets, and on from where they broke off."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from services.api.feed.feed import Changes
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.jobs.states import Status
from tests.fixtures.eventually import eventually
from tests.services.api.conftest import Api, change, ended
from tests.shared.standins import sample_record


async def stream(answer: httpx.Response) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Id and job of each event."""
    data: dict[str, Any] = {}
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "data":
            data = json.loads(value)
        elif field == "id":
            yield value, data


async def some(api: Api, count: int, **headers: str) -> list[tuple[str, dict[str, Any]]]:
    """So many events, then leave."""
    found = []
    async with api.http.stream("GET", "/events", headers=headers) as answer:
        async for event in stream(answer):
            found.append(event)
            if len(found) == count:
                return found
    raise AssertionError(f"it ended after {found}")


LINE_ENDS = "\u0085\u2028\u2029"


@pytest.mark.parametrize("path", ["/events", "/jobs/{job_id}/events"])
async def test_a_prompt_ends_no_line_for_readers_that_know_more_line_ends(
    api: Api, path: str
) -> None:
    job_id = await api.submit(prompt=f"a{LINE_ENDS}b", style=LINE_ENDS)
    async with api.http.stream("GET", path.format(job_id=job_id)) as answer:
        raw = b""
        async for chunk in answer.aiter_bytes():
            raw += chunk
            if b"data: " in raw and raw.endswith(b"\n\n"):
                break
    (data,) = [line for line in raw.decode().splitlines() if line.startswith("data: ")]
    assert json.loads(data.removeprefix("data: "))["prompt"] == f"a{LINE_ENDS}b"


async def test_a_sockets_frame_is_one_line_too(api: Api) -> None:
    await api.submit(prompt=f"a{LINE_ENDS}b")
    async with connect(f"{api.sockets}/ws/jobs") as socket:
        frame = str(await socket.recv())
    assert len(frame.splitlines()) == 1
    assert json.loads(frame)["prompt"] == f"a{LINE_ENDS}b"


async def known(api: Api, count: int) -> list[Record]:
    records = [api.write(sample_record(new_job_id())) for _ in range(count)]

    async def listed() -> bool:
        return len((await api.http.get("/jobs")).json()["jobs"]) == count

    await eventually(listed)
    return records


async def test_every_job_at_once_then_each_change(api: Api) -> None:
    records = await known(api, 3)
    found = []
    async with api.http.stream("GET", "/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for _, job in stream(answer):
            found.append((job["job_id"], job["status"]))
            if len(found) == 3:
                api.write(ended(records[1]))
            if len(found) == 4:
                break

    assert {job_id for job_id, _ in found[:3]} == {record.job_id for record in records}
    assert found[3] == (records[1].job_id, "succeeded")


@pytest.mark.parametrize("name", ["Last-Event-ID", "since"])
async def test_after_a_break_only_what_has_changed_comes(api: Api, name: str) -> None:
    records = await known(api, 3)
    last, _ = (await some(api, 3))[-1]
    api.write(ended(records[2]))
    api.write(ended(records[0]))
    if name == "since":
        async with api.http.stream("GET", "/events", params={"since": last}) as answer:
            events = stream(answer)
            missed = [(await anext(events))[1] for _ in range(2)]
    else:
        missed = [job for _, job in await some(api, 2, **{name: last})]

    assert {(job["job_id"], job["status"]) for job in missed} == {
        (records[0].job_id, "succeeded"),
        (records[2].job_id, "succeeded"),
    }


@pytest.mark.parametrize("last", ["0", "x", "deadbeef-999999", "{PROCESS}-x", "{PROCESS}-"])
async def test_an_id_that_is_not_ours_brings_every_job(api: Api, last: str) -> None:
    records = await known(api, 2)
    found = await some(
        api, 2, **{"Last-Event-ID": last.format(PROCESS=api.service.feed.hub.process)}
    )
    assert {job["job_id"] for _, job in found} == {record.job_id for record in records}


async def test_a_socket_of_all_jobs_goes_on_where_it_broke_off(api: Api) -> None:
    records = await known(api, 3)
    address = f"{api.sockets}/ws/jobs"
    async with connect(address, proxy=None) as socket:
        first = [json.loads(await socket.recv()) for _ in records]
    api.write(ended(records[2]))
    api.write(ended(records[0]))
    async with connect(f"{address}?since={first[-1]['change']}", proxy=None) as socket:
        missed = [json.loads(await socket.recv()) for _ in range(2)]
        api.write(ended(records[1]))
        news = json.loads(await socket.recv())

    assert {job["job_id"] for job in missed} == {records[0].job_id, records[2].job_id}
    assert news["job_id"] == records[1].job_id
    changes = [int(job["change"].partition("-")[2]) for job in (*first, *missed, news)]
    assert all(before < after for before, after in pairwise(changes))


async def test_a_socket_with_a_foreign_change_brings_every_job(api: Api) -> None:
    records = await known(api, 2)
    async with connect(f"{api.sockets}/ws/jobs?since=deadbeef-9", proxy=None) as socket:
        found = {json.loads(await socket.recv())["job_id"] for _ in records}
    assert found == {record.job_id for record in records}


async def test_ids_rise_and_a_break_in_the_midst_misses_nothing(api: Api) -> None:
    records = await known(api, 6)
    first = await some(api, 2)
    rest = await some(api, 4, **{"Last-Event-ID": first[-1][0]})

    numbers = [int(number.partition("-")[2]) for number, _ in first + rest]
    assert all(before < after for before, after in pairwise(numbers))
    seen = [job["job_id"] for _, job in first + rest]
    assert sorted(seen) == sorted(record.job_id for record in records)


async def test_a_socket_and_a_stream_tell_the_same(api: Api) -> None:
    record = api.write(sample_record(new_job_id()))
    path = f"/jobs/{record.job_id}/events"
    async with (
        connect(f"{api.sockets}/ws/jobs/{record.job_id}", proxy=None) as socket,
        api.http.stream("GET", path) as answer,
    ):
        await socket.recv()
        events = stream(answer)
        await anext(events)
        running = api.write(change(record, status=Status.RUNNING, percent=40))
        api.write(ended(running))
        by_socket = [json.loads(await socket.recv()) for _ in range(2)]
        by_stream = [(await anext(events))[1] for _ in range(2)]

    assert by_socket == by_stream
    assert [job["version"] for job in by_socket] == [2, 3]


@pytest.mark.parametrize("since", [1, 3])
async def test_a_socket_goes_on_after_a_version(api: Api, since: int) -> None:
    record = api.write(sample_record(new_job_id()))
    for percent in (10, 20, 30):
        record = api.write(change(record, status=Status.RUNNING, percent=percent))
    address = f"{api.sockets}/ws/jobs/{record.job_id}?since={since}"
    async with connect(address, proxy=None) as socket:
        seen = [json.loads(await socket.recv())["version"] for _ in range(4 - since)]
        api.write(ended(record))
        seen.append(json.loads(await socket.recv())["version"])

    assert seen == [*range(since + 1, 5), 5]


async def test_a_socket_that_has_it_all_is_closed_at_once(api: Api) -> None:
    record = api.write(ended(sample_record(new_job_id())))
    address = f"{api.sockets}/ws/jobs/{record.job_id}?since={record.version}"
    async with connect(address, proxy=None) as socket:
        assert [frame async for frame in socket] == []
    assert socket.close_code == 1000


async def test_a_reader_that_does_not_read_holds_nobody_up(api: Api) -> None:
    """Its socket is full, and what waits for it is bounded; the others have every change."""
    record = api.write(sample_record(new_job_id()))
    address = f"{api.sockets}/ws/jobs"
    text = "雪" * 30_000
    async with (
        connect(address, proxy=None, max_queue=1) as slow,
        connect(address, proxy=None) as quick,
    ):
        await asyncio.gather(slow.recv(), quick.recv())
        last = -1
        for _ in range(400):
            record = change(record, status=Status.RUNNING)
            api.service.feed.put(record.job().model_copy(update={"style": text}))
            record = record.model_copy(update={"transitions": ()})
            last = json.loads(await quick.recv())["version"]
        api.service.feed.put(ended(record).job())

        versions: list[int] = []
        while not versions or versions[-1] < record.version + 1:
            versions.append(json.loads(await slow.recv())["version"])

    assert last == record.version
    assert len(versions) < 400
    assert all(before < after for before, after in pairwise(versions))


async def test_the_end_of_what_was_known_is_marked_for_who_asks(api: Api) -> None:
    await known(api, 2)
    found: list[str] = []
    async with api.http.stream("GET", "/events", params={"mark": True}) as answer:
        async for line in answer.aiter_lines():
            found.append(line)
            if line.startswith("data: ") and "event: complete" in found:
                break

    assert sum(line.startswith('data: {"job_id"') for line in found) == 2
    assert json.loads(found[-1].removeprefix("data: "))["jobs"] == 2


async def test_the_mark_counts_no_job_that_comes_behind_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await known(api, 2)
    turn, quiet = Changes.turn, False

    async def turn_with_a_newcomer(self: Changes) -> None:
        nonlocal quiet
        # The first turn is behind the jobs, the second one behind nothing.
        if quiet:
            api.service.feed.put(sample_record(new_job_id()).job())
        quiet = True
        await turn(self)

    monkeypatch.setattr(Changes, "turn", turn_with_a_newcomer)
    sent = 0
    async with api.http.stream("GET", "/events", params={"mark": True}) as answer:
        lines = answer.aiter_lines()
        async for line in lines:
            if line == "event: complete":
                break
            sent += line.startswith("id: ")
        data = await anext(lines)

    assert json.loads(data.removeprefix("data: "))["jobs"] == sent == 2
