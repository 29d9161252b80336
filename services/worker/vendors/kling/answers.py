"""Kling's answers: the code decides, and each reason has the request's number."""

import re
from collections.abc import Mapping
from typing import Any

import httpx

from shared.errors import OutcomeUnknown, RefusedForGood, RefusedForNow, VendorError
from shared.pipeline.answers import as_text, json_object, member, sort_response, status_of
from shared.pipeline.vendor import State, VendorStatus
from shared.redact import printable, redacted

NOT_YET_VALID, EXPIRED = 1003, 1004
BAD_PARAMETER, NO_SUCH_RESOURCE = 1201, 1203
# Kling's service codes (documented): the code decides, never HTTP 429 alone, because 1102 and
# others answer 429 and never clear.
KLING_CODES: dict[int, type[VendorError]] = {
    **dict.fromkeys((1000, 1001, 1002, 1003, 1004), RefusedForGood),
    **dict.fromkeys((1100, 1101, 1102, 1103), RefusedForGood),
    **dict.fromkeys((1200, 1201, 1202, 1203), RefusedForGood),
    **dict.fromkeys((1300, 1301, 1304), RefusedForGood),
    **dict.fromkeys((1302, 1303), RefusedForNow),
    5001: RefusedForNow,
    **dict.fromkeys((5000, 5002), OutcomeUnknown),
}
# What the vendor's network answers if the host isn't that of the API.
WRONG_HOST = 446
# What to check, if the message doesn't say.
HINTS = {
    **dict.fromkeys(
        (1000, 1001, 1002), "check the keys; a key is valid in one region only (KLING_URL)"
    ),
    **dict.fromkeys((NOT_YET_VALID, EXPIRED), "check this machine's clock"),
    **dict.fromkeys((1101, 1102), "check the account's balance and resource packs"),
    1103: "the account has no right to it: check KLING_MODEL",
    1304: "this machine's address is not on the account's list",
}
_REQUEST_ID = re.compile(r"[\w.:-]{1,80}")


def code_of(response: httpx.Response) -> int | None:
    text = as_text((json_object(response) or {}).get("code"))
    return int(text) if len(text) < 8 and text.isascii() and text.isdigit() else None


def data_of(response: httpx.Response) -> Any:
    """Return a success's data; raise a VendorError for everything else."""
    body = json_object(response)
    if not response.is_success or body is None or code_of(response) not in (0, None):
        raise refusal(response)
    return body.get("data")


def is_unknown(response: httpx.Response) -> bool:
    """True if the answer may mean that there is no such task, as a bad parameter may."""
    code = code_of(response)
    message = redacted(response.text).lower() if response.status_code < 500 else ""
    return code == NO_SUCH_RESOURCE or (code in (1200, 1201) and "not found" in message)


def refusal(response: httpx.Response) -> VendorError:
    body = json_object(response)
    if response.status_code == WRONG_HOST or (body is None and _is_page(response)):
        return RefusedForGood(
            f"HTTP {response.status_code}, and no answer of Kling's API: KLING_URL names another"
            " host (the API's are api-singapore.klingai.com and api-beijing.klingai.com)"
        )
    if body is None and response.is_success:
        return OutcomeUnknown("The vendor's answer is not a JSON object.")
    return numbered(sort_response(response, KLING_CODES), response)


def numbered(error: VendorError, response: httpx.Response) -> VendorError:
    """Return the same failure with a hint and the request's number."""
    hint = HINTS.get(code_of(response) or 0)
    request = as_text((json_object(response) or {}).get("request_id"))
    message = f"{error.message}; {hint}" if hint else error.message
    if _REQUEST_ID.fullmatch(request) and request != "None":
        message = f"{message} (request {request})"
    return type(error)(message, retry_after=error.retry_after)


def _is_page(response: httpx.Response) -> bool:
    """True if a web site answered, or redirects us to one; it may stand in for the API."""
    if httpx.codes.is_redirect(response.status_code):
        return True
    return response.status_code < 500 and response.content.lstrip().startswith(b"<")


# Any other word means running.
STATES: Mapping[str, State] = {
    "submitted": "queued",
    "succeed": "succeeded",
    "failed": "failed",
}
LONGEST_UNITS = 40
# A prompt or picture that violates a policy would violate it again.
_POLICY = re.compile(r"risk control|sensitive|polic(y|ies)", re.IGNORECASE)


def task_status(asked: str, task: object) -> VendorStatus:
    """Return a task's status; raise OutcomeUnknown if the answer is invalid, or about another
    task."""
    vendor_id, ours = ids_of(task)
    state, message = member(task, "task_status"), member(task, "task_status_msg")
    return status_of(
        asked,
        ours=ours,
        state=state,
        states=STATES,
        message=message,
        vendor_id=vendor_id,
        url=_url(task) or None,
        units=_units(task),
        final=state == "failed" and bool(_POLICY.search(as_text(message or ""))),
    )


def ids_of(task: object) -> tuple[Any, Any]:
    ours = member(member(task, "task_info"), "external_task_id")
    return member(task, "task_id"), ours or member(task, "external_task_id")


def _units(task: object) -> str | None:
    units = member(task, "final_unit_deduction")
    return None if units in (None, "") else printable(as_text(units))[:LONGEST_UNITS]


def _url(task: object) -> Any:
    videos = member(member(task, "task_result"), "videos")
    return member(videos[0], "url") if isinstance(videos, list) and videos else None
