"""What a vendor's callback says, in words that all vendors share; a vendor's reader makes it so."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from shared.semaphore.messages import Message

VendorId = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class TaskStatus(StrEnum):
    """Where a task stands; the last two are ends."""

    SUBMITTED = "submitted"
    PROCESSING = "processing"
    SUCCEED = "succeed"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (TaskStatus.SUCCEED, TaskStatus.FAILED)


class Reported(Message):
    """One callback: the vendor's id of the task, and ours if the body names it; `updated_at` in ms
    since 1970 by the vendor's clock."""

    task_id: VendorId
    task_status: TaskStatus
    updated_at: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    message: str = ""
    external_id: VendorId | None = None


# Reads a body, which is JSON; a ValidationError names each field that is wrong.
Reader = Callable[[Any], Reported]
