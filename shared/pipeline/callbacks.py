"""A vendor's callback in a form that all vendors share; a vendor's reader makes it."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from shared.semaphore.messages import Message

VendorId = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class TaskStatus(StrEnum):
    """The state of a task; the last two are ends."""

    SUBMITTED = "submitted"
    PROCESSING = "processing"
    SUCCEED = "succeed"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (TaskStatus.SUCCEED, TaskStatus.FAILED)


class Reported(Message):
    """A callback: the vendor's task id, and our id if the body has it.

    `updated_at` is in ms since 1970 by the vendor's clock.
    """

    task_id: VendorId
    task_status: TaskStatus
    updated_at: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    message: str = ""
    external_id: VendorId | None = None


# Reads a body, which is JSON; a ValidationError names each wrong field.
Reader = Callable[[Any], Reported]
