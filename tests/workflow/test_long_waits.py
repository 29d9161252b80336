"""Nothing is renewed, so nothing lapses: a holder may be silent for longer than any time-out."""

import math
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client, WorkflowExecutionStatus

from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from shared.jobs.messages import Attempts
from shared.jobs.states import Status
from shared.semaphore.state import DRAIN_HOLD_SECONDS
from shared.temporal.client import WORKFLOW_TASK_TIMEOUT
from shared.temporal.pace import Pace
from tests.workflow.books import at_once, grants, rows
from tests.workflow.pipeline import pipeline
from tests.workflow.scenarios import FIRST, rule

LONGEST = max(
    Pace.FAST.times.work,
    Pace.FAST.times.sticky,
    WORKFLOW_TASK_TIMEOUT,
    timedelta(seconds=DRAIN_HOLD_SECONDS),
)
PAUSE_SECONDS = math.ceil(LONGEST.total_seconds()) + 1


async def test_a_back_off_longer_than_any_time_out_keeps_the_slot(
    client: Client, tmp_path: Path
) -> None:
    """No heartbeat of the job's for so long, and none of the semaphore's process, which is away.

    The next try needs no semaphore: Temporal says that it is the current one.
    """
    async with pipeline(client, tmp_path) as line, running_worker(line.settings, client):
        refusal = rule("submit", "refuse", often=FIRST, status=503, retry_after=PAUSE_SECONDS)
        await line.images.arm({**refusal, "match": {"prompt": "first"}})
        async with running_semaphore(client, shutdown_seconds=0.1):
            first, second = await line.submit("first"), await line.submit("second")
            before = await line.slots(lambda view: view.holders and view.waiting == (second,))
            await line.images.until("/admin/trace", lambda it: it["rows"])
        record = await line.ended(first)
        async with running_semaphore(client, shutdown_seconds=0.1):
            assert (await line.ended(second)).status is Status.SUCCEEDED
            await line.free()
        assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
        assert record.token == before.holders[0].token
        closed = (await line.job(first).describe()).status
        assert closed is WorkflowExecutionStatus.COMPLETED
        accepted = [row["external_id"].split(".")[0] for row in await rows(line)]
        assert accepted == [first, first, second, second]
        assert (await at_once(line)).violation is None
        counted = await grants(client)
        assert (counted["granted"], counted["returned"]) == (2, 2)
