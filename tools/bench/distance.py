"""`python -m tools.bench.distance`: jobs with a server that is far away, beside the plain hop.

Every service as a process, and a wire to the server that takes its time. A turn is the time from
one image's acceptance to the next one's, without the vendors' own; the plain hop is that of
`make bench`, over the same wire. Prints what it measured.
"""

import argparse
import asyncio
from itertools import pairwise
from statistics import median
from uuid import uuid4

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from shared.http.client import http_client
from shared.jobs.states import Status
from tests.fixtures.streams import wire_to
from tests.fixtures.temporal import answers, running_server
from tools.bench.processes import Services, say, services
from tools.bench.stack import QUEUE, PlainHop, nothing

HOPS = 20
STARTED = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
COMPLETED = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED


async def main(options: argparse.Namespace) -> None:
    with running_server("--headless") as server:
        await answers(server)
        async with (
            wire_to("127.0.0.1", int(server.address.rpartition(":")[2])) as wire,
            services(f"127.0.0.1:{wire.port}", {"PACE": options.pace}) as there,
        ):
            wire.lag = options.milliseconds / 2000
            hop = await plain_hop(await Client.connect(f"127.0.0.1:{wire.port}"))
            jobs = [await _submitted(there, number) for number in range(options.jobs)]
            ends = [await _ended(there, job) for job in jobs]
            good = ends.count(Status.SUCCEEDED)
            say(f"{good} of {options.jobs} jobs succeeded, {options.milliseconds:g} ms away")
            turn = median(await _turns(there))
            say(f"plain hop {hop * 1000:.0f} ms, turn {turn * 1000:.0f} ms: {turn / hop:.1f} hops")


async def plain_hop(client: Client) -> float:
    """The median of some, in seconds."""
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[PlainHop],
        activities=[nothing],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        return median([await _one_hop(client) for _ in range(HOPS)])


async def _one_hop(client: Client) -> float:
    """From the first activity's end to the second one's start, by the server's clock."""
    handle = await client.start_workflow(PlainHop.run, id=f"hop-{uuid4().hex}", task_queue=QUEUE)
    await handle.result()
    events = (await handle.fetch_history()).events
    [_, second] = [each.event_time for each in events if each.event_type == STARTED]
    [first, _] = [each.event_time for each in events if each.event_type == COMPLETED]
    return (second.ToMicroseconds() - first.ToMicroseconds()) / 1e6


async def _submitted(there: Services, number: int) -> str:
    async with http_client(there.api) as http:
        reply = await http.post("/jobs", json={"prompt": f"fox {number}", "style": "ink"})
        return str(reply.raise_for_status().json()["job_id"])


async def _ended(there: Services, job: str) -> str:
    async with http_client(there.api) as http:
        async with http.stream("GET", f"/jobs/{job}/events", timeout=None) as events:
            async for _ in events.aiter_lines():
                pass
        return str((await http.get(f"/jobs/{job}")).json()["status"])


async def _turns(there: Services) -> list[float]:
    """Seconds of each turn but the last, without the work of its image and its video."""
    images, videos = await _ledger(there.images), await _ledger(there.videos)
    work = {
        job: images[job][1] - images[job][0] + videos[job][1] - videos[job][0] for job in images
    }
    begun = sorted((begin, job) for job, (begin, _) in images.items())
    return [later - earlier - work[job] for (earlier, job), (later, _) in pairwise(begun)]


async def _ledger(mock: str) -> dict[str, tuple[float, float]]:
    """By job, when its generation was accepted and when it ended."""
    async with http_client(mock) as http:
        rows = (await http.get("/admin/ledger")).raise_for_status().json()
    return {
        row["external_id"].split(".")[0]: (row["accepted_ts"], row["finished_ts"]) for row in rows
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--milliseconds", type=float, default=80, help="there and back")
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--pace", default="cloud")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main(_options()))
