"""Submitting the jobs of a stage: at their planned instants, a bounded number at a time."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from loadtest.collect.tracker import Tracker
from loadtest.run import prompts
from loadtest.run.plan import Plan
from loadtest.wire.api import Api


class Submitter:
    """Sends one stage's jobs and notes when each was planned, sent and answered."""

    def __init__(self, api: Api, plan: Plan, tracker: Tracker, *, stage: int, run_id: str) -> None:
        self._api, self._plan, self._tracker = api, plan, tracker
        self._stage, self._run_id = stage, run_id
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
                    "prompt": body["prompt"],
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
        """The request of one job; it depends on the plan alone."""
        seed = self._plan.seed
        return {
            "prompt": prompts.prompt(seed, self._stage, index),
            "style": prompts.style(seed, self._stage, index),
            "tag": self._tracker.tag,
            "on_video_failure": self._plan.on_video_failure,
        }
