"""Jobs over the vendors' own wires, a ComfyUI's and Kling's: what only happens there."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from services.api.app import create_app
from services.api.settings import ApiSettings
from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.states import Status
from shared.pipeline import heartbeat
from tests.services.mock_core.serving import Json, Service, served
from tests.services.worker.graphs.examples import WITHOUT_MODELS, example
from tests.workflow.pipeline import LONG, Pipeline, begun, once, pipeline, up_to, why, working
from tests.workflow.scenarios import rule
from tests.workflow.wires import COMFYUI, KLING, SIGNED

KEY = "a-key-of-some-length"


@pytest.fixture
def vendor_api() -> Json:
    return COMFYUI


async def make(service: Service, **native: Any) -> None:
    """Have the server behind the native wire be another one."""
    reply = await service.http.put("/admin/config", json={"native": native})
    assert reply.status_code == 200, reply.text


async def called(service: Service, path: str) -> list[Json]:
    rows: list[Json] = await service.json(f"/admin/journal?limit=1000&path={path}")
    return rows


# A ComfyUI


async def test_image_is_paid_once_whatever_the_socket_sends(
    line: Pipeline,
) -> None:
    await make(line.images, sockets="stolen")
    record = await line.run("猫" * 2500)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
    [row] = await line.ledger("image")
    assert row["external_id"] == f"{record.job_id}.image.1"
    assert (row["charged"], row["outcome"], row["token"]) == (True, "succeeded", record.token)
    assert (await line.images.json("/admin/verdict"))["ok"]


async def test_place_in_the_servers_queue_is_in_the_record(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server runs one at a time, also for others than us."""
    monkeypatch.setattr(heartbeat, "REPORT_SECONDS", 0.01)
    await line.images.arm({**LONG, "match": {"prompt": "of others"}})
    for number in range(3):
        graph = example(WITHOUT_MODELS)
        graph["3"]["inputs"]["string"], graph["1"]["inputs"]["color"] = "of others", number
        assert (await line.images.post("/prompt", {"prompt": graph})).status_code == 200
    job_id = await line.submit()
    record = await line.noted(job_id, "2 before it at the vendor")
    assert record.vendor_position == 2
    await line.images.hurry()
    record = await line.ended(job_id)
    assert (record.status, record.vendor_position) == (Status.SUCCEEDED, None)


async def test_guarded_picture_of_another_format_is_stored_as_png(
    client: Client, tmp_path: Path
) -> None:
    """The video vendor, which could not fetch it there, is sent our file, a kind that it takes."""
    headers: Json = {"comfyui_headers": f"X-API-Key: {KEY}"}
    async with working(client, tmp_path, **COMFYUI, **KLING, **headers) as line:
        await make(line.images, key=KEY, format="jpeg")
        record = await line.run()
    assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
    assert record.assets["image"].media_type == "image/png"
    folder = tmp_path / "assets" / record.job_id
    stored = {f"{each.name}.{each.file.suffix}" for each in GENVIDEO.stages}
    assert {path.name for path in folder.iterdir()} == stored


@contextlib.asynccontextmanager
async def served_by_the_api(client: Client, data_dir: Path, api: bool) -> AsyncIterator[Pipeline]:
    async with served(create_app(ApiSettings(data_dir=data_dir), client)) as base:
        ours = base if api else "http://127.0.0.1:9"
        async with working(client, data_dir, **COMFYUI, api_public_url=ours) as line:
            yield line


@pytest.mark.parametrize(("trouble", "api"), [("a webp", True), ("a webp", False), ("gone", False)])
async def test_unavailable_picture_is_fetched_from_us_or_the_video_not_ordered(
    client: Client, tmp_path: Path, trouble: str, api: bool
) -> None:
    """No attempt is spent on it; the video service takes PNG and JPEG."""
    async with served_by_the_api(client, tmp_path, api) as line:
        if trouble == "a webp":
            await make(line.images, format="webp")
        else:
            # From the second fetch of the file on.
            await line.images.arm(rule("result", "refuse", status=404, often={"events": "2-99"}))
        record = await line.run()
        rows = await line.ledger("video")
    assert record.attempts == once() if api else up_to("video", 0)
    assert (record.status, len(rows)) == (Status.SUCCEEDED if api else Status.FAILED, int(api))
    if not api:
        assert why(record).code == "refused_for_good"
        says = "gives no PNG or JPEG file" if trouble == "a webp" else "answered 404"
        assert says in why(record).message
        assert "API_PUBLIC_URL" in why(record).message


async def test_out_of_memory_frees_memory_and_retries(line: Pipeline) -> None:
    first = {"often": {"attempts": "1"}, "match": {"external_id": "*.image.*"}}
    await line.images.arm({**rule("start", "out-of-memory"), **first})
    record = await line.run()
    assert (record.status, record.attempts) == (Status.SUCCEEDED, once(image=2))
    assert len(await called(line.images, "/api/free")) == 1


async def test_results_of_a_restarted_server_are_adopted_by_their_file(
    client: Client, tmp_path: Path
) -> None:
    """Neither our worker nor the server remembers anything, and nothing is made a second time."""
    async with (
        pipeline(client, tmp_path, **COMFYUI, **KLING) as line,
        running_semaphore(client, shutdown_seconds=0.1),
    ):
        async with running_worker(line.settings, client):
            await line.images.arm(LONG)
            job_id = await line.submit()
            await begun(line.images, f"{job_id}.image.1")
        await line.images.hurry()
        await begun(line.images, f"{job_id}.image.1", until="finished_ts")
        await line.images.post("/admin/restart", {})
        async with running_worker(line.settings, client):
            record = await line.ended(job_id)
        assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
        assert len(await line.ledger("image")) == 1


# Kling


async def test_charged_units_are_in_the_record_despite_a_clock_two_hours_ahead(
    client: Client, tmp_path: Path
) -> None:
    async with working(client, tmp_path, **SIGNED, kling_mode="pro", kling_duration=10) as line:
        await line.videos.http.put("/admin/config", json={"clock_skew": 7200})
        record = await line.run()
        assert record.status is Status.SUCCEEDED
        assert await line.videos.json("/admin/journal?path=/v1/videos/&status=401")
        task = await line.videos.http.get(
            f"/v1/videos/image2video/{record.tasks[f'{record.job_id}.video.1']}",
            headers={"Authorization": f"Bearer {KLING['kling_api_key']}"},
        )
        charged = task.json()["data"]["final_unit_deduction"]
        assert float(charged) > 0
        assert record.units == {f"{record.job_id}.video.1": charged}
