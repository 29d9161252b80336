"""`python -m tests.bench.mocks`: the figures of both mocks in docs/performance.md.

1000 jobs in flight polled once a second each; the fault engine with 50 rules; memory over
100 000 jobs. Prints what it measured.
"""

import asyncio
import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from starlette.responses import Response

from services.mock_comfyui.app import create_app
from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_core.admin.plan_request import read_plan
from services.mock_core.exchange.status import look_up
from services.mock_core.exchange.submit import submit
from services.mock_core.faults.kinds import Where
from services.mock_core.ledger.files import FileStore, StoredFile
from services.mock_core.ledger.generation import Generation
from services.mock_core.mock import Mock
from tests.bench.http_load import Connection
from tests.services.mock_core.makers import make_generation, make_job, make_plan

IN_FLIGHT = 1_000
CONNECTIONS = 20
POLL_SECONDS = 20
JOBS = 100_000
_QUIET_SECONDS = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def mock_process(module: str, port_name: str, **settings: str) -> Iterator[tuple[int, int]]:
    """Port and process id of a mock that has become ready."""
    port = free_port()
    environment = {**os.environ, port_name: str(port), "LOG_LEVEL": "WARNING", **settings}
    process = subprocess.Popen([sys.executable, "-m", f"services.{module}"], env=environment)
    try:
        started = time.monotonic()
        while True:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).raise_for_status()
                break
            time.sleep(0.02)
        say(f"{module}: ready after {time.monotonic() - started:.2f} s")
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_megabytes(pid: int | str = "self") -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass
class Thousand:
    """The connections, and the jobs that each of them asks for."""

    port: int
    lines: list[Connection]
    ids: list[list[str]]

    @classmethod
    async def submit(cls, port: int, path: str, body: dict[str, str]) -> "Thousand":
        lines = [await Connection.open(port) for _ in range(CONNECTIONS)]
        jobs = await asyncio.gather(
            *(_submit_share(line, path, body, first=first) for first, line in enumerate(lines))
        )
        return cls(port, lines, list(jobs))

    async def ask(self, path: str) -> int:
        """Each job's status once a second; the number of answers."""
        # The server has closed those that were silent for a while.
        self.lines = [await Connection.open(self.port) for _ in self.lines]
        shares = zip(self.lines, self.ids, strict=True)
        answers = await asyncio.gather(*(_ask_share(line, path, ids) for line, ids in shares))
        for line in self.lines:
            line.close()
        return sum(answers)


async def _submit_share(
    line: Connection, path: str, body: dict[str, str], *, first: int
) -> list[str]:
    ids = []
    for number in range(first, IN_FLIGHT, CONNECTIONS):
        told = {key: value.replace("@", str(number)) for key, value in body.items()}
        ids.append(json.loads(await line.post(path, json.dumps(told).encode()))["job_id"])
    return ids


async def _ask_share(line: Connection, path: str, ids: list[str]) -> int:
    for _ in range(POLL_SECONDS):
        next_round = time.monotonic() + 1
        for job_id in ids:
            await line.get(f"{path}/{job_id}")
        await asyncio.sleep(max(next_round - time.monotonic(), 0))
    return len(ids) * POLL_SECONDS


def measure_polling(module: str, port_name: str, seconds: str, *, paths: tuple[str, str]) -> None:
    body = (
        {"prompt": "cat @", "client_id": "job-@.image.1"}
        if module == "mock_comfyui"
        else {"prompt": "cat @", "image_url": "@", "external_task_id": "job-@.video.1"}
    )
    with contextlib.ExitStack() as stack:
        if module == "mock_kling":
            other, _ = stack.enter_context(mock_process("mock_comfyui", "COMFYUI_PORT"))
            body["image_url"] = picture_url(other)
        port, pid = stack.enter_context(
            mock_process(module, port_name, MOCK_SPEED="1", **{seconds: "36000"})
        )
        idle = cpu_seconds(pid)
        time.sleep(5)
        idle = (cpu_seconds(pid) - idle) / 5
        say(f"{module}: at rest {idle * 100:.1f} % of a core, {resident_megabytes(pid):.0f} MB")
        asyncio.run(_measured(module, port, pid, paths=paths, body=body))


async def _measured(
    module: str, port: int, pid: int, *, paths: tuple[str, str], body: dict[str, str]
) -> None:
    thousand = await Thousand.submit(port, paths[0], body)
    # Their pictures and videos are made at once; what is measured begins after that.
    busy = True
    while busy:
        used = cpu_seconds(pid)
        await asyncio.sleep(1)
        busy = cpu_seconds(pid) - used > _QUIET_SECONDS
    before, since = cpu_seconds(pid), time.monotonic()
    answers = await thousand.ask(paths[1])
    passed = time.monotonic() - since
    core = (cpu_seconds(pid) - before) / passed
    say(
        f"{module}: {IN_FLIGHT} in flight, {answers} status calls in {passed:.1f} s: "
        f"{core * 100:.0f} % of a core, {resident_megabytes(pid):.0f} MB"
    )


def picture_url(port: int) -> str:
    base = f"http://127.0.0.1:{port}"
    job_id = httpx.post(f"{base}/img/submit", json={"prompt": "cat"}).json()["job_id"]
    while (reply := httpx.get(f"{base}/img/result/{job_id}")).status_code != 200:
        time.sleep(0.05)
    return str(reply.json()["asset_url"])


def measure_engine() -> None:
    """The cost of asking the plan, with 50 rules that all concern the job and none that hits."""
    rules = [
        {"where": "poll", "do": "reset", "often": {"probability": 1e-9}, "match": {"prompt": "*"}}
        for _ in range(50)
    ]
    plan = make_plan(*rules)
    generations = [make_generation(make_job(f"p{n}")) for n in range(1_000)]
    for generation in generations:
        plan.hits(Where.POLL, generation)
    started = time.process_time()
    for _ in range(10):
        for generation in generations:
            plan.hits(Where.POLL, generation)
    each = (time.process_time() - started) / 10_000
    say(f"fault engine: {each * 1000:.3f} ms a request with 50 rules")


async def measure_memory() -> None:
    """100 000 jobs through ledger, trace and files; drawing and sockets are left out."""
    app = create_app(ComfyuiSettings(mock_speed=1_000_000))
    mock: Mock = app.state.mock
    files: FileStore = mock.files

    async def make(generation: Generation) -> str:
        files.put(generation.id, StoredFile(bytes(5_000), "image/png", 0.0, generation))
        return generation.id

    mock.runner._make = make
    plan = read_plan({"rules": [{"where": "poll", "do": "delay", "with": {"seconds": 0}}]})
    mock.plan.replace(plan.rules, None)
    for done in range(0, JOBS, 1_000):
        await asyncio.gather(*(_one(mock, number) for number in range(done, done + 1_000)))
        if done % 20_000 == 0 or done == JOBS - 1_000:
            say(f"memory: {done + 1_000:6d} jobs, {resident_megabytes():.0f} MB")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(f"memory: peak {peak:.0f} MB, {len(mock.ledger)} rows kept")


async def _one(mock: Mock, number: int) -> None:
    external_id = f"job-{number:024x}.image.1"
    job, attempt = mock.jobs.find(external_id, f"a cat on mat {number}")
    generation = make_generation(
        job, attempt=attempt, id=f"vendor-{number:032x}", external_id=external_id
    )
    await submit(mock, generation, reply=lambda _: Response())
    while generation.open:
        await look_up(mock, generation, reply=lambda _it, _view: Response())
        await asyncio.sleep(0.001)
    await look_up(mock, generation, reply=lambda _it, _view: Response())


def main() -> None:
    measure_engine()
    measure_polling(
        "mock_comfyui", "COMFYUI_PORT", "MOCK_IMAGE_SECONDS", paths=("/img/submit", "/img/status")
    )
    measure_polling(
        "mock_kling", "KLING_PORT", "MOCK_VIDEO_SECONDS", paths=("/video/submit", "/video/status")
    )
    asyncio.run(measure_memory())


if __name__ == "__main__":
    main()
