"""The negative control does what a first attempt does."""

import asyncio
import json
from pathlib import Path

import httpx

from loadtest.control.naive import NaiveActivities, NaiveJob, NaiveRecords
from loadtest.wire.http import Http


class Vendor:
    """An image service that counts what it works on."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.most = 0
        self.polls: dict[str, int] = {}

    async def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/img/submit":
            name = json.loads(request.content)["client_id"]
            self.open.add(name)
            self.most = max(self.most, len(self.open))
            return httpx.Response(202, json={"job_id": name})
        name = path.rsplit("/", 1)[-1]
        if path.startswith("/img/status"):
            self.polls[name] = self.polls.get(name, 0) + 1
            done = self.polls[name] >= 3
            return httpx.Response(200, json={"status": "succeeded" if done else "running"})
        if path.startswith("/img/result"):
            self.open.discard(name)
            return httpx.Response(200, json={"asset_url": "http://vendor/file.png"})
        return httpx.Response(200, content=b"png")

    def client(self) -> Http:
        return Http("http://vendor", transport=httpx.MockTransport(self.answer))


async def most_at_once(vendor: Vendor, data_dir: Path, *, processes: int) -> int:
    client = vendor.client()
    workers = [NaiveActivities(client, client, data_dir=data_dir) for _ in range(processes)]
    jobs = [NaiveJob(f"job-{n}", "纸船", "ink", "t") for n in range(6)]
    await asyncio.gather(*(workers[n % processes].gen_image(job) for n, job in enumerate(jobs)))
    return vendor.most


async def test_in_one_process_the_semaphore_holds(tmp_path: Path) -> None:
    assert await most_at_once(Vendor(), tmp_path, processes=1) == 1


async def test_a_second_process_is_a_second_slot(tmp_path: Path) -> None:
    assert await most_at_once(Vendor(), tmp_path, processes=2) == 2


def test_its_records_have_versions_without_gaps(tmp_path: Path) -> None:
    records, job = NaiveRecords(tmp_path), NaiveJob("job-1", "p", "s", "t")
    for status, step in (("queued", None), ("running", "image"), ("succeeded", "video")):
        records.change(job, status, step=step, percent=0)

    found = records.get("job-1")
    assert found is not None
    assert [change["version"] for change in found["transitions"]] == [0, 1, 2]
    assert found["finished_at"] is not None
