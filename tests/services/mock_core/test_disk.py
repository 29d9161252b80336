"""A ledger on disk: a mock that is started again knows what it had taken."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from tests.services.mock_core.serving import Json, comfyui, kling, receiving, running

STUCK = {"rules": [{"where": "start", "do": "stick", "match": {"prompt": "stuck"}}]}


def image(prompt: str, client_id: str) -> Json:
    return {"prompt": prompt, "style": "ink", "client_id": client_id}


@pytest.fixture
def on_disk(tmp_path: Path) -> Json:
    return {"mock_ledger": "disk", "data_dir": tmp_path}


async def test_ended_generation_is_restored_with_its_file(on_disk: Json) -> None:
    async with running(comfyui(**on_disk)) as mock:
        reply = await mock.post("/img/submit", image("a cat", "job-a.image.1"))
        await mock.quiet()
        before = await mock.row("job-a.image.1")
        url = (await mock.json(f"/img/result/{reply.json()['job_id']}"))["asset_url"]
        picture = (await mock.http.get(url)).content
        assert before["sha256"] == sha256(picture).hexdigest()

    async with running(comfyui(**on_disk)) as mock:
        assert await mock.row("job-a.image.1") == before
        path = url[url.index("/img/files") :]
        assert (await mock.http.get(path)).content == picture
        assert (await mock.json("/admin/stats"))["charged"] == 1
        assert (await mock.json("/img/status/job-a.image.1"))["status"] == "succeeded"


async def test_interrupted_generation_has_failed_and_costs_nothing(on_disk: Json) -> None:
    async with running(comfyui(**on_disk)) as mock:
        await mock.http.put("/admin/faults", json=STUCK)
        await mock.post("/img/submit", image("stuck", "job-a.image.1"))
        await mock.until("/img/status/job-a.image.1", lambda it: it["status"] == "running")

    async with running(comfyui(**on_disk)) as mock:
        row = await mock.row("job-a.image.1")
        assert (row["outcome"], row["charged"]) == ("failed", False)
        assert (await mock.json("/admin/stats"))["in_flight"] == 0

    async with running(comfyui(**on_disk)) as mock:
        assert await mock.row("job-a.image.1") == row


async def test_paid_video_is_not_made_again(on_disk: Json, picture_url: str) -> None:
    async with receiving() as receiver:
        task = {
            "image_url": picture_url,
            "prompt": "a cat",
            "external_task_id": "job-a.video.1",
            "callback_url": receiver.url,
        }
        async with running(kling(**on_disk)) as mock:
            await mock.post("/video/submit", task)
            await mock.quiet()
            before = await mock.row("job-a.video.1")
            picture = (await mock.http.get(picture_url)).content
            assert before["source_sha256"] == sha256(picture).hexdigest()

        async with running(kling(**on_disk)) as mock:
            assert (await mock.post("/video/submit", task)).status_code == 400
            assert await mock.row("job-a.video.1") == before
            assert [each["reply"] for each in before["callbacks"]] == [200, 200]


async def test_torn_line_is_left_out(on_disk: Json) -> None:
    async with running(comfyui(**on_disk)) as mock:
        await mock.post("/img/submit", image("a cat", "job-a.image.1"))
        await mock.quiet()
    ledger = on_disk["data_dir"] / "mocks" / "image" / "ledger.jsonl"
    with ledger.open("a") as out:
        out.write(json.dumps({"id": "torn"})[:-3])

    async with running(comfyui(**on_disk)) as mock:
        assert len(await mock.json("/admin/ledger")) == 1


async def test_reset_clears_the_file(on_disk: Json) -> None:
    async with running(comfyui(**on_disk)) as mock:
        await mock.post("/img/submit", image("a cat", "job-a.image.1"))
        await mock.quiet()
        await mock.http.post("/admin/reset")

    async with running(comfyui(**on_disk)) as mock:
        assert await mock.json("/admin/ledger") == []


async def test_without_the_setting_nothing_is_written(tmp_path: Path) -> None:
    async with running(comfyui(data_dir=tmp_path)) as mock:
        await mock.post("/img/submit", image("a cat", "job-a.image.1"))
        await mock.quiet()

    assert not (tmp_path / "mocks").exists()
