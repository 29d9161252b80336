"""Receipts on disk, one file a job, appended and synced; a torn last line costs only itself."""

import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from services.callback.models import Fate, Receipt
from shared.ids import is_job_id

# A forger may send without end; so many of his tries are noted for a job.
MAX_REJECTED = 50


class Receipts:
    """`<data>/callbacks/receipts/<job_id>.jsonl`. Blocking: call it from a thread."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "callbacks" / "receipts"

    def _path(self, job_id: str) -> Path:
        if not is_job_id(job_id):
            raise ValueError(f"not a job id: {job_id!r}")
        return self.folder / f"{job_id}.jsonl"

    def of(self, job_id: str) -> list[Receipt]:
        """All receipts of a job, oldest first."""
        try:
            lines = self._path(job_id).read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return list(_readable(lines))

    def add(self, receipt: Receipt) -> None:
        """Note a receipt for good: it is on the disk when this returns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._path(receipt.job_id).open("ab+") as file:
            file.write(_mend(file.tell(), file.fileno()) + _line(receipt))
            file.flush()
            os.fdatasync(file.fileno())

    def add_rejected(self, receipt: Receipt) -> bool:
        """Note a rejected one, unless many are noted already; says whether it was."""
        rejected = sum(1 for each in self.of(receipt.job_id) if each.fate is Fate.REJECTED)
        if rejected >= MAX_REJECTED:
            return False
        self.add(receipt)
        return True

    def newest(self, limit: int) -> list[Receipt]:
        """The newest receipts of all jobs, oldest first."""
        files = sorted(self._files(), reverse=True)
        found: list[Receipt] = []
        for _, job_id in files[:limit]:
            found += self.of(job_id)
            if len(found) > 2 * limit:
                break
        return sorted(found, key=lambda each: each.received_at)[-limit:]

    def _files(self) -> Iterator[tuple[int, str]]:
        for path in self.folder.glob("job-*.jsonl"):
            if is_job_id(path.stem):
                yield path.stat().st_mtime_ns, path.stem


def _mend(size: int, descriptor: int) -> bytes:
    """A newline behind a line that a crash tore."""
    return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""


def _line(receipt: Receipt) -> bytes:
    return receipt.model_dump_json().encode() + b"\n"


def _readable(lines: list[bytes]) -> Iterator[Receipt]:
    for line in lines:
        try:
            yield Receipt.model_validate_json(line)
        except ValidationError:
            continue
