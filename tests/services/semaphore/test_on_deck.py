"""Who is next: told so, there when its turn comes, and without any right until it is answered."""

import asyncio
from datetime import UTC, datetime

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from services.semaphore.rebuilding import rebuild
from services.semaphore.rebuilding.priority import FIRST
from services.worker.models import HOLD_SLOT
from shared.slot.messages import (
    ACQUIRE_UPDATE,
    FENCED,
    Acquire,
    Answer,
    Fence,
    SlotRequest,
)
from tests.fixtures.eventually import eventually
from tests.fixtures.semaphore_view import holders
from tests.services.semaphore.standins import JobHandle, Jobs
from tests.services.semaphore.test_lasting import kill_semaphore


async def pending(handle: JobHandle) -> list[str]:
    description = (await handle.describe()).raw_description
    return [each.activity_type.name for each in description.pending_activities]


async def is_sent_away(handle: JobHandle) -> None:
    """Return when a job asks no more, though it was next."""
    await eventually(lambda: pending(handle), lambda found: HOLD_SLOT not in found)


async def line_up(jobs: Jobs, *names: str) -> list[JobHandle]:
    """The first holds, the second is next and asks, the others wait."""
    handles = [await jobs.start(name) for name in names]
    await jobs.book.has_entered(names[0])
    await jobs.book.is_called(names[1])
    return handles


async def precedence(handle: JobHandle) -> int:
    """A run's priority as the server has it; 0 where none was given."""
    return (await handle.describe()).raw_info.priority.priority_key


async def finish_all(jobs: Jobs, *names: str) -> None:
    for name in names:
        await jobs.book.has_entered(name)
        await jobs.finish(name)
    assert jobs.book.entered[-len(names) :] == list(names)


def tokens_grow(jobs: Jobs) -> bool:
    tokens = [permit.token for permit in jobs.book.permits]
    return tokens == sorted(set(tokens))


async def test_it_is_there_when_its_turn_comes_and_nobody_else_is_told(kept: Jobs) -> None:
    _, _, third = await line_up(kept, "first", "second", "third")
    assert await pending(third) == []
    await kept.finish("first")
    await kept.book.has_entered("second")
    await kept.book.is_called("third")
    assert kept.book.called == {"first": 1, "second": 1, "third": 1}
    assert kept.book.most == 1


async def test_who_is_next_goes_before_newcomers(kept: Jobs) -> None:
    *told, waiting = await line_up(kept, "first", "second", "third")
    assert [await precedence(handle) for handle in told] == [FIRST, FIRST]
    assert await precedence(waiting) == 0
    await finish_all(kept, "first", "second", "third")


async def test_after_a_killed_holder_it_waits_until_the_vendors_are_clear(kept: Jobs) -> None:
    first, second = await line_up(kept, "first", "second")
    await first.terminate()
    await kept.book.until(lambda: len(kept.book.drains) == 1)
    view = await kept.until(lambda view: bool(view.holders) and view.holders[0].draining)
    assert (holders(view), kept.book.entered) == (["first"], ["first"])
    assert await pending(second) == [HOLD_SLOT]
    kept.book.vendors_clear.set()
    await kept.book.has_entered("second")
    assert kept.book.called["second"] == 1
    assert kept.book.most == 1
    assert tokens_grow(kept)


@pytest.mark.parametrize("end", ["cancelled", "terminated"])
async def test_one_that_ends_while_it_is_next_makes_room_at_once(kept: Jobs, end: str) -> None:
    """It has begun nothing, so that nothing is cleared after it."""
    _, second, _ = await line_up(kept, "first", "second", "third")
    if end == "cancelled":
        await second.cancel()
    else:
        await second.terminate()
    await kept.book.is_called("third")
    assert (await kept.view()).waiting == ("third",)
    await finish_all(kept, "first", "third")
    assert kept.book.drains == []


async def test_a_pause_holds_from_its_answer_on(kept: Jobs) -> None:
    _, second = await line_up(kept, "first", "second")
    assert (await kept.change(paused=True)).paused
    await kept.finish("first")
    view = await kept.until(lambda view: not view.holders)
    assert view.waiting == ("second",)
    assert kept.book.entered == ["first"]
    assert await pending(second) == [HOLD_SLOT]
    await kept.change(paused=False)
    await kept.book.has_entered("second")


async def test_a_newcomer_of_higher_priority_takes_its_turn(kept: Jobs) -> None:
    _, second = await line_up(kept, "first", "second")
    await kept.start("urgent", priority=1)
    await kept.book.is_called("urgent")
    await is_sent_away(second)
    assert (await kept.view()).waiting == ("urgent", "second")
    await kept.finish("first")
    await kept.book.has_entered("urgent")
    await kept.book.is_called("second", 2)
    await finish_all(kept, "urgent", "second")
    assert kept.book.most == 1


async def test_limits_up_and_down_again(kept: Jobs) -> None:
    await line_up(kept, "a", "b", "c", "d")
    await kept.has_asked("b")
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


async def test_more_than_the_server_lets_ask_at_once_are_served_all_the_same(kept: Jobs) -> None:
    await kept.change(limit=20, paused=True)
    names = [f"job-{n:02}" for n in range(20)]
    for name in names:
        await kept.start(name)
    for name in names[:8]:
        await kept.book.is_called(name)
    assert sum(kept.book.called.values()) == 8
    await kept.change(paused=False)
    await kept.book.has_entered(*names)


async def test_a_rebuilt_semaphore_is_asked_again_by_who_was_next(kept: Jobs) -> None:
    await line_up(kept, "first", "second", "third")
    await kill_semaphore(kept)
    view = await kept.until(lambda view: bool(view.holders))
    assert (holders(view), view.waiting) == (["first"], ("second", "third"))
    await finish_all(kept, "first", "second", "third")
    assert kept.book.most == 1
    assert tokens_grow(kept)


async def test_nothing_is_granted_while_the_holder_ends_and_the_semaphore_rebuilds(
    kept: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.5)
    await line_up(kept, "first", "second", "third")
    await kill_semaphore(kept)
    await kept.finish("first")
    await kept.book.has_entered("second")
    view = await kept.until(lambda view: bool(view.holders))
    assert (holders(view), view.waiting) == (["second"], ("third",))
    await finish_all(kept, "second", "third")
    assert kept.book.most == 1


async def test_holder_and_semaphore_killed_together(kept: Jobs) -> None:
    """The vendor may still work for the holder."""
    first, _ = await line_up(kept, "first", "second")
    await kept.semaphore.terminate()
    await first.terminate()
    await kept.book.until(lambda: any(each.job_id == "first" for each in kept.book.drains))
    view = await kept.until(lambda view: view.waiting == ("second",))
    assert holders(view) == ["first"]
    assert kept.book.entered == ["first"]
    kept.book.vendors_clear.set()
    await kept.book.has_entered("second")
    assert kept.book.most == 1


async def test_a_semaphore_killed_after_an_overtaking_keeps_the_order(kept: Jobs) -> None:
    await line_up(kept, "first", "second")
    for name in ("one", "two", "three"):
        await kept.start(name, priority=1)
    await kept.book.is_called("one")
    await finish_all(kept, "first", "one")
    await kept.book.has_entered("two")
    await kept.book.is_called("three")
    await kill_semaphore(kept)
    view = await kept.until(lambda view: bool(view.holders))
    assert (holders(view), view.waiting) == (["two"], ("three", "second"))
    await finish_all(kept, "two", "three", "second")
    assert kept.book.most == 1
    assert tokens_grow(kept)


async def asked(jobs: Jobs, handle: JobHandle, fence: Fence) -> Answer:
    """The semaphore's answer to a try of a job."""
    request = SlotRequest(
        job_id=handle.id,
        run_id=str(handle.first_execution_run_id),
        requested_at=datetime.now(UTC),
    )
    answer: Answer = await jobs.semaphore.execute_update(
        ACQUIRE_UPDATE, Acquire(request=request, fence=fence), result_type=Answer
    )
    return answer


class TestFence:
    """Of the tries of one run only the latest that has asked counts."""

    async def test_a_later_one_of_who_holds_gets_the_same_permit_and_an_older_one_none(
        self, kept: Jobs
    ) -> None:
        first = await kept.start("first")
        await kept.book.has_entered("first")
        [permit] = kept.book.permits
        later = await asked(kept, first, (0, 1, 5))
        assert later.permit == permit
        for older in ((0, 1, 4), (0, 0, 9)):
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await asked(kept, first, older)
            assert isinstance(refused.value.cause, ApplicationError)
            assert refused.value.cause.type == FENCED
        assert (await asked(kept, first, (1, 1, 1))).permit == permit

    async def test_an_older_one_of_who_is_next_is_answered_when_a_later_one_asks(
        self, kept: Jobs
    ) -> None:
        """The tries of the stand-in itself are the older ones here."""
        _, second = await line_up(kept, "first", "second")
        await kept.has_asked("second")
        later = asyncio.create_task(asked(kept, second, (0, 1, 7)))
        await is_sent_away(second)
        assert not later.done()
        await kept.finish("first")
        permit = (await later).permit
        assert permit is not None
        assert permit.job_id == "second"
        assert holders(await kept.view()) == ["second"]
