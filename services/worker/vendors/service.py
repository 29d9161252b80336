"""The small contract, the default API of both services."""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote
from uuid import uuid4

import httpx

from services.worker.vendors.kling.answers import KLING_CODES, STATES
from shared.errors import OutcomeUnknown, RefusedForGood, RefusedForNow, VendorError
from shared.pipeline.answers import (
    as_text,
    ask,
    body_of,
    id_of,
    json_object,
    sort_response,
    status_of,
)
from shared.pipeline.findings import Finding, ok, unasked, warning, wrong
from shared.pipeline.vendor import (
    LOST,
    SourceFile,
    State,
    Traits,
    Vendor,
    VendorStatus,
    check_about,
)
from shared.redact import redacted

DURATION = "5"
# The kinds of pictures that Kling takes, and how their files begin.
PICTURES = {"PNG": b"\x89PNG", "JPEG": b"\xff\xd8\xff"}
# Kling's own codes for what it doesn't know: a route, a value, a method, a resource.
KLINGS = ("1200", "1201", "1202", "1203")


class ServiceClient(Vendor):
    """The common part of both clients: calls, classified failures, duplicates."""

    states: ClassVar[Mapping[str, State]]
    root: ClassVar[str]
    # What it is called in findings, the setting that has its address, and what is most likely meant
    # if another server answers there.
    name: ClassVar[str]
    setting: ClassVar[str]
    native: ClassVar[str]

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def submit_as(self, external_id: str, token: int, body: dict[str, str]) -> str:
        headers = {"X-Slot-Token": str(token)}
        try:
            answer = await self._call("POST", f"{self.root}/submit", json=body, headers=headers)
        except RefusedForGood:
            # A refused duplicate means that our earlier submit arrived.
            known = await self.status(external_id)
            if known is None:
                raise
            return known.vendor_id
        check_about(external_id, (None, answer.get("external_id")))
        return id_of(answer, "job_id")

    async def status(self, task_id: str) -> VendorStatus | None:
        route = f"{self.root}/status/{quote(task_id, safe='')}"
        response = await ask(self._http, "GET", route)
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        body = body_of(response, KLING_CODES)
        return status_of(
            task_id,
            ours=body.get("external_id"),
            vendor_id=body.get("job_id"),
            state=body.get("status"),
            states=self.states,
            percent=body.get("percent"),
            url=body.get("video_url"),
            message=body.get("error") or body.get("message"),
        )

    async def examined(self) -> list[Finding]:
        """Check that a service of the contract answers: an unknown id must give a 404 in JSON."""
        at = f"{redacted(str(self._http.base_url).rstrip('/'))} ({self.setting})"
        route = f"{self.root}/status/doctor-{uuid4().hex}.{self.name.split()[0]}.1"
        try:
            answer = await ask(self._http, "GET", route)
        except OutcomeUnknown as error:
            return [wrong(self.name, f"what answers at {at} can't be understood: {error.message}")]
        except VendorError as error:
            return [unasked(self.name, error, at=at)]
        return [self._judged(answer, at)]

    def _judged(self, answer: httpx.Response, at: str) -> Finding:
        if answer.is_success:
            return wrong(
                self.name,
                f"{at} answers HTTP {answer.status_code} for an id that was never submitted, where"
                " the contract has a 404: a lost request could not be told from a lost reply",
            )
        if answer.status_code == httpx.codes.NOT_FOUND:
            body = json_object(answer)
            if body is not None and as_text(body.get("code")) not in KLINGS:
                return ok(self.name, f"answers at {at}")
            lacks = f"{at} has no {self.root}/status: another server answers"
            return wrong(self.name, f"{lacks}; {self.native}")
        failure = sort_response(answer, KLING_CODES)
        if isinstance(failure, RefusedForNow):
            return warning(self.name, f"{at} is away or full for now: {failure.message}")
        return wrong(self.name, f"{at} refuses the check: {failure.message}; {self.native}")

    def offer(self) -> str:
        """Return no details, because the contract names neither model nor price."""
        return f"the {self.name} at {redacted(str(self._http.base_url).rstrip('/'))}"

    async def _call(self, method: str, path: str, **kwargs: Any) -> dict[str, Any]:
        return body_of(await ask(self._http, method, path, **kwargs), KLING_CODES)


class ImageService(ServiceClient):
    """`/img/…` of the contract, and ComfyUI's cancel."""

    states: ClassVar[Mapping[str, State]] = {
        "queued": "queued",
        "succeeded": "succeeded",
        "failed": "failed",
    }
    root = "/img"
    name = "image service"
    setting = "COMFYUI_URL"
    native = "if it is a ComfyUI itself, set IMAGE_API=comfyui"

    async def submit(self, external_id: str, token: int, *, prompt: str, style: str) -> str:
        body = {"prompt": prompt, "style": style, "client_id": external_id}
        return await self.submit_as(external_id, token, body)

    async def address(self, status: VendorStatus) -> str | None:
        """Raise OutcomeUnknown for the result of another generation."""
        asked = status.vendor_id
        try:
            answer = await self._call("GET", f"{self.root}/result/{quote(asked, safe='')}")
        except RefusedForGood:
            # It was finished a moment ago: the vendor has lost the file, not refused the job.
            return None
        check_about(asked, (answer.get("job_id", asked), None))
        url = answer.get("asset_url")
        return url if isinstance(url, str) and LOST not in url else None

    async def cancel(self, vendor_id: str) -> None:
        """Ask the vendor to stop; a service that doesn't offer it goes on to its end."""
        route = f"/api/jobs/{quote(vendor_id, safe='')}/cancel"
        response = await ask(self._http, "POST", route)
        if response.status_code != httpx.codes.NOT_FOUND:
            body_of(response, KLING_CODES)


class VideoService(ServiceClient):
    """`/video/…` of the contract; the words of the states are Kling's."""

    states = STATES
    root = "/video"
    name = "video service"
    setting = "KLING_URL"
    native = "if it is Kling's own API, set VIDEO_API=kling"
    traits = Traits(pushes=True)

    async def submit(
        self, external_id: str, token: int, *, prompt: str, source: SourceFile, callback_url: str
    ) -> str:
        body = {
            "image_url": await source.address(PICTURES),
            "prompt": prompt,
            "duration": DURATION,
            "callback_url": callback_url,
            "external_task_id": external_id,
        }
        return await self.submit_as(external_id, token, body)

    async def cancel(self, vendor_id: str) -> None:
        """Do nothing, because the contract has no cancel for videos: it goes on to its end."""
