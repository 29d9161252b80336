"""One stage: submit, follow to the end, and know why it stopped."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from loadtest.books import raw
from loadtest.books.prompts import priority, prompt, style
from loadtest.books.raw import RunFolder
from loadtest.collect.collector import own_clock
from loadtest.collect.tracker import Poller, Tracker
from loadtest.run.plan import Plan
from loadtest.run.progress import Display, news
from loadtest.wire.api import Feed
from loadtest.wire.http import Unreachable
from loadtest.wire.stack import Stack
from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.definition import Definition

AWAY_SECONDS = 60.0
"""The API may be away so long (it may be restarting) before the stage is given up."""
SAMPLE_SECONDS = 0.5


class Stage:
    """One rung of the ladder."""

    patience = 60.0
    """Seconds for which a submission is tried again."""

    def __init__(self, folder: RunFolder, plan: Plan, stack: Stack, *, number: int) -> None:
        self.number, self.jobs = number, plan.stages[number]
        self._run_id = folder.path.name
        self.tag = f"load-{self._run_id}-{number + 1}"
        self.tracker = Tracker(self.tag)
        self.why = "done"
        self.began = time.time()
        self._folder, self._plan = folder, plan
        self._api, self._pipeline = stack.api, stack.pipeline
        url, token = stack.settings.api_url, self._api.token
        self._feed = Feed(url, token, lambda job: self.tracker.see(job, source="ws"))
        self._poller = Poller(self._api, self.tracker, self._feed)
        self._gate = asyncio.Semaphore(plan.concurrency)
        # Whether the next job's planned instant lies ahead, so that silence means nothing.
        self._waiting = False

    async def run(self, display: Display, stop: asyncio.Event) -> None:
        """Run to the end of the last job, or until it is given up; `why` then says which."""
        self.began, began = time.time(), time.monotonic()
        slots = await self._slots()
        display.begin(self.number, self.jobs)
        async with background(self._feed.run(), self._poller.run(), self._sample()):
            await self._until_ended(display, stop, began=began)
        await self._note_end(slots_before=slots)
        self._show(display, began)
        display.end(self._summary(time.monotonic() - began))

    async def _note_end(self, **more: Any) -> None:
        self._folder.append(raw.FRAMES, self.tracker.take_frames())
        row = {
            "stage": self.number,
            "jobs": self.jobs,
            "tag": self.tag,
            "began_at": self.began,
            "ended_at": time.time(),
            "why": self.why,
            "slots_after": await self._slots(),
            "feed_connections": self._feed.connections,
        }
        self._folder.append(raw.STAGES, [row | more])

    async def _until_ended(self, display: Display, stop: asyncio.Event, *, began: float) -> None:
        submitting = asyncio.create_task(self._submit())
        try:
            while not submitting.done() or self.tracker.open:
                if why := self._given_up(stop, began):
                    self.why = why
                    return
                await self.tracker.wait(0.25)
                self._show(display, began)
                # Frames come in bursts; drawing each would cost more than taking it in.
                await asyncio.sleep(0.05)
            await submitting
            # The feed may have shown an end before the job's last version.
            await self._poller.poll()
        finally:
            submitting.cancel()
            await asyncio.gather(submitting, return_exceptions=True)

    def _show(self, display: Display, began: float) -> None:
        display.show(self.tracker.ended, news(self.tracker, self.jobs, began=began))

    def _given_up(self, stop: asyncio.Event, began: float) -> str | None:
        now, away = time.monotonic(), self._poller.away_since
        if stop.is_set():
            return "interrupted"
        if away is not None and now - away > AWAY_SECONDS:
            return f"unreachable: {self._poller.reason}"
        if self._plan.timeout is not None and now - began > self._plan.timeout:
            return f"timeout: the stage was given {self._plan.timeout:g} s"
        if not self._waiting and now - self.tracker.last_change > self._plan.stall:
            return f"stalled: nothing changed for {self._plan.stall:g} s"
        return None

    async def _sample(self) -> None:
        """Note now and then who holds the slot, and the places of the newest waiting jobs."""
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            self._folder.append(raw.FRAMES, self.tracker.take_frames())
            self._folder.append(raw.CLOCKS, own_clock())
            slots = await self._slots()
            if slots is not None:
                row = {"at": time.time(), "stage": self.number, **slots, "places": {}}
                with contextlib.suppress(Unreachable):
                    row["places"] = await self._api.places(self.tag)
                self._folder.append(raw.SLOTS, [row])

    async def _slots(self) -> dict[str, Any] | None:
        try:
            slots = await self._api.read("/slots")
        except Unreachable:
            return None
        if slots.get("rebuilding"):
            return None
        holders = slots.get("holders") or []
        job_ids = [holder.get("job_id") for holder in holders]
        self.tracker.holders.update(job_ids)
        return {
            "limit": slots.get("limit"),
            "paused": slots.get("paused"),
            "holders": job_ids,
            "draining": sum(bool(holder.get("draining")) for holder in holders),
            "waiting": slots.get("waiting_count"),
        }

    def _summary(self, elapsed: float) -> str:
        tracker = self.tracker
        ends = {s: tracker.counts[s] for s in ("succeeded", "degraded", "failed", "cancelled")}
        ends |= {"refused": tracker.refused, "still open": len(tracker.open)}
        parts = [f"{count} {end}" for end, count in ends.items() if count]
        ending = "" if self.why == "done" else f" ({self.why})"
        return f"{', '.join(parts) or 'no jobs'} in {elapsed:.1f} s{ending}"

    async def _submit(self) -> None:
        """Submit each job at its planned instant, and note each as soon as it is answered."""
        began, clock = time.time(), time.monotonic()
        async with asyncio.TaskGroup() as group:
            for index in range(self.jobs):
                offset = self._plan.offset(index)
                self._waiting = clock + offset > time.monotonic()
                await asyncio.sleep(max(0.0, clock + offset - time.monotonic()))
                self._waiting = False
                # Where the API is slow the jobs behind are late here, and still count from their
                # planned instants: a stall that is not sent into must not look short.
                await self._gate.acquire()
                task = group.create_task(self._submit_one(index, began + offset))
                task.add_done_callback(lambda _: self._gate.release())

    async def _submit_one(self, index: int, planned: float, **asked: Any) -> str | None:
        """Submit the plan's job, with what is asked in place of its own; return its id."""
        key = f"{self._run_id}-{self.number}-{index}"
        body = job_body(self._pipeline, self._plan, (self.number, index), tag=self.tag)
        sent = time.time()
        result = await self._api.submit(body | asked, key, patience=self.patience)
        row = {
            "stage": self.number,
            "index": index,
            "key": key,
            "prompt": asked.get("prompt") or prompt(self._plan.seed, self.number, index),
            "planned_at": round(planned, 6),
            "sent_at": round(sent, 6),
            "answered_at": round(time.time(), 6),
            **asdict(result),
            **({"asked": asked} if asked else {}),
        }
        self._folder.append(raw.SUBMITS, [row])
        # After the row is on disk: whatever is waited for is in the books.
        if result.job_id:
            self.tracker.expect(result.job_id)
        else:
            self.tracker.refused += 1
        return result.job_id


def job_body(
    pipeline: Definition, plan: Plan, place: tuple[int, int], *, tag: str
) -> dict[str, Any]:
    """Return the request of the job at a place, which is a stage and an index.

    It depends only on the plan. Other required fields of the pipeline's input are words.
    """
    words, fields = prompt(plan.seed, *place), pipeline.input.model_fields
    ours: dict[str, Any] = {
        "style": style(plan.seed, *place),
        "tag": tag,
        "on_video_failure": plan.on_video_failure,
    }
    if plan.priorities:
        ours["priority"] = priority(plan.seed, *place)
    body = {} if pipeline is GENVIDEO else {"pipeline": pipeline.name}
    body |= {name: words for name, it in fields.items() if it.is_required() and name not in ours}
    return body | {name: value for name, value in ours.items() if name in fields}


@contextlib.asynccontextmanager
async def background(*coroutines: Any) -> AsyncIterator[None]:
    """Run coroutines beside the body; an error in one of them ends it, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
            yield
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
