"""What a callback's fate depends on of a job's record; read anew each time, never written."""

from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.jobs.messages import Attempts
from shared.jobs.states import Status
from shared.store.protocol import Store, StoreAway
from shared.store.records import Records


class JobView(NamedTuple):
    """A job as its callbacks meet it; `tasks` is the vendor's id by our id."""

    ended: bool
    video_attempt: int
    tasks: dict[str, str]
    finished_at: datetime | None = None


class _Record(BaseModel):
    """A part of the record; the rest of it, which is most, is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    job_id: str
    status: Status
    attempts: Attempts
    tasks: dict[str, str] = {}
    finished_at: datetime | None = None


class JobRecords:
    """The records of the store. Blocking, for some tens of microseconds where it is a folder."""

    def __init__(self, store: Store) -> None:
        self._records = Records(store)

    def view(self, job_id: str) -> JobView | None:
        """The job, or None where there is no record or a damaged one; StoreAway."""
        try:
            held = self._records.raw(job_id)
            record = None if held is None else _Record.model_validate_json(held.data)
        except StoreAway:
            raise
        except (OSError, ValidationError):
            return None
        if record is None or record.job_id != job_id:
            return None
        return JobView(record.status.ended, record.attempts.video, record.tasks, record.finished_at)

    def known(self, job_id: str) -> bool:
        """Whether there is a record at all."""
        return self._records.known(job_id)
