"""fal's client before a stub, under settings of the test's own."""

from typing import Any

from services.worker.settings.fal import DEFAULT_MODEL
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.fal.chosen import fal_videos
from services.worker.vendors.vendor import Picture, VendorStatus
from tests.services.worker.vendors.stub import Answer, StubVendor, reply
from tests.services.worker.vendors.usual import OURS, submit_usual, usual_settings

ID = "764cabcf-b745-4b3e-ae38-1200304cf45b"
KEPT = f"fal-ai/kling-video/requests/{ID}"
SUBMIT = f"POST /{DEFAULT_MODEL}"
STATUS, RESPONSE, CANCEL = f"GET /{KEPT}/status", f"GET /{KEPT}", f"PUT /{KEPT}/cancel"
AT = f"http://vendor/{KEPT}"
CALLBACK = f"https://us.example/callback/kling?task={OURS}&token=t"


def settings_of(**changes: Any) -> WorkerSettings:
    """As the environment would have it."""
    given = {
        "video_service_url": "https://queue.fal.run",
        "video_api": "fal",
        "fal_key": "the-key",
    }
    return usual_settings(**(given | changes))


async def submit(vendor: StubVendor, picture: Picture | None = None, **changes: Any) -> str:
    """A submit of the usual video."""
    async with vendor.client() as http:
        videos = fal_videos(http, settings_of(**changes))
        return await submit_usual(videos, picture, callback_url=CALLBACK)


async def status(vendor: StubVendor, task_id: str = KEPT, **changes: Any) -> VendorStatus | None:
    """What is heard of a video."""
    async with vendor.client() as http:
        return await fal_videos(http, settings_of(**changes)).status(task_id)


async def cancel(vendor: StubVendor) -> None:
    """A video is asked to stop."""
    async with vendor.client() as http:
        await fal_videos(http, settings_of()).cancel(KEPT)


def queued(**changes: Any) -> Answer:
    """The answer to a submit that is taken."""
    body = {
        "status": "IN_QUEUE",
        "request_id": ID,
        "response_url": AT,
        "status_url": f"{AT}/status",
        "cancel_url": f"{AT}/cancel",
        "queue_position": 0,
    }
    return reply(200, **(body | changes))
