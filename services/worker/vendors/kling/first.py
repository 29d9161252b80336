"""The first generation: `/v1/videos/image2video`."""

from typing import Any
from urllib.parse import quote

import httpx

from services.worker.settings.kling import KlingSettings
from services.worker.settings.video_api import extra_of
from services.worker.vendors.ids import check_about
from services.worker.vendors.kling.answers import NO_SUCH_RESOURCE, code_of, data_of
from services.worker.vendors.kling.tasks import accepted, ids_of, status_of
from services.worker.vendors.kling.wire import Question, Wanted
from services.worker.vendors.vendor import VendorStatus
from shared.redact import redacted

PATH = "/v1/videos/image2video"


class FirstGeneration:
    """A task is known by the vendor's id or by ours, in the same place of the address."""

    looked_up = True
    submit_path = PATH

    def __init__(self, settings: KlingSettings) -> None:
        self._fixed = {
            **extra_of(settings.kling_extra),
            "model_name": settings.model,
            "mode": settings.kling_mode,
            "duration": str(settings.kling_duration),
        }
        # A model that knows no sound need not hear of it.
        if settings.kling_sound == "on":
            self._fixed["sound"] = "on"

    def body(self, wanted: Wanted) -> dict[str, Any]:
        """The request for a video."""
        told = {"callback_url": wanted.callback_url} if wanted.callback_url else {}
        return {
            **self._fixed,
            "image": wanted.image,
            "prompt": wanted.prompt,
            "external_task_id": wanted.external_id,
            **told,
        }

    def vendor_id(self, response: httpx.Response, external_id: str) -> object:
        """Its id, as an accepting answer says it."""
        return accepted(data_of(response), external_id)

    def question(self, task_id: str) -> Question:
        """How one is asked for."""
        return Question(f"{PATH}/{quote(task_id, safe='')}", {})

    def status(self, response: httpx.Response, task_id: str) -> VendorStatus | None:
        """Where it stands."""
        if is_unknown(response):
            return None
        task = data_of(response)
        check_about(task_id, ids_of(task))
        return status_of(task)


def is_unknown(response: httpx.Response) -> bool:
    """Whether the vendor says that there is no such task; a bad parameter may be meant so, too."""
    code = code_of(response)
    message = redacted(response.text).lower() if response.status_code < 500 else ""
    return code == NO_SUCH_RESOURCE or (code in (1200, 1201) and "not found" in message)
