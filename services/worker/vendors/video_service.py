"""The Kling proxy: submit and status; Kling documents no cancel."""

from typing import ClassVar

from services.worker.vendors.client import State, VendorClient

DURATION = "5"


class VideoService(VendorClient):
    """`/video/…` of the contract; the words of the states are Kling's."""

    states: ClassVar[dict[str, State]] = {
        "submitted": "queued",
        "succeed": "succeeded",
        "failed": "failed",
    }
    root = "/video"

    async def submit(
        self, external_id: str, token: int, *, prompt: str, image_url: str, callback_url: str
    ) -> str:
        """The vendor's id of the task."""
        body = {
            "image_url": image_url,
            "prompt": prompt,
            "duration": DURATION,
            "callback_url": callback_url,
            "external_task_id": external_id,
        }
        return await self.submit_as(external_id, token, body)
