"""Messages of a newer release, with a field that we don't know, are heard like any other."""

from shared.semaphore.messages import CHANGE_UPDATE, REQUEST_SIGNAL, SlotView
from tests.messages.test_messages import EXTRA, later
from tests.shared.semaphore.standins import Jobs


async def test_a_request_with_a_field_more_loses_neither_itself_nor_its_batch(kept: Jobs) -> None:
    await kept.change(paused=True)
    runs = [await kept.foreign(name) for name in ("newer", "beside it")]
    first, second = [await kept.request_of(each) for each in runs]
    await kept.semaphore.signal(REQUEST_SIGNAL, [later(first), second])
    view = await kept.until(lambda view: view.waiting_count > 0)
    assert set(view.waiting) == {"newer", "beside it"}


async def test_a_change_with_a_field_more_is_made(kept: Jobs) -> None:
    view = await kept.semaphore.execute_update(
        CHANGE_UPDATE, {"limit": 2} | EXTRA, result_type=SlotView
    )
    assert view.limit == 2
