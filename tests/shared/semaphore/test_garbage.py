"""What doesn't fit, or is newer, must not stop the semaphore."""

import json
from itertools import product

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import RawValue

from shared.jobs.genvideo import GENVIDEO
from shared.jobs.slots import JOB_GATE
from shared.semaphore.messages import (
    CHANGE_UPDATE,
    RELEASE_SIGNAL,
    REQUEST_SIGNAL,
    WITHDRAW_SIGNAL,
    Permit,
    SlotView,
    granted_signal,
)
from tests.fixtures.semaphore import holders
from tests.fixtures.temporal import NULL
from tests.messages.test_messages import EXTRA
from tests.shared.semaphore.standins import Jobs

CHANGES: list[object] = [
    *({"limit": 0}, {"limit": 1001}, {"limit": "many"}, {"limit": 10**400}),
    *({}, {"paused": None}, {"x": 1}, 7),
]
# Too few values, none in the place of one, too many, and what the SDK reads as no handler wants it.
SIGNALLED: list[list[object]] = [[], [NULL], ["one", "more"], [b"bytes"], [Payload()]]
UPDATED: list[list[object]] = [[], [NULL], [{"limit": 2}, "more"], [b"bytes"], [Payload()]]
# In place of what a request should say; each alone makes it one that is dropped.
WRONG: dict[str, list[object]] = {
    "requested_at": [
        *("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00"),
        *(10**400, None),
    ],
    "priority": [10**400, 0, 6, "x"],
    "job_id": ["", "a\nb", "a" * 1001, 7, None],
    "run_id": ["", "a\0b", "a" * 101, ["a"]],
    # With any of these no task of the semaphore could complete once its run has ended.
    "clean_up": [
        *({"task_queue": "/_sys/a", "activity": "b"}, {"task_queue": "不" * 400, "activity": "b"}),
        {"task_queue": "a", "activity": "不" * 400},
    ],
}
RELEASES: list[object] = [{"token": "none"}, {"run_id": "x", "token": -1}, "x", []]
PERMITS: list[object] = [{"token": "none"}, {"token": 2**53}, [], NULL]
# No requests at all.
BATCHES: list[object] = ["nonsense", 7, True, {"job_id": "half"}, [None], [[]], ["x", 1, {}], []]


def raw(text: str) -> RawValue:
    """A payload that none of our clients would write."""
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=text.encode()))


async def lives(jobs: Jobs, name: str) -> None:
    """It grants as if nothing had been, now and after a rebuild."""
    await jobs.line_up(f"{name}-1", f"{name}-2")
    await jobs.kill_semaphore()
    view = await jobs.until(lambda view: bool(view.holders))
    assert (holders(view), view.waiting) == ([f"{name}-1"], (f"{name}-2",))
    await jobs.finish_all(f"{name}-1", f"{name}-2")


async def test_request_out_of_bounds_is_dropped_and_the_others_served(
    kept: Jobs,
) -> None:
    run = await kept.run()
    good, beside = await kept.begin("good"), await kept.begin("beside")
    requests = [await kept.request_of(each) for each in (good, beside)]
    fits = requests[0].model_dump(mode="json")
    bad = [
        fits | {"run_id": f"bad-{name}-{number}"} | {name: value}
        for name, values in WRONG.items()
        for number, value in enumerate(values)
    ]
    for each in bad:
        await kept.semaphore.signal(REQUEST_SIGNAL, raw(json.dumps([each])))
    # A newer release says more.
    newer = requests[1].model_dump(mode="json") | EXTRA
    await kept.semaphore.signal(REQUEST_SIGNAL, raw(json.dumps([*bad, fits, None, newer])))
    await kept.book.has_entered("good")
    view = await kept.view()
    assert (holders(view), view.waiting) == (["good"], ("beside",))
    assert await kept.run() == run
    await kept.finish_all("good", "beside")
    await lives(kept, "after")
    assert kept.book.drains == []


async def test_invalid_list_of_requests_is_dropped(kept: Jobs) -> None:
    run = await kept.run()
    for batch in (*BATCHES, raw("{"), raw('["\\ud800"]'), raw("[1e999]"), raw("[" * 500)):
        await kept.semaphore.signal(REQUEST_SIGNAL, batch)
    names = (REQUEST_SIGNAL, WITHDRAW_SIGNAL, RELEASE_SIGNAL)
    for name, values in product(names, SIGNALLED):
        await kept.semaphore.signal(name, args=values)
    for wrong in (["not", "one"], {"run_id": 1}, 7, "\0"):
        await kept.semaphore.signal(WITHDRAW_SIGNAL, wrong)
    for release in RELEASES:
        await kept.semaphore.signal(RELEASE_SIGNAL, release)
    await kept.line_up("job")
    assert await kept.run() == run
    await kept.finish("job")
    await lives(kept, "after")


async def test_invalid_change_is_refused(kept: Jobs) -> None:
    before = await kept.view()
    for wanted in CHANGES:
        with pytest.raises(WorkflowUpdateFailedError):
            await kept.semaphore.execute_update(CHANGE_UPDATE, wanted)
    for values in UPDATED:
        with pytest.raises(WorkflowUpdateFailedError):
            await kept.semaphore.execute_update(CHANGE_UPDATE, args=values)
    assert await kept.view() == before
    await lives(kept, "after")
    # A newer release says more.
    newer = {"limit": 2} | EXTRA
    view = await kept.semaphore.execute_update(CHANGE_UPDATE, newer, result_type=SlotView)
    assert view.limit == 2


async def test_unreadable_jobs_are_left_out_of_the_rebuilt_queue(kept: Jobs) -> None:
    await kept.line_up("holder")
    client = kept.client
    await client.start_workflow(GENVIDEO.workflow, id="no-input", task_queue="nobody")
    await client.start_workflow(GENVIDEO.workflow, {"a": 1}, id="not-ours", task_queue="nobody")
    marred = await kept.start("marred")
    for permit in PERMITS:
        await marred.signal(granted_signal(JOB_GATE), permit)
    await kept.start("next")
    await kept.kill_semaphore()
    view = await kept.until(lambda view: bool(view.holders))
    assert holders(view) == ["holder"]
    assert view.waiting == ("marred", "next")


async def test_long_memos_of_foreign_runs_do_not_stop_a_rebuild(kept: Jobs) -> None:
    """The SDK takes no answer with all of them, nor for the hour after they were terminated."""
    await kept.line_up("holder")
    memo = {"long": "x" * 1_900_000}
    for number in range(72):
        await kept.client.start_workflow("Foreign", id=f"{number}", task_queue="nobody", memo=memo)
    await kept.kill_semaphore()
    assert holders(await kept.until(lambda view: bool(view.holders))) == ["holder"]


async def test_forged_permit_with_the_last_number_is_not_adopted(kept: Jobs) -> None:
    """No semaphore could grant after it."""
    [job] = await kept.line_up("holder")
    [before] = (await kept.view()).holders
    forged = Permit(job_id="holder", run_id=before.run_id, name=JOB_GATE, token=2**53 - 1)
    await job.signal(granted_signal(JOB_GATE), forged)
    await kept.kill_semaphore()
    [after] = (await kept.until(lambda view: bool(view.holders))).holders
    assert after.token == before.token
    await kept.finish("holder")
    await lives(kept, "after")
