"""A semaphore's run that was reset believes what is out of date: it ends, and the next rebuilds."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus

from services.semaphore.rebuilding import rebuild
from tests.fixtures.resets import reset
from tests.fixtures.semaphore_history import has_asked
from tests.fixtures.semaphore_view import holders
from tests.services.semaphore.standins import Jobs
from tests.services.semaphore.test_lasting import another_run, kill_semaphore, run_of
from tests.services.semaphore.test_on_deck import finish_all, line_up, tokens_grow


@pytest.mark.parametrize("back_to", ["first", "last"])
async def test_there_are_never_two_holders(kept: Jobs, back_to: str) -> None:
    await line_up(kept, "first", "second", "third")
    await kept.finish("first")
    await kept.book.has_entered("second")
    await kept.book.is_called("third")
    before = await kept.view()
    run = await reset(kept.client, kept.semaphore.id, back_to=back_to)
    await another_run(kept, run)
    after = await kept.until(lambda view: bool(view.holders))
    assert [each.token for each in after.holders] == [each.token for each in before.holders]
    assert (holders(after), after.waiting) == (["second"], ("third",))
    ended = await kept.client.get_workflow_handle(kept.semaphore.id, run_id=run).describe()
    assert ended.status is WorkflowExecutionStatus.FAILED
    await finish_all(kept, "second", "third")
    assert kept.book.most == 1
    assert tokens_grow(kept)


async def test_one_that_knew_of_a_drain_is_followed_by_one_that_drains(kept: Jobs) -> None:
    first, _ = await line_up(kept, "first", "second")
    await first.terminate()
    await kept.book.until(lambda: len(kept.book.drains) == 1)
    await another_run(kept, await reset(kept.client, kept.semaphore.id, back_to="last"))
    await kept.book.until(lambda: len(kept.book.drains) == 2)
    assert kept.book.entered == ["first"]
    kept.book.vendors_clear.set()
    await kept.book.has_entered("second")
    assert kept.book.most == 1


@pytest.mark.parametrize("back_to", ["first", "last"])
async def test_a_job_that_is_next_and_reset_is_next_again(kept: Jobs, back_to: str) -> None:
    """Its new run replays what the old one had asked; the semaphore's watch tells of it."""
    await line_up(kept, "first", "second", "third")
    run = await reset(kept.client, "second", back_to=back_to)
    # Until the end of the old one is known, its question is answered.
    await has_asked(kept.client, run)
    await kept.until(lambda view: view.waiting == ("second", "third"))
    await kept.finish("first")
    await finish_all(kept, "second", "third")
    assert kept.book.drains == []
    [permit] = [each for each in kept.book.permits if each.job_id == "second"]
    assert permit.run_id == run
    assert kept.book.most == 1


async def test_who_waits_is_read_from_the_last_semaphores_history_where_the_lists_lack_it(
    kept: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nobody(_client: Client) -> AsyncIterator[WorkflowExecution]:
        jobs: tuple[WorkflowExecution, ...] = ()
        for job in jobs:
            yield job

    await line_up(kept, "first", "second", "third")
    gone = await kept.start("gone")
    await gone.cancel()
    await kept.until(lambda view: view.waiting == ("second", "third"))
    monkeypatch.setattr(rebuild, "_listed", nobody)
    run = await run_of(kept)
    await kill_semaphore(kept)
    view = await kept.until(lambda view: bool(view.holders))
    assert await run_of(kept) != run
    assert (holders(view), view.waiting) == (["first"], ("second", "third"))
    await finish_all(kept, "first", "second", "third")
