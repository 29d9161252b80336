"""What a callback's fate depends on of a job's record; read anew each time, never written."""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.messages import Attempts
from shared.records import RecordStore
from shared.states import Status


class JobView(NamedTuple):
    """A job as its callbacks meet it; `tasks` is the vendor's id by our id."""

    ended: bool
    video_attempt: int
    tasks: dict[str, str]
    finished_at: datetime | None = None


class _Record(BaseModel):
    """A part of the record; the rest of it, which is most, is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: Status
    attempts: Attempts
    tasks: dict[str, str] = {}
    finished_at: datetime | None = None


class JobRecords:
    """The records of the data folder. Blocking, for some tens of microseconds."""

    def __init__(self, data_dir: Path) -> None:
        self._records = RecordStore(data_dir)

    def view(self, job_id: str) -> JobView | None:
        """The job, or None where there is no record or a damaged one."""
        try:
            record = _Record.model_validate_json(self._records.path(job_id).read_bytes())
        except (OSError, ValidationError):
            return None
        return JobView(record.status.ended, record.attempts.video, record.tasks, record.finished_at)

    def known(self, job_id: str) -> bool:
        """Whether there is a record at all."""
        return self._records.path(job_id).is_file()
