"""What is done while the jobs run, in the way in which it happens: to holder and semaphore."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping

from shared.semaphore.messages import JOB_GATE, REQUEST_SIGNAL, SlotRequest, SlotView, semaphore_id
from shared.semaphore.queue import turn
from tests.chaos import operators
from tests.chaos.books import Done
from tests.fixtures.eventually import PATIENCE_SECONDS, eventually
from tests.workflow.pipeline import Pipeline, begun
from tests.workflow.scenarios import rule

JOBS = 5
# Some leases long; nothing happens meanwhile in a build without one.
LONG_SECONDS = 2.0
# The first job is with a vendor for a minute, so that what is done happens meanwhile; then the
# vendor is told to hurry.
LONG = {**rule("start", "slow", extra=60_000), "match": {"nth": 1}}

Disturbed = Mapping[str, frozenset[Done]]
Disturb = Callable[[Pipeline], Awaitable[Disturbed]]


async def nothing(_: Pipeline) -> Disturbed:
    """Many jobs at once are enough."""
    return {}


async def a_long_job(line: Pipeline) -> Disturbed:
    """The first job takes longer than the lease; the others have long asked."""
    await line.images.arm(LONG)
    await _all_asked(line)
    with contextlib.suppress(TimeoutError):
        await _another_begins(line, LONG_SECONDS)
    await line.images.hurry()
    return {}


async def a_job_until_another_begins(line: Pipeline) -> Disturbed:
    """The same for a build that is sure to let another one begin beside it."""
    await line.images.arm(LONG)
    await _all_asked(line)
    await _another_begins(line, PATIENCE_SECONDS)
    await line.images.hurry()
    return {}


async def _another_begins(line: Pipeline, seconds: float) -> None:
    await eventually(lambda: _accepted(line), lambda count: count > 1, seconds=seconds)


async def the_holder_terminated(line: Pipeline) -> Disturbed:
    """In mid-video, which no vendor can stop, with others that wait."""
    await line.videos.arm(LONG)
    holder = await _in_mid_video(line)
    await line.job(holder).terminate("on purpose")
    await eventually(lambda: _is_drained_or_followed(line), bool)
    await line.videos.hurry()
    return {holder: frozenset({Done.TERMINATE})}


async def _is_drained_or_followed(line: Pipeline) -> bool:
    """Whether the slot is being cleared, or the next job has begun without."""
    view = await line.slots()
    return any(holder.draining for holder in view.holders) or await _accepted(line) > 1


async def the_holder_cancelled(line: Pipeline) -> Disturbed:
    """In mid-video as well; its own code is there to wait for the vendor."""
    await line.videos.arm(LONG)
    holder = await _in_mid_video(line)
    await line.job(holder).cancel()
    await eventually(lambda: _waits_or_is_followed(line, holder), bool)
    await line.videos.hurry()
    return {holder: frozenset({Done.CANCEL})}


async def _waits_or_is_followed(line: Pipeline, holder: str) -> bool:
    """Whether the job waits until the vendors are clear, or the next one has begun without."""
    waits = "waiting until the vendors are clear" in line.record(holder).transitions[-1].note
    return waits or await _accepted(line) > 1


async def _in_mid_video(line: Pipeline) -> str:
    holder, *_ = await _all_asked(line)
    await begun(line.videos, f"{holder}.video.1")
    return holder


async def _accepted(line: Pipeline) -> int:
    """How many images were begun."""
    return int((await line.images.json("/admin/stats"))["accepted"])


async def the_semaphore_terminated(line: Pipeline) -> Disturbed:
    """With a holder and a queue."""
    await line.images.arm(LONG)
    holder, *_ = await _all_asked(line)
    await begun(line.images, f"{holder}.image.1")
    await line.client.get_workflow_handle(semaphore_id(JOB_GATE)).terminate("on purpose")
    await line.images.hurry()
    return {}


async def the_watch_failed(line: Pipeline) -> Disturbed:
    """By an operator, while its holder is at work."""
    await line.images.arm(LONG)
    holder, *_ = await _all_asked(line)
    await begun(line.images, f"{holder}.image.1")
    assert await operators.fail_activity(line.client, operators.SEMAPHORE, operators.SEMAPHORES)
    await line.images.hurry()
    return {}


async def requests_sent_again(line: Pipeline) -> Disturbed:
    """Every request once more, as after a reply that was lost."""
    await line.images.arm(LONG)
    jobs = await _all_asked(line)
    semaphore = line.client.get_workflow_handle(semaphore_id(JOB_GATE))
    requests = [await _request_of(line, job_id) for job_id in jobs]
    await semaphore.signal(REQUEST_SIGNAL, sorted(requests, key=turn))
    await line.images.hurry()
    return {}


async def _all_asked(line: Pipeline) -> list[str]:
    """The jobs in the order of their turn, once the semaphore knows all of them."""
    return _known(await line.slots(lambda view: len(_known(view)) == JOBS))


def _known(view: SlotView) -> list[str]:
    """Who holds and who waits, each once, however often it stands there."""
    return list(dict.fromkeys([*(holder.job_id for holder in view.holders), *view.waiting]))


async def _request_of(line: Pipeline, job_id: str) -> SlotRequest:
    run = await line.job(job_id).describe()
    return SlotRequest(job_id=job_id, run_id=str(run.run_id), requested_at=run.start_time)
