"""A small real run of one build under one disturbance; what it leaves goes to the checkers."""

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from temporalio.client import Client

from loadtest.books.load import load
from loadtest.books.raw import RunFolder
from loadtest.run.plan import Options
from loadtest.run.progress import Display
from loadtest.run.run import Run, Stack, open_stack
from loadtest.settings import Settings
from loadtest.wire.temporal import Temporal
from shared.jobs.slots import JOB_GATE
from shared.semaphore.messages import REQUEST_SIGNAL, SlotRequest, SlotView, semaphore_id
from shared.semaphore.queue import turn
from tests.chaos import books, operators
from tests.chaos.books import Done, Evidence, grants
from tests.control.builds import Build
from tests.fixtures.eventually import PATIENCE_SECONDS, eventually
from tests.fixtures.processes import serving
from tests.workflow.pipeline import Pipeline, begun, pipeline
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


@dataclass(frozen=True)
class Scene:
    """A disturbance, and after how many seconds without any change the run is given up."""

    build: Build
    disturb: Disturb
    stall: float = 60.0
    speaks: bool = True
    """Whether its workflows have our code, and so can be queried and replayed."""

    async def play(self, client: Client, folder: Path) -> Evidence:
        """Run the jobs to their end, or until nothing moves any more; then read the books."""
        async with (
            pipeline(client, folder / "data") as line,
            self.build(line) as app,
            serving(app) as api,
            reached(line, api, folder) as stack,
        ):
            plan = Options(stages=str(JOBS), seed="1", stall=str(self.stall)).plan()
            run = Run(stack, plan, command="the control")
            console = Display(Console(file=io.StringIO()), plan.stages)
            disturbed, _ = await asyncio.gather(
                self.disturb(line), run.go(console, asyncio.Event())
            )
            slots = await self._slots(stack)
            versions = await self._ask(client, run.folder) if self.speaks else {}
            return Evidence(
                load(run.folder),
                slots,
                disturbed=disturbed,
                versions=versions,
                grants=grants(run.folder),
            )

    async def _slots(self, stack: Stack) -> dict[str, Any]:
        """`GET /slots` as soon as nobody holds or waits, or when the run would be given up."""
        until = time.monotonic() + self.stall
        while True:
            slots = await stack.api.slots()
            free = not slots["holders"] and not slots["waiting_count"]
            if free or time.monotonic() > until:
                return slots
            await asyncio.sleep(0.05)

    async def _ask(self, client: Client, folder: RunFolder) -> dict[str, int]:
        """The workflows' own word, while they have a worker; and all histories replayed."""
        jobs = [job.job_id for job in load(folder).jobs]
        versions, unheard = await books.versions(client, jobs)
        assert unheard == []
        await books.semaphore_histories(client, folder)
        await books.replay(folder)
        return versions


@asynccontextmanager
async def reached(line: Pipeline, api: str, folder: Path) -> AsyncIterator[Stack]:
    """The build as a load test reaches any stack: by addresses, and by its data folder."""
    here = line.settings
    settings = Settings(
        api_url=api,
        callback_url=here.callback_url,
        image_service_url=here.image_service_url,
        video_service_url=here.video_service_url,
        data_dir=here.data_dir,
        reports_dir=folder / "reports",
    )
    temporal = Temporal(line.client, settings.payload_keys)
    async with open_stack(settings, temporal, "test") as stack:
        yield stack
