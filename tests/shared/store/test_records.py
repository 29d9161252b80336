"""Records on disk: whole, readable, never replaced by an older version."""

import os
from pathlib import Path

import pytest

from shared.jobs.closing import close_record
from shared.store.records import to_json
from tests.fixtures.records import RecordStore
from tests.shared.standins import CREATED, sample_record

JOB_ID = "job-0123456789abcdef01234567"
OTHERS = sample_record("job-76543210fedcba9876543210")
# Of no change: a worker would never get behind it.
AHEAD = sample_record(JOB_ID).followed(CREATED, "queued").model_copy(update={"version": 99})


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\xff", b"[]", b'{"job_id": 1}', to_json(OTHERS), to_json(AHEAD)]
)
def test_damaged_record_reads_as_none_and_is_replaced(tmp_path: Path, damage: bytes) -> None:
    store = RecordStore(tmp_path)
    store.write(sample_record(JOB_ID))
    store.path(JOB_ID).write_bytes(damage)
    assert store.read(JOB_ID) is None
    assert store.write(sample_record(JOB_ID))
    assert store.read(JOB_ID) == sample_record(JOB_ID)
    assert sample_record(JOB_ID).prompt in store.path(JOB_ID).read_text(encoding="utf-8")


def test_path_from_outside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a job id"):
        RecordStore(tmp_path).path("../../etc/passwd")


def test_failed_write_keeps_the_old_record_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RecordStore(tmp_path)
    store.write(sample_record(JOB_ID))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        store.write(close_record(sample_record(JOB_ID), "terminated"))
    monkeypatch.undo()
    assert store.read(JOB_ID) == sample_record(JOB_ID)
    assert os.listdir(store.folder) == [f"{JOB_ID}.json"]
