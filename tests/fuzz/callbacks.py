"""Made-up bodies for the callback receiver, a process with a real server behind it.

No answer is a 500, none tells anything that it shouldn't, and no forged one changes anything.
(`surface` sends what the OpenAPI files describe.)
"""

import asyncio
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.ids import external_id, new_job_id
from shared.jobs.messages import Attempts
from shared.jobs.states import Status
from shared.jobs.tokens import callback_token
from shared.store.records import RecordStore
from tests.fixtures.processes import free_port
from tests.shared.standins import sample_record

MAX_BODY = 256 * 1024
WRONG_SECRET = "another-secret-of-32-characters-or-more"

STATUSES = ("submitted", "processing", "succeed", "failed")
TYPES = ("application/json", "application/json; charset=utf-8", "application/problem+json")
TEXT = st.text(max_size=50)
OTHER_TYPES = ("", "text/plain", "application/xml", "application/jsonp", "json", "multipart/x")


class Sent(NamedTuple):
    """One request; `genuine` where its token is that of its task."""

    task: str
    token: str
    content_type: str
    body: bytes
    chunked: bool
    genuine: bool


def json_values() -> st.SearchStrategy[Any]:
    """Anything that JSON can say, and some that it can't."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats()
        | TEXT
        | st.sampled_from(STATUSES)
    )
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
        max_leaves=12,
    )


def _honest(task: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "task_id": st.just(f"task-{task.partition('.')[0]}"),
            "task_status": st.sampled_from(STATUSES),
        },
        optional={
            "updated_at": st.integers(0, 2**63 - 1),
            "created_at": st.integers(0, 2**63 - 1),
            "task_status_msg": TEXT,
            "final_unit_deduction": st.just("1.5"),
            "task_info": st.just({"external_task_id": task}),
            "task_result": st.just({"videos": [{"id": "v", "url": "https://v.example/v.mp4"}]}),
        },
    )


@st.composite
def _bent(draw: st.DrawFn, task: str) -> dict[str, Any]:
    """One field of an honest one is anything at all, or missing, or there are more."""
    body = draw(_honest(task))
    key = draw(st.sampled_from([*body, "task_info", "task_result", "updated_at"]) | TEXT)
    if draw(st.booleans()):
        body[key] = draw(json_values())
    else:
        body.pop(key, None)
    return body


def _naming(job_ids: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """One that names the task of some job in its body."""
    return st.sampled_from(job_ids).flatmap(lambda job_id: _honest(f"{job_id}.video.1"))


@st.composite
def raw_bodies(draw: st.DrawFn, task: str, job_ids: list[str]) -> bytes:
    """The bytes of a body, honest, bent, cut, padded, nested, or none at all."""
    value = draw(_honest(task) | _bent(task) | _naming(job_ids) | json_values())
    if draw(st.integers(0, 3)) == 0:
        value = {"code": 0, "message": "SUCCEED", "request_id": "r", "data": value}
    raw = json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    match draw(st.integers(0, 19)):
        case 0:
            return raw[: draw(st.integers(0, len(raw)))]
        case 1:
            return draw(st.binary(max_size=200))
        case 2:
            at = draw(st.integers(0, len(raw)))
            return raw[:at] + draw(st.binary(min_size=1, max_size=4)) + raw[at:]
        case 3:
            opening = draw(st.sampled_from([b"[", b'{"data":', b'{"task_info":{"a":']))
            return opening * draw(st.integers(1, 20_000))
        case 4:
            return raw + b" " * draw(st.integers(0, MAX_BODY + 1))
    return raw


def _tokens(secret: str, task: str, others: list[str]) -> st.SearchStrategy[str]:
    """Tokens that are nearly right."""
    right = callback_token(secret, task)
    other = st.sampled_from(others).map(lambda job: callback_token(secret, f"{job}.video.1"))
    return (
        st.sampled_from(["", right[:-1], right + "0", right.upper(), right[::-1], f" {right}"])
        | other
        | st.just(callback_token(WRONG_SECRET, task))
        | TEXT
        | st.just(task)
    )


@st.composite
def requests(draw: st.DrawFn, secret: str, targets: list[str], victims: list[str]) -> Sent:
    """A request with the right token to one of the targets, or one that forges for a victim."""
    genuine = draw(st.integers(0, 2)) > 0
    jobs = targets if genuine else victims
    task = draw(st.sampled_from(jobs)) + draw(st.sampled_from([".video.1", ".video.1", ".video.2"]))
    right = callback_token(secret, task)
    token = right
    if not genuine:
        token = draw(_tokens(secret, task, targets))
        if draw(st.integers(0, 3)) == 0:
            task = draw(TEXT | st.just(task.replace("video", "image")) | st.just(new_job_id()))
    types = TYPES if draw(st.integers(0, 9)) else OTHER_TYPES
    return Sent(
        task=task,
        token=token,
        content_type=draw(st.sampled_from(types)),
        body=draw(raw_bodies(task, targets + victims)),
        chunked=draw(st.booleans()),
        genuine=genuine,
    )


SECRET = "a-secret-of-32-characters-or-more"
# What an answer or a log line must not hold, besides the secret and the tokens.
LEAKS = ("Traceback", 'File "', "site-packages", "services/callback", "token=")


@dataclass
class Target:
    """Where it listens; `targets` get callbacks with the right token, `victims` never do."""

    port: int
    folder: Path
    namespace: str
    address: str
    targets: list[str]
    victims: list[str]
    process: subprocess.Popen[bytes]

    def __post_init__(self) -> None:
        self.line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        tasks = [f"{job}.video.{n}" for job in self.targets + self.victims for n in (1, 2)]
        tokens = [callback_token(SECRET, task) for task in tasks]
        self.hidden = (*LEAKS, SECRET, str(self.folder), *tokens)

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def send(self, sent: Sent) -> tuple[int, str, str]:
        """Status, media type and text of the answer."""
        try:
            return self._send(sent)
        except (ConnectionError, http.client.RemoteDisconnected):
            # An idle connection ends after some seconds; a fresh one has no such excuse.
            self.line.close()
            return self._send(sent)

    def _send(self, sent: Sent) -> tuple[int, str, str]:
        query = urlencode({"task": sent.task, "token": sent.token}, errors="replace")
        headers = {"Content-Type": sent.content_type} if sent.content_type else {}
        body = iter([sent.body[:7], sent.body[7:]]) if sent.chunked else sent.body
        url = f"/callback/kling?{query}"
        self.line.request("POST", url, body, headers, encode_chunked=sent.chunked)
        answer = self.line.getresponse()
        text = answer.read().decode()
        return answer.status, answer.headers.get("content-type", ""), text

    def leaked(self, text: str) -> list[str]:
        """What must not be in it and is."""
        return [each for each in self.hidden if each in text]

    def log(self) -> str:
        return (self.folder / "log").read_text()

    async def signals(self, job_id: str) -> int:
        """How many signals a job got, by the server's own history."""
        client = await connected(self.address, self.namespace)
        history = await client.get_workflow_handle(job_id).fetch_history()
        signalled = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
        return sum(event.event_type == signalled for event in history.events)


async def connected(address: str, namespace: str) -> Client:
    return await Client.connect(
        address, namespace=namespace, data_converter=pydantic_data_converter
    )


@contextlib.contextmanager
def receiving(folder: Path, address: str, namespace: str, *, jobs: int) -> Iterator[Target]:
    """A receiver process with jobs that wait for their videos, too many to have all receipts."""

    async def made() -> list[str]:
        return await make_jobs(await connected(address, namespace), folder, 2 * jobs)

    job_ids = asyncio.run(made())
    port = free_port()
    environment = {
        "DATA_DIR": str(folder),
        "CALLBACK_SECRET": SECRET,
        "CALLBACK_PORT": str(port),
        "TEMPORAL_ADDRESS": address,
        "TEMPORAL_NAMESPACE": namespace,
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.callback"],
            env={**os.environ, **environment},
            stdout=log,
            stderr=log,
        )
        try:
            _wait(port, process)
            target = Target(
                port, folder, namespace, address, job_ids[:jobs], job_ids[jobs:], process
            )
            with contextlib.closing(target.line):
                yield target
        finally:
            process.terminate()
            process.wait()


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"the receiver did not start: {process.returncode}")


async def make_jobs(client: Client, folder: Path, count: int) -> list[str]:
    """Jobs that wait for their video; nobody works on them, and signals to them are kept."""
    records = RecordStore(folder)
    at_once = asyncio.Semaphore(50)

    async def one(job_id: str) -> None:
        record = sample_record(job_id).model_copy(
            update={
                "status": Status.RUNNING,
                "step": "video",
                "attempts": Attempts(image=1, video=1),
                "tasks": {external_id(job_id, "video", 1): f"task-{job_id}"},
            }
        )
        records.write(record)
        async with at_once:
            await client.start_workflow(
                GENVIDEO.workflow,
                GenVideoInput(prompt="a cat", style=""),
                id=job_id,
                task_queue=GENVIDEO.name,
            )

    job_ids = [new_job_id() for _ in range(count)]
    await asyncio.gather(*map(one, job_ids))
    return job_ids


FINE = {200}
REFUSED = {404, 413, 415, 422}
Tally = Counter[tuple[str, int]]


def by_strategies(target: Target, count: int) -> Tally:
    """Requests of our own making."""
    tally: Tally = Counter()

    @given(sent=requests(SECRET, target.targets, target.victims))
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    def check(sent: Sent) -> None:
        status, content_type, text = target.send(sent)
        tally["genuine" if sent.genuine else "forged", status] += 1
        assert status in FINE | REFUSED, (status, text)
        assert target.leaked(text) == []
        assert content_type == (
            "application/json" if status in FINE else "application/problem+json"
        )
        json.loads(text)
        if not sent.genuine:
            assert status == 404
        elif len(sent.body) > MAX_BODY:
            assert status in (413, 415)

    check()
    return tally


def verdict(target: Target) -> list[str]:
    """What was wrong after all: forgeries that had an effect, leaks in the log, a dead process."""
    wrong = []
    for job_id in target.victims:
        rows = httpx.get(f"{target.base}/callbacks", params={"job_id": job_id}).json()
        wrong += [f"{job_id}: {row}" for row in rows if row["fate"] != "rejected"]
        if asyncio.run(target.signals(job_id)):
            wrong.append(f"{job_id} was told something")
    noted = {each.name for each in (target.folder / "callbacks").iterdir()}
    wrong += [f"noted: {job}" for job in noted - {*target.targets, *target.victims}]
    wrong += [f"in the log: {leak}" for leak in target.leaked(target.log())]
    wrong += [line for line in target.log().splitlines() if '"level": "error"' in line]
    if target.process.poll() is not None:
        wrong.append("the receiver has ended")
    return wrong


def run(folder: Path, address: str, namespace: str, *, count: int) -> tuple[Tally, list[str]]:
    """Send so many; how they were answered, and what was wrong."""
    with receiving(folder, address, namespace, jobs=max(20, count // 20)) as target:
        return by_strategies(target, count), verdict(target)
