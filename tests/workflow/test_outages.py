"""A vendor that is out altogether: its jobs wait, say so once, and go on by themselves."""

from pathlib import Path

import pytest
from temporalio.client import Client

from services.worker.acting import heartbeat, polling
from shared.jobs.messages import Attempts, Record
from shared.jobs.states import Status, Step
from tests.services.mock_core.serving import Json
from tests.workflow.pipeline import Pipeline, working
from tests.workflow.scenarios import rule
from tests.workflow.wires import KLING, over_both_video_apis

LOST = rule("callback", "lose")


@pytest.fixture(autouse=True)
def _soon_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "WAITING_TRIES", 3)
    monkeypatch.setattr(polling, "WAITING_SECONDS", 0.3)


def out(where: str, times: int) -> Json:
    """So many requests are turned away at the door."""
    return rule(where, "refuse", often={"first": times}, status=503, retry_after=0)


def waits(record: Record) -> list[str]:
    return [each.note for each in record.transitions if each.note.startswith("waiting for the ")]


@pytest.mark.parametrize(
    ("step", "vendor_api"),
    [*((step, {}) for step in Step), (Step.VIDEO, KLING)],
    ids=[*Step, "video over Kling's API"],
)
async def test_at_the_submit(line: Pipeline, step: Step) -> None:
    service = line.images if step is Step.IMAGE else line.videos
    await service.arm(out("submit", 5))
    record = await line.run()
    assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
    [note] = waits(record)
    assert note.startswith(f"waiting for the {step} service: HTTP 503")


@over_both_video_apis
async def test_for_longer_than_an_attempt_may_take(
    client: Client, tmp_path: Path, vendor_api: Json
) -> None:
    """The generation was accepted before; nothing says that it is late, so none is paid anew."""
    limits: Json = {"video_attempt_seconds": 0.5, "video_poll_seconds": 0.1}
    async with working(client, tmp_path, **limits, **vendor_api) as line:
        await line.videos.arm(LOST, out("poll", 20))
        record = await line.run()
        assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
        assert len(waits(record)) == 1
        assert len(await line.videos.json("/admin/ledger")) == 1
