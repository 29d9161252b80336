"""What was begun at a vendor is never let go: nothing begins beside it, and it is paid once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import Client

from shared.jobs.genvideo import GENVIDEO
from shared.jobs.messages import Record
from shared.jobs.states import Status
from tests.chaos.wires import Request
from tests.fixtures.temporal import NewClient
from tests.services.mock_core.serving import Json
from tests.workflow.pipeline import STEPS, begun, check, side_by_side, why
from tests.workflow.scenarios import FIRST, rule
from tests.workflow.wires import COMFYUI, KLING, Wired, wired

# How long the vendor is still accepting: longer than anything waits for a dead try.
ACCEPTING_SECONDS = 5.0
# A job's whole time; it ends while the vendor is still accepting.
SHORT_SECONDS = 3.5
# Then the vendor works for one and a half to three seconds.
FACTOR = {"image": 50, "video": 20}
TIME_IS_UP = "time is up"
# Nominal: what the vendor's clock makes of five real seconds, and of two.
FIVE_SECONDS, TWO_SECONDS = 5_000, 2_000

NewLine = Callable[..., AbstractAsyncContextManager[Wired]]

# By the small contract, and by wires of the vendors' own.
over_all_wires = pytest.mark.parametrize(
    "vendor_api", [{}, COMFYUI | KLING], ids=["service", "own"]
)


@pytest.fixture
def new_line(new_client: NewClient, tmp_path: Path, vendor_api: Json) -> NewLine:
    """Makes pipelines over wires, each in a namespace and a folder of its own."""

    @asynccontextmanager
    async def make(**changes: Any) -> AsyncIterator[Wired]:
        folder = tmp_path / uuid4().hex
        async with wired(await new_client(), folder, **vendor_api, **changes) as line:
            yield line

    return make


@pytest_asyncio.fixture(loop_scope="module")
async def line(client: Client, tmp_path: Path, vendor_api: Json) -> AsyncIterator[Wired]:
    async with wired(client, tmp_path, **vendor_api) as line:
        yield line


def of_bad(request: Request) -> bool:
    return b'"bad"' in request.body


async def accepting(line: Wired, step: str, *, reply: bool = False) -> tuple[str, str]:
    """A job whose submit, or its answer, is on its way, and the job that comes after it."""
    slowly = rule("start", "slow", factor=FACTOR[step])
    await line.service(step).arm({**slowly, "match": {"prompt": "bad"}})
    held = line.wire(step).hold(of_bad, reply=reply)
    bad = await line.submit("bad")
    await held.held
    asyncio.get_running_loop().call_later(ACCEPTING_SECONDS, held.release)
    return bad, await line.submit("good")


async def ended_alone(line: Wired, step: str, bad: str, following: str) -> Record:
    """The bad job's record; the next one began when nothing of it ran any more."""
    await begun(line.service(step), f"{bad}.{step}.1", until="finished_ts")
    assert (await line.ended(following)).status is Status.SUCCEEDED
    await line.is_over_before(bad, step, following)
    record = await line.ended(bad)
    assert len(await made(line, step, bad)) == record.attempts[step] == 1
    return record


async def made(line: Wired, step: str, job_id: str) -> list[Json]:
    """All that one vendor has accepted for a job, when nothing is to come any more."""
    await line.wire(step).quiet()
    await line.service(step).quiet()
    return await line.ledger(step, job_id)


@over_all_wires
async def test_cancelled_during_the_submit(new_line: NewLine, vendor_api: Json) -> None:
    async def scene(case: tuple[str, bool]) -> None:
        step, reply = case
        async with new_line() as line:
            bad, following = await accepting(line, step, reply=reply)
            await line.job(bad).cancel()
            record = await ended_alone(line, step, bad, following)
            assert record.status is Status.CANCELLED

    replies = (False, True) if vendor_api else (True, False)
    await side_by_side(scene, zip(STEPS, replies, strict=True))


async def test_terminated_during_the_submit(line: Wired) -> None:
    bad, following = await accepting(line, "image")
    await line.job(bad).terminate()
    view = await line.slots(lambda view: view.holders and view.holders[0].draining)
    assert [each.job_id for each in view.holders] == [bad]
    record = await ended_alone(line, "image", bad, following)
    assert record.status is Status.FAILED


async def test_timed_out_during_the_submit(client: Client, tmp_path: Path) -> None:
    async with wired(client, tmp_path, job_seconds=SHORT_SECONDS) as line:
        bad, following = await accepting(line, "video")
        record = await ended_alone(line, "video", bad, following)
        assert record.status is Status.FAILED
        assert why(record).code == "job_timed_out"


async def test_cancelled_during_the_clean_up_after_a_time_out(
    client: Client, tmp_path: Path
) -> None:
    async with wired(client, tmp_path, job_seconds=SHORT_SECONDS) as line:
        await line.videos.arm(rule("start", "slow", factor=4 * FACTOR["video"]))
        job_id = await line.submit()
        await line.noted(job_id, TIME_IS_UP)
        await line.job(job_id).cancel()
        row = await begun(line.videos, f"{job_id}.video.1", until="finished_ts")
        record = await line.ended(job_id)
        assert record.status.ended
        closed = (await line.job(job_id).describe()).close_time
        assert closed is not None
        assert row["finished_ts"] <= closed.timestamp()


async def paid_once(line: Wired, step: str, job_id: str) -> None:
    """The job succeeds with one generation of the step, and with its result."""
    record = await line.ended(job_id)
    check(record)
    assert [row["charged"] for row in await made(line, step, job_id)] == [True]
    assert (record.status, record.attempts[step]) == (Status.SUCCEEDED, 1)
    assert set(record.assets) == set(GENVIDEO.names)


async def test_video_missing_for_a_while_is_not_paid_again(line: Wired) -> None:
    await line.videos.arm(rule("start", "slow", factor=FACTOR["video"]))
    job_id = await line.submit()
    await begun(line.videos, f"{job_id}.video.1")
    forgets = rule("poll", "forget")
    await line.videos.arm({**forgets, "until": {"seconds": FIVE_SECONDS}})
    await paid_once(line, "video", job_id)


@pytest.mark.parametrize("vendor_api", [KLING], ids=["kling"])
async def test_success_with_a_late_address_is_not_paid_again(line: Wired) -> None:
    await line.videos.arm(rule("progress", "no-url", seconds=TWO_SECONDS))
    await paid_once(line, "video", await line.submit())


@over_all_wires
async def test_lost_submit_that_is_accepted_later_is_adopted(new_line: NewLine) -> None:
    late = rule("submit", "accept-late", often=FIRST, seconds=TWO_SECONDS)

    async def scene(step: str) -> None:
        async with new_line() as line:
            await line.service(step).arm(late)
            await paid_once(line, step, await line.submit())

    await side_by_side(scene, STEPS)
