"""Vendors that answer with broken text, sizes, sockets and ids: the worker stays small, each job
ends with a reason, and the next one runs."""

import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client

from services.semaphore.worker import running_semaphore
from shared.jobs.states import Status
from tests.fixtures.processes import peak
from tests.services.mock_core.serving import Json
from tests.services.worker import hostile
from tests.workflow.hostile_vendor import (
    Case,
    HostileVendor,
    Trick,
    body,
    hostile_vendor,
    raw,
    told,
)
from tests.workflow.pipeline import Pipeline, pipeline, why
from tests.workflow.processes import worker_processes
from tests.workflow.wires import COMFYUI, KLING

# It has 115 when it begins; the largest answers that are read at once take the rest.
WORKER_MEGABYTES = 200
HALF = "\ud83d"
LONG = 900_000
OK = b"HTTP/1.1 200 OK\r\n"
# In the words of all wires: what each of them reads of an answer.
_IDS = ("job_id", "external_id", "id", "prompt_id", "task_id", "external_task_id")
_WORDS = ("status", "task_status", "error", "message", "detail", "task_status_msg")


def ids(found: object, **more: object) -> Trick:
    return told(**dict.fromkeys(_IDS, found), **more)


def words(found: object) -> Trick:
    return told(**dict.fromkeys(_WORDS, found))


TEXTS: dict[str, Trick] = {
    "no JSON": body(b"<html>an apology"),
    "no UTF-8": body(b'{"status": "\xff\xfe", "job_id": "\xc3", "prompt_id": "\xc3"}'),
    "half a character": words(HALF),
    "deep lists": body(b"[" * LONG),
    "deep objects": body(b'{"a":' * 100_000),
    "many objects": body(b'{"a":[%s0]}' % (b'{"":0},' * 70_000)),
    "many texts of wide letters": body(b'{"a":["%s",%s0]}' % ("𝕏".encode(), b'"ab",' * 140_000)),
    "many escapes": body(b'{"a":"%s"}' % (rb"\n" * 450_000)),
    "a huge number": body(b'{"percent":%s,"code":%s}' % (b"9" * LONG, b"9" * 4000)),
    "no number": body(b'{"percent": NaN, "code": -Infinity, "status": Infinity}'),
    "long words": words("x" * LONG),
    "control characters": words("failed\x00\x1b[2J\r\n"),
    "strange types": told(percent={}, video_url=[], **{word: [{}] for word in _WORDS}),
}
SIZES: dict[str, Trick] = {
    "a body without end": raw(OK + b"\r\n", bytes(64_000)),
    "a chunk without end": raw(
        OK + b"Transfer-Encoding: chunked\r\n\r\n7fffffffffff\r\n", bytes(64_000)
    ),
    "chunks without end": raw(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n" * 9000),
    "a head without end": raw(OK, b"X-Header: " + b"x" * 9000 + b"\r\n"),
    "squeezed": body(hostile.gzip_bomb(1), head="Content-Encoding: gzip, gzip\r\n"),
    "refused at length": body(b"x" * 8_000_000, status=503),
}
CONNECTIONS: dict[str, Trick] = {
    "nothing": raw(b""),
    "garbage": raw(bytes(range(256)) * 100),
    "another protocol": raw(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "less than said": raw(OK + b'Content-Length: 100\r\n\r\n{"job_id": "x"'),
}
IDS: dict[str, Trick] = {
    "the id of another": ids("job-0123456789abcdef01234567.image.1"),
    "a way out for an id": ids("../../admin/reset?x=1"),
    "a huge id": ids("x" * LONG),
    "half a character for an id": ids(HALF),
    "a list for an id": ids(["x"]),
    "no id": ids(""),
}


def frame(text: bytes) -> bytes:
    return b"\x81\x7f" + struct.pack(">Q", len(text)) + text


SOCKETS: dict[str, Trick] = {
    "pings": raw(b"", b"\x89\x00" * 10_000),
    "empty messages": raw(b"", b"\x81\x00" * 10_000),
    "a message without end": raw(b"\x01\x00", b"\x00\x00" * 10_000),
    "a huge frame": raw(b"\x82\x7f" + struct.pack(">Q", 2**40), bytes(64_000)),
    "pictures": raw(b"", b"\x82\x7f" + struct.pack(">Q", 4_000_000) + bytes(4_000_000)),
    "deep texts": raw(b"", frame(b"[" * LONG)),
    "texts of many values": raw(b"", frame(b'{"data":[%s0]}' % (b"{}," * 300_000))),
    "garbage for frames": raw(b"\xff" * 100_000),
}


# These are enough for a submit, of which any other answer is read alike.
SUBMITS = (
    *("no UTF-8", "half a character", "many objects", "a head without end", "chunks without end"),
    *("nothing", "garbage", *IDS),
)
# A job pauses longer behind each of them.
SUBMIT_CASES = 4
REFUSED = body(b'{"code": 1201, "message": "no more"}', status=400)


def cases(step: str, *, sockets: bool = False) -> Iterator[tuple[str, Case]]:
    """By a name in the prompt of the job that meets it."""
    kinds = (TEXTS, SIZES, CONNECTIONS, IDS)
    for number, kind in enumerate(kinds):
        yield f"<{step} status {number}>", Case("status", kind, REFUSED)
    answers = {name: trick for kind in kinds for name, trick in kind.items()}
    for number in range(SUBMIT_CASES):
        submits = {name: answers[name] for name in SUBMITS[number::SUBMIT_CASES]}
        yield f"<{step} submit {number}>", Case("submit", submits, REFUSED)
    for name, trick in SOCKETS.items() if sockets else ():
        yield f"<{step} socket {name}>", Case("socket", {name: trick})


# A picture that is made for some time, so that its socket is listened to.
SLOW: Json = {
    "where": "start",
    "do": "slow",
    "with": {"extra": 500},
    "match": {"prompt": "*socket*"},
}
# As the worker's environment has them: what can't end in any other way is soon given up.
SOON: dict[str, str] = {
    "IMAGE_GIVE_UP_SECONDS": "5",
    "VIDEO_GIVE_UP_SECONDS": "5",
    "DRAIN_SECONDS": "1",
    "ACCEPT_SECONDS": "1",
    "IMAGE_LOST_SECONDS": "1",
    "VIDEO_LOST_SECONDS": "1",
    "VIDEO_POLL_SECONDS": "0.1",
}
# A vendor has one of our jobs at a time; this many save time.
AT_ONCE = 4


@asynccontextmanager
async def behind(
    client: Client, data_dir: Path, vendor_api: Json
) -> AsyncIterator[tuple[Pipeline, list[HostileVendor]]]:
    own = bool(vendor_api)
    # The clients of the small contract read their answers in the same way.
    of_videos = dict(cases("video")) if own else {}
    async with (
        pipeline(client, data_dir, **vendor_api) as line,
        hostile_vendor(
            line.settings.image_service_url, dict(cases("image", sockets=own))
        ) as images,
        hostile_vendor(line.settings.video_service_url, of_videos) as videos,
        running_semaphore(client, shutdown_seconds=0.1),
    ):
        addresses = {"image_service_url": images.url, "video_service_url": videos.url}
        settings = line.settings.model_copy(update=addresses)
        yield Pipeline(client, settings, line.images, line.videos), [images, videos]


@pytest.mark.parametrize("vendor_api", [{}, COMFYUI | KLING], ids=["service", "own"])
async def test_worker_stays_small_each_job_ends_and_the_next_one_runs(
    client: Client, tmp_path: Path, vendor_api: Json, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = SOON | {name.upper(): str(value) for name, value in vendor_api.items()}
    async with behind(client, tmp_path, vendor_api) as (line, vendors):
        with worker_processes(line) as workers:
            [process] = workers.start(1, environment=environment)
            await workers.ready()
            await line.change(limit=AT_ONCE)
            await line.images.arm(SLOW)
            names = [name for vendor in vendors for name in vendor.cases]
            jobs = {name: await line.submit(name) for name in names}
            records = {name: await line.ended(job_id) for name, job_id in jobs.items()}
            assert (await line.run("a cat")).status is Status.SUCCEEDED
            assert process.is_alive()
            assert process.pid is not None
            megabytes = peak(process.pid)
    with capsys.disabled():
        print(f"\nworker {megabytes:.0f} MB")  # noqa: T201
    assert {name for vendor in vendors for name in vendor.played} == set(names)
    known = {trick for vendor in vendors for case in vendor.cases.values() for trick in case.tricks}
    played = {trick for vendor in vendors for tricks in vendor.played.values() for trick in tricks}
    assert played == known
    for name, record in records.items():
        if "socket" in name:
            assert record.status is Status.SUCCEEDED, name
        else:
            assert record.status is Status.FAILED, name
            assert why(record).message, name
    assert megabytes < WORKER_MEGABYTES
