"""The fate of a callback, from what is on record; pure, and the first reason that holds decides."""

from collections.abc import Iterable

from services.callback.models import Callback, Fate, Receipt
from shared.ids import Generation
from shared.messages import Record

# A callback with one of these fates was taken note of for good; the same one again is a duplicate.
_SETTLED = frozenset({Fate.APPLIED, Fate.EARLY, Fate.LATE, Fate.OUT_OF_ORDER, Fate.DUPLICATE})


def judge(
    callback: Callback,
    generation: Generation,
    *,
    external_id: str,
    record: Record | None,
    receipts: Iterable[Receipt],
) -> Fate:
    """What becomes of a callback whose token fits `external_id`, as far as the disk can tell.

    Whether the workflow still runs is for Temporal to say: `applied` and `early` may yet turn
    into `late` or `unknown`.
    """
    if record is not None and _is_another_attempts(callback, external_id, record=record):
        return Fate.REJECTED
    past = [each for each in receipts if each.task_id == callback.task_id and each.fate in _SETTLED]
    if any(_same(callback, each) for each in past):
        return Fate.DUPLICATE
    if record is not None and _is_past(record, generation):
        return Fate.LATE
    if any(_is_older(callback, each) for each in past):
        return Fate.OUT_OF_ORDER
    known = None if record is None else record.tasks.get(external_id)
    if known is None:
        return Fate.EARLY
    return Fate.APPLIED if known == callback.task_id else Fate.UNKNOWN


def _is_another_attempts(callback: Callback, external_id: str, *, record: Record) -> bool:
    return any(
        task_id == callback.task_id and known != external_id
        for known, task_id in record.tasks.items()
    )


def _same(callback: Callback, receipt: Receipt) -> bool:
    return (callback.task_status, callback.updated_at) == (receipt.task_status, receipt.updated_at)


def _is_past(record: Record, generation: Generation) -> bool:
    return record.status.ended or record.attempts.video > generation.attempt


def _is_older(callback: Callback, receipt: Receipt) -> bool:
    """An end absorbs whatever comes after it; else the vendor's own time decides."""
    if receipt.task_status is not None and receipt.task_status.ended:
        return True
    if callback.updated_at is None or receipt.updated_at is None:
        return False
    return callback.updated_at < receipt.updated_at
