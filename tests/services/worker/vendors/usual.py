"""The usual video, and what every video vendor's client needs of the settings."""

from typing import Any

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.vendor import Picture, VideoVendor
from tests.services.worker.vendors.stub import picture_at

OURS = "job-0123456789abcdef01234567.video.1"


def usual_settings(**of_vendor: Any) -> WorkerSettings:
    """As the environment would have it."""
    return WorkerSettings.model_validate(
        {
            "callback_secret": "0123456789abcdef0123456789abcdef",
            "callback_url": "https://us.example",
            **of_vendor,
        }
    )


async def submit_usual(
    videos: VideoVendor, picture: Picture | None = None, *, callback_url: str
) -> str:
    """A submit of the usual video."""
    return await videos.submit(
        OURS,
        7,
        prompt="猫",
        picture=picture or picture_at("https://images.example/1.png"),
        callback_url=callback_url,
    )
