"""`python -m tools.bench.sockets`: the figures of the API's live feed in docs/performance.md.

An API process on one core with a real Temporal server behind it, a thousand sockets on one job. A
change is timed from just before its record is written to its arrival on each socket. Then the same
API takes jobs as fast as it can. Prints what it measured.
"""

import argparse
import asyncio
import contextlib
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import httpx
import uvloop

from shared.http.client import http_client
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.jobs.states import Status
from tests.fixtures.processes import Running, cpu_seconds, resident_megabytes, running
from tests.fixtures.records import RecordStore
from tests.fixtures.temporal import answers, own_server
from tests.services.api.conftest import change
from tests.shared.standins import sample_record
from tools.bench.processes import Connection, say

SOCKETS = 1000
CHANGES = 50
PAUSE_SECONDS = 0.2
CONNECTIONS = 16
POST_SECONDS = 10.0
BODY = json.dumps({"prompt": "a red fox in snow", "style": "ink", "tag": "bench"}).encode()
UPGRADE = (
    "GET /ws/jobs/{job_id} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
CALLS = "genvideo_api_temporal_calls_total{"
# The sweeps over ends from outside go on however many listen.
SWEEPS = f'{CALLS}call="list_'


class Audience:
    """Counts on how many sockets each version has arrived, and when."""

    def __init__(self) -> None:
        self.arrivals: dict[int, list[float]] = {}
        self.everywhere = asyncio.Event()
        self.awaited = 0

    def heard(self, version: int) -> None:
        times = self.arrivals.setdefault(version, [])
        times.append(time.perf_counter())
        if version == self.awaited and len(times) == SOCKETS:
            self.everywhere.set()

    async def arrivals_of(self, version: int) -> list[float]:
        """The moments at which the version arrived, one per socket."""
        async with asyncio.timeout(60):
            await self.everywhere.wait()
        return self.arrivals[version]


class Ear(asyncio.Protocol):
    """One socket; the cheapest reader there is, so that the server is measured and not it."""

    def __init__(self, audience: Audience, job_id: str) -> None:
        self._audience, self._job_id = audience, job_id

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is one by its methods alone.
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(UPGRADE.format(job_id=self._job_id).encode())

    def data_received(self, data: bytes) -> None:
        # The last field of a frame; a small frame comes in one piece.
        for part in data.split(b'"version":')[1:]:
            self._audience.heard(int(part[: part.index(b"}")]))


@contextlib.asynccontextmanager
async def api(folder: Path) -> AsyncIterator[Running]:
    """An API process on the first core, a server behind it; both at rest but for what we ask."""
    with own_server(folder) as server:
        await answers(server)
        environment = {
            "DATA_DIR": str(folder / "data"),
            "TEMPORAL_ADDRESS": server.address,
            "LOG_LEVEL": "WARNING",
        }
        async with running("services.api", "API_PORT", environment=environment) as service:
            os.sched_setaffinity(service.process.pid, sorted(os.sched_getaffinity(0))[:1])
            yield service


async def temporal_calls(http: httpx.AsyncClient) -> Counter[str]:
    """Calls to Temporal so far by their names, but for the sweeps."""
    calls: Counter[str] = Counter()
    for line in (await http.get("/metrics")).text.splitlines():
        name, _, count = line.rpartition(" ")
        if name.startswith(CALLS) and not name.startswith(SWEEPS):
            calls[name.split('"')[1]] = int(float(count))
    return calls


async def measure_changes(service: Running, http: httpx.AsyncClient, records: RecordStore) -> None:
    audience = Audience()
    record = change(sample_record(new_job_id()), status=Status.RUNNING, step="image", percent=0)
    records.write(record)
    before = resident_megabytes(service.process.pid)
    audience.awaited = record.version
    ears = await listen(service, audience, record.job_id)
    await audience.arrivals_of(record.version)
    calls, processor = await temporal_calls(http), cpu_seconds(service.process.pid)
    delays = await all_changes(audience, records, record)
    processor = cpu_seconds(service.process.pid) - processor
    say(
        f"a change on {SOCKETS} sockets: p50 {at(delays, 0.5):.0f} ms, p95 {at(delays, 0.95):.0f}"
        f" ms, last {at(delays, 1):.0f} ms; {processor / CHANGES * 1000:.0f} ms of the core each"
    )
    more = await temporal_calls(http) - calls
    say(f"calls to Temporal meanwhile: {more.total()} {dict(more) or ''}")
    after = resident_megabytes(service.process.pid)
    say(f"memory: {before:.0f} MB with no socket, {after:.0f} MB with {SOCKETS}")
    for ear in ears:
        ear.transport.close()


async def listen(service: Running, audience: Audience, job_id: str) -> list[Ear]:
    loop = asyncio.get_running_loop()
    port = int(service.base.rpartition(":")[2])
    ears = []
    for _ in range(SOCKETS):
        _, ear = await loop.create_connection(lambda: Ear(audience, job_id), "127.0.0.1", port)
        ears.append(ear)
    return ears


async def all_changes(audience: Audience, records: RecordStore, record: Record) -> list[float]:
    """Seconds until a change has arrived, for each change and socket."""
    seconds: list[float] = []
    for _ in range(CHANGES):
        record = change(record, percent=record.percent + 1)
        audience.awaited = record.version
        audience.everywhere.clear()
        began = time.perf_counter()
        records.write(record)
        seconds += [arrived - began for arrived in await audience.arrivals_of(record.version)]
        await asyncio.sleep(PAUSE_SECONDS)
    return seconds


async def measure_posts(service: Running) -> None:
    port = int(service.base.rpartition(":")[2])
    lines = [await Connection.open(port) for _ in range(CONNECTIONS)]
    times: list[float] = []
    processor = cpu_seconds(service.process.pid)
    until = time.perf_counter() + POST_SECONDS

    async def post(line: Connection) -> None:
        while (began := time.perf_counter()) < until:
            assert b"job_id" in await line.post("/jobs", BODY)
            times.append(time.perf_counter() - began)

    await asyncio.gather(*map(post, lines))
    processor = cpu_seconds(service.process.pid) - processor
    say(
        f"POST /jobs, {CONNECTIONS} at once: {len(times) / POST_SECONDS:.0f} a second,"
        f" p50 {at(times, 0.5):.0f} ms, p99 {at(times, 0.99):.0f} ms;"
        f" {processor / len(times) * 1000:.1f} ms of the core each"
    )
    for line in lines:
        line.close()


def at(seconds: list[float], share: float) -> float:
    """Within so many milliseconds lies this share."""
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


async def measure() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with api(folder) as service, http_client(service.base) as http:
            await measure_changes(service, http, RecordStore(folder / "data"))
            await measure_posts(service)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    uvloop.run(measure())


if __name__ == "__main__":
    main()
