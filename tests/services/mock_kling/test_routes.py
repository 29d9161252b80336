"""The contract's video wire and its callbacks over real HTTP."""

import io

import av
import pytest
from PIL import Image, ImageChops

from tests.services.mock_core.serving import Receiver, Service, kling, running
from tests.services.mock_kling.client import TASK, end, submit


@pytest.mark.parametrize("seconds", [5, 10])
async def test_submit_becomes_a_video_of_that_picture(video_mock: Service, seconds: int) -> None:
    reply = await submit(video_mock, duration=str(seconds), external_task_id="mine/1")
    assert reply.status_code == 202
    body = await end(video_mock, "mine%2F1")
    assert body["job_id"] == reply.json()["job_id"]
    assert (body["status"], body["percent"]) == ("succeed", 100)
    file = await video_mock.http.get(body["video_url"])
    assert file.headers["content-type"] == "video/mp4"
    frame = _first_frame(file.content, seconds)
    source = (await video_mock.http.get(video_mock.picture_url)).content
    picture = Image.open(io.BytesIO(source)).convert("RGB")
    assert frame.size == picture.size
    difference = ImageChops.difference(frame, picture).resize((1, 1), Image.Resampling.BOX)
    assert max(difference.getpixel((0, 0))) < 12  # type: ignore[arg-type]


def _first_frame(video: bytes, seconds: int) -> Image.Image:
    with av.open(io.BytesIO(video), "r") as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.duration is not None
        assert stream.time_base is not None
        assert float(stream.duration * stream.time_base) == pytest.approx(seconds, abs=0.2)
        image = next(container.decode(video=0)).to_image()  # type: ignore[no-untyped-call]
        assert isinstance(image, Image.Image)
        return image


async def test_every_change_is_called_back(video_mock: Service, receiver: Receiver) -> None:
    task_id = (await submit(video_mock, receiver)).json()["job_id"]
    await receiver.count(2)
    assert receiver.words == ["processing", "succeed"]
    last = receiver.bodies[-1]
    assert (last["task_id"], last["task_info"]) == (task_id, {"external_task_id": TASK})
    assert last["updated_at"] >= last["created_at"] > 10**12
    (video,) = last["task_result"]["videos"]
    assert video["url"] == (await end(video_mock))["video_url"]
    assert receiver.paths[-1] == "/callback/kling?task=a&token=secret"
    await video_mock.quiet()
    calls = (await video_mock.row(TASK))["callbacks"]
    assert [call["reply"] for call in calls] == [200, 200]


async def test_unreachable_picture_fails_the_task(video_mock: Service, receiver: Receiver) -> None:
    await submit(video_mock, image_url="http://127.0.0.1:9/none.png", callback_url=receiver.url)
    body = await end(video_mock)
    assert body["status"] == "failed"
    assert "image download failed" in body["message"]
    await receiver.count(2)
    assert receiver.words == ["processing", "failed"]
    assert receiver.bodies[-1]["task_result"] == {"videos": []}
    row = await video_mock.row(TASK)
    assert (row["outcome"], row["charged"]) == ("failed", False)
    page = f"{video_mock.http.base_url}/healthz"
    await submit(video_mock, image_url=page, external_task_id="page.1")
    ended = await end(video_mock, "page.1")
    assert ended["message"] == "image is not a valid png or jpg"


async def test_duplicate_is_rejected_or_run_again(
    picture_url: str,
) -> None:
    for manner, status, accepted in (("reject", 400, 1), ("accept", 202, 2)):
        async with running(kling()) as service:
            await service.configure(duplicates=manner)
            _, second = [await submit(service, image_url=picture_url) for _ in range(2)]
            assert second.status_code == status
            stats = await service.json("/admin/stats")
            assert (stats["accepted"], stats["duplicates"]) == (accepted, accepted - 1)


async def test_reset_clears_everything_but_the_configuration(video_mock: Service) -> None:
    await video_mock.configure(speed=2000)
    await video_mock.arm({"where": "poll", "do": "delay"})
    await submit(video_mock)
    await video_mock.post("/admin/reset", None)
    stats = await video_mock.json("/admin/stats")
    assert (stats["accepted"], stats["in_flight"], stats["speed"]) == (0, 0, 2000)
    assert await video_mock.json("/admin/ledger") == []
    assert len((await video_mock.json("/admin/faults"))["rules"]) == 1
