"""Results that take much of whoever opens them: the worker stays small, and the next job runs."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from starlette.responses import Response
from temporalio.client import Client

from services.semaphore.worker import running_semaphore
from services.worker.policies import FETCH_TRIES
from shared.failures import MAX_ATTEMPTS
from shared.jobs.messages import Record
from shared.jobs.states import Status, Step
from tests.chaos.wires import Request, Route, VendorWire
from tests.fixtures.proc import children, peak
from tests.services.mock_core.serving import served
from tests.services.worker import hostile
from tests.workflow.pipeline import Pipeline, pipeline
from tests.workflow.processes import Process, worker_processes

# The worker's own, and that of the process that opens files: what it has when it begins, and what
# it may take. Both fit into the container's.
WORKER_MEGABYTES, CHILD_MEGABYTES = 300, 450


@dataclass(frozen=True)
class Trick:
    """What comes instead of the file, and what the job says of it."""

    step: Step
    body: Callable[[], bytes]
    encoding: str | None = None
    says: str = ""


TRICKS = {
    "squeezed twice": Trick(Step.VIDEO, hostile.gzip_bomb, "gzip, gzip", "is encoded"),
    "squeezed image": Trick(Step.IMAGE, hostile.gzip_bomb, "gzip, gzip", "is encoded"),
    "many frames": Trick(Step.VIDEO, hostile.mp4_of_claims, says="can't be decoded|claims more"),
    "a wide video": Trick(Step.VIDEO, hostile.wide_mp4, says="too large: 16000x16000"),
    "a wide image": Trick(Step.IMAGE, hostile.wide_png, says="DecompressionBomb"),
}


class HostileWire(VendorWire):
    """Gives what a job's prompt names instead of the file of this step."""

    def __init__(self, target: str, http: httpx.AsyncClient, step: Step) -> None:
        super().__init__(target, http)
        self._step = step
        self._tricks: dict[str, Trick] = {}
        # How often each hostile file was asked for.
        self.fetched: Counter[str] = Counter()

    async def _forward(self, request: Request) -> Response:
        if request.route is Route.RESULT:
            trick = next((it for name, it in self._tricks.items() if name in request.path), None)
            if trick is not None and "/files/" in request.path:
                self.fetched[request.path] += 1
                headers = {"content-encoding": trick.encoding} if trick.encoding else {}
                return Response(trick.body(), headers=headers)
        reply = await super()._forward(request)
        if request.route is Route.SUBMIT and reply.status_code < 300:
            trick = TRICKS.get(json.loads(request.body)["prompt"])
            if trick is not None and trick.step is self._step:
                self._tricks[json.loads(bytes(reply.body))["job_id"]] = trick
        return reply


@asynccontextmanager
async def hostile_wire(target: str, step: Step) -> AsyncIterator[HostileWire]:
    no_idle = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=60, trust_env=False, limits=no_idle) as http:
        wire = HostileWire(target, http, step)
        async with served(wire) as wire.url:
            yield wire


@asynccontextmanager
async def behind_hostile_vendors(
    client: Client, data_dir: Path
) -> AsyncIterator[tuple[Pipeline, list[HostileWire]]]:
    """Mocks behind such wires, a receiver and a semaphore; no worker yet."""
    async with (
        pipeline(client, data_dir) as line,
        hostile_wire(line.settings.image_service_url, Step.IMAGE) as images,
        hostile_wire(line.settings.video_service_url, Step.VIDEO) as videos,
        running_semaphore(client, shutdown_seconds=0.1),
    ):
        addresses = {"image_service_url": images.url, "video_service_url": videos.url}
        settings = line.settings.model_copy(update=addresses)
        yield Pipeline(client, settings, line.images, line.videos), [images, videos]


async def test_the_worker_stays_small_and_alive_and_the_next_job_runs(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with behind_hostile_vendors(client, tmp_path) as (line, wires):
        with worker_processes(line) as workers:
            [process] = workers.start()
            await workers.ready()
            await line.change(limit=len(TRICKS))
            ids = [await line.submit(name) for name in TRICKS]
            records = await asyncio.gather(*map(line.ended, ids))
            for record, trick in zip(records, TRICKS.values(), strict=True):
                check_failed(record, trick)
            assert (await line.run("a cat")).status is Status.SUCCEEDED
            check_small(process, capsys)
            check_seldom(wires)


def check_failed(record: Record, trick: Trick) -> None:
    """For the reason that the trick has, after as many attempts as for any other bad file."""
    assert (record.status, record.attempts.of(trick.step)) == (Status.FAILED, MAX_ATTEMPTS)
    assert trick.step not in record.assets
    assert record.error is not None
    assert record.error.code == "bad_result"
    assert re.search(trick.says, record.error.message)


def check_small(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    assert process.poll() is None
    own = peak(process.pid)
    others = [peak(child) for child in children(process.pid)]
    with capsys.disabled():
        print(f"\nworker {own:.0f} MB, what opens files {others} MB")  # noqa: T201
    assert own < WORKER_MEGABYTES
    assert all(other < CHILD_MEGABYTES for other in others)


def check_seldom(wires: list[HostileWire]) -> None:
    """A file is fetched by the poll, by the callback, by the poll behind it and by the clean-up."""
    fetched = [count for wire in wires for count in wire.fetched.values()]
    assert len(fetched) == len(TRICKS) * MAX_ATTEMPTS
    assert max(fetched) <= 1 + 3 * FETCH_TRIES
