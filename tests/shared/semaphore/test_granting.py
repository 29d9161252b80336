"""Who gets the slot and when: the limit, the order, each way in which a holder can end."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError

from shared.semaphore.messages import WITHDRAW_SIGNAL, Closed
from tests.fixtures.semaphore import holders
from tests.fixtures.temporal import reset
from tests.shared.semaphore.standins import Jobs, unknown_run


async def test_one_at_a_time_in_the_order_of_submission(kept: Jobs) -> None:
    names = [f"job-{n}" for n in range(6)]
    for name in names:
        await kept.start(name)
    await kept.finish_all(*names)
    assert kept.book.most == 1
    assert kept.book.tokens_grow
    assert kept.book.drains == []


async def test_the_view_shows_holder_and_queue(kept: Jobs) -> None:
    await kept.line_up("a", "b", "c")
    view = await kept.view()
    assert (view.limit, view.paused) == (1, False)
    [holder] = view.holders
    [permit] = kept.book.permits
    assert (holder.job_id, holder.token, holder.draining) == ("a", permit.token, False)
    assert (view.waiting, view.waiting_count) == (("b", "c"), 2)


async def test_a_limit_of_three_is_reached_and_not_exceeded(kept: Jobs) -> None:
    assert (await kept.change(limit=3)).limit == 3
    names = [f"job-{n}" for n in range(7)]
    for name in names:
        await kept.start(name)
    await kept.book.has_entered(*names[:3])
    view = await kept.view()
    assert holders(view) == names[:3]
    assert view.waiting == tuple(names[3:])
    for name in names:
        await kept.book.has_entered(name)
        await kept.finish(name)
    assert sorted(kept.book.entered) == names
    assert kept.book.most == 3


async def test_a_request_that_is_sent_five_times_counts_once(kept: Jobs) -> None:
    handles = await kept.line_up("first", "second", "third")
    for handle in handles[:2]:
        for _ in range(4):
            await kept.ask(await kept.request_of(handle))
    assert (await kept.view()).waiting == ("second", "third")
    await kept.finish_all("first", "second", "third")
    view = await kept.until(lambda view: not view.holders)
    assert view.waiting_count == 0
    assert kept.book.entered == ["first", "second", "third"]


async def test_higher_priorities_go_first(kept: Jobs) -> None:
    await kept.line_up("holder")
    for priority in (3, 5, 1, 4, 2):
        await kept.start(f"p{priority}", priority=priority)
    assert (await kept.view()).waiting == ("p1", "p2", "p3", "p4", "p5")
    await kept.finish_all("holder", "p1", "p2", "p3", "p4", "p5")


@pytest.mark.parametrize("end", ["completed", "cancelled", "failed"])
async def test_an_orderly_end_hands_over_at_once(kept: Jobs, end: str) -> None:
    holder, _ = await kept.line_up("holder", "next")
    if end == "completed":
        await kept.finish("holder")
    else:
        if end == "cancelled":
            await holder.cancel()
        with pytest.raises(WorkflowFailureError):
            await (holder.result() if end == "cancelled" else kept.finish("holder", "fail"))
    await kept.book.has_entered("next")
    assert kept.book.drains == []
    assert kept.book.most == 1


@pytest.mark.parametrize("end", [Closed.TERMINATED, Closed.TIMED_OUT])
async def test_after_an_end_from_outside_the_vendors_are_cleared_first(
    kept: Jobs, end: Closed
) -> None:
    lives = timedelta(seconds=3) if end is Closed.TIMED_OUT else None
    holder = await kept.start("holder", lives=lives)
    await kept.book.has_entered("holder")
    await kept.start("next")
    if end is Closed.TERMINATED:
        await holder.terminate()
    await kept.book.has_drained("holder")
    [drain] = kept.book.drains
    assert (drain.job_id, drain.run_id) == ("holder", holder.first_execution_run_id)
    assert (drain.closed, drain.hold_seconds, drain.in_doubt) == (end, 3.0, True)
    view = await kept.view()
    assert (holders(view), view.waiting) == (["holder"], ("next",))
    assert (view.holders[0].draining, view.holders[0].drains_since) == (True, drain.since)
    assert kept.book.entered == ["holder"]
    # A drain returns what it has kept as well.
    kept.book.drained = {"cleared": True, "attempts": {"image": 1}, "assets": {}, "asset_url": None}
    kept.book.vendors_clear.set()
    await kept.book.has_entered("next")
    assert kept.book.most == 1


async def test_a_holder_that_is_reset_is_drained(kept: Jobs) -> None:
    await kept.line_up("holder", "next")
    await reset(kept.client, "holder", back_to="last")
    await kept.book.has_drained("holder")
    assert kept.book.entered == ["holder"]
    kept.book.vendors_clear.set()
    await kept.book.has_entered("next")


async def test_a_run_that_temporal_does_not_know_is_drained(kept: Jobs) -> None:
    request = await kept.request_of(await kept.begin("stranger"))
    await kept.ask(request.model_copy(update=unknown_run().model_dump()))
    await kept.book.has_drained("unknown")
    await kept.start("next")
    [drain] = kept.book.drains
    assert drain.closed is Closed.UNKNOWN
    assert kept.book.entered == []
    kept.book.vendors_clear.set()
    await kept.book.has_entered("next")


async def test_a_foreign_workflow_that_holds_gives_its_place_back(kept: Jobs) -> None:
    foreign = await kept.foreign("not a job: 不是")
    await kept.ask(await kept.request_of(foreign))
    await kept.until(lambda view: holders(view) == [foreign.id])
    await kept.start("next")
    await kept.kill_semaphore()
    view = await kept.until(lambda view: bool(view.holders))
    assert (holders(view), view.waiting) == ([foreign.id], ("next",))
    await foreign.terminate()
    kept.book.vendors_clear.set()
    await kept.book.has_entered("next")
    assert kept.book.drained_jobs == [foreign.id]


async def test_waiters_that_are_gone_are_skipped_at_once(kept: Jobs) -> None:
    _, *gone = await kept.line_up("holder", "gone-1", "gone-2", "gone-3")
    for each in gone:
        await each.terminate()
    await kept.start("next")
    await kept.finish_all("holder", "next")
    assert kept.book.drains == []


async def test_a_waiter_that_withdraws_is_out_and_a_holder_stays(kept: Jobs) -> None:
    holder, waiter, _ = await kept.line_up("holder", "waiter", "next")
    for each in (holder, waiter):
        await kept.semaphore.signal(WITHDRAW_SIGNAL, each.first_execution_run_id)
    view = await kept.view()
    assert (holders(view), view.waiting) == (["holder"], ("next",))
    await kept.finish_all("holder", "next")


async def test_while_paused_no_run_is_granted(kept: Jobs) -> None:
    await kept.line_up("holder", "next")
    assert (await kept.change(paused=True)).paused
    await kept.finish("holder")
    await kept.until(lambda view: not view.holders)
    await kept.start("later")
    assert (await kept.view()).waiting == ("next", "later")
    assert not (await kept.change(paused=False)).paused
    await kept.book.has_entered("next")
    assert kept.book.entered == ["holder", "next"]


async def test_a_lower_limit_lets_holders_finish_and_a_higher_one_counts_at_once(
    kept: Jobs,
) -> None:
    await kept.line_up("a", "b", "c")
    await kept.change(limit=2)
    await kept.book.has_entered("b")
    view = await kept.change(limit=1)
    assert (view.limit, holders(view)) == (1, ["a", "b"])
    await kept.finish("a")
    view = await kept.until(lambda view: len(view.holders) == 1)
    assert (holders(view), view.waiting) == (["b"], ("c",))
    await kept.finish_all("b", "c")
