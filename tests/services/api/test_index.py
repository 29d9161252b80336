"""Paging: every job once, newest first, whatever arrives meanwhile."""

from datetime import timedelta

import pytest

from services.api.index import JobIndex, from_cursor, to_cursor
from shared.errors import InvalidInput
from shared.messages import Job
from shared.states import Status
from tests.shared.standins import CREATED


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


def test_a_job_whose_time_is_corrected_is_listed_once() -> None:
    index = JobIndex()
    index.put(job(1))
    later = job(1, version=1).model_copy(update={"created_at": CREATED + timedelta(days=1)})
    index.put(later)
    index.put(job(5))
    assert numbers(index.page(9, status=None, tag=None, after=None).jobs) == [1, 5]
    assert len(index) == 2


@pytest.mark.parametrize("cursor", ["", "x", "é", "\ud800", "AAAA", "MjAyNnxqb2ItMQ==", "=" * 9])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput):
        from_cursor(cursor)
