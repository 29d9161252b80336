"""A vendor that can't be asked by our id: a submit of unknown outcome is never repeated."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from shared.messages import Attempts
from shared.states import Status
from tests.services.mock_core.serving import Json
from tests.workflow.pipeline import Pipeline, working
from tests.workflow.scenarios import FIRST, rule
from tests.workflow.wires import KLING

# For so long at the most the slot is held for what nobody can be asked about.
DRAIN_SECONDS = 1.0
# What the vendor has accepted of a submit whose answer never came.
LOST: dict[str, tuple[Json, int]] = {
    "the reply": (rule("submit", "lose-reply", often=FIRST, how="reset"), 1),
    "the request": (rule("submit", "reset", often=FIRST), 0),
}


@contextlib.asynccontextmanager
async def relayed(client: Client, data_dir: Path, **changes: Any) -> AsyncIterator[Pipeline]:
    """A pipeline whose video vendor is behind a relay."""
    spoken = {**KLING, "kling_dialect": "newapi", "video_poll_seconds": 0.05}
    async with working(client, data_dir, **spoken, **changes) as line:
        await line.videos.http.put("/admin/config", json={"dialect": "new-api"})
        yield line


@pytest.mark.parametrize(("lost", "accepted"), LOST.values(), ids=list(LOST))
async def test_the_stage_fails_and_the_slot_is_held_while_it_may_run(
    client: Client, tmp_path: Path, lost: Json, accepted: int
) -> None:
    async with relayed(client, tmp_path, drain_seconds=DRAIN_SECONDS) as line:
        await line.videos.arm({**lost, "match": {"prompt": "bad"}})
        bad, good = await line.submit("bad"), await line.submit("good")
        first, second = await asyncio.gather(line.ended(bad), line.ended(good))
        assert (first.status, first.attempts) == (Status.FAILED, Attempts(image=1, video=1))
        assert first.error is not None
        assert first.error.code == "never_told"
        assert "can't be asked by our id" in first.error.message
        assert second.status is Status.SUCCEEDED
        rows = await line.videos.json("/admin/ledger")
        assert sum(row["external_id"].startswith(bad) for row in rows) == accepted
        [waits] = [each for each in first.transitions if "until the vendors are clear" in each.note]
        assert first.finished_at is not None
        assert (first.finished_at - waits.at).total_seconds() >= DRAIN_SECONDS
        following = await line.images.row(f"{good}.image.1")
        assert following["accepted_ts"] >= first.finished_at.timestamp()


async def test_what_was_refused_is_sent_again(client: Client, tmp_path: Path) -> None:
    """Nobody doubts that it was not taken."""
    async with relayed(client, tmp_path) as line:
        await line.videos.arm(rule("submit", "refuse", often={"first": 2}, status=503))
        record = await line.run()
        assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))


async def test_one_that_was_accepted_is_waited_for_by_the_vendors_own_id(
    client: Client, tmp_path: Path
) -> None:
    """Also when its job is cancelled: the slot is free when the vendor says that it has ended."""
    async with relayed(client, tmp_path) as line:
        await line.videos.arm(rule("start", "slow", factor=15))
        job_id = await line.submit()
        await line.noted(job_id, "video accepted")
        await line.job(job_id).cancel()
        record = await line.ended(job_id)
        row = await line.videos.row(f"{job_id}.video.1")
        assert record.status is Status.CANCELLED
        assert record.finished_at is not None
        assert record.finished_at.timestamp() >= row["finished_ts"]
        assert set(record.assets) == {"image", "video"}
        assert float(record.units[f"{job_id}.video.1"]) > 0
