"""What Temporal's UI says of a job, as sentences; pure, so that they replay."""

from shared.failures import MAX_ATTEMPTS
from shared.jobs.messages import Record
from shared.jobs.states import Status
from shared.temporal.client import summary

SAYS = {
    Status.QUEUED: "The job waits for its turn.",
    Status.RUNNING: "The job runs.",
    Status.SUCCEEDED: "The job has succeeded: its image and its video are stored.",
    Status.DEGRADED: "The job has ended with its image alone.",
    Status.FAILED: "The job has failed.",
    Status.CANCELLED: "The job was cancelled.",
}


def summary_of(record: Record, note: str) -> str:
    """That of the activity which writes the record."""
    return summary(f"version {record.version}: {note}")


def details_of(record: Record, note: str) -> str:
    """The current details: where the job stands, why it ended badly, what was noted last."""
    lines = [f"**{_says(record)}**"]
    if record.error is not None:
        lines.append(f"Why: {record.error.message} ({record.error.code})")
    lines.append(f"Noted last, as version {record.version} of its record: {note.rstrip('.')}.")
    return "\n\n".join(lines)


def _says(record: Record) -> str:
    if record.status is not Status.RUNNING or record.step is None:
        return SAYS[record.status]
    tries = f"attempt {record.attempt} of {MAX_ATTEMPTS}"
    return f"The {record.step} is being made, {tries}: {record.percent} % of it are done."
