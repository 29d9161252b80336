"""Settings of the worker: its vendors, and the limits of its stages."""

from typing import ClassVar

from pydantic import field_validator

from services.worker.settings.vendors import ComfyuiWireSettings, KlingSettings
from shared.jobs.genvideo import GENVIDEO, IMAGE, VIDEO
from shared.pipeline.definition import Definition
from shared.pipeline.settings import PipelineWorkerSettings, Url
from shared.settings.common import Seconds


class WorkerSettings(ComfyuiWireSettings, KlingSettings, PipelineWorkerSettings):
    """Read from the environment; times are in seconds."""

    pipeline: ClassVar[Definition] = GENVIDEO

    image_service_url: Url = "http://127.0.0.1:6889"
    video_service_url: Url = "http://127.0.0.1:16882"

    image_attempt_seconds: Seconds = IMAGE.deadline
    video_attempt_seconds: Seconds = VIDEO.deadline
    image_give_up_seconds: Seconds = IMAGE.give_up
    video_give_up_seconds: Seconds = VIDEO.give_up
    image_lost_seconds: Seconds = IMAGE.lost
    video_lost_seconds: Seconds = VIDEO.lost
    video_poll_seconds: Seconds = VIDEO.poll

    @field_validator("image_service_url")
    @classmethod
    def _takes_routes(cls, value: str) -> str:
        if "?" in value or "#" in value:
            raise ValueError("no query and no fragment, because routes are appended to it")
        return value

    def vendor_addresses(self) -> dict[str, str]:
        return {IMAGE.vendor: self.image_service_url, VIDEO.vendor: self.video_service_url}
