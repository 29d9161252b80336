"""The care for the semaphores: forgotten jobs are heard of, holders without end are ended."""

from datetime import UTC, datetime, timedelta

from services.semaphore.watchdog import OPEN_SECONDS, OUTLIVED, end_overdue, remind
from shared.slot.messages import JOB_GATE, WITHDRAW_SIGNAL
from tests.fixtures.eventually import eventually
from tests.fixtures.semaphore_view import holders
from tests.services.semaphore.asking import HOLDS_SECONDS
from tests.services.semaphore.standins import Jobs
from tests.services.semaphore.test_lasting import kill_semaphore
from tests.services.semaphore.test_on_deck import line_up


async def test_a_job_that_the_semaphore_does_not_know_is_heard_of(kept: Jobs) -> None:
    _, _, third, _ = await line_up(kept, "first", "second", "third", "fourth")
    await kept.semaphore.signal(WITHDRAW_SIGNAL, third.first_execution_run_id)
    assert (await kept.view()).waiting == ("second", "fourth")
    found = await eventually(lambda: remind(kept.client, open_for=0), bool)
    assert found == 1
    assert (await kept.view()).waiting == ("second", "third", "fourth")
    assert await remind(kept.client, open_for=0) == 0
    for name in ("first", "second", "third", "fourth"):
        await kept.book.has_entered(name)
        await kept.finish(name)


async def test_one_that_has_only_just_begun_is_left_to_itself(kept: Jobs) -> None:
    _, second = await line_up(kept, "first", "second")

    async def forgotten(open_for: float) -> int:
        # A try of its that asks just now makes it known again.
        await kept.semaphore.signal(WITHDRAW_SIGNAL, second.first_execution_run_id)
        return await remind(kept.client, open_for=open_for)

    assert await forgotten(OPEN_SECONDS) == 0
    await eventually(lambda: forgotten(0), bool)


async def test_a_holder_past_its_own_limit_is_ended_and_cleared(kept: Jobs) -> None:
    first, _ = await line_up(kept, "first", "second")
    [permit] = kept.book.permits
    now = datetime.now(UTC)
    almost = now + timedelta(seconds=HOLDS_SECONDS - 60)
    assert await end_overdue(kept.client, JOB_GATE, now=almost) == []
    late = now + timedelta(seconds=HOLDS_SECONDS + 60)
    assert await end_overdue(kept.client, JOB_GATE, now=late) == [permit.run]
    await kept.book.until(lambda: [each.job_id for each in kept.book.drains] == ["first"])
    assert await end_overdue(kept.client, JOB_GATE, now=late) == []
    assert (holders(await kept.view()), kept.book.entered) == (["first"], ["first"])
    kept.book.vendors_clear.set()
    await kept.book.has_entered("second")
    last = (await first.fetch_history()).events[-1]
    assert last.workflow_execution_terminated_event_attributes.reason == OUTLIVED


async def test_its_limit_outlives_the_semaphore(kept: Jobs) -> None:
    await line_up(kept, "first", "second")
    [permit] = kept.book.permits
    await kill_semaphore(kept)
    await kept.until(lambda view: holders(view) == ["first"] and view.waiting == ("second",))
    now = datetime.now(UTC)
    almost = now + timedelta(seconds=HOLDS_SECONDS - 60)
    assert await end_overdue(kept.client, JOB_GATE, now=almost) == []
    late = now + timedelta(seconds=HOLDS_SECONDS + 60)
    assert await end_overdue(kept.client, JOB_GATE, now=late) == [permit.run]
