"""One stage: submit, follow to the end, and know why it stopped."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from loadtest.books import raw
from loadtest.books.prompts import priority, prompt, style
from loadtest.books.raw import RunFolder
from loadtest.collect.collector import own_clock
from loadtest.collect.tracker import Poller, Tracker
from loadtest.run.plan import Plan
from loadtest.run.progress import Display, Snapshot, snapshot
from loadtest.wire.api import Api, Feed
from loadtest.wire.http import Unreachable
from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.definition import Definition

AWAY_SECONDS = 60.0
"""The API may be away so long (it may be restarting) before the stage is given up."""
SAMPLE_SECONDS = 0.5


class Stage:
    """One rung of the ladder."""

    def __init__(
        self,
        folder: RunFolder,
        plan: Plan,
        *,
        number: int,
        run_id: str,
        pipeline: Definition,
        api: Api,
        api_url: str,
    ) -> None:
        self.number, self.jobs = number, plan.stages[number]
        self.tag = f"load-{run_id}-{number + 1}"
        self.tracker = Tracker(self.tag)
        self.why = "done"
        self._limit = 1
        self._folder, self._plan, self._api = folder, plan, api
        self._feed = Feed(api_url, lambda job: self.tracker.see(job, source="ws"), token=api.token)
        self._poller = Poller(api, self.tracker, self._feed)
        self._submitter = Submitter(
            api, plan, self.tracker, stage=number, run_id=run_id, pipeline=pipeline
        )

    async def run(self, display: Display, stop: asyncio.Event) -> None:
        """Run to the end of the last job, or until it is given up; `why` then says which."""
        began_at, began = time.time(), time.monotonic()
        slots = await self._slots()
        self._limit = int((slots or {}).get("limit") or 1)
        display.begin(self.number, self.jobs)
        async with background(self._feed.run(), self._poller.run(), self._sample()):
            await self._until_ended(display, stop, began=began)
        self._folder.append(raw.FRAMES, self.tracker.take_frames())
        self._folder.append(
            raw.STAGES,
            [
                {
                    "stage": self.number,
                    "jobs": self.jobs,
                    "tag": self.tag,
                    "began_at": began_at,
                    "ended_at": time.time(),
                    "why": self.why,
                    "slots_before": slots,
                    "slots_after": await self._slots(),
                    "feed_connections": self._feed.connections,
                }
            ],
        )
        display.show(self._snapshot(began))
        display.end(self._summary(time.monotonic() - began))

    async def _until_ended(self, display: Display, stop: asyncio.Event, *, began: float) -> None:
        def note(row: dict[str, Any]) -> None:
            self._folder.append(raw.SUBMITS, [row])

        submitting = asyncio.create_task(self._submitter.run(self.jobs, note))
        try:
            while not submitting.done() or self.tracker.open:
                why = self._given_up(stop, began)
                if why:
                    self.why = why
                    return
                await self.tracker.wait(0.25)
                display.show(self._snapshot(began))
                # Frames come in bursts; drawing each would cost more than taking it in.
                await asyncio.sleep(0.05)
            await submitting
            # The feed may have shown an end before the job's last version.
            await self._poller.poll()
        finally:
            submitting.cancel()
            await asyncio.gather(submitting, return_exceptions=True)

    def _snapshot(self, began: float) -> Snapshot:
        return snapshot(self.tracker, self.jobs, began=began, limit=self._limit)

    def _given_up(self, stop: asyncio.Event, began: float) -> str | None:
        now = time.monotonic()
        if stop.is_set():
            return "interrupted"
        away = self._poller.away_since
        if away is not None and now - away > AWAY_SECONDS:
            return f"unreachable: {self._poller.reason}"
        if self._plan.timeout is not None and now - began > self._plan.timeout:
            return f"timeout: the stage was given {self._plan.timeout:g} s"
        waiting = self._submitter.waiting
        if not waiting and now - self.tracker.last_change > self._plan.stall:
            return f"stalled: nothing changed for {self._plan.stall:g} s"
        return None

    async def _sample(self) -> None:
        """Note who holds the slot, now and then: a book of its own for what runs at once."""
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            self._folder.append(raw.FRAMES, self.tracker.take_frames())
            self._folder.append(raw.CLOCKS, own_clock())
            slots = await self._slots()
            if slots is not None:
                row = {"at": time.time(), "stage": self.number, **slots}
                self._folder.append(raw.SLOTS, [row | {"places": await self._places()}])

    async def _slots(self) -> dict[str, Any] | None:
        try:
            slots = await self._api.slots()
        except Unreachable:
            return None
        if slots.get("rebuilding"):
            return None
        holders = slots.get("holders") or []
        return {
            "limit": slots.get("limit"),
            "paused": slots.get("paused"),
            "holders": [holder.get("job_id") for holder in holders],
            "draining": sum(bool(holder.get("draining")) for holder in holders),
            "waiting": slots.get("waiting_count"),
        }

    async def _places(self) -> dict[str, int | None]:
        """Read the places in the queue; of a long queue, those of the newest jobs."""
        try:
            return await self._api.places(self.tag)
        except Unreachable:
            return {}

    def _summary(self, elapsed: float) -> str:
        counts = self.tracker.counts
        parts = [
            f"{counts[s]} {s}"
            for s in ("succeeded", "degraded", "failed", "cancelled")
            if counts[s]
        ]
        if self.tracker.refused:
            parts.append(f"{self.tracker.refused} refused")
        if self.tracker.open:
            parts.append(f"{len(self.tracker.open)} still open")
        ending = "" if self.why == "done" else f" ({self.why})"
        return f"{', '.join(parts) or 'no jobs'} in {elapsed:.1f} s{ending}"


@contextlib.asynccontextmanager
async def background(*coroutines: Any) -> AsyncIterator[None]:
    """Run coroutines beside the body; an error in one of them is raised at its end."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    broken = [result for result in results if isinstance(result, Exception)]
    if broken:
        raise broken[0]


class Submitter:
    """Sends one stage's jobs and notes when each was planned, sent and answered."""

    def __init__(
        self,
        api: Api,
        plan: Plan,
        tracker: Tracker,
        *,
        stage: int,
        run_id: str,
        pipeline: Definition = GENVIDEO,
    ) -> None:
        self._api, self._plan, self._tracker = api, plan, tracker
        self._stage, self._run_id, self._pipeline = stage, run_id, pipeline
        self._gate = asyncio.Semaphore(plan.concurrency)
        self.waiting = False
        """Whether the next job's planned instant lies ahead, so that silence means nothing."""

    async def run(self, count: int, note: Callable[[dict[str, Any]], None]) -> None:
        """Submission `count` jobs; `note` gets a raw row for each, as soon as it is answered."""
        began, clock = time.time(), time.monotonic()
        async with asyncio.TaskGroup() as group:
            for index in range(count):
                offset = self._plan.offset(index)
                self.waiting = clock + offset > time.monotonic()
                await asyncio.sleep(max(0.0, clock + offset - time.monotonic()))
                self.waiting = False
                # Where the API is slow the jobs behind are late here, and still count from their
                # planned instants: a stall that is not sent into must not look short.
                await self._gate.acquire()
                group.create_task(self._one(index, began + offset, note))

    async def _one(
        self, index: int, planned: float, note: Callable[[dict[str, Any]], None]
    ) -> None:
        try:
            body, key = self.body(index), f"{self._run_id}-{self._stage}-{index}"
            sent = time.time()
            result = await self._api.submit(body, key)
            note(
                {
                    "stage": self._stage,
                    "index": index,
                    "key": key,
                    "prompt": prompt(self._plan.seed, self._stage, index),
                    "planned_at": round(planned, 6),
                    "sent_at": round(sent, 6),
                    "answered_at": round(time.time(), 6),
                    "tries": result.tries,
                    "status": result.status,
                    "job_id": result.job_id,
                    "problem": result.problem,
                }
            )
            # After the row is on disk: whatever is waited for is in the books.
            if result.job_id:
                self._tracker.expect(result.job_id)
            else:
                self._tracker.refused += 1
        finally:
            self._gate.release()

    def body(self, index: int) -> dict[str, Any]:
        """Return the request of one job; it depends on the plan alone.

        What a pipeline needs beside what is known here is words.
        """
        place = (self._plan.seed, self._stage, index)
        fields = self._pipeline.input.model_fields
        ours = {
            "style": style(*place),
            "tag": self._tracker.tag,
            "on_video_failure": self._plan.on_video_failure,
            **({"priority": priority(*place)} if self._plan.priorities else {}),
        }
        words = (name for name in fields if fields[name].is_required() and name not in ours)
        other = {} if self._pipeline is GENVIDEO else {"pipeline": self._pipeline.name}
        return {
            **other,
            **dict.fromkeys(words, prompt(*place)),
            **{name: value for name, value in ours.items() if name in fields},
        }
