"""The calls that the tests of the video service have in common."""

import asyncio

import httpx

from tests.services.mock_core.serving import Json, Receiver, Service

TASK = "job-1.video.1"


async def submit(
    service: Service, image_url: str, receiver: Receiver | None = None, **changes: object
) -> httpx.Response:
    body: Json = {
        "image_url": image_url,
        "prompt": "猫在跑",
        "duration": "5",
        "external_task_id": TASK,
        **changes,
    }
    if receiver is not None:
        body["callback_url"] = receiver.url
    return await service.post("/video/submit", body)


async def end(service: Service, any_id: str = TASK) -> Json:
    ended = ("succeed", "failed")
    return dict(await service.until(f"/video/status/{any_id}", lambda it: it["status"] in ended))


async def finish(service: Service, image_url: str, receiver: Receiver) -> None:
    """Submit, and wait until nothing runs and no callback is on its way; no status call."""
    assert (await submit(service, image_url, receiver)).status_code == 202
    await service.quiet()


async def settle() -> None:
    """Let what is due now happen."""
    for _ in range(5):
        await asyncio.sleep(0)
