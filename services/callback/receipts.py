"""Receipts in the store: `callbacks/<job_id>/<number>.json`, one object an event.

Several receivers share the store without a lock. The number is the order: a receiver takes the next
free one, and the store gives it to one receiver only.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from secrets import token_hex

import structlog
from pydantic import ValidationError

from services.callback.models import SETTLED, Fate, NotKept, Receipt
from shared.jobs.ids import callbacks_prefix
from shared.jobs.messages import Record
from shared.store.protocol import Store, reason_of
from shared.store.records import Records, parsed

log = structlog.get_logger(__name__)

# Receipts of one job, and of its forged callbacks, which anybody can send.
MOST, MOST_FORGED = 100, 50
# A receipt that is undecided for this long is one whose receiver was killed.
ABANDONED = timedelta(seconds=5)
_KEY = re.compile(r"/(\d{3}|forged-\d{2})\.json$")


@contextmanager
def _kept() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        log.error("receipts can't be kept", reason=reason_of(error))
        raise NotKept("The callback can't be stored now.", retry_after=1) from error


class Receipts:
    """Blocking: call it from a thread. Each method raises NotKept if the store is away or full."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._records = Records(store)

    @_kept()
    def add(self, receipt: Receipt) -> tuple[str, list[Receipt]]:
        """Store an undecided receipt; return its key, and the earlier ones that count for its
        fate."""
        before = [key for key in self._keys(receipt.job_id) if "forged" not in key]
        first = int(before[-1][-8:-5]) + 1 if before else 0
        # Two receivers may get the same callback at once: the mark tells whose receipt it is.
        data = _to_json(receipt, mark=token_hex(8))
        for number in range(first, MOST):
            key = f"{callbacks_prefix(receipt.job_id)}{number:03d}.json"
            if self._store.put_if_absent(key, data):
                break
            # An object store may have taken it, and its answer was lost.
            if (held := self._store.read(key)) is not None and held.data == data:
                break
            # Another receiver was faster; its receipt is one of the earlier ones.
            before.append(key)
        else:
            raise NotKept(f"There are {MOST} receipts of this job already.")
        found = [each for each in map(self._read, before) if each is not None]
        return key, [each for each in found if _counts(each, receipt.received_at)]

    @_kept()
    def decide(self, key: str, receipt: Receipt, fate: Fate) -> None:
        """Write the fate of a receipt; only the receiver that added it does."""
        decided = receipt.model_copy(update={"fate": fate, "decided": True})
        self._store.put(key, _to_json(decided))

    def add_forged(self, receipt: Receipt) -> None:
        """Note that a callback with a wrong token came for a job that has a record.

        Unknown jobs get no receipts, because a forger can invent any number of them.
        """
        try:
            if self._records.raw(receipt.job_id) is None:
                return
            forged = [key for key in self._keys(receipt.job_id) if "forged" in key]
            if len(forged) < MOST_FORGED:
                key = f"{callbacks_prefix(receipt.job_id)}forged-{len(forged):02d}.json"
                self._store.put_if_absent(key, _to_json(receipt))
        except OSError as error:
            log.warning("forged callback not noted", reason=reason_of(error))

    @_kept()
    def of_job(self, job_id: str) -> list[Receipt]:
        """Return all receipts of a job, oldest first; at most MOST and MOST_FORGED."""
        found = [each for each in map(self._read, self._keys(job_id)) if each is not None]
        return sorted(found, key=lambda each: each.received_at)

    @_kept()
    def job(self, job_id: str) -> Record | None:
        """Return the job's record, or None if it is missing or damaged."""
        return parsed(self._records.raw(job_id), job_id)

    def _keys(self, job_id: str) -> list[str]:
        found = [listed.key for listed in self._store.list(callbacks_prefix(job_id))]
        return sorted(key for key in found if _KEY.search(key))

    def _read(self, key: str) -> Receipt | None:
        """Return a receipt; None if it is gone or damaged, as after a power cut."""
        held = self._store.read(key)
        try:
            return None if held is None else Receipt.model_validate_json(held.data)
        except ValidationError:
            log.warning("receipt can't be read", key=key)
            return None


def _counts(receipt: Receipt, now: datetime) -> bool:
    if receipt.decided:
        return receipt.fate in SETTLED
    return now - receipt.received_at < ABANDONED


def _to_json(receipt: Receipt, **more: str) -> bytes:
    return json.dumps(receipt.model_dump(mode="json") | more, indent=1).encode() + b"\n"
