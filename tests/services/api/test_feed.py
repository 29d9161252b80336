"""Jobs and their changes in order: pages, positions of listeners, versions of a record, places."""

from datetime import timedelta
from itertools import pairwise

import pytest

from services.api.feed import MAX_WAITING, PAGE, SPARE, Feed, from_cursor, versions_after
from services.api.http.live import EveryJob, OneJob, Position
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


def test_full_last_page_has_no_cursor() -> None:
    feed = Feed()
    for number in range(4):
        feed.put(job(number))
    assert feed.page(2, status=None, tag="even", after=None).last is None
    assert feed.page(4, status=None, tag=None, after=None).last is None


def test_filters_and_newer_versions() -> None:
    feed = Feed()
    feed.put(job(1))
    feed.put(job(1, version=2, status=Status.FAILED))
    feed.put(job(1, version=1))
    assert feed.change == 2
    assert not feed.any_open()
    assert numbers(feed.page(9, status=Status.FAILED, tag=None, after=None).jobs) == [1]
    assert feed.page(9, status=Status.QUEUED, tag=None, after=None).jobs == []


def every(feed: Feed, since: int = 0) -> EveryJob:
    return EveryJob(feed, since, shown=None, mark=False)


def taken(at: Position) -> list[int]:
    """Take all that follows, and return the position after each item."""
    found: list[int] = []
    while items := at.next():
        found += [item.position for item in items]
        at.position = found[-1]
    return found


def test_slow_listener_skips_to_the_newest_version_of_each_job_in_order() -> None:
    feed = Feed()
    at, one = every(feed), OneJob(feed, job(0).job_id)
    jobs = 2 * MAX_WAITING
    for version in range(2 * jobs):
        feed.put(job(version % jobs, version=version))
    for version in range(MAX_WAITING):
        feed.put(job(0, version=5 * jobs + version))
    found = taken(at)

    assert len(found) <= jobs + MAX_WAITING + PAGE
    assert all(before < after for before, after in pairwise(found))
    assert found[-1] == feed.change
    assert taken(one)[-1] == 5 * jobs + MAX_WAITING - 1
    # Each job that changed last before the listener could keep up again came, too.
    assert set(found) >= set(range(jobs + 2, 2 * jobs + 1))


def test_slow_listener_to_one_job_gets_its_newest_version() -> None:
    feed = Feed()
    slow = OneJob(feed, job(1).job_id)
    for version in range(10 * MAX_WAITING + 1):
        feed.put(job(1, version=version))
    assert taken(slow) == [10 * MAX_WAITING]


def test_forgotten_job_does_not_block_a_listener() -> None:
    feed = Feed()
    for number in (1, 2):
        feed.put(job(number))
    at = every(feed)
    feed.forget({job(2).job_id})
    assert taken(at) == [1]
    for version in (1, 2):
        feed.put(job(1, version=version))
    assert taken(at) == [3, 4]


def test_overtaken_changes_are_forgotten() -> None:
    feed = Feed()
    for version in range(10 * SPARE):
        feed.put(job(version % 3, version=version))
    assert len(feed._order) <= SPARE + 7
    assert taken(every(feed)) == [10 * SPARE - 2, 10 * SPARE - 1, 10 * SPARE]


async def test_listener_wakes_for_its_job_and_at_the_end() -> None:
    feed = Feed()
    with feed.listeners.subscribed(job(1).job_id) as one, feed.listeners.subscribed() as every:
        for number, woken in ((1, (True, True)), (2, (False, True))):
            one.clear()
            every.clear()
            feed.put(job(number))
            assert (one.is_set(), every.is_set()) == woken
        one.clear()
        feed.listeners.close()
        assert one.is_set()


@pytest.mark.parametrize("cursor", ["", "x", "é", "\ud800", "AAAA", "MjAyNnxqb2ItMQ==", "=" * 9])
def test_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(ValueError, match="next_cursor"):
        from_cursor(cursor)


JOB_ID = "job-0123456789abcdef01234567"


def test_each_version_is_shown_as_it_was() -> None:
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
    ):
        records.append(record := change(record, **fields))

    assert versions_after(record, 0) == [each.job() for each in records]
    assert versions_after(record, 5) == [each.job() for each in records[5:]]
    for version in (record.version, record.version + 7):
        assert versions_after(record, version) == []
