"""Made-up bodies for the callback receiver, a process with a real server behind it.

No answer is a 500, none tells anything that it shouldn't, and no forged one changes anything.
(`surface` sends what the OpenAPI files describe.)
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from shared.jobs.ids import new_job_id
from shared.jobs.messages import Attempts
from shared.jobs.tokens import callback_token
from shared.store.records import RecordStore
from tests.fixtures.processes import Running, running
from tests.fixtures.temporal import NewClient
from tests.fuzz.surface import in_thread
from tests.services.callback.conftest import SECRET, record_of, start_job

MAX_BODY = 256 * 1024
STATUSES = ("submitted", "processing", "succeed", "failed")
TYPES = ("application/json", "application/json; charset=utf-8", "application/problem+json")
TEXT = st.text(max_size=50)
OTHER_TYPES = ("", "text/plain", "application/xml", "application/jsonp", "json", "multipart/x")
# What an answer or a log line must not hold, besides the secret and the tokens.
LEAKS = ("Traceback", 'File "', "site-packages", "services/callback", "token=")
FINE, REFUSED = {200}, {404, 413, 415, 422}
# Anything that JSON can say, and some that it can't.
LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | TEXT
ANYTHING = st.recursive(
    LEAVES | st.sampled_from(STATUSES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)

Tally = Counter[tuple[str, int]]


class Sent(NamedTuple):
    """One request; `genuine` where its token is that of its task."""

    task: str
    token: str
    content_type: str
    body: bytes
    chunked: bool
    genuine: bool


def honest(task: str, *, whole: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """A callback about this task; any of its fields may be missing if it is not whole."""
    needed = {"task_id": st.just("task-1"), "task_status": st.sampled_from(STATUSES)}
    optional = {
        "updated_at": st.integers(0, 2**63 - 1),
        "created_at": st.integers(0, 2**63 - 1),
        "task_status_msg": TEXT,
        "final_unit_deduction": st.just("1.5"),
        "task_info": st.just({"external_task_id": task}),
        "task_result": st.just({"videos": [{"id": "v", "url": "https://v.example/v.mp4"}]}),
    }
    if whole:
        return st.fixed_dictionaries(needed, optional=optional)
    return st.fixed_dictionaries({}, optional=needed | optional)


@st.composite
def raw_bodies(draw: st.DrawFn, task: str, other: str) -> bytes:
    """The bytes of a body: honest, bent, of another task, cut, padded, nested, or none at all."""
    fields = TEXT | st.sampled_from(["task_id", "task_status", "task_info", "updated_at"])
    wrong = st.dictionaries(fields, ANYTHING, max_size=2)
    bent = st.builds(dict.__or__, honest(task, whole=False), wrong)
    value = draw(honest(task) | bent | honest(other) | ANYTHING)
    if draw(st.integers(0, 3)) == 0:
        value = {"code": 0, "message": "SUCCEED", "request_id": "r", "data": value}
    raw = json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    at = draw(st.integers(0, len(raw)))
    match draw(st.integers(0, 19)):
        case 0:
            return raw[:at]
        case 1:
            return draw(st.binary(max_size=200))
        case 2:
            return raw[:at] + draw(st.binary(min_size=1, max_size=4)) + raw[at:]
        case 3:
            opening = draw(st.sampled_from([b"[", b'{"data":', b'{"task_info":{"a":']))
            return opening * draw(st.integers(1, 20_000))
        case 4:
            return raw + b" " * draw(st.integers(0, MAX_BODY + 1))
    return raw


@st.composite
def requests(draw: st.DrawFn, targets: list[str], victims: list[str]) -> Sent:
    """A request with the right token to one of the targets, or one that forges for a victim."""
    genuine = draw(st.integers(0, 2)) > 0
    job_id = draw(st.sampled_from(targets if genuine else victims))
    task = job_id + draw(st.sampled_from([".video.1", ".video.1", ".video.2"]))
    other = draw(st.sampled_from(targets + victims)) + ".video.1"
    token = right = callback_token(SECRET, task)
    if not genuine:
        near = ["", right[:-1], right + "0", right.upper(), right[::-1], f" {right}", task]
        near += [callback_token(SECRET, f"{draw(st.sampled_from(targets))}.video.1")]
        near += [callback_token("another-secret-of-32-characters-or-more", task)]
        token = draw(st.sampled_from(near) | TEXT)
        if draw(st.integers(0, 3)) == 0:
            task = draw(TEXT | st.just(task.replace("video", "image")) | st.just(new_job_id()))
    return Sent(
        task=task,
        token=token,
        content_type=draw(st.sampled_from(TYPES if draw(st.integers(0, 9)) else OTHER_TYPES)),
        body=draw(raw_bodies(task, other)),
        chunked=draw(st.booleans()),
        genuine=genuine,
    )


@dataclass
class Target:
    """A receiver; `targets` get callbacks with the right token, `victims` never do."""

    service: Running
    folder: Path
    client: Client
    targets: list[str]
    victims: list[str]

    def leaked(self, text: str) -> list[str]:
        """What must not be in it and is."""
        tasks = [f"{job}.video.{n}" for job in self.targets + self.victims for n in (1, 2)]
        tokens = [callback_token(SECRET, task) for task in tasks]
        return [each for each in (*LEAKS, SECRET, str(self.folder), *tokens) if each in text]

    def tried(self, count: int) -> Tally:
        """Send so many requests of our own making."""
        tally: Tally = Counter()
        # The receiver closes an idle connection after five seconds.
        limits = httpx.Limits(keepalive_expiry=2)
        http = httpx.Client(base_url=self.service.base, timeout=60, limits=limits)

        @given(sent=requests(self.targets, self.victims))
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        )
        def check(sent: Sent) -> None:
            query = urlencode({"task": sent.task, "token": sent.token}, errors="replace")
            headers = {"Content-Type": sent.content_type} if sent.content_type else {}
            body = iter([sent.body[:7], sent.body[7:]]) if sent.chunked else sent.body
            answer = http.post(f"/callback/kling?{query}", content=body, headers=headers)
            status, kind = answer.status_code, answer.headers["content-type"]
            tally["genuine" if sent.genuine else "forged", status] += 1
            assert status in FINE | REFUSED, (status, answer.text)
            assert self.leaked(answer.text) == []
            assert kind == ("application/json" if status in FINE else "application/problem+json")
            answer.json()
            if not sent.genuine:
                assert status == 404
            elif len(sent.body) > MAX_BODY:
                assert status in (413, 415)

        with http:
            check()
        return tally

    def verdict(self) -> list[str]:
        """What was wrong after all: forgeries with an effect, leaks in the log, a dead process."""
        wrong = []
        for job_id in self.victims:
            receipts = httpx.get(f"{self.service.base}/callbacks", params={"job_id": job_id})
            wrong += [f"{job_id}: {row}" for row in receipts.json() if row["fate"] != "rejected"]
        wrong += [f"{job_id} was told something" for job_id in asyncio.run(self._told())]
        noted = {each.name for each in (self.folder / "callbacks").iterdir()}
        wrong += [f"noted: {job}" for job in noted - {*self.targets, *self.victims}]
        log = (self.folder / "log").read_text()
        wrong += [f"in the log: {leak}" for leak in self.leaked(log)]
        wrong += [line for line in log.splitlines() if '"level": "error"' in line]
        if self.service.process.returncode is not None:
            wrong.append("the receiver has ended")
        return wrong

    async def _told(self) -> list[str]:
        """The victims that got a signal, by the server's own history."""
        found = []
        for job_id in self.victims:
            history = await self.client.get_workflow_handle(job_id).fetch_history()
            kinds = {event.event_type for event in history.events}
            if EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED in kinds:
                found.append(job_id)
        return found


def receiving(folder: Path, new_client: NewClient, *, jobs: int) -> AbstractContextManager[Target]:
    """A receiver with jobs that wait for their videos, too many to have all receipts."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Target]:
        client = await new_client()
        job_ids = await make_jobs(client, folder, 2 * jobs)
        environment = {
            "DATA_DIR": str(folder),
            "CALLBACK_SECRET": SECRET,
            "TEMPORAL_ADDRESS": client.service_client.config.target_host,
            "TEMPORAL_NAMESPACE": client.namespace,
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": "json",
        }
        log = folder / "log"
        async with running(
            "services.callback", "CALLBACK_PORT", environment=environment, log=log
        ) as service:
            yield Target(service, folder, client, job_ids[:jobs], job_ids[jobs:])

    return in_thread(opened)


async def make_jobs(client: Client, folder: Path, count: int) -> list[str]:
    """Jobs that wait for their video; nobody works on them, and signals to them are kept."""
    at_once = asyncio.Semaphore(50)

    async def one(job_id: str) -> None:
        RecordStore(folder).write(record_of(job_id, attempts=Attempts(image=1, video=1)))
        async with at_once:
            await start_job(client, job_id)

    job_ids = [new_job_id() for _ in range(count)]
    await asyncio.gather(*map(one, job_ids))
    return job_ids
