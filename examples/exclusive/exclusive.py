"""One at a time, whatever dies: a workflow and a worker with the official SDK and the wheel."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from temporal_semaphore import Semaphore


@activity.defn
async def train(job: str) -> None:
    """A line in the book at the beginning, at each beat, and at the end."""
    book = Path(sys.argv[2])
    for step in range(int(job.rpartition(":")[2])):
        with book.open("a") as lines:  # noqa: ASYNC230 (a line)
            lines.write(f"{asyncio.get_running_loop().time():.3f} {job}\n")
        activity.heartbeat(step)
        await asyncio.sleep(0.1)


@workflow.defn
class Training:
    @workflow.run
    async def run(self, job: str) -> None:
        async with Semaphore("gpu-pool", limit=1):
            await workflow.execute_activity(
                train,
                job,
                start_to_close_timeout=timedelta(minutes=5),
                heartbeat_timeout=timedelta(seconds=2),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )


async def main() -> None:
    client = await Client.connect(sys.argv[1])
    throttle = timedelta(milliseconds=500)
    worker = Worker(
        client,
        task_queue=sys.argv[3],
        workflows=[Training],
        activities=[train],
        max_heartbeat_throttle_interval=throttle,
        default_heartbeat_throttle_interval=throttle,
        # So soon another worker goes on where one has died: by default after 10 s.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main())
