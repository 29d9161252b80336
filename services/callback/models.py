"""What the vendor sends, what became of it, and what waits on disk; a token is in none of them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from shared.jobs.messages import KlingDone, Message
from shared.redact import redacted

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

    def event(self, external_id: str, *, received_at: datetime) -> "Event":
        """What is kept of it, as the callback of the task that the token stands for."""
        named = self.task_info.external_task_id if self.task_info else None
        return Event(
            received_at=received_at,
            external_id=external_id,
            task_id=self.task_id,
            task_status=self.task_status,
            updated_at=self.updated_at,
            message=redacted(self.task_status_msg or ""),
            named=named if named != external_id else None,
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


class Event(NamedTuple):
    """What is kept of a callback: enough to find its fate, to signal the job, and to replay it."""

    received_at: datetime
    external_id: str
    task_id: str | None
    task_status: TaskStatus | None
    updated_at: int | None = None
    message: str = ""
    # The task that the body names, where it isn't the token's.
    named: str | None = None

    @property
    def job_id(self) -> str:
        return self.external_id.partition(".")[0]

    @property
    def ended(self) -> bool:
        """Whether it tells an end."""
        return self.task_status is not None and self.task_status.ended

    def done(self) -> KlingDone:
        """The signal that tells the job."""
        return KlingDone(
            external_id=self.external_id,
            task_id=self.task_id or "",
            task_status=self.task_status or "",
            updated_at=self.updated_at or 0,
            message=self.message,
        )


class Entry(NamedTuple):
    """An event in the book, one row; without a fate it waits for Temporal."""

    receipt_id: int
    event: Event
    fate: Fate | None
    # Seconds since 1970 until which it is in quarantine; None where it isn't.
    held_until: float | None = None
    replay_of: int | None = None

    @property
    def position(self) -> int:
        """What came before it counts for its fate; a replay takes the position of its original."""
        return self.replay_of or self.receipt_id

    def receipt(self) -> "Receipt":
        """The entry as it is shown; only with a fate."""
        return Receipt(
            receipt_id=self.receipt_id,
            received_at=self.event.received_at,
            job_id=self.event.job_id,
            task_id=self.event.task_id,
            task_status=self.event.task_status,
            fate=Fate(self.fate or Fate.UNKNOWN),
            external_id=self.event.external_id,
            updated_at=self.event.updated_at,
            quarantined=self.held_until is not None,
            replay_of=self.replay_of,
        )


class Receipt(Message):
    """One callback as it was noted; `task_id` is null where the body was never looked at."""

    receipt_id: int
    received_at: datetime
    job_id: str
    task_id: str | None
    task_status: TaskStatus | None
    fate: Fate
    external_id: str
    updated_at: int | None = None
    quarantined: bool = False
    replay_of: int | None = None
