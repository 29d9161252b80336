"""A job's states and the moves between them; an end state is final."""

from enum import StrEnum


class Status(StrEnum):
    """The state of a job; the last four are ends."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    DEGRADED = "degraded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in END_STATES


END_STATES = frozenset({Status.SUCCEEDED, Status.DEGRADED, Status.FAILED, Status.CANCELLED})
RETRYABLE_STATES = END_STATES - {Status.SUCCEEDED}


def may_follow(before: Status, after: Status) -> bool:
    """True if a job may move so; what a vendor had accepted may become known after its end."""
    match before:
        case Status.QUEUED:
            return after not in (Status.SUCCEEDED, Status.DEGRADED)
        case Status.RUNNING:
            return after is not Status.QUEUED
    return after is before


class OnVideoFailure(StrEnum):
    """What a job does when its image is there and its video can't be made."""

    FAIL = "fail"
    IMAGE = "image"
