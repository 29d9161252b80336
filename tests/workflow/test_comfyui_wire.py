"""What was begun at a ComfyUI is never let go, whatever becomes of a submit on its way."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from shared.states import Status, Step
from tests.workflow.scenarios import FIRST, rule
from tests.workflow.test_vendor_wire import TWO_SECONDS, accepting, ended_alone, paid_once
from tests.workflow.wired import Wired, wired
from tests.workflow.wires import COMFYUI


@pytest.fixture
async def line(client: Client, tmp_path: Path) -> AsyncIterator[Wired]:
    """A pipeline over wires, with a ComfyUI."""
    async with wired(client, tmp_path, **COMFYUI) as line:
        yield line


async def test_cancelled_while_the_server_is_accepting(line: Wired) -> None:
    bad, following = await accepting(line, Step.IMAGE)
    await line.job(bad).cancel()
    record = await ended_alone(line, Step.IMAGE, bad, following)
    assert record.status is Status.CANCELLED


async def test_a_lost_submit_that_is_accepted_later_is_adopted(line: Wired) -> None:
    await line.images.arm(rule("submit", "accept-late", often=FIRST, seconds=TWO_SECONDS))
    await paid_once(line, Step.IMAGE, await line.submit())
