"""A stage's gate: held from the grant until it is given back, and never for longer than the run."""

import asyncio
from datetime import UTC, datetime

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from services.semaphore import activities
from shared.slot.messages import (
    CHANGE_UPDATE,
    RELEASE_SIGNAL,
    REQUEST_SIGNAL,
    Closed,
    Gate,
    Release,
    RunRef,
    SlotChange,
    SlotRequest,
    SlotView,
)
from shared.slot.watching import until_closed
from tests.fixtures.eventually import eventually
from tests.fixtures.resets import reset
from tests.fixtures.semaphore_history import are_watched, has_asked
from tests.fixtures.semaphore_view import holders, semaphore_view
from tests.services.semaphore.passers import (
    Passer,
    Passers,
    PassHandle,
    semaphore_of,
)


async def test_who_has_passed_goes_on_while_the_next_one_passes(passers: Passers) -> None:
    async with semaphore_of(passers, max_history=25):
        names = [f"job-{n}" for n in range(6)]
        handles = await passers.start(*names)
        for name, handle in zip(names, handles, strict=True):
            await passers.book.has_entered(name)
            await handle.signal(Passer.step)
        await passers.free()
        assert passers.book.entered == names
        assert passers.book.most == 1
        assert all(permit.gate is Gate.IMAGE for permit in passers.book.permits)
        for handle in handles:
            await handle.signal(Passer.step)
            await handle.result()


async def test_a_release_counts_for_its_run_and_token_alone(passers: Passers) -> None:
    async with semaphore_of(passers):
        holder, waiter = await passers.start("holder", "waiter")
        await passers.book.has_entered("holder")
        token = passers.permit("holder").token
        run, other = str(holder.first_execution_run_id), str(waiter.first_execution_run_id)
        for run_id, number in ((run, token - 1), (run, token + 1), (other, token)):
            await passers.semaphore.signal(RELEASE_SIGNAL, Release(run_id=run_id, token=number))
        view = await passers.until(lambda view: True)
        assert (holders(view), view.waiting) == (["holder"], ("waiter",))
        for _ in range(3):
            await passers.semaphore.signal(RELEASE_SIGNAL, Release(run_id=run, token=token))
        await passers.book.has_entered("waiter")
        view = await passers.until(lambda view: True)
        assert (holders(view), view.waiting) == (["waiter"], ())


@pytest.mark.usefixtures("quick_care")
async def test_who_is_next_and_wants_nothing_is_passed_over(passers: Passers) -> None:
    async with semaphore_of(passers, ask_patience=0.3):
        idle = await passers.idle("idle")
        request = SlotRequest(
            job_id="idle", run_id=str(idle.first_execution_run_id), requested_at=datetime.now(UTC)
        )
        await passers.until(lambda view: True)
        await passers.semaphore.signal(REQUEST_SIGNAL, [request])
        [following] = await passers.start("next")
        await passers.book.has_entered("next")
        view = await passers.until(lambda view: view.waiting == ("idle",))
        assert holders(view) == ["next"]
        await idle.signal(Passer.step)
        await following.signal(Passer.step)
        await passers.book.has_entered("idle")
        assert passers.book.entered == ["next", "idle"]


async def test_the_close_gives_back_what_was_not(passers: Passers) -> None:
    async with semaphore_of(passers):
        holder, _ = await passers.start("holder", "next")
        await passers.book.has_entered("holder")
        await holder.cancel()
        await passers.book.has_entered("next")
        assert passers.book.drains == []


async def test_after_a_kill_the_vendors_are_cleared_first(passers: Passers) -> None:
    async with semaphore_of(passers):
        holder, _ = await passers.start("holder", "next")
        await passers.book.has_entered("holder")
        await holder.terminate()
        await passers.until(lambda view: view.holders[0].draining)
        assert passers.book.entered == ["holder"]
        passers.book.vendors_clear.set()
        await passers.book.has_entered("next")
        assert passers.book.most == 1


async def test_who_is_reset_to_before_the_gate_keeps_nobody_from_it(passers: Passers) -> None:
    """Its new run has not come so far, and may never; it has its place when it has."""
    async with semaphore_of(passers, ask_patience=3600):
        passers.book.vendors_clear.set()
        holder, following = await passers.start("holder", "next")
        await passers.book.has_entered("holder")
        run = await reset(passers.client, "holder", back_to="first", reapplies=False)
        await passers.book.has_entered("next")
        view = await passers.until(lambda view: view.waiting == ("holder",))
        assert holders(view) == ["next"]
        await passers.start("last")
        newer: PassHandle = passers.client.get_workflow_handle(holder.id)
        await newer.signal(Passer.step)
        await has_asked(passers.client, run, Gate.IMAGE)
        await following.signal(Passer.step)
        await passers.book.until(lambda: len(passers.book.entered) == 3)
        assert passers.book.entered == ["holder", "next", "holder"]
        assert passers.book.most == 1


@pytest.mark.parametrize("back_to", ["first", "last"])
@pytest.mark.parametrize("who", ["second", "third"])
async def test_who_is_reset_while_it_waits_at_the_gate_is_told_when_its_turn_comes(
    passers: Passers, who: str, back_to: str
) -> None:
    """One was told that it is next, and one was not; either's new run replays that it has asked."""
    async with semaphore_of(passers):
        # The old run has asked, and may be granted the gate before its end is known.
        passers.book.vendors_clear.set()
        handles = await passers.start("first", "second", "third")
        await passers.book.has_entered("first")
        await passers.book.is_called("second")
        run = await reset(passers.client, who, back_to=back_to)
        for handle in handles:
            await passers.book.has_entered(handle.id)
            newest: PassHandle = passers.client.get_workflow_handle(handle.id)
            await newest.signal(Passer.step)
        await passers.free()
        assert passers.permit(who).run_id == run
        assert passers.book.most == 1


async def test_who_was_reset_and_asks_by_itself_keeps_its_turn(
    passers: Passers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its new run has asked before the old one's end is known: it has come so far."""
    is_known = asyncio.Event()

    async def known_late(client: Client, run: RunRef) -> Closed:
        closed = await until_closed(client, run)
        await is_known.wait()
        return closed

    monkeypatch.setattr(activities, "until_closed", known_late)
    async with semaphore_of(passers):
        await passers.start("first", "second", "third")
        await passers.book.has_entered("first")
        await passers.book.is_called("second")
        run = await reset(passers.client, "second", back_to="first")
        await has_asked(passers.client, run, Gate.IMAGE)
        is_known.set()
        watched = await are_watched(passers.client, run, Gate.IMAGE)
        assert [each.job_id for each in watched] == ["first", "second", "second"]


async def test_a_rebuilt_semaphore_knows_who_has_passed_who_holds_and_who_waits(
    passers: Passers,
) -> None:
    async with semaphore_of(passers):
        passed, _, _ = await passers.start("passed", "holder", "waiter")
        await passers.book.has_entered("passed")
        await passed.signal(Passer.step)
        await passers.book.has_entered("holder")
        await passers.idle("idle")
        before = await passers.until(lambda view: holders(view) == ["holder"])
        await passers.semaphore.terminate()
        after = await passers.until(lambda view: view.waiting == ("waiter",) and bool(view.holders))
        assert [each.token for each in after.holders] == [each.token for each in before.holders]
        assert holders(after) == ["holder"]


async def test_what_was_said_to_nobody_is_read_from_the_histories(passers: Passers) -> None:
    """One asks and one passes while there is no semaphore that could hear them.

    That one is killed then: it has left nothing behind at a gate that it had passed.
    """
    async with semaphore_of(passers):
        [holder] = await passers.start("holder")
        await passers.book.has_entered("holder")
    await passers.semaphore.terminate()
    await holder.signal(Passer.step)
    later = await passers.idle("later")
    await later.signal(Passer.step)
    await eventually(lambda: said(holder), lambda count: count == 2)
    await eventually(lambda: said(later), lambda count: count == 1)
    await holder.terminate()
    async with semaphore_of(passers):
        await passers.book.has_entered("later")
        view = await passers.until(lambda view: True)
        assert (holders(view), view.waiting) == (["later"], ())
        assert passers.book.drains == []


async def said(handle: PassHandle) -> int:
    """How many of the signals of a run are known to have failed or arrived."""
    history = await handle.fetch_history()
    settled = (
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
    )
    return sum(event.event_type in settled for event in history.events)


async def test_each_gate_has_limit_and_queue_of_its_own(passers: Passers) -> None:
    async with semaphore_of(passers):
        await passers.start("holder", "waiter")
        other = await eventually(lambda: semaphore_view(passers.client, Gate.VIDEO), bool)
        assert other is not None
        assert (other.holders, other.waiting, other.limit) == ((), (), 1)
        view = await passers.semaphore.execute_update(
            CHANGE_UPDATE, SlotChange(limit=2), result_type=SlotView
        )
        assert view.limit == 2
        await passers.book.has_entered("waiter")
        other = await eventually(lambda: semaphore_view(passers.client, Gate.VIDEO), bool)
        assert other is not None
        assert other.limit == 1
