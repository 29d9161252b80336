"""`python -m tools.bench.actions`: what Temporal is asked, by the server's own count.

Every service as a process, with a server of its own. `job` is one job from its submit to its end,
at the speed of real vendors; `rest` is so many seconds in which nobody wants anything. Billable
actions are what the server counts as `action`. Prints what it counted, and what for.
"""

import argparse
import asyncio
import time
from collections import Counter

from shared.http.client import http_client
from shared.jobs.states import Status
from tests.fixtures.temporal import Counts, answers, counts, running_server
from tools.bench.processes import say, services

IMAGE_SECONDS = 30
# What a process asks as it starts is no part of either figure.
SETTLE_SECONDS = 15.0


async def main(options: argparse.Namespace) -> None:
    told = {name: value for name, _, value in (each.partition("=") for each in options.set)}
    speed = {
        "MOCK_SPEED": str(options.speed),
        "MOCK_VIDEO_SECONDS": str(options.job_seconds - IMAGE_SECONDS),
    }
    with running_server("--headless") as server:
        await answers(server)
        async with services(server.address, speed | told) as there:
            if options.waiting:
                await _waiting(there.api)
            await asyncio.sleep(SETTLE_SECONDS)
            began, before = time.monotonic(), await counts(server.metrics_port)
            if options.what == "rest":
                await asyncio.sleep(options.seconds)
            else:
                await _job(there.api)
            found = (await counts(server.metrics_port)) - before
            _tell(found, time.monotonic() - began)


async def _waiting(api: str) -> None:
    """A job that waits, for the slot is paused."""
    async with http_client(api) as http:
        (await http.put("/slots", json={"paused": True})).raise_for_status()
        await http.post("/jobs", json={"prompt": "a red fox", "style": "ink"})


async def _job(api: str) -> None:
    """One job, watched in the way that asks nothing of Temporal."""
    async with http_client(api) as http:
        reply = await http.post("/jobs", json={"prompt": "a red fox", "style": "ink"})
        job = reply.raise_for_status().json()["job_id"]
        async with http.stream("GET", f"/jobs/{job}/events", timeout=None) as events:
            async for _ in events.aiter_lines():
                pass
        job = (await http.get(f"/jobs/{job}")).json()
    if job["status"] != Status.SUCCEEDED:
        raise SystemExit(f"the job ended {job['status']}: {job['error']}")


def _tell(found: Counts, seconds: float) -> None:
    for title, counted in (("billable actions", found.actions), ("requests", found.requests)):
        say(f"{title}: {sum(counted.values())} in {seconds:.0f} s")
        for name, number in Counter(counted).most_common(12):
            say(f"  {number:6} {name}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("job", "rest"))
    parser.add_argument("--seconds", type=float, default=330, help="of rest")
    parser.add_argument("--waiting", action="store_true", help="one job stands in the queue")
    parser.add_argument("--job-seconds", type=float, default=164, help="image 30, the rest video")
    parser.add_argument("--speed", type=float, default=1, help="MOCK_SPEED")
    parser.add_argument("--set", nargs="*", default=[], help="settings, NAME=value")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_options()))
