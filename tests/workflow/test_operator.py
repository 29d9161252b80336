"""An operator's hand on the activities of a job: nothing is paid twice, and the slot waits."""

from collections.abc import AsyncIterator
from datetime import datetime
from itertools import product
from pathlib import Path

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import PauseActivityRequest, ResetActivityRequest
from temporalio.client import AsyncActivityHandle, Client
from temporalio.exceptions import ApplicationError

from services.worker.models import GEN_IMAGE
from shared.jobs.messages import Attempts
from shared.jobs.states import Status, Step
from tests.fixtures.eventually import eventually
from tests.fixtures.temporal import NewClient
from tests.workflow.pipeline import Pipeline, working
from tests.workflow.scenarios import FIRST, rule
from tests.workflow.side_by_side import side_by_side
from tests.workflow.test_cancelling import begun
from tests.workflow.test_vendor_wire import accepting, ended_alone
from tests.workflow.wired import Wired, wired

# A minute, so that the operator comes in time; then the vendor hurries.
LONG = rule("start", "slow", extra=60_000)
ACCEPTING = rule("submit", "delay", often=FIRST, seconds=60_000)
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


@pytest.fixture
async def wired_line(client: Client, tmp_path: Path) -> AsyncIterator[Wired]:
    """A pipeline over wires, of the test's own."""
    async with wired(client, tmp_path) as line:
        yield line


async def pending(line: Pipeline, job_id: str) -> PendingActivityInfo | None:
    """The job's activity that is under way."""
    found = (await line.job(job_id).describe()).raw_description.pending_activities
    return found[0] if found else None


async def reset_activity(line: Pipeline, job_id: str, *, forget: bool) -> None:
    await line.client.workflow_service.reset_activity(
        ResetActivityRequest(
            namespace=line.client.namespace,
            execution=WorkflowExecution(workflow_id=job_id),
            type=GEN_IMAGE,
            reset_heartbeat=forget,
        )
    )


async def pause_activity(line: Pipeline, job_id: str) -> None:
    """Return when the try that was under way has ended."""
    await line.client.workflow_service.pause_activity(
        PauseActivityRequest(
            namespace=line.client.namespace,
            execution=WorkflowExecution(workflow_id=job_id),
            type=GEN_IMAGE,
        )
    )


async def begins(line: Pipeline, job_id: str, *, after: datetime) -> None:
    """Return when another try of the job's activity has begun."""
    await eventually(
        lambda: pending(line, job_id),
        lambda it: it and it.state == STARTED and it.last_started_time.ToDatetime() > after,
    )


async def test_an_activity_that_is_reset_goes_on_with_what_was_paid_for(
    new_client: NewClient, tmp_path: Path
) -> None:
    async def scene(case: tuple[str, bool, bool]) -> None:
        vendor, forget, pauses = case
        folder = tmp_path / f"{vendor}-{forget}-{pauses}"
        async with working(await new_client(), folder) as line:
            await is_charged_once(line, vendor == "accepts", forget=forget, pauses=pauses)

    await side_by_side(scene, product(("accepts", "works"), (False, True), (False, True)))


async def is_charged_once(
    line: Pipeline, is_accepting: bool, *, forget: bool, pauses: bool
) -> None:
    await line.images.arm(ACCEPTING if is_accepting else LONG)
    job_id = await line.submit()
    if is_accepting:
        await line.images.until("/admin/trace", lambda it: bool(it["rows"]))
    else:
        await begun(line.images, f"{job_id}.image.1")
    before = await pending(line, job_id)
    assert before is not None
    if pauses:
        await pause_activity(line, job_id)
    if is_accepting:
        # What the vendor is accepting is awaited, whatever was asked of the try.
        await reset_activity(line, job_id, forget=forget)
        await line.images.hurry()
    else:
        if pauses:
            await eventually(lambda: pending(line, job_id), lambda it: it and it.state != STARTED)
        await reset_activity(line, job_id, forget=forget)
        await begins(line, job_id, after=before.last_started_time.ToDatetime())
        await line.images.hurry()
    record = await line.ended(job_id)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
    [row] = await line.images.json("/admin/ledger")
    assert row["charged"]


@pytest.mark.parametrize("step", list(Step))
async def test_one_that_is_failed_while_the_vendor_accepts_leaves_the_slot_to_the_vendor(
    wired_line: Wired, step: Step
) -> None:
    bad, following = await accepting(wired_line, step)
    failure = ApplicationError("by hand", type="by_hand", non_retryable=True)
    await (await by_hand(wired_line, bad)).fail(failure)
    record = await ended_alone(wired_line, step, bad, following)
    assert record.error is not None
    assert (record.status, record.error.code) == (Status.FAILED, "by_hand")


@pytest.mark.parametrize("step", list(Step))
async def test_one_that_is_completed_with_garbage_ends_its_job_behind_the_vendor(
    wired_line: Wired, step: Step
) -> None:
    bad, following = await accepting(wired_line, step)
    await (await by_hand(wired_line, bad)).complete({"garbage": [1]})
    record = await ended_alone(wired_line, step, bad, following)
    assert record.error is not None
    assert (record.status, record.error.code) == (Status.FAILED, "bad_completion")


async def by_hand(line: Pipeline, job_id: str) -> AsyncActivityHandle:
    """The job's activity as an operator takes hold of it."""
    under_way = await pending(line, job_id)
    assert under_way is not None
    run_id = line.record(job_id).run_id
    return line.client.get_async_activity_handle(
        workflow_id=job_id, run_id=run_id, activity_id=under_way.activity_id
    )
