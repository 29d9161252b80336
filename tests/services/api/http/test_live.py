"""The live feed over real sockets and streams: at once, then each change, in order, to the end."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from services.api.http import live
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Attempts, Job, Record
from shared.jobs.states import Status
from shared.store.chosen import chosen_store
from shared.store.records import Records
from tests.fixtures.eventually import eventually
from tests.fixtures.object_store import given_for, moto_server, settings_for
from tests.services.api.conftest import Api, NewApi, calls_for_callers, change, ended
from tests.services.api.http.test_access import is_problem
from tests.shared.standins import sample_record

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

RUNNING = {"status": Status.RUNNING, "step": "image", "attempts": Attempts(image=1, video=0)}


async def rest(socket: ClientConnection) -> list[dict[str, Any]]:
    frames = []
    try:
        while True:
            frames.append(json.loads(await socket.recv()))
    except ConnectionClosed:
        return frames


LISTENERS = 30


async def test_change_is_written_once_for_all_listeners(
    lonely: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    dump = Job.model_dump_json

    def counted(self: Job, **options: Any) -> str:
        written.append(self.version)
        return dump(self, **options)

    record = lonely.write(change(sample_record(new_job_id()), **RUNNING))
    address = f"{lonely.sockets}/ws/jobs/{record.job_id}"
    async with AsyncExitStack() as stack:
        sockets = [
            await stack.enter_async_context(connect(address, proxy=None)) for _ in range(LISTENERS)
        ]
        for socket in sockets:
            await socket.recv()
        before = calls_for_callers()
        monkeypatch.setattr(Job, "model_dump_json", counted)
        for percent in (20, 40):
            record = change(record, percent=percent)
            lonely.service.feed.put_record(record)
        lonely.service.feed.put_record(ended(record))
        heard = await asyncio.gather(*map(rest, sockets))

    assert [[frame["version"] for frame in frames] for frames in heard] == [[3, 4, 5]] * LISTENERS
    assert written == [3, 4, 5]
    assert calls_for_callers() == before


async def test_unknown_job_has_its_own_close_code(api: Api) -> None:
    for job_id in ("nope", "job-0123456789abcdef01234567", "%E9%9B%AA" * 64):
        async with connect(f"{api.sockets}/ws/jobs/{job_id}", proxy=None) as socket:
            assert await rest(socket) == []
        assert socket.close_code == live.UNKNOWN_JOB, job_id


async def known(api: Api, count: int) -> list[Record]:
    records = [api.write(sample_record(new_job_id())) for _ in range(count)]

    async def listed() -> bool:
        return len((await api.http.get("/jobs")).json()["jobs"]) == count

    await eventually(listed)
    return records


@pytest.mark.parametrize("reads", [0, 1])
async def test_listener_is_told_to_come_again_while_the_store_is_away(
    new_lonely: NewApi, *, reads: int
) -> None:
    record = change(sample_record(new_job_id()), **RUNNING)
    left = 1

    def around(app: "WSGIApplication") -> "WSGIApplication":
        def answer(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
            nonlocal left
            if record.job_id in environ["PATH_INFO"] and environ["REQUEST_METHOD"] == "GET":
                left -= 1
                if left < 0:
                    start("403 Forbidden", [])
                    return []
            return app(environ, start)

        return answer

    with moto_server(around=around) as address:
        Records(chosen_store(settings_for(address))).write(record)
        # The start reads it once.
        async with new_lonely(**given_for(address)) as api:
            left = reads
            path = f"/ws/jobs/{record.job_id}?since=1"
            async with connect(api.sockets + path, proxy=None) as socket:
                assert await rest(socket) == []
            left = reads
            stream = await api.http.get(f"/jobs/{record.job_id}/events?since=1")

    assert (socket.close_code, socket.close_reason) == (1013, "the store refuses our key")
    if reads == 0:
        assert is_problem(stream, 503, "store_away")
    else:
        assert (stream.status_code, stream.text) == (200, "retry: 1000\n\n")


async def test_listener_that_leaves_is_forgotten(api: Api) -> None:
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
    data = None
    async for line in answer.aiter_lines():
        field, _, value = line.partition(": ")
        if field == "data":
            data = json.loads(value)
        elif field == "id" and data is not None:
            yield int(value), data


async def test_events_run_from_now_to_the_end(api: Api) -> None:
    record = api.write(sample_record(new_job_id()))
    seen = []
    async with api.http.stream("GET", f"/jobs/{record.job_id}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for number, job in events(answer):
            seen.append((number, job["version"], job["status"]))
            if number == 1:
                api.write(ended(record))
    assert seen == [(1, 1, "queued"), (2, 2, "succeeded")]


async def test_events_resume_after_the_last_id(api: Api) -> None:
    record = api.write(sample_record(new_job_id()))
    for percent in range(4):
        record = api.write(change(record, **RUNNING, percent=percent))
    record = api.write(ended(record))

    headers = {"Last-Event-ID": "2"}
    async with api.http.stream("GET", f"/jobs/{record.job_id}/events", headers=headers) as answer:
        seen = [(number, job["percent"]) async for number, job in events(answer)]

    assert seen == [(3, 1), (4, 2), (5, 3), (6, 100)]


async def test_browser_resumes_after_a_version(api: Api) -> None:
    record = api.write(ended(sample_record(new_job_id())))
    address = f"/jobs/{record.job_id}/events"
    for last, status in ((str(record.version), 204), ("", 200)):
        answer = await api.http.get(address, headers={"Last-Event-ID": last})
        assert (answer.status_code, answer.content == b"") == (status, status == 204)
    for last in ("x", "-1", "٣", "9" * 19, "1.5"):
        by_header = await api.http.get(address, headers={b"Last-Event-ID": last.encode()})
        by_query = await api.http.get(address, params={"since": last})
        for answer, field in ((by_header, "Last-Event-ID"), (by_query, "since")):
            found = answer.json()
            assert (answer.status_code, found["errors"][0]["field"]) == (422, field), last


async def test_quiet_stream_has_a_heartbeat(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.01)
    record = api.write(sample_record(new_job_id()))
    async with api.http.stream("GET", f"/jobs/{record.job_id}/events") as answer:
        lines = answer.aiter_lines()
        while not (await anext(lines)).startswith(":"):
            continue


async def test_known_job_is_followed_without_temporal(lonely: Api) -> None:
    record = lonely.write(change(sample_record(new_job_id()), **RUNNING))
    async with connect(f"{lonely.sockets}/ws/jobs/{record.job_id}", proxy=None) as socket:
        await socket.recv()
        lonely.write(ended(record))
        assert (await rest(socket))[-1]["status"] == "succeeded"

    async with connect(f"{lonely.sockets}/ws/jobs/{new_job_id()}", proxy=None) as socket:
        assert await rest(socket) == []
    assert socket.close_code == live.TRY_AGAIN_LATER


async def test_socket_is_notified_when_it_is_complete(api: Api) -> None:
    records = await known(api, 2)
    page = (await api.http.get("/jobs")).json()
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


LINE_ENDS = "\u0085\u2028\u2029"


async def test_unusual_line_ends_in_a_prompt_do_not_break_the_stream(api: Api) -> None:
    job_id = await api.submit(prompt=f"a{LINE_ENDS}b", style=LINE_ENDS)
    async with api.http.stream("GET", f"/jobs/{job_id}/events") as answer:
        raw = b""
        async for chunk in answer.aiter_bytes():
            raw += chunk
            if b"data: " in raw and raw.endswith(b"\n\n"):
                break
    (data,) = [line for line in raw.decode().splitlines() if line.startswith("data: ")]
    assert json.loads(data.removeprefix("data: "))["prompt"] == f"a{LINE_ENDS}b"


async def test_socket_of_all_jobs_resumes(api: Api) -> None:
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


async def test_unknown_change_id_sends_every_job(api: Api) -> None:
    records, process = await known(api, 2), api.service.feed.process
    for since in ("0", "x", "deadbeef-9", f"{process}-x", f"{process}-"):
        async with connect(f"{api.sockets}/ws/jobs?since={since}", proxy=None) as socket:
            found = {json.loads(await socket.recv())["job_id"] for _ in records}
        assert found == {record.job_id for record in records}, since


async def test_socket_resumes_after_a_version(api: Api) -> None:
    for since in (1, 3):
        record = api.write(sample_record(new_job_id()))
        for percent in (10, 20, 30):
            record = api.write(change(record, status=Status.RUNNING, percent=percent))
        address = f"{api.sockets}/ws/jobs/{record.job_id}?since={since}"
        async with connect(address, proxy=None) as socket:
            seen = [json.loads(await socket.recv())["version"] for _ in range(4 - since)]
            api.write(ended(record))
            seen.append(json.loads(await socket.recv())["version"])
        assert seen == [*range(since + 1, 5), 5]
    # One that has it all is closed at once.
    async with connect(f"{address.partition('?')[0]}?since=5", proxy=None) as socket:
        assert [frame async for frame in socket] == []
    assert socket.close_code == 1000


async def test_listener_that_is_ahead_ends_with_the_job(api: Api) -> None:
    record = api.write(sample_record(new_job_id()))
    path, ahead = f"/jobs/{record.job_id}/events", record.version + 1
    async with (
        api.http.stream("GET", path, headers={"Last-Event-ID": str(ahead)}) as answer,
        connect(f"{api.sockets}/ws/jobs/{record.job_id}?since={ahead}", proxy=None) as socket,
        asyncio.timeout(5),
    ):
        assert answer.status_code == 200
        api.write(ended(record))
        assert [event async for event in events(answer)] == []
        assert await rest(socket) == []
    assert socket.close_code == 1000


async def test_slow_reader_delays_nobody(api: Api) -> None:
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


async def test_refused_socket_is_a_problem(lonely: Api) -> None:
    for path, status, fields in (
        ("/ws/jobs?mrak=true&since=1&since=2", 422, ["mrak", "since"]),
        ("/ws/jobs?mark=maybe", 422, ["mark"]),
        ("/ws/jobs/job-0123456789abcdef01234567?since=x&mark=true", 422, ["mark"]),
        ("/ws/job", 404, []),
        ("/jobs", 404, []),
    ):
        with pytest.raises(InvalidStatus) as refused:
            await connect(lonely.sockets + path, proxy=None)
        answer = refused.value.response
        assert answer.headers["content-type"] == "application/problem+json"
        problem = json.loads(answer.body or b"")
        assert answer.status_code == problem["status"] == status
        assert [each["field"] for each in problem.get("errors", [])] == fields


async def test_listeners_of_all_kinds_share_one_limit(lonely: Api, new_api: NewApi) -> None:
    record = lonely.write(sample_record(new_job_id()))
    async with new_api(lonely.service.client, api_max_sockets=2) as small:
        paths = [f"/ws/jobs/{record.job_id}", "/ws/jobs"]
        async with (
            connect(small.sockets + paths[0], proxy=None) as one,
            connect(small.sockets + paths[1], proxy=None) as every,
        ):
            await one.recv()
            await every.recv()
            with pytest.raises(InvalidStatus) as refused:
                await connect(small.sockets + paths[1], proxy=None)
            stream = await small.http.get(f"/jobs/{record.job_id}/events")

    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["retry-after"] == "5"
    assert is_problem(stream, 429, "too_many_listeners")
