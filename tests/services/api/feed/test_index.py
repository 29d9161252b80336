"""A page has every job once, newest first, whatever arrives; what a job was at earlier versions."""

from datetime import timedelta

import pytest

from services.api.feed.feed import versions_after
from services.api.feed.index import SPARE, JobIndex, from_cursor, to_cursor
from shared.jobs.messages import Attempts, Job, JobError
from shared.jobs.states import Status
from tests.services.api.conftest import change
from tests.shared.standins import CREATED, sample_record


def job(number: int, *, version: int = 0, status: Status = Status.QUEUED) -> Job:
    return Job(
        job_id=f"job-{number:024x}",
        prompt="p",
        style="",
        tag="even" if number % 2 == 0 else None,
        status=status,
        created_at=CREATED + timedelta(seconds=number // 2),
        version=version,
    )


def numbers(jobs: list[Job]) -> list[int]:
    return [int(each.job_id.removeprefix("job-"), 16) for each in jobs]


def test_pages_are_stable_while_jobs_arrive() -> None:
    index = JobIndex()
    for number in (3, 0, 4, 1, 2):
        index.put(job(number))
    first = index.page(2, status=None, tag=None, after=None)
    assert first.last is not None
    index.put(job(9))

    cursor = to_cursor(first.last)
    second = index.page(2, status=None, tag=None, after=from_cursor(cursor))
    third = index.page(2, status=None, tag=None, after=second.last)

    assert [numbers(page.jobs) for page in (first, second, third)] == [[4, 3], [2, 1], [0]]
    assert third.last is None


def test_a_full_last_page_has_no_next_one() -> None:
    index = JobIndex()
    for number in range(4):
        index.put(job(number))
    assert index.page(2, status=None, tag="even", after=None).last is None
    assert index.page(4, status=None, tag=None, after=None).last is None


def test_filters_and_newer_versions() -> None:
    index = JobIndex()
    index.put(job(1))
    assert index.put(job(1, version=2, status=Status.FAILED))
    assert not index.put(job(1, version=1))
    assert not index.any_open()
    assert numbers(index.page(9, status=Status.FAILED, tag=None, after=None).jobs) == [1]
    assert index.page(9, status=Status.QUEUED, tag=None, after=None).jobs == []


def test_a_job_whose_time_is_corrected_keeps_its_place() -> None:
    """A record's time is that of the server, which a page in the middle of a list must not feel."""
    index = JobIndex()
    for number in (0, 2, 4, 6):
        index.put(job(number))
    first = index.page(2, status=None, tag=None, after=None)
    index.put(job(6, version=1).model_copy(update={"created_at": CREATED}))
    second = index.page(2, status=None, tag=None, after=first.last)

    assert numbers(first.jobs + second.jobs) == [6, 4, 2, 0]
    assert index.get(job(6).job_id) == job(6, version=1).model_copy(update={"created_at": CREATED})
    assert len(index) == 4


def test_what_has_changed_since_comes_in_the_order_of_the_changes() -> None:
    index = JobIndex()
    for number in (1, 2, 3):
        index.put(job(number))
    seen = index.change
    index.put(job(3, version=1))
    index.put(job(1, version=1))
    index.put(job(3, version=2))

    changed = index.changed_after(seen, 9)

    assert [(change, each.version) for change, each in changed] == [(5, 1), (6, 2)]
    assert index.changed_after(index.change, 9) == []
    assert len(index.changed_after(0, 9)) == 3
    assert index.changed_after(0, 2) == index.changed_after(0, 9)[:2]


def test_changes_that_are_overtaken_are_forgotten() -> None:
    index = JobIndex()
    for version in range(10 * SPARE):
        index.put(job(version % 3, version=version))
    assert len(index._order) <= SPARE + 7
    assert [each.version for _, each in index.changed_after(0, 9)] == [
        10 * SPARE - 3,
        10 * SPARE - 2,
        10 * SPARE - 1,
    ]


@pytest.mark.parametrize("cursor", ["", "x", "é", "\ud800", "AAAA", "MjAyNnxqb2ItMQ==", "=" * 9])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match="next_cursor"):
        from_cursor(cursor)


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
