"""Many jobs at once, one on the GPU and five at the video service: judged by the ledgers."""

from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.client import Client

from shared.jobs.states import Status
from shared.semaphore import workflow as semaphore_workflow
from shared.semaphore.messages import SlotView, semaphore_id
from shared.semaphore.state import SemaphoreRules
from tests.fixtures.semaphore import is_drained
from tests.fixtures.temporal import delete
from tests.services.mock_core.serving import Json
from tests.workflow.conftest import Lines
from tests.workflow.pipeline import BEFORE_VIDEO, LONG, Pipeline, paid_once, working

JOBS = 6


@pytest.fixture(autouse=True)
def _hold_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semaphore_workflow, "DRAIN_HOLD_SECONDS", 0.3)


@pytest_asyncio.fixture(loop_scope="module")
async def line(lines: Lines) -> Pipeline:
    """A pipeline of six jobs at once, one image at a time, five videos."""
    line = await lines(gates="image,video")
    await line.change(limit=JOBS)
    await line.change("video", limit=5)
    return line


def most_at_once(rows: list[Json]) -> int:
    """By the service's own clock, from a generation's acceptance to its end."""
    ends = [(row["finished_at"], -1) for row in rows]
    moments = sorted([*((row["accepted_at"], 1) for row in rows), *ends])
    counts = [sum(step for _, step in moments[: n + 1]) for n in range(len(moments))]
    return max(counts)


async def kept(line: Pipeline, jobs: list[str]) -> None:
    """All have ended well, each was paid once, no gate was too wide, and nothing is held."""
    for job_id in jobs:
        assert (await line.ended(job_id)).status is Status.SUCCEEDED
    await line.free()
    images, videos = await line.ledger("image"), await line.ledger("video")
    assert paid_once(images)
    assert paid_once(videos)
    assert most_at_once(images) == 1
    assert most_at_once(videos) <= 5


def holders(view: SlotView) -> list[str]:
    return [holder.job_id for holder in view.holders]


async def test_one_image_and_five_videos_at_a_time(line: Pipeline) -> None:
    await line.videos.arm(LONG)
    await line.change("video", paused=True)
    jobs = [await line.submit(f"cat {n}") for n in range(JOBS)]
    await line.slots(lambda view: view.waiting_count == JOBS, "video")
    assert len((await line.slots()).holders) == JOBS
    await line.change("video", paused=False)
    await line.videos.until("/admin/stats", lambda it: it["in_flight"] == 5)
    await line.videos.hurry()
    await kept(line, jobs)
    videos = await line.ledger("video")
    assert most_at_once(videos) == 5
    assert len({row["token"] for row in videos}) == JOBS
    notes = [each.note for each in line.record(jobs[-1]).transitions]
    assert "waiting for the image gate" in notes
    assert f"{BEFORE_VIDEO} stored; waiting for the video gate" in notes


async def test_job_cancelled_at_a_gate_leaves_its_queue(line: Pipeline) -> None:
    holder = await line.held("image", "holder")
    waiter, following = await line.submit("waiter"), await line.submit("next")
    await line.slots(lambda view: view.waiting == (waiter, following), "image")
    await line.job(waiter).cancel()
    await line.images.hurry()
    record = await line.ended(waiter)
    assert record.status is Status.CANCELLED
    assert not [row for row in await line.ledger("image") if row["prompt"] == "waiter"]
    await kept(line, [holder, following])


async def test_terminated_gate_is_rebuilt_with_holders_and_queue(
    line: Pipeline,
) -> None:
    await line.videos.arm(LONG)
    await line.change("video", limit=1)
    jobs = [await line.submit(f"cat {n}") for n in range(JOBS // 2)]
    await line.slots(lambda view: view.holders and view.waiting, "video")
    await line.client.get_workflow_handle(semaphore_id("video")).terminate()
    await line.videos.hurry()
    await kept(line, jobs)


async def test_terminated_holder_is_drained_before_the_next_image(
    line: Pipeline,
) -> None:
    killed = await line.held("image", "killed")
    following = await line.submit("next")
    await line.slots(lambda view: view.waiting == (following,), "image")
    await line.job(killed).terminate()
    await is_drained(line.client, killed, "image")
    assert (await line.ended(following)).status is Status.SUCCEEDED
    assert most_at_once(await line.ledger("image")) == 1
    await line.free()


async def test_holder_deleted_with_its_gate_is_drained_before_the_next_video(
    line: Pipeline,
) -> None:
    """Then only its record says what it left. The other one waits at the gate."""
    await line.change("video", limit=1)
    deleted = await line.held("video", "deleted")
    following = await line.submit("next")
    await line.slots(lambda view: view.waiting == (following,), "video")
    await delete(line.client, semaphore_id("video"))
    await delete(line.client, deleted)
    await is_drained(line.client, deleted, "video")
    await line.videos.hurry()
    assert (await line.ended(following)).status is Status.SUCCEEDED
    assert most_at_once(await line.ledger("video")) == 1
    await line.free()


async def test_job_beyond_a_full_queue_waits_for_room(client: Client, tmp_path: Path) -> None:
    rules = SemaphoreRules(capacity=2, care_seconds=0.3)
    async with working(client, tmp_path, rules=rules) as line:
        holder = await line.held("image", "holder")
        waiting = [await line.submit(f"cat {n}") for n in range(2)]
        await line.slots(lambda view: view.is_full)
        waiting.append(await line.submit("too many"))
        await line.images.hurry()
        for job_id in (holder, *waiting):
            assert (await line.ended(job_id)).status is Status.SUCCEEDED
        prompts = [row["prompt"] for row in await line.ledger("image")]
        assert prompts == ["holder", "cat 0", "cat 1", "too many"]
        await line.free()
