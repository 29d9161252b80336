"""The records of jobs; a write never replaces a record by an older one."""

from collections.abc import Callable, Iterator

from pydantic import ValidationError

from shared.jobs.ids import job_of_key, key_of_job
from shared.jobs.messages import Record
from shared.store.protocol import Held, Store, StoreAway

PREFIX = "state/jobs/"
# How often a writer that was overtaken tries again; each time another writer has made progress.
TRIES = 20


class Records:
    """`state/jobs/<job_id>.json`, one per job. Blocking: call it from a thread.

    `namespace`: the Temporal namespace of this process; `write` leaves a record of another one.
    """

    def __init__(self, store: Store, *, namespace: str = "") -> None:
        self.store = store
        self.namespace = namespace

    def read(self, job_id: str) -> Record | None:
        """Return the record, or None if it is missing or damaged; raise StoreAway."""
        try:
            return parsed(self.raw(job_id), job_id)
        except StoreAway:
            raise
        except OSError:
            return None

    def raw(self, job_id: str) -> Held | None:
        """Return the bytes, whatever they are; raise ValueError for an invalid job id."""
        return self.store.read(key_of_job(PREFIX, job_id))

    def write(self, record: Record) -> bool:
        """Store a record unless a newer one is there; return whether it was stored."""
        return self._unless(
            lambda *both: is_newer(*both) or not both[0].is_of(self.namespace), record
        )

    def append(self, record: Record) -> bool:
        """Store a record whose earlier versions must be those that are there."""
        return self._unless(lambda *both: is_newer(*both) or not is_beginning(*both), record)

    def _unless(self, stands: Callable[[Record, Record], bool], record: Record) -> bool:
        key = key_of_job(PREFIX, record.job_id)
        for _ in range(TRIES):
            held = self.raw(record.job_id)
            present = parsed(held, record.job_id)
            if present is not None and stands(present, record):
                return False
            if held is None:
                done = self.store.put_if_absent(key, to_json(record))
            else:
                done = self.store.swap(key, to_json(record), held.tag)
            if done:
                return True
        raise StoreAway("too many writers of one record")

    def remove(self, job_id: str) -> None:
        self.store.remove(key_of_job(PREFIX, job_id))

    def job_ids(self) -> Iterator[str]:
        """Return the ids of all jobs that have a record, including damaged ones."""
        for listed in self.store.list(PREFIX):
            if (job_id := job_of_key(PREFIX, listed.key)) is not None:
                yield job_id


def parsed(held: Held | None, job_id: str) -> Record | None:
    try:
        record = None if held is None else Record.model_validate_json(held.data)
    except (ValueError, ValidationError):
        return None
    return record if record is not None and _fits(record, job_id) else None


def _fits(record: Record, job_id: str) -> bool:
    """True if it is this job's record, at the version of its last change.

    Otherwise no later change of the job would ever be newer.
    """
    last = record.transitions[-1:]
    return record.job_id == job_id and all(each.version == record.version for each in last)


def to_json(record: Record) -> bytes:
    """Return the file's bytes: readable UTF-8 with a line per field."""
    return record.model_dump_json(indent=1).encode() + b"\n"


def is_newer(present: Record, record: Record) -> bool:
    return present.version >= record.version


def is_beginning(one: Record, other: Record) -> bool:
    """True if one record's changes are the first of another's, with the same times."""
    return other.transitions[: len(one.transitions)] == one.transitions
