"""A stack over four hosts whose wires are cut, slow, joined again, and whose clocks differ.

By hand, as root: HOSTS=1 python -m pytest -q tools/hosts/test_hosts.py
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.fixtures.eventually import eventually
from tests.stack.driver import ENDED, most_at_once
from tools.hosts.clock import faketime
from tools.hosts.net import NoNamespaces, check_possible
from tools.hosts.readers import Reader
from tools.hosts.site import API, IMAGES, VIDEOS, WORKING, Site, site
from tools.hosts.stages import PATIENCE, STAGES, Row, arm, at_work, held

JOBS = os.environ.get("HOSTS_JOBS", "20")
SEED = int(os.environ.get("HOSTS_SEED", "1"))
# Longer than every time-out but that of a wait for a video.
AWAY = 20.0
# Seconds by which the clocks of the two are ahead and behind.
APART = 30.0

pytestmark = [
    pytest.mark.skipif("HOSTS" not in os.environ, reason="by hand: HOSTS=1, some 20 minutes"),
    pytest.mark.timeout(3000),
]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    try:
        check_possible()
    except NoNamespaces as why:
        pytest.skip(f"no hosts on this machine: {why}")
    with site(tmp_path_factory.mktemp("hosts")) as found:
        yield found


@pytest.fixture
async def api(hosts: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with hosts.api() as found:
        yield found


@pytest.fixture
def unharmed(hosts: Site) -> Iterator[None]:
    """Afterwards no fault is armed, nobody is cut off, and every process is the one it was."""
    before = {name: pids(hosts, name) for name in WORKING}
    yield
    hosts.hold.unlink(missing_ok=True)
    for name in WORKING:
        hosts.net.join(hosts.hosts[name])
    for port in (IMAGES, VIDEOS):
        httpx.delete(f"{hosts.address('ground', port)}/admin/faults", timeout=60)
    assert {name: pids(hosts, name) for name in WORKING} == before


def pids(hosts: Site, name: str) -> list[str]:
    """Of a host's parts, once all are ready."""
    while "all ready" not in (said := hosts.make(name, "ps", good=None)):
        time.sleep(1)
    return [line.partition("pid ")[2].partition(",")[0] for line in said.splitlines()]


async def submitted(api: httpx.AsyncClient, count: int = 1) -> list[str]:
    order = {"prompt": "a red fox", "style": "ink"}
    answers = [await api.post("/jobs", json=order) for _ in range(count)]
    return [str(answer.raise_for_status().json()["job_id"]) for answer in answers]


async def ended(api: httpx.AsyncClient, job_id: str) -> Row:
    async def look() -> Row:
        return dict((await api.get(f"/jobs/{job_id}")).json())

    return await eventually(look, lambda job: job["status"] in ENDED, seconds=PATIENCE)


async def check(hosts: Site, api: httpx.AsyncClient, jobs: list[str]) -> None:
    """Nothing lost, nothing twice, at most one at once, once all have ended."""
    for job_id in jobs:
        job = await ended(api, job_id)
        assert job["status"] == "succeeded", job
    rows = await asyncio.to_thread(hosts.ledger)
    made = [row["external_id"] for row in rows]
    made = [name for name in made if name.partition(".")[0] in jobs]
    assert sorted(made) == sorted(f"{job}.{step}.1" for job in jobs for step in ("image", "video"))
    assert most_at_once(rows) == 1
    for job_id in jobs:
        for step in ("image", "video"):
            (await api.get(f"/jobs/{job_id}/{step}")).raise_for_status()

    async def slots() -> Row:
        return dict((await api.get("/slots")).json())

    await eventually(slots, lambda seen: not seen["holders"] and not seen["waiting_count"])


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.usefixtures("unharmed")
async def test_a_workers_host_is_cut_off(hosts: Site, api: httpx.AsyncClient, name: str) -> None:
    stage, client = STAGES[name], await hosts.client()
    before = await arm(hosts, stage)
    jobs = await submitted(api, 2)
    first = await held(hosts, stage, before)
    whose = await at_work(client, first, stage.activity)
    hosts.net.cut(hosts.hosts[whose])
    hosts.hold.unlink(missing_ok=True)
    await check(hosts, api, jobs)
    hosts.net.join(hosts.hosts[whose])
    assert "ready" in await asyncio.to_thread(hosts.up, whose)
    more = await submitted(api, 2)
    await check(hosts, api, jobs + more)


async def started(hosts: Site, jobs: list[str]) -> str:
    """The one of them that is first."""

    def first() -> str:
        made = (row["external_id"].partition(".")[0] for row in hosts.ledger())
        return next((job for job in made if job in jobs), "")

    return await eventually(lambda: asyncio.to_thread(first), bool, seconds=PATIENCE)


@pytest.mark.parametrize("name", ["a", "ground"])
@pytest.mark.usefixtures("unharmed")
async def test_what_all_need_is_away_for_a_while(
    hosts: Site, api: httpx.AsyncClient, name: str
) -> None:
    """API and semaphore, or server, store and vendors."""
    jobs = await submitted(api, 4)
    await started(hosts, jobs)
    hosts.net.cut(hosts.hosts[name])
    await asyncio.sleep(AWAY)
    hosts.net.join(hosts.hosts[name])
    await check(hosts, api, jobs)


@pytest.mark.usefixtures("unharmed")
async def test_a_workers_host_is_slow(hosts: Site) -> None:
    for name in WORKING:
        hosts.net.slow(hosts.hosts[name], 512)
    try:
        assert "PASS" in await asyncio.to_thread(hosts.make, "a", "test-5")
    finally:
        for name in WORKING:
            hosts.net.quick(hosts.hosts[name])


async def test_the_apis_host_dies_while_a_hundred_watch(
    hosts: Site, api: httpx.AsyncClient
) -> None:
    jobs = await submitted(api, 6)
    readers = [Reader(set(jobs)) for _ in range(100)]
    url = hosts.address("a", API)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as watching:
        for number, reader in enumerate(readers):
            follow = reader.by_events if number % 2 else reader.by_socket
            watching.create_task(follow(url))
        await eventually(lambda: seen(readers), all)
        await started(hosts, jobs)
        hosts.net.cut(hosts.hosts["a"])
        hosts.hosts["a"].kill()
        await asyncio.sleep(5)
        hosts.net.join(hosts.hosts["a"])
        await asyncio.to_thread(hosts.up, "a")
    assert all(reader.in_order for reader in readers)
    assert all(reader.breaks for reader in readers)
    await check(hosts, api, jobs)


async def seen(readers: list[Reader]) -> list[bool]:
    return [bool(reader.versions) for reader in readers]


async def test_hosts_are_cut_off_again_and_again_while_many_jobs_run(hosts: Site) -> None:
    chance = random.Random(SEED)  # noqa: S311 - drawn again from its seed
    running = asyncio.create_task(asyncio.to_thread(hosts.make, "a", f"test-{JOBS}", good=None))
    cuts = 0
    while not running.done():
        await asyncio.wait([running], timeout=chance.uniform(5, 15))
        host = hosts.hosts[chance.choice(WORKING)]
        hosts.net.cut(host)
        cuts += 1
        await asyncio.wait([running], timeout=chance.uniform(1, 12))
        hosts.net.join(host)
    assert "PASS" in running.result(), running.result()
    assert cuts
    assert most_at_once(await asyncio.to_thread(hosts.ledger)) == 1


async def test_a_host_is_upgraded_in_mid_run(hosts: Site) -> None:
    jobs = len(await asyncio.to_thread(hosts.ledger))
    before = await asyncio.to_thread(pids, hosts, "c")
    running = asyncio.create_task(asyncio.to_thread(hosts.make, "a", "test-10", good=None))
    await eventually(
        lambda: asyncio.to_thread(hosts.ledger), lambda rows: len(rows) > jobs, seconds=PATIENCE
    )
    await asyncio.to_thread(hosts.upgrade, "c")
    assert "PASS" in await running, running.result()
    assert await asyncio.to_thread(pids, hosts, "c") != before


async def test_clocks_are_30_s_apart(hosts: Site) -> None:
    """The receipts' times are wrong then, which the judge tells; nothing else is."""
    library = faketime()
    for name, ahead in zip(WORKING, (APART, -APART), strict=True):
        await asyncio.to_thread(hosts.off_by, name, ahead, library)
    said = await asyncio.to_thread(hosts.make, "a", "test-5", good=None)
    verdict = said.partition(" 5 of 5 jobs succeeded, at most 1 at once\n")[2]
    assert verdict, said
    wrong = [line for line in verdict.splitlines() if line.startswith("  ")]
    assert wrong, said
    assert all("causality" in line for line in wrong), said
    assert all(" received" in line for line in wrong[1:]), said
    assert most_at_once(await asyncio.to_thread(hosts.ledger)) == 1
