"""A job that finds the queue full ends at once, with the reason in its record; nothing is paid."""

from pathlib import Path

from temporalio.client import Client

from shared.jobs.states import Status
from shared.semaphore.state import SemaphoreRules
from tests.workflow.pipeline import working
from tests.workflow.scenarios import rule
from tests.workflow.test_cancelling import begun

# A minute, so that the queue is sure to be full; then the vendor hurries.
LONG = rule("start", "slow", extra=60_000)


async def test_it_fails_as_queue_full_and_the_others_are_served(
    client: Client, tmp_path: Path
) -> None:
    async with working(client, tmp_path, rules=SemaphoreRules(capacity=2)) as line:
        await line.images.arm({**LONG, "match": {"prompt": "holder"}})
        holder = await line.submit("holder")
        await begun(line.images, f"{holder}.image.1")
        waiting = [await line.submit(f"cat {n}") for n in range(2)]
        await line.slots(lambda view: view.is_full)
        refused = await line.ended(await line.submit("too many"))
        assert refused.status is Status.FAILED
        assert refused.error is not None
        assert refused.error.code == "queue_full"
        assert "2 jobs wait" in refused.error.message
        await line.images.hurry()
        for job_id in (holder, *waiting):
            assert (await line.ended(job_id)).status is Status.SUCCEEDED
        prompts = [row["prompt"] for row in await line.images.json("/admin/ledger")]
        assert prompts == ["holder", "cat 0", "cat 1"]
        await line.free()
