"""Records where the state folder isn't ours: of each job the newest; the longest unread goes."""

from collections import OrderedDict

from shared.jobs.messages import Record

MOST_RECORDS = 2000


class MemoryRecords:
    """Reads and writes like the folder of records, and forgets when the process ends."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, Record] = OrderedDict()

    def read(self, job_id: str) -> Record | None:
        """The record, or None where it isn't kept (any more)."""
        record = self._records.get(job_id)
        if record is not None:
            self._records.move_to_end(job_id)
        return record

    def write(self, record: Record) -> bool:
        """Keep a record unless a newer one is there; says whether it was kept."""
        present = self._records.get(record.job_id)
        if present is not None and present.version >= record.version:
            return False
        self._records[record.job_id] = record
        self._records.move_to_end(record.job_id)
        if len(self._records) > MOST_RECORDS:
            self._records.popitem(last=False)
        return True
