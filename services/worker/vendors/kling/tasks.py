"""A task as Kling tells of it."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from services.worker.vendors.failures import member, said
from services.worker.vendors.vendor import State, VendorStatus
from shared.errors import OutcomeUnknown
from shared.redact import printable, redacted

# Whatever else is said means that it is being worked on.
STATES: Mapping[str, State] = {
    "submitted": "queued",
    "succeed": "succeeded",
    "failed": "failed",
}
LONGEST_UNITS = 40
# A prompt or a picture that was found out in the making would be found out again.
_POLICY = re.compile(r"risk control|sensitive|polic(y|ies)", re.IGNORECASE)


def status_of(task: object) -> VendorStatus:
    """Where it stands; OutcomeUnknown where what is told doesn't fit."""
    word = said(member(task, "task_status"))
    message = said(member(task, "task_status_msg") or "")
    state = STATES.get(word, "running")
    try:
        return VendorStatus(
            vendor_id=ids_of(task)[0],
            state=state,
            url=_url(task) or None,
            message=redacted(message),
            units=_units(task),
            final=state == "failed" and bool(_POLICY.search(message)),
        )
    except ValidationError:
        raise OutcomeUnknown("The vendor's status answer does not fit.") from None


def ids_of(task: object) -> tuple[Any, Any]:
    """The vendor's id of a task, and ours where the answer has it."""
    ours = member(member(task, "task_info"), "external_task_id")
    return member(task, "task_id"), ours or member(task, "external_task_id")


def _units(task: object) -> str | None:
    units = member(task, "final_unit_deduction")
    return None if units in (None, "") else printable(said(units))[:LONGEST_UNITS]


def _url(task: object) -> Any:
    videos = member(member(task, "task_result"), "videos")
    return member(videos[0], "url") if isinstance(videos, list) and videos else None
