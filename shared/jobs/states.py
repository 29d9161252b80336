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
RETRYABLE_STATES = frozenset({Status.FAILED, Status.DEGRADED, Status.CANCELLED})

# A running job went back to the queue in records before 1.0, after a reset.
ALLOWED: dict[Status, frozenset[Status]] = {
    Status.QUEUED: frozenset({Status.QUEUED, Status.RUNNING, Status.FAILED, Status.CANCELLED}),
    Status.RUNNING: frozenset({Status.QUEUED, Status.RUNNING}) | END_STATES,
    # What a vendor had accepted may become known after the end.
    **{end: frozenset({end}) for end in END_STATES},
}


def may_follow(before: Status, after: Status) -> bool:
    return after in ALLOWED[before]


class OnVideoFailure(StrEnum):
    """What a job does when its image is there and its video can't be made."""

    FAIL = "fail"
    IMAGE = "image"
