"""The records of jobs; a write never replaces a record by an older one."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

from shared.files import forget_partials
from shared.jobs.ids import job_of_key, key_of_job
from shared.jobs.messages import Record
from shared.store.folder import Folder
from shared.store.protocol import Held, Store, StoreAway

PREFIX = "state/jobs/"
# So often one that was overtaken looks again; each time somebody else has got on.
TRIES = 20


class Records:
    """`state/jobs/<job_id>.json` of a store, one a job. Blocking: call it from a thread.

    `namespace`: the one of Temporal that the process uses; `write` leaves a record of another one.
    """

    def __init__(self, store: Store, *, namespace: str = "") -> None:
        self.store = store
        self.namespace = namespace

    def read(self, job_id: str) -> Record | None:
        """The record, or None where there is none or it is damaged; StoreAway."""
        try:
            return parsed(self.raw(job_id), job_id)
        except StoreAway:
            raise
        except OSError:
            return None

    def raw(self, job_id: str) -> Held | None:
        """What lies there, whatever it is; ValueError for what is no job id."""
        return self.store.read(key_of_job(PREFIX, job_id))

    def write(self, record: Record) -> bool:
        """Store a record unless a newer one is there; says whether it was stored."""
        return self._unless(
            lambda *both: is_newer(*both) or not both[0].is_of(self.namespace), record
        )

    def append(self, record: Record) -> bool:
        """The same for whoever has made its changes: what is there must be the beginning of it."""
        return self._unless(lambda *both: is_newer(*both) or not is_beginning(*both), record)

    def _unless(self, stands: Callable[[Record, Record], bool], record: Record) -> bool:
        for _ in range(TRIES):
            held = self.raw(record.job_id)
            present = parsed(held, record.job_id)
            if present is not None and stands(present, record):
                return False
            if self._put(record, held):
                return True
        raise StoreAway("too many write one record at once")

    def _put(self, record: Record, held: Held | None) -> bool:
        key = key_of_job(PREFIX, record.job_id)
        if held is None:
            return self.store.put_if_absent(key, to_json(record))
        return self.store.swap(key, to_json(record), held.tag)

    def known(self, job_id: str) -> bool:
        """Whether there is anything, a record or a damaged one."""
        path = self.store.path(key_of_job(PREFIX, job_id))
        return self.raw(job_id) is not None if path is None else os.path.lexists(path)

    def remove(self, job_id: str) -> None:
        """Have no record of a job any more."""
        self.store.remove(key_of_job(PREFIX, job_id))

    def forget_partials(self) -> int:
        """Remove what writers that were killed have left; how many files that were."""
        folder = self.store.path(PREFIX)
        return 0 if folder is None else forget_partials(folder)

    def job_ids(self) -> Iterator[str]:
        """The ids of all jobs that have a record, damaged ones included."""
        for listed in self.store.list(PREFIX):
            if (job_id := job_of_key(PREFIX, listed.key)) is not None:
                yield job_id


class RecordStore(Records):
    """The records of a folder."""

    def __init__(self, data_dir: Path, *, namespace: str = "") -> None:
        super().__init__(Folder(data_dir), namespace=namespace)
        self.folder = data_dir / "state" / "jobs"

    def path(self, job_id: str) -> Path:
        """Where a job's record lies; ValueError for what is no job id (a path from outside)."""
        return self.folder / key_of_job("", job_id)


def parsed(held: Held | None, job_id: str) -> Record | None:
    """The record of this job that it is; None where it is none."""
    try:
        record = None if held is None else Record.model_validate_json(held.data)
    except (ValueError, ValidationError):
        return None
    return record if record is not None and _fits(record, job_id) else None


def _fits(record: Record, job_id: str) -> bool:
    """Whether it is this job's, at the version of its last change.

    No change of the job's would ever come behind a version that is none of them.
    """
    last = record.transitions[-1:]
    return record.job_id == job_id and all(each.version == record.version for each in last)


def to_json(record: Record) -> bytes:
    """The file's bytes: readable UTF-8 with a line per field."""
    return record.model_dump_json(indent=1).encode() + b"\n"


def is_newer(present: Record, record: Record) -> bool:
    """Whether what is there stands against this record."""
    return present.version >= record.version


def is_beginning(one: Record, other: Record) -> bool:
    """Whether one record's changes are the first of another's, instants included."""
    return other.transitions[: len(one.transitions)] == one.transitions
