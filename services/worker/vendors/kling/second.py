"""The second generation: the model stands in the address, the picture among the contents."""

from typing import Any

import httpx

from services.worker.settings.kling import KlingSettings
from services.worker.settings.video_api import extra_of
from services.worker.vendors.failures import member
from services.worker.vendors.ids import ANOTHER
from services.worker.vendors.kling.answers import data_of
from services.worker.vendors.kling.tasks import accepted, ids_of, status_of
from services.worker.vendors.kling.wire import Question, Wanted
from services.worker.vendors.vendor import VendorStatus
from shared.errors import OutcomeUnknown
from shared.jobs.ids import parse_external_id

RESOLUTIONS = {"std": "720p", "pro": "1080p", "4k": "4k"}


class SecondGeneration:
    """Tasks are asked for as a list, in which one that isn't known is simply not there."""

    looked_up = True

    def __init__(self, settings: KlingSettings) -> None:
        self.submit_path = f"/image-to-video/{settings.model}"
        self._settings = {
            **extra_of(settings.kling_extra),
            "resolution": RESOLUTIONS[settings.kling_mode],
            "duration": settings.kling_duration,
            "audio": "native" if settings.kling_sound == "on" else "off",
        }

    def body(self, wanted: Wanted) -> dict[str, Any]:
        """The request for a video."""
        told = {"callback_url": wanted.callback_url} if wanted.callback_url else {}
        return {
            "contents": [
                {"type": "prompt", "text": wanted.prompt},
                {"type": "first_frame", "url": wanted.image},
            ],
            "settings": self._settings,
            "options": {"external_task_id": wanted.external_id, **told},
        }

    def vendor_id(self, response: httpx.Response, external_id: str) -> object:
        """Its id, as an accepting answer says it."""
        return accepted(data_of(response), external_id)

    def question(self, task_id: str) -> Question:
        """How one is asked for."""
        name = "task_ids" if parse_external_id(task_id) is None else "external_task_ids"
        return Question("/tasks", {name: task_id})

    def status(self, response: httpx.Response, task_id: str) -> VendorStatus | None:
        """Where it stands; None for an empty list. One of other tasks alone tells nothing."""
        data = data_of(response)
        tasks = data if isinstance(data, list) else member(data, "tasks")
        if not tasks:
            return None
        found = next((each for each in tasks if task_id in ids_of(each)), None)
        if found is None:
            raise OutcomeUnknown(ANOTHER)
        return status_of(found)
