"""`python -m tools.bench.callbacks`: the figures of the callback receiver in docs/performance.md.

A receiver process on one core, behind it a Temporal server with a running workflow per job. A job
sends `submitted`, `processing`, `succeed`, the same `succeed` again, and somebody forges one. First
at a steady rate, each answer timed from the moment when its request was due; then as many as it
takes; then a flood of garbage. Prints what it measured.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from temporalio.client import Client

from shared.jobs.ids import external_id, new_job_id
from shared.jobs.messages import Attempts
from shared.jobs.tokens import callback_url
from tests.fixtures.processes import Running, cpu_seconds, resident_megabytes, running
from tests.fixtures.records import RecordStore
from tests.fixtures.temporal import running_server
from tests.services.callback.conftest import record_of, start_job
from tools.bench.processes import Connection, say

SECRET = "a-secret-of-32-characters-or-more"
# The receiver has room for 250 of an address, and more would shut one another.
CONNECTIONS = 200
# Between two callbacks of one job come those of so many others.
CROWD = 40
KINDS = ("submitted", "processing", "succeed", "again", "forged")


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


class Shot(NamedTuple):
    """One request."""

    kind: str
    path: str
    body: bytes


@dataclass
class Outcome:
    """Seconds per answer, and how often each status was answered to each kind."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    seconds: float = 0

    def milliseconds(self, share: float, kind: str | None = None) -> float:
        """Within this much so many of a kind, or of all, were answered."""
        known = self.times.values() if kind is None else [self.times[kind]]
        ordered = sorted(time for times in known for time in times)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def shots_of(job_id: str, kind: str, at: int) -> Shot:
    ours = external_id(job_id, "video", 1)
    status = {"again": "succeed", "forged": "succeed"}.get(kind, kind)
    body = {
        "task_id": f"task-{job_id}",
        "task_status": status,
        "task_status_msg": "",
        "created_at": 1722769557708,
        "updated_at": 1722769557708 + at,
        "task_info": {"external_task_id": ours},
        "task_result": {"videos": [{"id": "v", "url": "https://v.example/v.mp4", "duration": "5"}]},
    }
    secret = "x" * 20 if kind == "forged" else SECRET
    return Shot(kind, callback_url("", secret, ours), json.dumps(body).encode())


def mixture(job_ids: list[str]) -> Iterator[Shot]:
    """Each job's own callbacks `CROWD` jobs apart, so that all kinds come evenly mixed."""
    for beat in range(len(job_ids) + CROWD * len(KINDS)):
        for step, kind in enumerate(KINDS):
            number = beat - CROWD * step
            if 0 <= number < len(job_ids):
                yield shots_of(job_ids[number], kind, min(step, 2))


def garbage(job_ids: list[str], count: int) -> Iterator[Shot]:
    """Large bodies, wrong tokens, deep JSON, and jobs that nobody knows, in turn."""
    for number in range(count):
        good = shots_of(job_ids[number % len(job_ids)], "succeed", 0)
        forged = shots_of(new_job_id(), "forged", 0)
        unknown = shots_of(new_job_id(), "processing", 0)
        yield (
            Shot("large", good.path, b" " * (256 * 1024)),
            Shot("large, forged", forged.path, b" " * (256 * 1024)),
            Shot("deep", good.path, b"[" * 100_000),
            forged,
            unknown,
        )[number % 5]


async def fire(port: int, shots: list[Shot], *, rate: float | None) -> Outcome:
    """Send all; with a rate each when it is due, whatever others still wait for."""
    outcome = Outcome()
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        idle.put_nowait(await Connection.open(port))
    started = time.perf_counter()

    async def one(connection: Connection, shot: Shot, due: float) -> None:
        try:
            status = await connection.post_status(shot.path, shot.body)
        except (ConnectionError, asyncio.IncompleteReadError):
            status = 0
        outcome.times[shot.kind].append(time.perf_counter() - due)
        outcome.statuses[shot.kind, status] += 1
        idle.put_nowait(connection if status else await Connection.open(port))

    async with asyncio.TaskGroup() as group:
        for number, shot in enumerate(shots):
            due = started + number / rate if rate else 0.0
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            connection = await idle.get()
            group.create_task(one(connection, shot, due or time.perf_counter()))
    outcome.seconds = time.perf_counter() - started
    while not idle.empty():
        idle.get_nowait().close()
    return outcome


async def measured(name: str, service: Running, shots: list[Shot], *, rate: float | None) -> None:
    port, pid = int(service.base.rpartition(":")[2]), service.process.pid
    before = cpu_seconds(pid)
    outcome = await fire(port, shots, rate=rate)
    core = (cpu_seconds(pid) - before) / outcome.seconds
    p50, p99, longest = (outcome.milliseconds(share) for share in (0.5, 0.99, 1))
    say(
        f"{name}: {len(shots) / outcome.seconds:.0f}/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
        f"longest {longest:.0f} ms, {core * 100:.0f} % of a core, {resident_megabytes(pid):.0f} MB"
    )
    for (kind, status), count in sorted(outcome.statuses.items()):
        p50, p99 = (outcome.milliseconds(share, kind) for share in (0.5, 0.99))
        say(f"  {kind:14} {status} {count:5}, p50 {p50:6.1f} ms, p99 {p99:6.1f} ms")


async def bench(rate: float, seconds: float) -> None:
    steady = int(rate * seconds / len(KINDS))
    with tempfile.TemporaryDirectory() as folder, running_server("--headless") as server:
        job_ids = await make_jobs(await server.client(), Path(folder), 2 * steady)
        environment = {
            "DATA_DIR": folder,
            "CALLBACK_SECRET": SECRET,
            "TEMPORAL_ADDRESS": server.address,
            "LOG_FORMAT": "json",
        }
        log = Path(folder) / "log"
        async with running(
            "services.callback", "CALLBACK_PORT", environment=environment, log=log
        ) as service:
            os.sched_setaffinity(service.process.pid, {0})
            await _all(service, job_ids, steady, rate=rate)


async def _all(service: Running, job_ids: list[str], steady: int, *, rate: float) -> None:
    say(f"at rest: {resident_megabytes(service.process.pid):.0f} MB")
    first, second = job_ids[:steady], job_ids[steady:]
    await measured("steady", service, list(mixture(first)), rate=rate)
    await measured("as many as it takes", service, list(mixture(second)), rate=None)
    await measured("garbage", service, list(garbage(first, 5000)), rate=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=500, help="callbacks a second")
    parser.add_argument("--seconds", type=float, default=10)
    given = parser.parse_args()
    asyncio.run(bench(given.rate, given.seconds))


if __name__ == "__main__":
    main()
