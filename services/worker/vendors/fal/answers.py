"""What fal answers: a request that it refuses, and the end of one that it took."""

from collections.abc import Iterator
from typing import Any

import httpx

from services.worker.vendors.failures import json_object, member, said, sort_response
from services.worker.vendors.vendor import VendorStatus
from shared.errors import OutcomeUnknown, RefusedForGood, VendorError
from shared.redact import redacted

# What to look at, where the message alone doesn't say.
HINTS = {
    401: "look at FAL_KEY",
    402: "look at the account's balance",
    403: "look at the account's balance, and at what FAL_KEY may do",
    404: "look at FAL_MODEL",
}
NO_VIDEO = "the answer has no video: look at FAL_MODEL"


def answered(response: httpx.Response) -> dict[str, Any]:
    """The body of a success; a VendorError of its kind for everything else."""
    body = json_object(response)
    if not response.is_success or body is None:
        raise refusal(response)
    return body


def refusal(response: httpx.Response) -> VendorError:
    """An answer that isn't a success."""
    body = json_object(response)
    if body is None and (response.status_code < 400 or response.is_client_error):
        if response.is_success and not response.content.lstrip().startswith(b"<"):
            return OutcomeUnknown("The vendor's answer is not a JSON object.")
        return RefusedForGood(
            f"HTTP {response.status_code}, and no answer of fal's: KLING_URL names another host"
            " (fal's queue is https://queue.fal.run)"
        )
    error = sort_response(response)
    hint = HINTS.get(response.status_code)
    message = f"{error.message}; {hint}" if hint else error.message
    return type(error)(message, retry_after=error.retry_after)


def end_of(vendor_id: str, response: httpx.Response, *, error: str) -> VendorStatus:
    """How a completed request ended; `error` is what its status said of that, if anything.

    A model tells its mistakes as a list, and the queue its own with a type. Whatever else is no
    success is a refusal to tell, of which another answer may be had. A success without a video is
    that of a model which makes none, and would be the same again.
    """
    body = json_object(response)
    if response.is_success and body is not None:
        if url := _video(body):
            return VendorStatus(vendor_id=vendor_id, state="succeeded", url=url)
        if not error:
            return VendorStatus(vendor_id=vendor_id, state="failed", message=NO_VIDEO, final=True)
    detail = (body or {}).get("detail")
    mistakes = detail if isinstance(detail, list) else []
    if not (error or mistakes or "error_type" in (body or {})):
        raise refusal(response)
    reason = "; ".join(_told(mistakes)) or said(detail or error)
    return VendorStatus(
        vendor_id=vendor_id,
        state="failed",
        message=redacted(reason),
        final=response.status_code == httpx.codes.UNPROCESSABLE_ENTITY and _of_inputs(mistakes),
    )


def _video(body: dict[str, Any]) -> str | None:
    """Where it is: most models have one, a few a list of them."""
    several = body.get("videos")
    first = several[0] if isinstance(several, list) and several else None
    url = member(body.get("video") or first, "url")
    return url if isinstance(url, str) and url else None


def _told(mistakes: list[Any]) -> Iterator[str]:
    for each in mistakes:
        where, what = _where(each), said(member(each, "msg") or member(each, "type") or each)
        yield f"{where}: {what}" if where else what


def _where(mistake: Any) -> str:
    """Which input it is about; nothing where it is about none."""
    path = member(mistake, "loc")
    return ".".join(map(said, path[1:])) if isinstance(path, list) else ""


def _of_inputs(mistakes: list[Any]) -> bool:
    """Whether all that is wrong are inputs, which would be the same for another generation."""
    return bool(mistakes) and all(map(_where, mistakes))
