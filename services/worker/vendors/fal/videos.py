"""fal's queue as a video vendor: it knows no id of ours, so that a submit is never repeated."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
from pydantic import ValidationError

from services.worker.settings.fal import FalSettings
from services.worker.settings.video_api import extra_of
from services.worker.vendors.answers import ask
from services.worker.vendors.failures import json_object, member, said
from services.worker.vendors.fal import checks
from services.worker.vendors.fal.answers import answered, end_of, refusal
from services.worker.vendors.fal.requests import app_of, below, check_request, kept
from services.worker.vendors.findings import Finding
from services.worker.vendors.vendor import Bounds, Picture, State, Traits, VendorStatus
from shared.errors import OutcomeUnknown, VendorError
from shared.redact import redacted

# As documented for the models of Kling, than which few take less.
BOUNDS = Bounds(max_bytes=10 * 1000 * 1000, min_side=300, max_ratio=2.5, kinds=("JPEG", "PNG"))
RESULT_HOSTS = ("*.fal.media",)
# Whatever else is said means that it is being worked on.
STATES: Mapping[str, State] = {"IN_QUEUE": "queued", "COMPLETED": "succeeded"}
# What a request that has ended answers, and one that is not there: there is nothing to stop.
NOTHING_TO_CANCEL = (httpx.codes.BAD_REQUEST, httpx.codes.NOT_FOUND)


class FalVideos:
    """Image to video by the model that the settings name."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        settings: FalSettings,
        *,
        pushes: bool,
        known: Iterable[Finding] = (),
    ) -> None:
        """`known`: what can be told of it without asking it."""
        self._http = http
        self._model = settings.fal_model
        self._image_input = settings.fal_image_input
        self._fixed = extra_of(settings.fal_input)
        self._key = settings.fal_key.get_secret_value() if settings.fal_key else ""
        self._known = tuple(known)
        self.traits = Traits(looked_up=False, pushes=pushes, result_hosts=RESULT_HOSTS)

    async def submit(
        self, external_id: str, token: int, *, prompt: str, picture: Picture, callback_url: str
    ) -> str:
        """Where the new request is found; our id goes along in the address to call back at."""
        image = _as_address((await picture.fitted(BOUNDS)).data)
        response = await self._call(
            "POST",
            self._model,
            params={"fal_webhook": callback_url} if self.traits.pushes else {},
            json={**self._fixed, "prompt": prompt, self._image_input: image},
            headers={"X-Slot-Token": str(token)},
            picture_bytes=len(image),
        )
        return kept(answered(response), self._http.base_url, self._model)

    async def status(self, task_id: str) -> VendorStatus | None:
        """A request by its own address alone; None where the queue doesn't know it.

        One that is completed may have failed, which its response tells.
        """
        response = await self._call("GET", f"{task_id}/status")
        if response.status_code == httpx.codes.NOT_FOUND and json_object(response) is not None:
            return None
        told = answered(response)
        check_request(task_id, told.get("request_id"))
        state = STATES.get(said(told.get("status")), "running")
        if state == "succeeded":
            return await self._end(task_id, told)
        try:
            return VendorStatus(
                vendor_id=task_id, state=state, position=member(told, "queue_position")
            )
        except ValidationError:
            raise OutcomeUnknown("The vendor's status answer does not fit.") from None

    async def address(self, status: VendorStatus) -> str | None:
        """Where the video can be fetched; None while the vendor doesn't say."""
        return status.url

    async def cancel(self, vendor_id: str) -> None:
        """Ask the queue to drop it, or the model to stop; one that has ended stays as it is."""
        response = await self._call("PUT", f"{vendor_id}/cancel")
        if not response.is_success and response.status_code not in NOTHING_TO_CANCEL:
            raise refusal(response)

    def credentials(self) -> Mapping[str, str]:
        """None are needed."""
        return {}

    async def examined(self) -> list[Finding]:
        """Whether the key is taken; the queue tells neither what is left nor what a model takes."""
        return [await checks.key(self.status, app_of(self._model), self._at), *self._known]

    def offer(self) -> str:
        """The model; what that costs is on its page at fal."""
        return f"fal at {self._at}: {self._model}; what that costs is not known here"

    @property
    def _at(self) -> str:
        return redacted(str(self._http.base_url).rstrip("/"))

    async def _end(self, task_id: str, told: dict[str, Any]) -> VendorStatus:
        error = said(told.get("error") or "")
        path = below(self._http.base_url, told.get("response_url")) or task_id
        check_request(task_id, *path.split("/"))
        try:
            return end_of(task_id, await self._call("GET", path), error=error)
        except VendorError:
            if not error:
                raise
            return VendorStatus(vendor_id=task_id, state="failed", message=redacted(error))

    async def _call(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> httpx.Response:
        shown = {**(headers or {}), "Authorization": f"Key {self._key}"}
        return await ask(self._http, method, path, headers=shown, **kwargs)


def _as_address(picture: bytes) -> str:
    """Our file, which is a PNG or a JPEG, in place of an address."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"
