"""What was begun at Kling is never let go, whatever becomes of a submit on its way."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from shared.states import Status, Step
from tests.workflow.scenarios import FIRST, rule
from tests.workflow.test_cancelling import begun
from tests.workflow.test_vendor_wire import (
    FACTOR,
    FIVE_SECONDS,
    TWO_SECONDS,
    accepting,
    ended_alone,
    paid_once,
)
from tests.workflow.wired import Wired, wired
from tests.workflow.wires import KLING


@pytest.fixture
async def line(client: Client, tmp_path: Path) -> AsyncIterator[Wired]:
    """A pipeline over wires, with Kling's own API."""
    async with wired(client, tmp_path, **KLING) as line:
        yield line


async def test_cancelled_while_the_vendor_is_accepting(line: Wired) -> None:
    bad, following = await accepting(line, Step.VIDEO)
    await line.job(bad).cancel()
    record = await ended_alone(line, Step.VIDEO, bad, following)
    assert record.status is Status.CANCELLED


async def test_a_lost_submit_that_is_accepted_later_is_adopted(line: Wired) -> None:
    await line.videos.arm(rule("submit", "accept-late", often=FIRST, seconds=TWO_SECONDS))
    await paid_once(line, Step.VIDEO, await line.submit())


async def test_one_that_can_be_looked_up_late_alone_is_not_paid_again(line: Wired) -> None:
    """Its reply is lost, and it can't be found for a while."""
    lag = {"look_up": {"lag": TWO_SECONDS}}
    await line.videos.http.put("/admin/config", json=lag)
    await line.videos.arm(
        rule("submit", "lose-reply", often=FIRST, how="reset"),
        rule("start", "slow", factor=FACTOR[Step.VIDEO]),
    )
    await paid_once(line, Step.VIDEO, await line.submit())


async def test_a_video_that_is_unknown_for_a_while_is_not_paid_again(line: Wired) -> None:
    await line.videos.arm(rule("start", "slow", factor=FACTOR[Step.VIDEO]))
    job_id = await line.submit()
    await begun(line.videos, f"{job_id}.video.1")
    forgets = rule("poll", "forget")
    await line.videos.arm({**forgets, "until": {"seconds": FIVE_SECONDS}})
    await paid_once(line, Step.VIDEO, job_id)


async def test_a_success_that_gets_its_address_later_is_not_paid_again(line: Wired) -> None:
    await line.videos.arm(rule("progress", "no-url", seconds=TWO_SECONDS))
    await paid_once(line, Step.VIDEO, await line.submit())
