"""The folder of job records; a write never replaces a record by an older one."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from shared.files import forget_partials, write_atomic
from shared.ids import is_job_id
from shared.messages import Record


class RecordStore:
    """`<data>/state/jobs/<job_id>.json`, one file a job. Blocking: call it from a thread."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "state" / "jobs"

    def path(self, job_id: str) -> Path:
        """Where a job's record lies; ValueError for what is no job id (a path from outside)."""
        if not is_job_id(job_id):
            raise ValueError(f"not a job id: {job_id!r}")
        return self.folder / f"{job_id}.json"

    def read(self, job_id: str) -> Record | None:
        """The record, or None where there is none or it is damaged."""
        try:
            return Record.model_validate_json(self.path(job_id).read_bytes())
        except (OSError, ValueError, ValidationError):
            return None

    def write(self, record: Record) -> bool:
        """Store a record unless a newer one is there; says whether it was stored.

        A run that was reset may write late: whatever a later run has recorded is newer.
        """
        present = self.read(record.job_id)
        if present is not None and (
            present.version >= record.version or record.run_id in present.runs_before
        ):
            return False
        write_atomic(self.path(record.job_id), to_json(record))
        return True

    def remove(self, job_id: str) -> None:
        """Have no record of a job any more."""
        self.path(job_id).unlink(missing_ok=True)

    def forget_partials(self) -> int:
        """Remove what writers that were killed have left; how many files that were."""
        return forget_partials(self.folder)

    def job_ids(self) -> Iterator[str]:
        """The ids of all jobs that have a record file, damaged ones included."""
        for path in self.folder.glob("job-*.json"):
            if is_job_id(path.stem):
                yield path.stem


def to_json(record: Record) -> bytes:
    """The file's bytes: readable UTF-8 with a line per field."""
    return record.model_dump_json(indent=1).encode() + b"\n"
