"""Who gets the slot, or a stage's gate, and when: the limit, the order, each way in which a holder
can end."""

from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError

from shared.semaphore.messages import RELEASE_SIGNAL, WITHDRAW_SIGNAL, Closed
from shared.semaphore.rebuild import OPEN
from shared.semaphore.state import SemaphoreRules
from shared.semaphore.watchdog import remind
from tests.fixtures.eventually import eventually
from tests.fixtures.semaphore import drains, holders
from tests.fixtures.temporal import reset
from tests.shared.semaphore.standins import JobHandle, Jobs, StandIn, semaphore_of


async def test_one_at_a_time_in_the_order_of_submission(kept: Jobs) -> None:
    names = [f"job-{n}" for n in range(6)]
    await kept.line_up(*names)
    view = await kept.view()
    [holder] = view.holders
    [permit] = kept.book.permits
    assert (holder.job_id, holder.token, holder.draining) == ("job-0", permit.token, False)
    assert (view.limit, view.paused, view.waiting_count) == (1, False, 5)
    assert view.waiting == tuple(names[1:])
    await kept.finish_all(*names)
    assert kept.book.most == 1
    assert kept.book.tokens_grow
    assert kept.book.drains == []


async def test_limit_of_three_is_reached_and_not_exceeded(kept: Jobs) -> None:
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


async def test_repeated_request_counts_once(kept: Jobs) -> None:
    handles = await kept.line_up("first", "second", "third")
    for handle in handles[:2]:
        for _ in range(4):
            await kept.ask(await kept.request_of(handle))
    assert (await kept.view()).waiting == ("second", "third")
    await kept.finish_all("first", "second", "third")
    view = await kept.until(lambda view: not view.holders)
    assert view.waiting_count == 0
    assert kept.book.entered == ["first", "second", "third"]


@pytest.mark.parametrize("end", ["completed", "cancelled", "failed"])
async def test_ordinary_end_frees_the_place_at_once(kept: Jobs, end: str) -> None:
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


@pytest.mark.parametrize("end", ["terminated", "timed_out", "reset"])
async def test_end_from_outside_clears_the_vendors_first(kept: Jobs, end: str) -> None:
    lives = timedelta(seconds=3) if end == "timed_out" else None
    holder = await kept.start("holder", lives=lives)
    await kept.book.has_entered("holder")
    await kept.start("next")
    if end == "terminated":
        await holder.terminate()
    elif end == "reset":
        await reset(kept.client, "holder", back_to="last")
    await kept.book.has_drained("holder")
    [drain] = kept.book.drains
    assert (drain.job_id, drain.run_id) == ("holder", holder.first_execution_run_id)
    closed = Closed.TIMED_OUT if end == "timed_out" else Closed.TERMINATED
    assert (drain.closed, drain.hold_seconds, drain.in_doubt) == (closed, 3.0, True)
    view = await kept.view()
    assert (holders(view), view.waiting) == (["holder"], ("next",))
    assert (view.holders[0].draining, view.holders[0].drains_since) == (True, drain.since)
    assert kept.book.entered == ["holder"]
    # A drain returns what it has kept as well.
    kept.book.drained = {"cleared": True, "attempts": {"image": 1}, "assets": {}, "asset_url": None}
    kept.book.vendors_clear.set()
    await kept.book.has_entered("next")
    assert kept.book.most == 1


async def test_foreign_workflow_returns_its_place(kept: Jobs) -> None:
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


async def test_closed_waiters_are_skipped_at_once(kept: Jobs) -> None:
    _, *gone = await kept.line_up("holder", "gone-1", "gone-2", "gone-3")
    for each in gone:
        await each.terminate()
    await kept.start("next")
    await kept.finish_all("holder", "next")
    assert kept.book.drains == []


async def test_withdrawal_removes_a_waiter_but_not_a_holder(kept: Jobs) -> None:
    holder, waiter, _ = await kept.line_up("holder", "waiter", "next")
    for each in (holder, waiter):
        await kept.semaphore.signal(WITHDRAW_SIGNAL, each.first_execution_run_id)
    view = await kept.view()
    assert (holders(view), view.waiting) == (["holder"], ("next",))
    await kept.finish_all("holder", "next")


async def test_paused_semaphore_grants_nothing(kept: Jobs) -> None:
    await kept.line_up("holder", "next")
    assert (await kept.change(paused=True)).paused
    await kept.finish("holder")
    await kept.until(lambda view: not view.holders)
    await kept.start("later")
    assert (await kept.view()).waiting == ("next", "later")
    assert not (await kept.change(paused=False)).paused
    await kept.book.has_entered("next")
    assert kept.book.entered == ["holder", "next"]


async def test_lower_limit_lets_holders_finish_and_a_higher_one_counts_at_once(
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


class TestFullQueue:
    """A run that does not fit waits outside; no run waits for what never comes."""

    @pytest.fixture
    def rules(self) -> SemaphoreRules:
        return SemaphoreRules(capacity=3)

    async def test_run_that_does_not_fit_is_requested_when_there_is_room(self, kept: Jobs) -> None:
        await kept.change(paused=True)
        requests = [await kept.request_of(await kept.begin(name)) for name in "abcde"]
        await kept.ask(*requests)
        # One that waits already may ask again.
        await kept.ask(requests[2])
        view = await kept.view()
        assert view.waiting == ("a", "b", "c")
        assert (view.waiting_count, view.capacity, view.is_full) == (3, 3, True)

        async def reminded() -> tuple[str, ...]:
            """The list may lack the newest one at first."""
            await remind(kept.client, capacity=3)
            return (await kept.view()).waiting

        async def listed() -> set[str]:
            return {run.id async for run in kept.client.list_workflows(OPEN)}

        await eventually(listed, lambda ids: ids > set("abcde"))
        before = (await kept.semaphore.describe()).history_length
        await reminded()
        assert (await kept.semaphore.describe()).history_length == before
        await kept.change(paused=False)
        await kept.book.has_entered("a")
        assert await reminded() == ("b", "c", "d")
        await kept.finish("a")
        await kept.book.has_entered("b")
        assert await reminded() == ("c", "d", "e")
        await kept.finish_all("b", "c", "d", "e")


GATE = "image"
ASKED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
RELEASED = EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED


@pytest.fixture
async def passers(kept: Jobs) -> Jobs:
    """Jobs at a stage's gate, where a semaphore has looked round."""
    passers = kept.at(GATE)
    await passers.until(lambda view: True)
    await passers.change(limit=1)
    return passers


async def said(handle: JobHandle, kind: EventType.ValueType) -> None:
    """Return when a run has said something."""

    async def has_said() -> bool:
        return any(event.event_type == kind for event in (await handle.fetch_history()).events)

    await eventually(has_said, bool)


async def test_release_counts_only_for_its_run_and_token(passers: Jobs) -> None:
    _, waiter = await passers.line_up("holder", "waiter")
    [permit] = passers.book.permits
    token, other = permit.token, str(waiter.first_execution_run_id)
    for wrong in ({"token": token - 1}, {"token": token + 1}, {"run_id": other}):
        await passers.semaphore.signal(RELEASE_SIGNAL, permit.model_copy(update=wrong))
    view = await passers.view()
    assert (holders(view), view.waiting) == (["holder"], ("waiter",))
    for _ in range(3):
        await passers.semaphore.signal(RELEASE_SIGNAL, permit)
    await passers.book.has_entered("waiter")
    view = await passers.view()
    assert (holders(view), view.waiting) == (["waiter"], ())


async def test_rebuild_reads_lost_releases_from_the_histories(jobs: Jobs) -> None:
    """One asks and one passes while there is no semaphore that could hear them.

    That one is killed then: it has left nothing behind at a gate that it had passed.
    """
    passers = jobs.at(GATE)
    async with semaphore_of(jobs.client):
        # The slot's semaphore has looked round, and takes none of these for its own.
        await jobs.until(lambda view: True)
        await jobs.change(paused=True)
        [holder] = await passers.line_up("holder")
    await passers.semaphore.terminate()
    await holder.signal(StandIn.pass_on)
    later = await passers.begin("later")
    await said(holder, RELEASED)
    await said(later, ASKED)
    await holder.terminate()
    killed = "ExecutionStatus = 'Terminated' AND WorkflowId = 'holder'"
    await eventually(lambda: jobs.client.count_workflows(killed), lambda found: found.count == 1)
    async with semaphore_of(jobs.client):
        await passers.book.has_entered("later")
        view = await passers.view()
        assert (holders(view), view.waiting) == (["later"], ())
        assert passers.book.drains == []


async def test_release_after_a_kill_does_not_shorten_the_drain(
    passers: Jobs,
) -> None:
    holder, _ = await passers.line_up("holder", "next")
    await holder.terminate()
    await passers.book.has_drained("holder")
    [permit] = passers.book.permits
    await passers.semaphore.signal(RELEASE_SIGNAL, permit)
    assert holders(await passers.change(limit=1)) == ["holder"]
    assert len(await drains(passers.client, passers.gate)) == 1
