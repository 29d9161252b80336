"""The dialect of the `new-api` relay: Kling's requests, and answers of its own."""

import re
from collections.abc import Mapping
from typing import Any

import httpx
from pydantic import ValidationError

from services.worker.settings.kling import KlingSettings
from services.worker.vendors.failures import (
    KLING_CODES,
    json_object,
    member,
    parsed,
    said,
    sort_response,
)
from services.worker.vendors.ids import check_about
from services.worker.vendors.kling.answers import refusal
from services.worker.vendors.kling.first import FirstGeneration
from services.worker.vendors.kling.tasks import status_of
from services.worker.vendors.kling.wire import Wanted
from services.worker.vendors.vendor import State, VendorStatus
from shared.errors import OutcomeUnknown, RefusedForGood, RefusedForNow, VendorError
from shared.redact import redacted

# The relay's own codes for whatever Kling has refused: an older version's has one HTTP status for
# all, a newer one's has Kling's, and Kling's answer as its message.
ALIKE = "task_failed"
FAILED = (ALIKE, "fail_to_fetch_task")
# What the relay adds to each message.
_REQUEST = re.compile(r"\s*\(request id:[^)]*\)", re.IGNORECASE)
_CODE = re.compile(r"(?<!\d)(1[0-3]0\d|500\d)(?!\d)")
_FULL = re.compile(
    r"parallel|concurren|too (fast|many|frequent)|rate.?limit|unavailable|busy"
    r"|\b(task|pack|rate)s?\b.*\bover\b.*limit|over .*limit.*\b(task|pack|rate)s?\b",
    re.IGNORECASE,
)
# Limits of one request, which it meets for as long as it is asked.
_NEVER = re.compile(
    r"character|\d\s*MB\b|frame.?rate|\bmodel\b(?!.*temporar).*unavailable", re.IGNORECASE
)
_BROKEN = re.compile(r"time-?out|internal|try again", re.IGNORECASE)
# Its words, beside Kling's.
STATES: Mapping[str, State] = {
    **dict.fromkeys(("not_start", "submitted", "queued"), "queued"),
    **dict.fromkeys(("success", "succeeded", "succeed"), "succeeded"),
    **dict.fromkeys(("failure", "failed"), "failed"),
}


class Relay(FirstGeneration):
    """It keeps no id of ours, so that what it was sent can't be asked for before it has answered,
    and passes on no address to call back at."""

    looked_up = False

    def __init__(self, settings: KlingSettings) -> None:
        super().__init__(settings)
        # Which of the two names is read depends on the relay's version.
        self._fixed["model"] = settings.model

    def body(self, wanted: Wanted) -> dict[str, Any]:
        """The request for a video."""
        return {**super().body(wanted), "metadata": {"external_task_id": wanted.external_id}}

    def vendor_id(self, response: httpx.Response, external_id: str) -> object:
        """Its id, which stands at the top, and in some versions in `data` as well."""
        body = json_object(response)
        if not response.is_success or body is None:
            raise _refusal(response)
        vendor_id = member(body, "task_id") or member(member(body, "data"), "task_id")
        if not vendor_id and member(body, "code") not in (0, "success", None):
            raise _refusal(response)
        return vendor_id or member(body, "id")

    def status(self, response: httpx.Response, task_id: str) -> VendorStatus | None:
        """Where it stands, in the relay's words or, where it passes them on, in Kling's.

        The id in Kling's words is Kling's own, so that it can't be compared with the relay's.
        """
        body = json_object(response)
        if member(body, "code") in ("task_not_exist", "task_not_found"):
            return None
        if not response.is_success or member(body, "code") not in (0, "success"):
            raise _refusal(response)
        task = member(body, "data")
        if member(task, "task_status"):
            return status_of(task).model_copy(update={"vendor_id": task_id})
        check_about(task_id, (member(task, "task_id") or task_id, None))
        return _status(task, task_id)


def _refusal(response: httpx.Response) -> VendorError:
    """By Kling's code where the message has it; else by its words, where no status tells them
    apart."""
    body = json_object(response)
    if body is None or body.get("code") not in FAILED:
        return refusal(response)
    message = _REQUEST.sub("", said(body.get("message") or ""))
    found = _CODE.search(message)
    if found:
        kind = KLING_CODES.get(int(found[1]), RefusedForGood)
    elif body["code"] == ALIKE:
        kind = _by_words(message)
    else:
        kind = type(sort_response(response))
    return kind(redacted(f"HTTP {response.status_code}, code {body['code']}: {message}"))


def _by_words(message: str) -> type[VendorError]:
    if _FULL.search(message) and not _NEVER.search(message):
        return RefusedForNow
    return OutcomeUnknown if _BROKEN.search(message) else RefusedForGood


def _status(task: object, task_id: str) -> VendorStatus:
    state = STATES.get(said(member(task, "status")).lower(), "running")
    inside = _passed_on(member(task, "data"))
    kept = inside.url if inside else None
    # An older version has the address of a success where the reason of a failure is.
    reason = said(member(task, "fail_reason") or "")
    url = next(filter(None, (member(task, "result_url"), member(task, "url"), kept)), reason)
    try:
        return VendorStatus(
            vendor_id=task_id,
            state=state,
            percent=_percent(member(task, "progress")),
            url=url if said(url).startswith("http") else None,
            message=redacted(reason) if state == "failed" else "",
            units=inside.units if inside else None,
        )
    except ValidationError:
        raise OutcomeUnknown("The relay's status answer does not fit.") from None


def _passed_on(answer: object) -> VendorStatus | None:
    """What Kling's own answer says, which some versions keep as text."""
    if isinstance(answer, str):
        answer = parsed(answer)
    task = member(answer, "data")
    return status_of(task) if member(task, "task_id") else None


def _percent(text: object) -> int:
    digits = said(text).rstrip("%")
    return min(100, int(digits)) if len(digits) < 4 and digits.isascii() and digits.isdigit() else 0
