"""The hub: one slow listener costs the others nothing, and no version follows a newer one."""

from itertools import pairwise

import pytest

from services.api.feed.feed import PAGE, Feed
from services.api.feed.hub import MAX_WAITING, Hub, Mailbox, TooManyListeners, Versions
from shared.jobs.messages import Job
from tests.shared.standins import CREATED


def job(number: int, version: int) -> Job:
    return Job(
        job_id=f"job-{number:024x}", prompt="p", style="", created_at=CREATED, version=version
    )


async def rest(mailbox: Mailbox) -> list[tuple[int, Job]]:
    """Number and job of all that waits."""
    found: list[tuple[int, Job]] = []
    while frames := await mailbox.take(seconds=0.001):
        found += [(frame.number, frame.job) for frame in frames]
    return found


async def test_each_change_reaches_who_asked_for_it() -> None:
    feed = Feed()
    with (
        feed.hub.mailbox(feed.changes()) as everything,
        feed.hub.mailbox(Versions(), job(1, 0).job_id) as one,
    ):
        feed.put(job(1, 1))
        feed.put(job(2, 1))
        feed.put(job(1, 2))

        assert len(await everything.take()) == 3
        assert [frame.job.version for frame in await one.take()] == [1, 2]
        assert await one.take(seconds=0.001) == []
        assert await everything.take(seconds=0.001) == []


def test_frames_of_older_changes_are_not_kept_for_ever() -> None:
    hub, first = Hub(), job(1, 1)
    frame = hub.frame(first, 1)
    assert hub.frame(first, 1) is frame
    for number in range(2, MAX_WAITING + 2):
        hub.frame(job(number, 1), number)
    assert hub.frame(first, 1) is not frame


async def test_a_slow_listener_skips_to_the_newest() -> None:
    feed = Feed()
    with feed.hub.mailbox(feed.changes()) as slow:
        for version in range(10 * MAX_WAITING):
            feed.put(job(version % 3, version))
        frames = await rest(slow)

    assert len(frames) <= MAX_WAITING + PAGE
    for number in range(3):
        versions = [each.version for _, each in frames if each.job_id == job(number, 0).job_id]
        assert versions[-1] >= 10 * MAX_WAITING - 3
        assert all(before < after for before, after in pairwise(versions))


async def test_a_slow_listener_to_one_job_skips_to_its_newest_version() -> None:
    hub = Hub()
    with hub.mailbox(Versions(), job(1, 0).job_id) as slow:
        for version in range(10 * MAX_WAITING + 1):
            hub.publish(job(1, version), version)
        versions = [frame.job.version for frame in await slow.take()]
    assert versions == [10 * MAX_WAITING]


async def test_what_is_left_after_skipping_comes_in_the_order_of_the_changes() -> None:
    """Whoever goes on after the last one received must not miss an earlier one."""
    feed = Feed()
    with feed.hub.mailbox(feed.changes()) as slow:
        for version in range(4 * MAX_WAITING):
            feed.put(job(version % (2 * MAX_WAITING), version))
        for version in range(MAX_WAITING):
            feed.put(job(0, 5 * MAX_WAITING + version))
        frames = await rest(slow)

    changes = [change for change, _ in frames]
    assert changes == sorted(changes)
    assert changes[-1] == feed.index.change
    assert {each.job_id for _, each in frames} == {
        job(number, 0).job_id for number in range(2 * MAX_WAITING)
    }


async def test_a_frame_is_written_once_for_all() -> None:
    feed = Feed()
    with feed.hub.mailbox(feed.changes()) as first, feed.hub.mailbox(feed.changes()) as second:
        feed.put(job(1, 1))
        [one], [two] = await first.take(), await second.take()
    assert one is two


async def test_closing_ends_listeners_after_what_they_were_sent() -> None:
    feed = Feed()
    with feed.hub.mailbox(feed.changes()) as early:
        feed.put(job(1, 1))
        feed.hub.close()
        assert len(await early.take()) == 1
        assert early.closed
        assert await early.take() == []
    with feed.hub.mailbox(Versions(), job(1, 1).job_id) as late:
        assert late.closed
        assert await late.take() == []


def test_places_are_limited_by_address_and_given_back() -> None:
    hub = Hub(3, per_address=2)
    with hub.place("a"), hub.place("a"):
        with pytest.raises(TooManyListeners), hub.place("a"):
            pass
        with hub.place("b"), pytest.raises(TooManyListeners), hub.place("c"):
            pass
        with hub.place("b"):
            pass
