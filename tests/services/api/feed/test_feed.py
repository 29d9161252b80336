"""Earlier versions, as the record's transitions tell them."""

from services.api.feed.feed import versions_after
from shared.jobs.messages import Attempts, JobError
from shared.jobs.states import Status
from tests.services.api.conftest import change
from tests.shared.standins import CREATED, sample_record

JOB_ID = "job-0123456789abcdef01234567"


def test_each_version_is_shown_as_it_was_then() -> None:
    address = f"http://a/jobs/{JOB_ID}"
    error = JobError(code="refused_for_good", message="no")
    image, both = Attempts(image=1, video=0), Attempts(image=1, video=1)
    record = sample_record(JOB_ID).model_copy(update={"version": 0, "transitions": ()})
    records = [record := change(record, status=Status.QUEUED)]
    for fields in (
        {
            "status": Status.RUNNING,
            "step": "image",
            "attempts": image,
            "started_at": CREATED,
        },
        {"vendor_position": 3},
        {"percent": 100, "vendor_position": None},
        {"step": "video", "percent": 0, "attempts": both, "asset_url": f"{address}/image"},
        {"percent": 40},
        {"status": Status.FAILED, "error": error, "finished_at": CREATED},
        {"attempts": Attempts(image=2, video=1)},
        # It was reset, and its next run follows.
        {"status": Status.QUEUED, "error": None, "finished_at": None},
    ):
        records.append(record := change(record, **fields))

    assert versions_after(record, 0) == [each.job() for each in records]
    assert versions_after(record, 5) == [each.job() for each in records[5:]]


def test_nothing_comes_after_the_newest() -> None:
    record = sample_record(JOB_ID)
    assert versions_after(record, record.version) == []
    assert versions_after(record, record.version + 7) == []
