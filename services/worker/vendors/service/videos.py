"""The Kling proxy: submit and status; Kling documents no cancel."""

from typing import ClassVar

from services.worker.vendors.service.client import ServiceClient
from services.worker.vendors.vendor import Picture, State, Traits

DURATION = "5"


class VideoService(ServiceClient):
    """`/video/…` of the contract; the words of the states are Kling's."""

    states: ClassVar[dict[str, State]] = {
        "submitted": "queued",
        "succeed": "succeeded",
        "failed": "failed",
    }
    root = "/video"
    name = "video service"
    setting = "KLING_URL"
    traits: ClassVar = Traits(pushes=True)

    async def submit(
        self, external_id: str, token: int, *, prompt: str, picture: Picture, callback_url: str
    ) -> str:
        """The vendor's id of the task."""
        body = {
            "image_url": await picture.address(),
            "prompt": prompt,
            "duration": DURATION,
            "callback_url": callback_url,
            "external_task_id": external_id,
        }
        return await self.submit_as(external_id, token, body)
