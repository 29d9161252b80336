"""Who gets the slot and when: the limit, the order, each way in which a holder can end."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import CancelledError

from shared.slot.messages import WITHDRAW_SIGNAL
from tests.fixtures.semaphore_view import holders
from tests.services.semaphore.standins import Jobs


async def test_one_at_a_time_in_the_order_of_submission(kept: Jobs) -> None:
    names = [f"job-{n}" for n in range(6)]
    for name in names:
        await kept.start(name)
    for name in names:
        await kept.book.has_entered(name)
        await kept.finish(name)
    assert kept.book.entered == names
    assert kept.book.most == 1
    tokens = [permit.token for permit in kept.book.permits]
    assert tokens == sorted(set(tokens))


async def test_the_view_shows_holder_and_queue(kept: Jobs) -> None:
    for name in ("a", "b", "c"):
        await kept.start(name)
    await kept.book.has_entered("a")
    view = await kept.view()
    assert (view.limit, view.paused) == (1, False)
    [holder] = view.holders
    [permit] = kept.book.permits
    assert (holder.job_id, holder.token, holder.draining) == ("a", permit.token, False)
    assert (view.waiting, view.waiting_count) == (("b", "c"), 2)


async def test_a_limit_of_three_is_reached_and_not_exceeded(kept: Jobs) -> None:
    assert (await kept.change(limit=3)).limit == 3
    names = [f"job-{n}" for n in range(7)]
    await kept.start_and_enter(*names[:3])
    for name in names[3:]:
        await kept.start(name)
    view = await kept.view()
    assert holders(view) == names[:3]
    assert view.waiting == tuple(names[3:])
    for name in names:
        await kept.book.has_entered(name)
        await kept.finish(name)
    assert sorted(kept.book.entered) == names
    assert kept.book.most == 3


async def test_a_request_that_is_sent_five_times_counts_once(kept: Jobs) -> None:
    await kept.start("first", asks=5)
    await kept.start("second", asks=5)
    await kept.start("third")
    await kept.until(lambda view: view.waiting_count == 2)
    for name in ("first", "second", "third"):
        await kept.book.has_entered(name)
        await kept.finish(name)
    assert kept.book.entered == ["first", "second", "third"]
    view = await kept.until(lambda view: not view.holders)
    assert view.waiting_count == 0


async def test_higher_priorities_go_first(kept: Jobs) -> None:
    await kept.start("holder")
    await kept.book.has_entered("holder")
    for priority in (3, 5, 1, 4, 2):
        await kept.start(f"p{priority}", priority=priority)
    await kept.until(lambda view: view.waiting == ("p1", "p2", "p3", "p4", "p5"))
    for name in ("holder", "p1", "p2", "p3", "p4", "p5"):
        await kept.book.has_entered(name)
        await kept.finish(name)
    assert kept.book.entered == ["holder", "p1", "p2", "p3", "p4", "p5"]


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_an_orderly_bad_end_hands_over_at_once(kept: Jobs, end: str) -> None:
    holder = await kept.start("holder")
    await kept.book.has_entered("holder")
    await kept.start("next")
    if end == "cancelled":
        await holder.cancel()
        with pytest.raises(WorkflowFailureError) as failure:
            await holder.result()
        assert isinstance(failure.value.cause, CancelledError)
    else:
        with pytest.raises(WorkflowFailureError):
            await kept.finish("holder", end="fail")
    await kept.book.has_entered("next")
    assert kept.book.drains == []
    assert kept.book.most == 1


@pytest.mark.parametrize("end", ["terminated", "timed_out"])
async def test_after_an_end_from_outside_the_vendors_are_cleared_first(
    kept: Jobs, end: str
) -> None:
    lives = timedelta(seconds=3) if end == "timed_out" else None
    holder = await kept.start("holder", lives=lives)
    await kept.book.has_entered("holder")
    await kept.start("next")
    if end == "terminated":
        await holder.terminate()
    await kept.book.until(lambda: len(kept.book.drains) == 1)
    [drain] = kept.book.drains
    assert (drain.job_id, drain.run_id) == ("holder", holder.first_execution_run_id)
    assert (drain.close_code, drain.hold_seconds) == (end, 3.0)
    view = await kept.until(lambda view: view.holders[0].draining)
    assert holders(view) == ["holder"]
    assert view.waiting == ("next",)
    assert kept.book.entered == ["holder"]
    kept.book.vendors_clear.set()
    await kept.book.has_entered("next")
    assert kept.book.most == 1


async def test_waiters_that_are_gone_are_skipped_at_once(kept: Jobs) -> None:
    await kept.start("holder")
    await kept.book.has_entered("holder")
    await kept.start("second")
    for name in ("gone-1", "gone-2", "gone-3"):
        await (await kept.start(name)).terminate()
    await kept.start("next")
    await kept.finish("holder")
    await kept.book.has_entered("second")
    await kept.finish("second")
    await kept.book.has_entered("next")
    assert kept.book.entered == ["holder", "second", "next"]
    assert kept.book.drains == []


async def test_a_waiter_that_withdraws_is_out_of_the_queue(kept: Jobs) -> None:
    await kept.start("holder")
    await kept.book.has_entered("holder")
    await kept.start("second")
    waiter = await kept.start("waiter")
    await kept.start("next")
    await kept.semaphore.signal(WITHDRAW_SIGNAL, waiter.first_execution_run_id)
    assert (await kept.view()).waiting == ("second", "next")
    for name in ("holder", "second"):
        await kept.book.has_entered(name)
        await kept.finish(name)
    await kept.book.has_entered("next")
    assert "waiter" not in kept.book.entered


async def test_a_holder_that_withdraws_keeps_its_place(kept: Jobs) -> None:
    holder = await kept.start("holder")
    await kept.book.has_entered("holder")
    await kept.semaphore.signal(WITHDRAW_SIGNAL, holder.first_execution_run_id)
    await kept.start("next")
    assert holders(await kept.view()) == ["holder"]
    await kept.finish("holder")
    await kept.book.has_entered("next")


async def test_while_paused_nobody_is_granted(kept: Jobs) -> None:
    await kept.start("holder")
    await kept.book.has_entered("holder")
    await kept.start("next")
    assert (await kept.change(paused=True)).paused
    await kept.finish("holder")
    view = await kept.until(lambda view: not view.holders)
    await kept.start("later")
    assert (await kept.view()).waiting == ("next", "later")
    assert view.limit == 1
    assert not (await kept.change(paused=False)).paused
    await kept.book.has_entered("next")
    assert kept.book.entered == ["holder", "next"]


async def test_a_lower_limit_lets_holders_finish(kept: Jobs) -> None:
    await kept.change(limit=2)
    await kept.start_and_enter("a", "b")
    await kept.start("c")
    view = await kept.change(limit=1)
    assert (view.limit, holders(view)) == (1, ["a", "b"])
    await kept.finish("a")
    view = await kept.until(lambda view: len(view.holders) == 1)
    assert (holders(view), view.waiting) == (["b"], ("c",))
    await kept.finish("b")
    await kept.book.has_entered("c")
    assert kept.book.entered == ["a", "b", "c"]


async def test_a_higher_limit_takes_effect_at_once(kept: Jobs) -> None:
    for name in ("a", "b", "c"):
        await kept.start(name)
    await kept.book.has_entered("a")
    await kept.change(limit=3)
    await kept.book.has_entered("b", "c")
