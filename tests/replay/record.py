"""`python -m tests.replay.record`: runs jobs of each kind and stores their histories."""

import asyncio
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from temporalio.client import Client

from shared.jobs.slots import JOB_GATE
from shared.semaphore.messages import semaphore_id
from tests.fixtures.temporal import reset, running_server
from tests.workflow.pipeline import Pipeline, begun, working
from tests.workflow.scenarios import rule

FOLDER = Path(__file__).with_name("histories")
# How the SDK names a process, and the queue that is its own.
PROCESS = re.compile(r"^\d+@\S+$")
SLOWLY = rule("start", "slow", factor=15)
# However busy the machine is, a callback comes before the second poll; the first is at once.
POLL_SECONDS = 30


async def main() -> None:
    with running_server("--headless") as server:
        client = await server.client()
        with TemporaryDirectory() as folder:
            async with working(client, Path(folder), video_poll_seconds=POLL_SECONDS) as line:
                await _record_all(client, line)
        with TemporaryDirectory() as folder:
            async with working(client, Path(folder), gates="image,video") as line:
                await _record_gated(client, line)


async def _record_all(client: Client, line: Pipeline) -> None:
    await line.images.arm({**SLOWLY, "match": {"prompt": "slow*"}})
    await line.videos.arm(
        {**rule("submit", "refuse", code=1301, status=400), "match": {"prompt": "refused"}}
    )
    slow = await line.submit("slow, cancelled")
    await begun(line.images, f"{slow}.image.1")
    succeeded = await line.submit("waits, and succeeds")
    waiting = await line.submit("cancelled in the queue")
    await line.slots(lambda view: view.waiting == (succeeded, waiting))
    await line.job(waiting).cancel()
    await line.job(slow).cancel()
    failed, degraded = (
        await line.submit("refused"),
        await line.submit("refused", on_video_failure="image"),
    )
    reset_job = await line.submit("slow, reset")
    await begun(line.images, f"{reset_job}.image.1")
    await reset(line.client, reset_job, back_to="last")
    jobs = {
        "cancelled": slow,
        "cancelled-in-the-queue": waiting,
        "succeeded": succeeded,
        "failed": failed,
        "degraded": degraded,
        "reset": reset_job,
    }
    for name, job_id in jobs.items():
        await line.ended(job_id)
        await _store(client, name, job_id)
    await line.free()
    await _store(client, "semaphore", semaphore_id(JOB_GATE))


async def _record_gated(client: Client, line: Pipeline) -> None:
    """Two jobs at once through one image gate."""
    await line.change(limit=2)
    await line.images.arm({**SLOWLY, "match": {"prompt": "slow*"}})
    first = await line.submit("slow, holds the image gate")
    await begun(line.images, f"{first}.image.1")
    second = await line.submit("waits at the image gate")
    await line.slots(lambda view: view.waiting, "image")
    for job_id in (first, second):
        await line.ended(job_id)
    await _store(client, "gated", second)
    await _store(client, "semaphore-of-the-image-gate", semaphore_id("image"))


async def _store(client: Client, name: str, workflow_id: str) -> None:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    FOLDER.mkdir(exist_ok=True)
    found = _without_places(history.to_json_dict())
    # A line for each event, so that a change of one is a change of one line.
    lines = ",\n".join(json.dumps(event, ensure_ascii=False) for event in found["events"])
    text = f'{{"events": [\n{lines}\n]}}\n'
    (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


def _without_places(value: Any) -> Any:
    """Nothing of the machine that it was recorded on: no names of hosts, no paths."""
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    if isinstance(value, str):
        return PROCESS.sub("recorder", value)
    if not isinstance(value, dict):
        return value
    return {key: _without_places(item) for key, item in value.items() if key != "stackTrace"}


if __name__ == "__main__":
    asyncio.run(main())
