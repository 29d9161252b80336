"""Kling's client before a stub, under settings of the test's own."""

from typing import Any

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.kling.videos import KlingVideos
from shared.pipeline.vendor import SourceFile, VendorStatus
from tests.services.worker.vendors.stub import (
    OURS,
    Answer,
    StubVendor,
    reply,
    submit_usual,
    usual_settings,
)

PATH = "/v1/videos/image2video"
SUBMIT, LOOK = f"POST {PATH}", f"GET {PATH}/{OURS}"
TASK = {"task_id": "831", "task_status": "submitted", "created_at": 1, "updated_at": 1}
OTHER = "job-ffffffffffffffffffffffff.video.1"
CALLBACK = "https://us.example/callback/kling?token=t"


def settings_of(**changes: Any) -> WorkerSettings:
    """As the environment would have it: with a key that is sent as it is."""
    given = {
        "video_service_url": "https://api-singapore.klingai.com",
        "video_api": "kling",
        "kling_api_key": "the-key",
    }
    if "kling_access_key" in changes:
        del given["kling_api_key"]
    return usual_settings(**(given | changes))


async def submit(vendor: StubVendor, picture: SourceFile | None = None, **changes: Any) -> str:
    videos = KlingVideos(vendor.client(), settings_of(**changes))
    return await submit_usual(videos, picture, callback_url=CALLBACK)


async def status(vendor: StubVendor, task_id: str = OURS, **changes: Any) -> VendorStatus | None:
    return await KlingVideos(vendor.client(), settings_of(**changes)).status(task_id)


def succeeded(**data: Any) -> Answer:
    return reply(code=0, message="SUCCEED", request_id="r-1", data={**TASK, **data})


def refused(code: int, status: int = 400, message: str = "no") -> Answer:
    return reply(status, code=code, message=message, request_id="r-1")
