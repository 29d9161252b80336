"""fal's queue as a video vendor (documented, never captured).

A vendor of your own is a class like FalVideos, which the worker builds with an HTTP client for
KLING_URL and its settings. It raises a VendorError for every failure: the class of the error
decides whether the worker asks again, fails the stage, or looks the request up.
"""

import base64
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.worker.results.checker import Bounds
from services.worker.settings.worker import WorkerSettings
from shared.errors import OutcomeUnknown, RefusedForGood, VendorError
from shared.pipeline.answers import as_text, ask, id_of, json_object, member, sort_response
from shared.pipeline.findings import Finding, ok, unasked
from shared.pipeline.vendor import ANOTHER, SourceFile, State, Traits, Vendor, VendorStatus
from shared.redact import redacted

BOUNDS = Bounds(max_bytes=10 * 1000 * 1000, min_side=300, max_ratio=2.5, kinds=("JPEG", "PNG"))
# Any other word means that the request is at work.
STATES: Mapping[str, State] = {"IN_QUEUE": "queued", "COMPLETED": "succeeded"}
HINTS = {
    401: "look at the key",
    402: "look at the account's balance",
    403: "look at the account's balance, and at what the key may do",
    404: "look at the model",
}


class FalOptions(BaseModel):
    """What VIDEO_API_OPTIONS has; `inputs` are the model's other inputs, such as `duration`."""

    model_config = ConfigDict(extra="forbid")

    key: str
    model: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+(/[\w.-]+)*$")] = (
        "fal-ai/kling-video/v2.1/standard/image-to-video"
    )
    image_input: str = "image_url"
    inputs: dict[str, Any] = {}


class FalVideos(Vendor):
    """Image to video; fal does not know our ids, so the worker never repeats a submit."""

    # No callbacks: fal's have a form of their own, and polling finds every end.
    traits = Traits(looked_up=False, pushes=False, result_hosts=("*.fal.media",))

    def __init__(self, http: httpx.AsyncClient, settings: WorkerSettings) -> None:
        self._http = http
        self._options = FalOptions.model_validate(settings.own_options)
        # Requests are asked for at the application; the rest of the name is one of its endpoints.
        self._app = "/".join(self._options.model.split("/")[:2])

    async def submit(
        self, external_id: str, token: int, *, prompt: str, source: SourceFile, callback_url: str
    ) -> str:
        """The path of the new request below the queue's address: its id in the job's record."""
        image = await source.fitted(BOUNDS)
        kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
        address = f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
        inputs = {
            **self._options.inputs,
            "prompt": prompt,
            self._options.image_input: address,
        }
        response = await self._call(
            "POST", self._options.model, json=inputs, sent_bytes=len(address)
        )
        request_id = id_of(_body(response), "request_id")
        return f"{self._app}/requests/{quote(request_id, safe='')}"

    async def status(self, task_id: str) -> VendorStatus | None:
        """One request; None if the queue does not know it. A completed one may have failed."""
        response = await self._call("GET", f"{task_id}/status")
        if response.status_code == httpx.codes.NOT_FOUND and json_object(response) is not None:
            return None
        found = _body(response)
        if found.get("request_id", "") not in ("", task_id.rpartition("/")[2]):
            raise OutcomeUnknown(ANOTHER)
        state = STATES.get(as_text(found.get("status")), "running")
        if state == "succeeded":
            return _end(
                task_id, await self._call("GET", task_id), as_text(found.get("error") or "")
            )
        try:
            position = member(found, "queue_position")
            return VendorStatus(vendor_id=task_id, state=state, position=position)
        except ValidationError:
            raise OutcomeUnknown("The vendor's status answer has an unexpected form.") from None

    async def cancel(self, vendor_id: str) -> None:
        """Ask the queue to drop a request, or the model to stop."""
        response = await self._call("PUT", f"{vendor_id}/cancel")
        # 400: the request has ended; 404: it is not there.
        if not response.is_success and response.status_code not in (400, 404):
            raise _refusal(response)

    async def examined(self) -> list[Finding]:
        """Whether the key is taken: only then does fal say that a request is unknown."""
        try:
            await self.status(f"{self._app}/requests/00000000-0000-0000-0000-000000000000")
        except VendorError as error:
            return [unasked("fal key", error, at="KLING_URL")]
        return [ok("fal key", "fal takes it, and does not say what is left")]

    def offer(self) -> str:
        """The model; its price is on its page at fal."""
        return f"fal: {self._options.model}; the price is on its page"

    async def _call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        key = {"Authorization": f"Key {self._options.key}"}
        return await ask(self._http, method, path, headers=key, **kwargs)


def _body(response: httpx.Response) -> dict[str, Any]:
    body = json_object(response)
    if not response.is_success or body is None:
        raise _refusal(response)
    return body


def _refusal(response: httpx.Response) -> VendorError:
    if json_object(response) is None and response.status_code < 500:
        return RefusedForGood(
            f"HTTP {response.status_code}, and no answer of fal's: KLING_URL names another host"
            " (fal's queue is https://queue.fal.run)"
        )
    error = sort_response(response)
    hint = HINTS.get(response.status_code)
    message = f"{error.message}; {hint}" if hint else error.message
    return type(error)(message, retry_after=error.retry_after)


def _end(task_id: str, response: httpx.Response, error: str) -> VendorStatus:
    """How a completed request ended; `error` is what its status said of that.

    A model lists its mistakes in `detail`. Those about inputs, and a model without a video, would
    be the same again, so that they are final. Any other answer that is no success is no end.
    """
    body = json_object(response) or {}
    detail = body.get("detail")
    mistakes = detail if isinstance(detail, list) else []
    if not response.is_success and not (error or mistakes):
        raise _refusal(response)
    if not error and not mistakes:
        url = member(body.get("video"), "url")
        if isinstance(url, str) and url:
            return VendorStatus(vendor_id=task_id, state="succeeded", url=url)
        reason = "the answer has no video: look at the model"
        return VendorStatus(vendor_id=task_id, state="failed", message=reason, final=True)
    inputs = [member(each, "loc") for each in mistakes]
    reasons = (f"{_input(each)}{as_text(member(each, 'msg') or each)}" for each in mistakes)
    return VendorStatus(
        vendor_id=task_id,
        state="failed",
        message=redacted("; ".join(reasons) or error),
        final=bool(inputs) and all(isinstance(loc, list) and len(loc) > 1 for loc in inputs),
    )


def _input(mistake: Any) -> str:
    """`duration: ` for a mistake about that input; empty for one about none."""
    loc = member(mistake, "loc")
    return f"{'.'.join(map(as_text, loc[1:]))}: " if isinstance(loc, list) and loc[1:] else ""
