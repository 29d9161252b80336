"""Temporal by itself: a workflow for each job, and one that runs them one after the other.

No environment of its own: Temporal's SDK is among what this repository needs anyway.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from tools.peers import vendors

QUEUE = "peers"
# Silence of so long tells that a worker is gone; without it, a step's longest time would.
HEARTBEAT = timedelta(seconds=10)
LONGEST = timedelta(hours=1)


async def beating(step: Callable[..., Any], *arguments: str) -> Any:
    """A step in a thread, with heartbeats as long as it lasts."""
    work = asyncio.ensure_future(asyncio.to_thread(step, *arguments))
    while not (await asyncio.wait([work], timeout=HEARTBEAT.total_seconds() / 3))[0]:
        activity.heartbeat()
    return work.result()


@activity.defn
async def image(job: str) -> str:
    return str(await beating(vendors.image, job))


@activity.defn
async def start_video(job: str, picture: str) -> str:
    return str(await beating(vendors.start_video, job, picture))


@activity.defn
async def await_video(job: str, accepted: str) -> None:
    await beating(vendors.await_video, job, accepted)


async def step(done: Callable[..., Any], *arguments: str) -> Any:
    return await workflow.execute_activity(
        done, args=arguments, start_to_close_timeout=LONGEST, heartbeat_timeout=HEARTBEAT
    )


@workflow.defn
class Job:
    @workflow.run
    async def run(self, name: str) -> None:
        picture = await step(image, name)
        video = await step(start_video, name, picture)
        await step(await_video, name, video)


@workflow.defn
class Slot:
    @workflow.init
    def __init__(self, waiting: list[str]) -> None:
        self._waiting = waiting

    @workflow.signal
    def submit(self, name: str) -> None:
        self._waiting.append(name)

    @workflow.run
    async def run(self, waiting: list[str]) -> None:
        while not workflow.info().is_continue_as_new_suggested():
            await workflow.wait_condition(lambda: bool(self._waiting))
            name = self._waiting.pop(0)
            await workflow.execute_child_workflow(Job.run, name, id=name)
        workflow.continue_as_new(self._waiting)


async def main(verb: str, *names: str) -> None:
    client = await Client.connect(vendors.SERVER)
    if verb == "work":
        steps: list[Callable[..., Any]] = [image, start_video, await_video]
        async with Worker(client, task_queue=QUEUE, workflows=[Job, Slot], activities=steps):
            vendors.tell("ready")
            await asyncio.Event().wait()
    for name in names:
        await client.start_workflow(
            Slot.run,
            [],
            id="slot",
            task_queue=QUEUE,
            start_signal="submit",
            start_signal_args=[name],
        )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
    # All is sent. Of a hundred interpreters that ended as usual, the SDK had three crash in it.
    os._exit(0)
