"""The receipt of a callback, and the decision about its fate; no token is stored."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from pydantic_core import from_json

from shared.errors import GenvideoError
from shared.jobs.messages import Message, Record
from shared.pipeline.callbacks import Reader, Reported, TaskStatus


class NotKept(GenvideoError, status=503, title="The callback could not be stored", retryable=True):
    """The store does not take the receipt, or has too many of this job."""


class Fate(StrEnum):
    """What became of a callback."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    LATE = "late"
    EARLY = "early"
    OUT_OF_ORDER = "out_of_order"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


# The same event again is a duplicate of one with these fates.
SETTLED = frozenset({Fate.APPLIED, Fate.EARLY, Fate.LATE, Fate.OUT_OF_ORDER})
# The workflow gets these, if it runs.
SIGNALLED = frozenset({Fate.APPLIED, Fate.EARLY})


def parse(raw: bytes, read: Reader) -> Reported:
    """Parse a body with the reader of its form; a RequestValidationError names each mistake."""
    try:
        return read(from_json(raw))
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        raise RequestValidationError(
            [{**item, "loc": ("body", *item["loc"])} for item in found]
        ) from error
    except ValueError as error:
        mistake = {"type": "json_invalid", "loc": ("body",), "ctx": {"error": str(error)}}
        raise RequestValidationError([mistake]) from error


class Receipt(Message):
    """The receipt of a callback; `task_id` is null if the body was not read.

    `decided` is false while the fate is open. It stays false, with the fate `unknown`, if the
    receiver was killed then.
    """

    received_at: datetime
    job_id: str
    task_id: str | None = None
    task_status: TaskStatus | None = None
    fate: Fate = Fate.UNKNOWN
    external_id: str
    updated_at: int | None = None
    decided: bool = False


class Decision(NamedTuple):
    """A fate by the records; `signal`: an end is signalled to the workflow."""

    fate: Fate
    signal: bool


def decide(
    callback: Reported, external_id: str, *, job: Record | None, past: Sequence[Receipt]
) -> Decision:
    """Return the fate of a callback for this task; the first reason that fits decides.

    `past` are the receipts of the job that count: those with a settled fate, and those that another
    receiver is still deciding. If that receiver dies, it has not signalled, so this one signals as
    well; a second signal changes nothing. Temporal may change `applied` and `early` into `late` or
    `unknown`.
    """
    tasks = {} if job is None else job.tasks
    _, stage, number = external_id.split(".")
    attempt = int(number)
    if (callback.external_id or external_id) != external_id or any(
        kept == callback.task_id and ours != external_id for ours, kept in tasks.items()
    ):
        return Decision(Fate.REJECTED, signal=False)
    before = [each for each in past if each.task_id == callback.task_id]
    undecided = not all(each.decided for each in before)
    if any(_repeats(callback, each) for each in before):
        return Decision(Fate.DUPLICATE, signal=undecided)
    if job is not None and (job.status.ended or job.attempts.get(stage, 0) > attempt):
        return Decision(Fate.LATE, signal=False)
    if any(_is_older(callback, each) for each in before):
        return Decision(Fate.OUT_OF_ORDER, signal=undecided)
    known = tasks.get(external_id)
    if known is None:
        return Decision(Fate.EARLY, signal=True)
    if known != callback.task_id:
        return Decision(Fate.UNKNOWN, signal=False)
    return Decision(Fate.APPLIED, signal=True)


def _repeats(callback: Reported, receipt: Receipt) -> bool:
    same = (receipt.task_status, receipt.updated_at)
    return (callback.task_status, callback.updated_at) == same


def _is_older(callback: Reported, receipt: Receipt) -> bool:
    """True if an end came before, or the vendor's own time is older than an earlier one."""
    if receipt.task_status is not None and receipt.task_status.ended:
        return True
    if callback.updated_at is None or receipt.updated_at is None:
        return False
    return callback.updated_at < receipt.updated_at
