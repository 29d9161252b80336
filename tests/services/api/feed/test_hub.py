"""The hub: one slow listener costs the others nothing, and no version follows a newer one."""

from itertools import pairwise

from services.api.feed.frames import change_of
from services.api.feed.hub import MAX_WAITING, Hub
from shared.messages import Job
from tests.shared.standins import CREATED


def job(number: int, version: int) -> Job:
    return Job(
        job_id=f"job-{number:024x}", prompt="p", style="", created_at=CREATED, version=version
    )


async def test_each_change_reaches_who_asked_for_it() -> None:
    hub = Hub()
    with hub.mailbox() as everything, hub.mailbox(job(1, 0).job_id) as one:
        hub.publish(job(1, 1))
        hub.publish(job(2, 1))
        hub.publish(job(1, 2))

        assert len(await everything.take()) == 3
        assert [frame.job.version for frame in await one.take()] == [1, 2]
        assert await one.take(seconds=0.001) == []


async def test_a_slow_listener_skips_to_the_newest_and_stays_bounded() -> None:
    hub = Hub()
    with hub.mailbox() as slow:
        for version in range(10 * MAX_WAITING):
            hub.publish(job(version % 3, version))
        frames = await slow.take()

    assert len(frames) <= MAX_WAITING + 1
    for number in range(3):
        versions = [f.job.version for f in frames if f.job.job_id == job(number, 0).job_id]
        assert versions[-1] >= 10 * MAX_WAITING - 3
        assert all(before < after for before, after in pairwise(versions))


async def test_what_is_left_after_skipping_comes_in_the_order_of_the_changes() -> None:
    """Whoever goes on after the last one received must not miss an earlier one."""
    hub = Hub()
    with hub.mailbox() as slow:
        for change in range(2 * MAX_WAITING):
            hub.publish(job(change % 3 if change < MAX_WAITING else 0, change), change)
        changes = [change_of(frame.change) for frame in await slow.take()]

    assert changes == sorted(changes)
    assert changes[-1] == 2 * MAX_WAITING - 1


async def test_a_frame_is_written_once_for_all() -> None:
    hub = Hub()
    with hub.mailbox() as first, hub.mailbox() as second:
        hub.publish(job(1, 1))
        [one], [two] = await first.take(), await second.take()
    assert one is two


async def test_closing_ends_listeners_after_what_they_were_sent() -> None:
    hub = Hub()
    with hub.mailbox() as early:
        hub.publish(job(1, 1))
        hub.close()
        assert len(await early.take()) == 1
        assert early.closed
        assert await early.take() == []
    with hub.mailbox() as late:
        assert late.closed
        assert await late.take() == []
