"""What doesn't fit must not stop the semaphore: neither messages nor jobs made by hand."""

from itertools import product

import pytest
from temporalio.client import WorkflowUpdateFailedError

from shared.slot.messages import (
    ACQUIRE_UPDATE,
    CHANGE_UPDATE,
    GRANTED_SIGNAL,
    RELEASE_SIGNAL,
    REQUEST_SIGNAL,
    SKIP_SIGNAL,
    WITHDRAW_SIGNAL,
)
from shared.temporal.client import GENVIDEO_WORKFLOW
from tests.fixtures.null import NULL
from tests.services.semaphore.standins import Jobs
from tests.services.semaphore.test_lasting import kill_semaphore

# No change, and no question for the permit, that there could be.
CHANGES: list[object] = [
    *({"limit": 0}, {"limit": 1001}, {"limit": "many"}),
    *({}, {"paused": None}, {"x": 1}, 7),
]
QUESTIONS: list[object] = [{}, {"fence": [0, 1]}, "me", 7, None]
# Too few values, none in the place of one, too many.
SIGNALLED: list[list[object]] = [[], [NULL], ["one", "more"]]
UPDATED: list[list[object]] = [[], [NULL], [{"limit": 2}, "more"]]


async def test_a_change_that_does_not_fit_is_refused(kept: Jobs) -> None:
    before = await kept.view()
    for wanted in CHANGES:
        with pytest.raises(WorkflowUpdateFailedError):
            await kept.semaphore.execute_update(CHANGE_UPDATE, wanted)
        assert await kept.view() == before, wanted


async def test_who_asks_in_words_that_do_not_fit_is_refused(kept: Jobs) -> None:
    for asked in QUESTIONS:
        with pytest.raises(WorkflowUpdateFailedError):
            await kept.semaphore.execute_update(ACQUIRE_UPDATE, asked)
    await goes_on(kept)


async def goes_on(jobs: Jobs) -> None:
    """It grants as if nothing had been."""
    await jobs.start("job")
    await jobs.book.has_entered("job")
    assert (await jobs.view()).waiting_count == 0


async def test_a_signal_that_does_not_fit_is_dropped(kept: Jobs) -> None:
    await kept.semaphore.signal(REQUEST_SIGNAL, {"job_id": "half"})
    await kept.semaphore.signal(REQUEST_SIGNAL, "nonsense")
    await kept.semaphore.signal(WITHDRAW_SIGNAL, ["not", "one"])
    await kept.semaphore.signal(RELEASE_SIGNAL, {"token": "none"})
    await goes_on(kept)


async def test_a_signal_of_too_few_or_too_many_values_is_dropped(kept: Jobs) -> None:
    names = (REQUEST_SIGNAL, WITHDRAW_SIGNAL, RELEASE_SIGNAL, SKIP_SIGNAL)
    for name, values in product(names, SIGNALLED):
        await kept.semaphore.signal(name, args=values)
    await goes_on(kept)


async def test_an_update_of_too_few_or_too_many_values_is_refused(kept: Jobs) -> None:
    for name, values in product((CHANGE_UPDATE, ACQUIRE_UPDATE), UPDATED):
        with pytest.raises(WorkflowUpdateFailedError):
            await kept.semaphore.execute_update(name, args=values)
    await goes_on(kept)


async def test_jobs_that_cannot_be_read_are_left_out_of_the_rebuilt_queue(kept: Jobs) -> None:
    await kept.start("holder")
    await kept.book.has_entered("holder")
    client = kept.client
    await client.start_workflow(GENVIDEO_WORKFLOW, id="no-input", task_queue="nobody")
    await client.start_workflow(GENVIDEO_WORKFLOW, {"a": 1}, id="not-ours", task_queue="nobody")
    marred = await kept.start("marred")
    await marred.signal(GRANTED_SIGNAL, {"token": "none"})
    await kept.start("next")
    await kill_semaphore(kept)
    view = await kept.until(lambda view: bool(view.holders))
    assert [holder.job_id for holder in view.holders] == ["holder"]
    assert view.waiting == ("marred", "next")
