"""The receiver as a process with a real server behind it, and what must never be seen of it."""

import asyncio
import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from shared.jobs.ids import external_id, new_job_id
from shared.jobs.messages import Attempts, JobInput
from shared.jobs.states import Status, Step
from shared.jobs.tokens import callback_token
from shared.store.records import RecordStore
from shared.temporal.client import GENVIDEO_QUEUE, GENVIDEO_WORKFLOW
from tests.fuzz.bodies import Sent
from tests.shared.standins import sample_record

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
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
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
                "step": Step.VIDEO,
                "attempts": Attempts(image=1, video=1),
                "tasks": {external_id(job_id, Step.VIDEO, 1): f"task-{job_id}"},
            }
        )
        records.write(record)
        async with at_once:
            await client.start_workflow(
                GENVIDEO_WORKFLOW,
                JobInput(prompt="a cat", style=""),
                id=job_id,
                task_queue=GENVIDEO_QUEUE,
            )

    job_ids = [new_job_id() for _ in range(count)]
    await asyncio.gather(*map(one, job_ids))
    return job_ids
