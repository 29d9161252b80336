"""The one who comes next waits armed behind the holder; when it may begin, and when it must not."""

import pytest

from services.keeper import rebuild
from shared.slots import SlotView
from tests.fixtures.eventually import eventually
from tests.services.keeper.standins import FOLLOW, JobHandle, Jobs
from tests.services.keeper.test_lasting import kill_keeper


def holders(view: SlotView) -> list[str]:
    return [holder.job_id for holder in view.holders]


async def pending(handle: JobHandle) -> list[str]:
    description = (await handle.describe()).raw_description
    return [each.activity_type.name for each in description.pending_activities]


async def is_armed(handle: JobHandle) -> None:
    """Return when a job waits for the close of the one before it."""
    await eventually(lambda: pending(handle), lambda found: FOLLOW in found)


async def has_stood_down(handle: JobHandle) -> None:
    await eventually(lambda: pending(handle), lambda found: FOLLOW not in found)


async def line_up(jobs: Jobs, *names: str) -> list[JobHandle]:
    """The first holds, the second is armed, the others wait."""
    handles = [await jobs.start(name) for name in names]
    await jobs.book.has_entered(names[0])
    await is_armed(handles[1])
    return handles


async def finish_all(jobs: Jobs, *names: str) -> None:
    for name in names:
        await jobs.book.has_entered(name)
        await jobs.finish(name)
    assert jobs.book.entered[-len(names) :] == list(names)


async def test_it_begins_at_the_orderly_close_by_the_permit_it_has(kept: Jobs) -> None:
    _, _, third = await line_up(kept, "first", "second", "third")
    assert await pending(third) == []
    await kept.finish("first")
    await kept.book.has_entered("second")
    assert kept.book.permits[-1].after is not None
    await is_armed(third)
    assert kept.book.most == 1


async def test_after_a_killed_holder_it_waits_until_the_vendors_are_clear(kept: Jobs) -> None:
    first, second = await line_up(kept, "first", "second")
    await first.terminate()
    await has_stood_down(second)
    await kept.book.until(lambda: len(kept.book.drains) == 1)
    view = await kept.until(lambda view: bool(view.holders) and view.holders[0].draining)
    assert (holders(view), kept.book.entered) == (["first"], ["first"])
    kept.book.vendors_clear.set()
    await kept.book.has_entered("second")
    assert kept.book.permits[-1].after is None
    assert kept.book.permits[-1].token > kept.book.permits[0].token
    assert kept.book.most == 1


async def test_a_killed_armed_one_is_cleared_before_another_may_begin(kept: Jobs) -> None:
    _, second, third = await line_up(kept, "first", "second", "third")
    await second.terminate()
    await kept.book.until(lambda: [each.job_id for each in kept.book.drains] == ["second"])
    assert await pending(third) == []
    assert holders(await kept.view()) == ["first"]
    kept.book.vendors_clear.set()
    await is_armed(third)
    await finish_all(kept, "first", "third")
    assert kept.book.most == 1


async def test_a_cancelled_armed_one_makes_room_at_once(kept: Jobs) -> None:
    _, second, third = await line_up(kept, "first", "second", "third")
    await second.cancel()
    await is_armed(third)
    assert kept.book.drains == []
    await finish_all(kept, "first", "third")


async def test_a_pause_is_answered_when_nobody_begins_by_itself_any_more(kept: Jobs) -> None:
    _, second = await line_up(kept, "first", "second")
    assert (await kept.change(paused=True)).paused
    assert await pending(second) == []
    await kept.finish("first")
    view = await kept.until(lambda view: not view.holders)
    assert view.waiting == ("second",)
    assert kept.book.entered == ["first"]
    await kept.change(paused=False)
    await kept.book.has_entered("second")


async def test_a_newcomer_of_higher_priority_takes_its_turn(kept: Jobs) -> None:
    _, second = await line_up(kept, "first", "second")
    urgent = await kept.start("urgent", priority=1)
    await is_armed(urgent)
    await has_stood_down(second)
    assert (await kept.view()).waiting == ("urgent", "second")
    await finish_all(kept, "first", "urgent", "second")
    assert kept.book.most == 1


async def test_limits_up_and_down_again(kept: Jobs) -> None:
    await line_up(kept, "a", "b", "c", "d")
    await kept.change(limit=2)
    await kept.book.has_entered("a", "b")
    view = await kept.change(limit=1)
    assert holders(view) == ["a", "b"]
    await kept.finish("b")
    view = await kept.until(lambda view: holders(view) == ["a"])
    assert view.waiting == ("c", "d")
    assert kept.book.entered == ["a", "b"]
    await kept.finish("a")
    await finish_all(kept, "c", "d")
    assert kept.book.most == 2


async def test_a_rebuilt_keeper_finds_it_armed(kept: Jobs) -> None:
    _, second, _ = await line_up(kept, "first", "second", "third")
    await kill_keeper(kept)
    view = await kept.until(lambda view: bool(view.holders))
    assert (holders(view), view.waiting) == (["first"], ("second", "third"))
    assert FOLLOW in await pending(second)
    await finish_all(kept, "first", "second", "third")
    assert kept.book.most == 1
    tokens = [permit.token for permit in kept.book.permits]
    assert tokens == sorted(set(tokens))


async def test_a_keeper_that_rebuilds_while_it_begins_counts_it_as_holder(
    kept: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.5)
    await line_up(kept, "first", "second", "third")
    await kill_keeper(kept)
    await kept.finish("first")
    await kept.book.has_entered("second")
    view = await kept.until(lambda view: bool(view.holders))
    assert (holders(view), view.waiting) == (["second"], ("third",))
    await finish_all(kept, "second", "third")
    assert kept.book.most == 1


async def test_a_rebuilt_keeper_lets_one_that_stood_down_wait(kept: Jobs) -> None:
    """Holder and keeper killed together: the vendor may still work for the holder."""
    first, second = await line_up(kept, "first", "second")
    await kept.keeper.terminate()
    await first.terminate()
    await has_stood_down(second)
    await kept.book.until(lambda: any(each.job_id == "first" for each in kept.book.drains))
    view = await kept.until(lambda view: view.waiting == ("second",))
    assert holders(view) == ["first"]
    assert kept.book.entered == ["first"]
    kept.book.vendors_clear.set()
    await kept.book.has_entered("second")
    assert kept.book.most == 1


async def test_a_rebuilt_keeper_believes_who_stood_down_for_an_earlier_turn(kept: Jobs) -> None:
    """Whoever was armed in its place has ended by then, so that nothing else tells of it."""
    await line_up(kept, "first", "second")
    urgent = [await kept.start(name, priority=1) for name in ("one", "two", "three")]
    await is_armed(urgent[0])
    await finish_all(kept, "first", "one")
    await kept.book.has_entered("two")
    await is_armed(urgent[2])
    await kill_keeper(kept)
    view = await kept.until(lambda view: bool(view.holders))
    assert (holders(view), view.waiting) == (["two"], ("three", "second"))
    await finish_all(kept, "two", "three", "second")
    assert kept.book.most == 1
    tokens = [permit.token for permit in kept.book.permits]
    assert tokens == sorted(set(tokens))
