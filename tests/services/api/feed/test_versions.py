"""Earlier versions, as the record's transitions tell them."""

from services.api.feed.versions import versions_after
from shared.messages import Attempts, JobError
from shared.states import Status, Step
from tests.services.api.conftest import change
from tests.shared.standins import CREATED, sample_record

JOB_ID = "job-0123456789abcdef01234567"


def test_each_version_shows_what_was_true_then() -> None:
    record = sample_record(JOB_ID).model_copy(update={"version": 0})
    record = change(record, status=Status.QUEUED)
    record = change(
        record,
        status=Status.RUNNING,
        step=Step.IMAGE,
        attempts=Attempts(image=1),
        started_at=CREATED,
    )
    record = change(record, percent=100, asset_url=f"http://a/jobs/{JOB_ID}/image")
    record = change(record, step=Step.VIDEO, percent=0, attempts=Attempts(image=1, video=1))
    error = JobError(code="refused_for_good", message="no")
    record = change(record, status=Status.FAILED, error=error, finished_at=CREATED)

    jobs = versions_after(record, 0)

    assert [job.version for job in jobs] == [1, 2, 3, 4, 5]
    assert [job.status for job in jobs] == ["queued", "running", "running", "running", "failed"]
    assert [job.percent for job in jobs] == [0, 0, 100, 0, 0]
    assert [job.attempts.video for job in jobs] == [0, 0, 0, 1, 1]
    assert [job.error for job in jobs] == [None, None, None, None, error]
    assert [job.asset_url is None for job in jobs] == [True, True, False, False, False]
    assert jobs[-1] == record.job()


def test_nothing_comes_after_the_newest() -> None:
    record = sample_record(JOB_ID)
    assert versions_after(record, record.version) == []
    assert versions_after(record, record.version + 7) == []
