"""Every job and then each change of any, for one listener that may be as slow as it likes."""

import asyncio
import json
from collections.abc import Callable

from services.api.feed.frames import Frame
from services.api.feed.hub import Hub
from services.api.feed.index import JobIndex
from shared.jobs.messages import Job

# So many jobs are looked up and written as JSON at a time.
PAGE = 10


class Changes:
    """A place in the numbered changes, and nothing that is kept for this listener alone.

    Where the hub still has every change since then, each of them is given; else the newest state
    of the jobs that have changed, page by page. What was known at the beginning is `shown` first.
    """

    def __init__(
        self,
        hub: Hub,
        index: JobIndex,
        *,
        since: int = 0,
        shown: Callable[[Job], Job] = lambda job: job,
    ) -> None:
        self._hub = hub
        self._index = index
        self._change = since
        self._known = index.change
        self._shown = shown

    @property
    def mark(self) -> str:
        """The end of what was known, as JSON: where to go on from, how many jobs there are."""
        known = {"complete": self._hub.named(self._change), "jobs": len(self._index)}
        return json.dumps(known)

    def add(self, frame: Frame) -> None:
        """Nothing is kept: it is looked for when it is taken."""

    def take(self) -> list[Frame]:
        """The next of them, in the order of the changes."""
        recent = None
        if self._change >= self._known:
            recent = self._hub.recent_after(self._change)
        frames = self._page() if recent is None else recent
        if frames:
            self._change = frames[-1].number
        return frames

    async def turn(self) -> None:
        """Let others go on: of those who are behind, one at a time has a page."""
        if self._change >= self._known and self._hub.recent_after(self._change) is not None:
            await asyncio.sleep(0)
            return
        async with self._hub.catching_up:
            await asyncio.sleep(0)

    def _page(self) -> list[Frame]:
        return [
            self._hub.frame(self._shown(job) if change <= self._known else job, change)
            for change, job in self._index.changed_after(self._change, PAGE)
        ]
