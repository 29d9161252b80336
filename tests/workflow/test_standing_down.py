"""An armed job whose try fails while it is told to stand down begins no earlier than its turn."""

import asyncio

import pytest

from services.worker.vendors.client import VendorStatus
from services.worker.vendors.image_service import ImageService
from shared.errors import NeverDelivered
from shared.states import Status
from tests.workflow.books import at_once, rows
from tests.workflow.pipeline import Pipeline, paid_once
from tests.workflow.scenarios import rule
from tests.workflow.test_cancelling import begun, was_cancelled

LONG = {**rule("start", "slow", extra=5_000), "match": {"prompt": "first"}}


class Failing:
    """The look-up of one job fails at the very moment when it is told to stop."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.tried, self.again, self.job_id = asyncio.Event(), False, ""
        self._ask = ImageService.status
        patch.setattr(ImageService, "status", lambda service, task_id: self.ask(service, task_id))

    async def ask(self, service: ImageService, task_id: str) -> VendorStatus | None:
        ours = task_id == f"{self.job_id}.image.1"
        if not ours or self.tried.is_set():
            self.again = self.again or ours
            return await self._ask(service, task_id)
        self.tried.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise NeverDelivered("The image service refuses connections.") from None
        raise AssertionError("unreachable")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    return Failing(monkeypatch)


async def armed_behind(line: Pipeline, failing: Failing) -> tuple[str, str]:
    """Who runs a long video, and who is armed behind it, in its look-up."""
    await line.videos.arm(LONG)
    first = await line.submit("first")
    await begun(line.videos, f"{first}.video.1")
    failing.job_id = await line.submit("second")
    await failing.tried.wait()
    return first, failing.job_id


async def test_one_that_is_overtaken_lets_the_run_before_it_end(
    line: Pipeline, failing: Failing
) -> None:
    jobs = await armed_behind(line, failing)
    urgent = await line.submit("third", priority=1)
    for job_id in (*jobs, urgent):
        assert (await line.ended(job_id)).status is Status.SUCCEEDED
    assert failing.again
    assert (await at_once(line)).most == 1
    assert paid_once(await rows(line))


async def test_one_that_is_cancelled_lets_the_run_before_it_end(
    line: Pipeline, failing: Failing
) -> None:
    first, second = await armed_behind(line, failing)
    third = await line.submit("third")
    await line.job(second).cancel()
    await was_cancelled(line, second)
    for job_id in (first, third):
        assert (await line.ended(job_id)).status is Status.SUCCEEDED
    assert (await at_once(line)).most == 1
    assert not [row for row in await rows(line) if second in row["external_id"]]
