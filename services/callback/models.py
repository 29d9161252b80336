"""What the vendor sends, what became of it, and what waits on disk; a token is in none of them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.messages import KlingDone, Message

# Vendor's words are kept to this length: a callback may carry 256 kB of them.
MAX_MESSAGE = 1000

VendorId = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class TaskStatus(StrEnum):
    """The vendor's four states; the last two are ends."""

    SUBMITTED = "submitted"
    PROCESSING = "processing"
    SUCCEED = "succeed"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (TaskStatus.SUCCEED, TaskStatus.FAILED)


class _Vendor(BaseModel):
    """The vendor may add fields at any time."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TaskInfo(_Vendor):
    """Our id of the task, as the vendor gives it back."""

    external_task_id: VendorId | None = None


class Callback(_Vendor):
    """The vendor's body; `updated_at` in ms since 1970."""

    task_id: VendorId
    task_status: TaskStatus
    updated_at: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    task_status_msg: str | None = None
    task_info: TaskInfo | None = None

    @property
    def named(self) -> str | None:
        """Our id of the task in the body, where it has one."""
        return self.task_info.external_task_id if self.task_info else None

    def done(self, external_id: str) -> KlingDone:
        """The signal that tells the job."""
        return KlingDone(
            external_id=external_id,
            task_id=self.task_id,
            task_status=self.task_status,
            updated_at=self.updated_at or 0,
            message=(self.task_status_msg or "")[:MAX_MESSAGE],
        )


class Fate(StrEnum):
    """What became of a callback."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    LATE = "late"
    EARLY = "early"
    OUT_OF_ORDER = "out_of_order"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


class Receipt(Message):
    """One callback as it was noted; `task_id` is null where the body was never looked at."""

    received_at: datetime
    job_id: str
    task_id: str | None
    task_status: TaskStatus | None
    fate: Fate
    external_id: str
    updated_at: int | None = None


class Kept(Message):
    """A callback that waits for Temporal, with the moment of its arrival."""

    received_at: datetime
    external_id: str
    callback: Callback

    @property
    def job_id(self) -> str:
        return self.external_id.partition(".")[0]

    @property
    def key(self) -> tuple[object, ...]:
        """What makes a callback the same as another one."""
        callback = self.callback
        return (self.external_id, callback.task_id, callback.task_status, callback.updated_at)

    def receipt(self, fate: Fate) -> Receipt:
        """The note of what became of it."""
        return Receipt(
            received_at=self.received_at,
            job_id=self.job_id,
            task_id=self.callback.task_id,
            task_status=self.callback.task_status,
            fate=fate,
            external_id=self.external_id,
            updated_at=self.callback.updated_at,
        )
