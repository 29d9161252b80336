"""Close the record of a job that could not do so: it was ended from outside, or forgotten."""

from collections.abc import Mapping
from datetime import UTC, datetime

from shared.jobs.messages import Attempts, JobError, Record, raised
from shared.jobs.states import Status
from shared.semaphore.messages import RESET as RESET

MESSAGES = {
    "terminated": "The job was terminated from outside.",
    "timed_out": "The job was ended by a time-out of the server.",
    "forgotten": "Temporal does not know the job any more.",
    RESET: "The job was reset by hand, which is not supported: submit it again.",
    "not_a_job_id": "A job's id is job- and 24 hexadecimal digits: submit it to the API.",
    "started_again": "This job id was used before: submit the job under a new one.",
}


def close_record(record: Record, code: str) -> Record:
    """Return the next version of an open record, as failed with a code of `MESSAGES`."""
    at = _now(record)
    ended = record.model_copy(
        update={
            "status": Status.FAILED,
            "error": JobError(code=code, message=MESSAGES[code]),
            "finished_at": at,
            "vendor_position": None,
            "version": record.version + 1,
        }
    )
    return ended.followed(at, MESSAGES[code])


def amend_accepted(record: Record, attempts: Attempts, tasks: Mapping[str, str]) -> Record | None:
    """Return the next version with what the vendors had accepted, and their ids of it by ours.

    None if the record counts it already.
    """
    counted = raised(record.attempts, attempts)
    if counted == record.attempts:
        return None
    amended = record.model_copy(
        update={
            "attempts": counted,
            "tasks": {**tasks, **record.tasks},
            "version": record.version + 1,
        }
    )
    return amended.followed(_now(record), "accepted by a vendor before its run was closed")


def _now(record: Record) -> datetime:
    """Return this machine's time, but none before the last change, which has Temporal's time."""
    return max([datetime.now(UTC), *(change.at for change in record.transitions[-1:])])
